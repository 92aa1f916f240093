package api

import (
	"encoding/base64"
	"net/http"
	"time"

	"certwindow/ra"
	"certwindow/ra/remotesign"
)

// maxBatch is the largest body of a request that brings hashes with their labels: 500 of them, in bytes.
const maxBatch = 1 << 20

type challenge struct {
	Challenge string    `json:"challenge"`
	ExpiresAt time.Time `json:"expires_at"`
}

// getChallenge is what the app puts into activation data of its own.
func (c *call) getChallenge() (answer, error) {
	if err := c.own(ra.CertificateID(c.Param("certificate"))); err != nil {
		return answer{}, err
	}
	text, until, err := c.api.Keys.Challenge(c.ctx(), c.device.ID, ra.CertificateID(c.Param("certificate")))
	if err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, challenge{text, until.UTC()})
}

// labelled is one hash, with what the holder was shown of it.
type labelled struct {
	Hash     string `json:"hash"`
	Title    string `json:"title"`
	Patients int    `json:"patients"`
	Source   string `json:"source"`
}

// release is how a holder's phone lets signatures be made.
type release struct {
	Activation string       `json:"activation"`
	Secret     string       `json:"secret"`
	Factors    []factorBody `json:"factors"`
}

type factorBody struct {
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Signature string `json:"signature,omitempty"`
}

// maxFactors is how many proofs of a holder one release has at most.
const maxFactors = 4

func (r release) read() (out remotesign.Release, err error) {
	if out.Secret, err = octets("secret", r.Secret); err != nil {
		return out, err
	}
	if len(r.Factors) > maxFactors {
		return out, malformed("factors", "There are too many proofs of the holder. Nothing was signed.")
	}
	out.Activation = r.Activation
	for _, f := range r.Factors {
		if err := words("kind", f.Kind, 32); err != nil {
			return out, err
		}
		one := remotesign.NewFactor(f.Kind, []byte(f.Value))
		if f.Signature != "" {
			if one.Signature, err = octets("signature", f.Signature); err != nil {
				return out, err
			}
		}
		out.Factors = append(out.Factors, one)
	}
	return out, nil
}

type signatures struct {
	Signatures []string `json:"signatures"`
	Stopped    *stopped `json:"stopped,omitempty"`
}

// stopped says why the rest of a batch was not signed.
type stopped struct {
	Code   string `json:"code"`
	Clause string `json:"clause"`
	Detail string `json:"detail"`
}

func outcomeOf(o remotesign.Outcome, withSignatures bool) (answer, error) {
	out := signatures{Signatures: []string{}}
	if withSignatures {
		for _, s := range o.Signatures {
			out.Signatures = append(out.Signatures, base64.StdEncoding.EncodeToString(s))
		}
	}
	if o.Stopped != nil {
		e := ra.AsError(o.Stopped)
		out.Stopped = &stopped{Code: e.Code, Clause: string(e.Clause), Detail: e.Detail}
	}
	return document(http.StatusOK, out)
}

// signHashes signs with the holder's key in the HSM what the holder's own app asks for (HCA-6.3.5).
func (c *call) signHashes() (answer, error) {
	var b struct {
		release
		Scope         string     `json:"scope"`
		HashAlgorithm string     `json:"hash_algorithm"`
		Challenge     string     `json:"challenge"`
		Hashes        []labelled `json:"hashes"`
	}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	r, err := b.read()
	if err != nil {
		return answer{}, err
	}
	if len(b.Hashes) > remotesign.MaxHashes {
		return answer{}, malformed("hashes", "An authorisation holds 1 to 500 hashes. Nothing was signed.")
	}
	own := remotesign.Own{Certificate: ra.CertificateID(c.Param("certificate")), Scope: b.Scope, HashAlgorithm: b.HashAlgorithm, Challenge: b.Challenge}
	for _, h := range b.Hashes {
		digest, err := octets("hash", h.Hash)
		if err != nil {
			return answer{}, err
		}
		own.Items = append(own.Items, remotesign.Item{Hash: digest, Title: h.Title, Patients: h.Patients, Source: h.Source})
	}
	own.Holder = c.login.Person
	sign := func(c *call) (answer, error) {
		out, err := c.api.Keys.Sign(c.ctx(), c.actor(), c.device.ID, own, r)
		if err != nil {
			return answer{}, err
		}
		return outcomeOf(out, true)
	}
	if len(own.Items) <= remotesign.Chunk {
		return c.joined(&r, sign)
	}
	if err := c.useNonce(); err != nil {
		return answer{}, err
	}
	return c.once(sign)
}

type authorisation struct {
	Authorisation remotesign.AuthorisationID `json:"authorisation"`
	Certificate   ra.CertificateID           `json:"certificate"`
	Client        remotesign.ClientID        `json:"client"`
	Scope         string                     `json:"scope"`
	HashAlgorithm string                     `json:"hash_algorithm"`
	Challenge     string                     `json:"challenge"`
	ShortCode     string                     `json:"short_code"` // shown by the page that asked as well
	ExpiresAt     time.Time                  `json:"expires_at"`
	Hashes        []labelled                 `json:"hashes"`
}

// listAuthorisations are what waits for the holder's decision: the app shows all of it before it asks for the factor.
func (c *call) listAuthorisations() (answer, error) {
	if err := c.own(ra.CertificateID(c.Param("certificate"))); err != nil {
		return answer{}, err
	}
	list, err := c.api.Keys.PendingOn(c.ctx(), c.device.ID, c.login.Person, ra.CertificateID(c.Param("certificate")))
	if err != nil {
		return answer{}, err
	}
	return authorisationsOf(list)
}

func authorisationsOf(list []remotesign.Authorisation) (answer, error) {
	out := []authorisation{}
	for _, a := range list {
		hashes := []labelled{}
		for _, i := range a.Items {
			hashes = append(hashes, labelled{Hash: base64.StdEncoding.EncodeToString(i.Hash), Title: i.Title, Patients: i.Patients, Source: i.Source})
		}
		out = append(out, authorisation{Authorisation: a.ID, Certificate: a.Certificate, Client: a.Client, Scope: a.Scope, HashAlgorithm: a.HashAlgorithm,
			Challenge: base64.RawURLEncoding.EncodeToString(a.Challenge), ShortCode: a.ShortCode(), ExpiresAt: a.ExpiresAt.UTC(), Hashes: hashes})
	}
	return document(http.StatusOK, map[string][]authorisation{"authorisations": out})
}

// releaseAuthorisation signs what a system asked for. Its signatures go to that system and not to the phone.
func (c *call) releaseAuthorisation() (answer, error) {
	var b release
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	r, err := b.read()
	if err != nil {
		return answer{}, err
	}
	if err := c.ownAuthorisation(); err != nil {
		return answer{}, err
	}
	out, err := c.api.Keys.Release(c.ctx(), c.actor(), c.device.ID, remotesign.AuthorisationID(c.Param("authorisation")), r)
	if err != nil {
		return answer{}, err
	}
	return outcomeOf(out, false)
}

// denyAuthorisation is the holder's no.
func (c *call) denyAuthorisation() (answer, error) {
	var b struct{}
	if err := c.into(&b); err != nil {
		return answer{}, err
	}
	if err := c.ownAuthorisation(); err != nil {
		return answer{}, err
	}
	if err := c.api.Keys.Deny(c.ctx(), c.actor(), c.device.ID, remotesign.AuthorisationID(c.Param("authorisation"))); err != nil {
		return answer{}, err
	}
	return document(http.StatusOK, map[string]remotesign.State{"state": remotesign.Denied})
}

// ownAuthorisation is own, for one that waits for a holder of a shared device.
func (c *call) ownAuthorisation() error {
	person, err := c.api.Keys.Whose(c.ctx(), c.device.ID, remotesign.AuthorisationID(c.Param("authorisation")))
	switch {
	case err != nil && ra.KindOf(err) == ra.KindNotFound:
		return nil
	case err == nil && person != c.login.Person:
		return errNotYours
	}
	return err
}
