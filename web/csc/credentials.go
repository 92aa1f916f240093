package csc

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// credential is what the specification calls CredentialInfo (section 11.4).
type credential struct {
	ID          string    `json:"credentialID,omitempty"`
	Description string    `json:"description"`
	Key         keyInfo   `json:"key"`
	Cert        certInfo  `json:"cert"`
	Auth        *authInfo `json:"auth,omitempty"`
	SCAL        string    `json:"SCAL"`
	Multisign   int       `json:"multisign"`
	Lang        string    `json:"lang"`
}

type certInfo struct {
	Status       string   `json:"status"`
	Certificates []string `json:"certificates,omitempty"`
	IssuerDN     string   `json:"issuerDN,omitempty"`
	SerialNumber string   `json:"serialNumber,omitempty"`
	SubjectDN    string   `json:"subjectDN,omitempty"`
	ValidFrom    string   `json:"validFrom,omitempty"`
	ValidTo      string   `json:"validTo,omitempty"`
}

type authInfo struct {
	Mode       string       `json:"mode"`
	Expression string       `json:"expression,omitempty"`
	Objects    []authObject `json:"objects,omitempty"`
}

type authObject struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	Label       string `json:"label"`
	Description string `json:"description"`
}

// phoneID names the one way in which a holder releases signatures: the phone (section 8.3.1.5).
const phoneID = "phone"

// showing is what a system wants to be told of credentials.
type showing struct {
	Certificates *string `json:"certificates"`
	CertInfo     *bool   `json:"certInfo"`
	AuthInfo     *bool   `json:"authInfo"`
	Lang         *string `json:"lang"`
	ClientData   *string `json:"clientData"`
}

func (s showing) check() error {
	if s.Certificates != nil && *s.Certificates != "none" && *s.Certificates != "single" && *s.Certificates != "chain" {
		return invalid("certificates")
	}
	return nil
}

func yes(b *bool) bool { return b != nil && *b }

// generalized is GeneralizedTime as the specification writes it.
const generalized = "20060102150405Z"

// tell describes a credential. The mode of authorisation is a required member, so it is always there.
func (a *API) tell(x remotesign.Credential, s showing, lang string) (credential, error) {
	cert, err := x509.ParseCertificate(x.DER)
	if err != nil {
		return credential{}, err
	}
	say := sayings[lang]
	out := credential{Description: say["credential"], SCAL: "2", Multisign: remotesign.MaxHashes, Lang: lang,
		Cert: certInfo{Status: statusOf(x.Certificate, a.Now())}, Auth: &authInfo{Mode: "explicit"}}
	if out.Key, err = keyOf(cert, x.Usable == nil); err != nil {
		return credential{}, err
	}
	if which := s.Certificates; which == nil || *which != "none" {
		chain := [][]byte{x.DER}
		if which != nil && *which == "chain" {
			chain = append(chain, a.Issuers...)
		}
		for _, der := range chain {
			out.Cert.Certificates = append(out.Cert.Certificates, base64.StdEncoding.EncodeToString(der))
		}
	}
	if yes(s.CertInfo) {
		out.Cert.SerialNumber = x.Serial
		if out.Cert.IssuerDN, err = nameOf(cert.RawIssuer); err != nil {
			return credential{}, err
		}
		if out.Cert.SubjectDN, err = nameOf(cert.RawSubject); err != nil {
			return credential{}, err
		}
		out.Cert.ValidFrom, out.Cert.ValidTo = cert.NotBefore.UTC().Format(generalized), cert.NotAfter.UTC().Format(generalized)
	}
	out.Auth.Expression = phoneID
	out.Auth.Objects = []authObject{{Type: "ChallengeResponseOOB", ID: phoneID, Label: say["phone"], Description: say["release"]}}
	return out, nil
}

// nameOf writes a name by RFC 4514: as the certificate has it, the last part first.
func nameOf(der []byte) (string, error) {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("csc: a name in a certificate cannot be read: %w", err)
	}
	return name.String(), nil
}

// statusOf is a certificate's state in the specification's words. One whose revocation is under way is not valid here.
func statusOf(c ra.Certificate, now time.Time) string {
	switch {
	case c.State == ra.CertRevoked || c.State == ra.CertRevoking:
		return "revoked"
	case c.State == ra.CertExpired || now.After(c.NotAfter):
		return "expired"
	case c.State == ra.CertLive:
		return "valid"
	}
	return "suspended"
}

type listAnswer struct {
	IDs       []string     `json:"credentialIDs"`
	Infos     []credential `json:"credentialInfos,omitzero"` // there, if empty, where it was asked for
	OnlyValid *bool        `json:"onlyValid,omitempty"`
}

// listCredentials are those of one holder: of the one who granted the token, or of the one whom a system names under its
// own. A name that is not known has none, and so has a holder of another institution.
func (c *call) listCredentials() error {
	var b struct {
		UserID         *string `json:"userID"`
		CredentialInfo *bool   `json:"credentialInfo"`
		OnlyValid      *bool   `json:"onlyValid"`
		showing
	}
	if err := c.into(&b); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	person, err := c.holder(b.UserID)
	if err != nil {
		return err
	}
	list, err := c.api.Signatures.Credentials(c.ctx(), remotesign.ClientID(c.proof.Client.ID), person, "")
	if err != nil {
		return err
	}
	out := listAnswer{IDs: []string{}}
	if yes(b.OnlyValid) {
		out.OnlyValid = b.OnlyValid
	}
	if yes(b.CredentialInfo) {
		out.Infos = []credential{}
	}
	for _, x := range list {
		if yes(b.OnlyValid) && x.Usable != nil {
			continue
		}
		out.IDs = append(out.IDs, string(x.ID))
		if !yes(b.CredentialInfo) {
			continue
		}
		info, err := c.api.tell(x, b.showing, c.lang(b.Lang))
		if err != nil {
			return err
		}
		info.ID = string(x.ID)
		out.Infos = append(out.Infos, info)
	}
	return c.JSON(http.StatusOK, out)
}

var accountForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{2,31}$`)

// holder is whose credentials are asked for; empty: nobody's.
func (c *call) holder(userID *string) (ra.PersonID, error) {
	if own := c.proof.Token.Person; own != "" {
		if userID != nil {
			return "", malformed("userID parameter MUST be null")
		}
		return own, nil
	}
	if userID == nil {
		return "", missing("string", "userID")
	}
	name := strings.ToLower(*userID) // as the page that asks for it has it
	if !accountForm.MatchString(name) {
		return "", invalid("userID")
	}
	person, ok, err := c.api.Holder(c.ctx(), name)
	if !ok {
		person = ""
	}
	return person, err
}

var idForm = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)

// credential is the one that is named, where this token may know of it.
func (c *call) credential(id *string) (remotesign.Credential, error) {
	if id == nil {
		return remotesign.Credential{}, missing("string", "credentialID")
	}
	if !idForm.MatchString(*id) {
		return remotesign.Credential{}, invalid("credentialID")
	}
	list, err := c.api.Signatures.Credentials(c.ctx(), remotesign.ClientID(c.proof.Client.ID), c.proof.Token.Person, ra.CertificateID(*id))
	if err == nil && len(list) != 1 {
		err = invalid("credentialID")
	}
	if err != nil {
		return remotesign.Credential{}, err
	}
	return list[0], nil
}

// covers keeps a token that a holder granted for one credential's signatures to that credential (section 8.4).
func (c *call) covers(id ra.CertificateID) error {
	if c.proof.Token.Scope != oauth.Credential {
		return nil
	}
	of, err := c.api.Grants.Release(c.ctx(), c.proof.Token)
	if err == nil && of.Certificate != id {
		err = invalid("credentialID")
	}
	return err
}

// credentialInfo describes one credential (section 11.5).
func (c *call) credentialInfo() error {
	var b struct {
		CredentialID *string `json:"credentialID"`
		showing
	}
	if err := c.into(&b); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	x, err := c.credential(b.CredentialID)
	if err != nil {
		return err
	}
	if err := c.covers(x.ID); err != nil {
		return err
	}
	out, err := c.api.tell(x, b.showing, c.lang(b.Lang))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, out)
}
