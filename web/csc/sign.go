package csc

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"

	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// document is what a holder is shown of one hash: a member of ours beside the specification's.
type document struct {
	Title    string `json:"title"`
	Patients int    `json:"patients"`
	Source   string `json:"source"`
}

type authObjectData struct {
	ID    string  `json:"id"`
	Value *string `json:"value"`
}

// authorizeRequest is credentials/authorize (section 11.6), with two members of ours: scope, the scope of use where the
// system has several, and documents, what the holder is shown of each hash.
type authorizeRequest struct {
	CredentialID  *string          `json:"credentialID"`
	NumSignatures *int             `json:"numSignatures"`
	Hashes        []string         `json:"hashes"`
	HashAlgorithm *string          `json:"hashAlgorithmOID"`
	AuthData      []authObjectData `json:"authData"`
	Description   *string          `json:"description"`
	ClientData    *string          `json:"clientData"`
	Scope         *string          `json:"scope"`
	Documents     []document       `json:"documents"`
}

// maxDescription is the specification's bound, in characters.
const maxDescription = 500

// authorize puts hashes before a holder. It is decided on the phone, so the answer is always a handle (HTTP 202).
func (c *call) authorize() error {
	var b authorizeRequest
	if err := c.into(&b); err != nil {
		return err
	}
	x, err := c.credential(b.CredentialID)
	if err != nil {
		return err
	}
	for _, d := range b.AuthData {
		if d.ID != phoneID || d.Value != nil {
			return ra.Errorf(ra.KindMalformed, "invalid_authentication_data", nil, "The authentication data is invalid")
		}
	}
	ask, err := b.ask(x, c.proof.Client.Name, c.proof.Client.Scopes)
	if err != nil {
		return err
	}
	ask.Client = remotesign.ClientID(c.proof.Client.ID)
	_, handle, err := c.api.Signatures.Request(c.ctx(), c.actor(), ask)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, handleAnswer{Handle: handle})
}

// ask is what the holder is asked.
func (b authorizeRequest) ask(x remotesign.Credential, client string, scopes []string) (ask remotesign.Ask, err error) {
	ask = remotesign.Ask{Certificate: x.ID}
	switch {
	case b.NumSignatures == nil:
		return ask, missing("integer", "numSignatures")
	case *b.NumSignatures < 1:
		return ask, malformed("Invalid value for parameter numSignatures")
	case *b.NumSignatures > remotesign.MaxHashes:
		return ask, malformed("Numbers of signatures is too high")
	case b.Hashes == nil:
		return ask, missing("array", "hashes")
	case len(b.Hashes) != *b.NumSignatures:
		return ask, malformed("Invalid value for parameter numSignatures: SCAL2 wants as many hashes")
	case b.Documents != nil && len(b.Documents) != len(b.Hashes):
		return ask, invalid("documents")
	case b.Description != nil && utf8.RuneCountInString(*b.Description) > maxDescription:
		return ask, invalid("description")
	}
	if ask.HashAlgorithm, err = hashNamed(b.HashAlgorithm); err != nil {
		return ask, err
	}
	hashes, err := digests(b.Hashes, ask.HashAlgorithm)
	if err != nil {
		return ask, err
	}
	if ask.Scope, err = oneScope(b.Scope, scopes, x.Scope); err != nil {
		return ask, err
	}
	for i, h := range hashes {
		ask.Items = append(ask.Items, b.item(i, h, client))
	}
	return ask, nil
}

// item labels a hash: by its document, or else by the description and its number.
func (b authorizeRequest) item(i int, hash []byte, client string) remotesign.Item {
	if b.Documents != nil {
		d := b.Documents[i]
		return remotesign.Item{Hash: hash, Title: d.Title, Patients: d.Patients, Source: d.Source}
	}
	title := fmt.Sprintf("%d/%d", i+1, len(b.Hashes))
	if b.Description != nil && *b.Description != "" {
		title = cut(*b.Description, 180) + " " + title
	}
	return remotesign.Item{Hash: hash, Title: title, Source: client}
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// oneScope is the scope of use of a signature: the one that is named, or the only one that system and certificate share
// (HCA-5.1.2).
func oneScope(named *string, client, certificate []string) (string, error) {
	if named != nil {
		return *named, nil
	}
	var both []string
	for _, s := range client {
		if slices.Contains(certificate, s) {
			both = append(both, s)
		}
	}
	if len(both) == 1 {
		return both[0], nil
	}
	return "", ra.Refuse("HCA-5.1.2", "scope-missing", "A signature is asked for under one scope of use; name it in scope. Nothing was asked for.", nil)
}

// progress says how far a batch has come; members of ours.
type progress struct {
	Total     int `json:"total"`
	Signed    int `json:"signed"` // made, and not collected
	Collected int `json:"collected"`
	Refused   int `json:"refused"` // a rule stopped the batch before them
}

type handleAnswer struct {
	Handle   string    `json:"handle"`
	Progress *progress `json:"progress,omitempty"`
}

type sadAnswer struct {
	SAD       string   `json:"SAD"`
	ExpiresIn int      `json:"expiresIn"`
	Progress  progress `json:"progress"`
	// Ready are the positions of the hashes whose signatures can be collected now.
	Ready []int `json:"ready"`
}

// authorizeCheck tells a system where its request stands (section 11.7).
func (c *call) authorizeCheck() error {
	var b struct {
		Handle     *string `json:"handle"`
		ClientData *string `json:"clientData"`
	}
	if err := c.into(&b); err != nil {
		return err
	}
	if b.Handle == nil || len(*b.Handle) != 43 {
		return invalid("handle")
	}
	s, err := c.api.Signatures.Check(c.ctx(), c.actor(), remotesign.ClientID(c.proof.Client.ID), *b.Handle)
	if err != nil {
		if ra.KindOf(err) == ra.KindNotFound {
			return invalid("handle")
		}
		return err
	}
	p, ready := progress{Total: len(s.Hashes)}, []int{}
	for i, h := range s.Hashes {
		switch h {
		case remotesign.HashSigned:
			p.Signed++
			ready = append(ready, i)
		case remotesign.HashCollected:
			p.Collected++
		case remotesign.HashRefused:
			p.Refused++
		}
	}
	switch s.State {
	case remotesign.Pending:
		return c.JSON(http.StatusAccepted, handleAnswer{Handle: *b.Handle, Progress: &p})
	case remotesign.Released:
		return c.JSON(http.StatusOK, sadAnswer{SAD: s.SAD, ExpiresIn: max(0, int(s.ExpiresAt.Sub(c.api.Now()).Seconds())), Progress: p, Ready: ready})
	case remotesign.Denied:
		return ra.Errorf(ra.KindMalformed, "access_denied", nil, "The holder refused. Nothing was signed.")
	}
	return ra.Errorf(ra.KindMalformed, "access_denied", nil, "The time of this authorisation is over.")
}

// signHash hands out signatures that the holder's phone has released (section 11.10).
func (c *call) signHash() error {
	var b struct {
		CredentialID  *string  `json:"credentialID"`
		SAD           *string  `json:"SAD"`
		Hashes        []string `json:"hashes"`
		HashAlgorithm *string  `json:"hashAlgorithmOID"`
		SignAlgo      *string  `json:"signAlgo"`
		AlgoParams    *string  `json:"signAlgoParams"`
		OperationMode *string  `json:"operationMode"`
		ClientData    *string  `json:"clientData"`
	}
	if err := c.into(&b); err != nil {
		return err
	}
	x, err := c.credential(b.CredentialID)
	if err != nil {
		return err
	}
	claim := remotesign.Claim{Client: remotesign.ClientID(c.proof.Client.ID), Certificate: x.ID}
	switch {
	case b.OperationMode != nil && *b.OperationMode != "S":
		return invalid("operationMode")
	case b.AlgoParams != nil:
		return invalid("signAlgoParams")
	case b.SignAlgo == nil:
		return missing("string", "signAlgo")
	case b.Hashes == nil:
		return missing("array", "hash")
	}
	if err := signs(x, *b.SignAlgo); err != nil {
		return err
	}
	if claim.HashAlgorithm, err = hashFor(*b.SignAlgo, b.HashAlgorithm); err != nil {
		return err
	}
	if claim.Hashes, err = digests(b.Hashes, claim.HashAlgorithm); err != nil {
		return err
	}
	if claim.SAD, claim.Authorisation, err = c.activation(b.SAD); err != nil {
		return err
	}
	sigs, err := c.api.Signatures.CollectClaim(c.ctx(), c.actor(), claim)
	if err != nil {
		return inSpec(err)
	}
	out := make([]string, len(sigs))
	for i, s := range sigs {
		out[i] = base64.StdEncoding.EncodeToString(s)
	}
	return c.JSON(http.StatusOK, map[string][]string{"signatures": out})
}

// signs tells whether a credential's key makes such signatures.
func signs(x remotesign.Credential, signAlgo string) error {
	cert, err := x509.ParseCertificate(x.DER)
	if err != nil {
		return err
	}
	k, err := keyOf(cert, true)
	if err == nil && !k.takes(signAlgo) {
		err = invalid("signAlgo")
	}
	return err
}

// activation is what the signatures are collected by: the SAD of authorizeCheck under a service token, or a token that
// the holder granted for these very hashes, which needs none.
func (c *call) activation(sad *string) (string, remotesign.AuthorisationID, error) {
	if c.proof.Token.Scope == oauth.Credential {
		if sad != nil {
			return "", "", malformed("Invalid parameter SAD")
		}
		return "", c.proof.Token.Authorisation, nil
	}
	switch {
	case sad == nil:
		return "", "", missing("string", "SAD")
	case len(*sad) != 43:
		return "", "", invalid("SAD")
	}
	return *sad, "", nil
}

// inSpec puts the specification's words before the window's, where it has some for the case.
func inSpec(err error) error {
	e := ra.AsError(err)
	words := map[string]string{"hash-not-authorised": "Hash is not authorized by the SAD", "authorisation-over": "SAD expired", "not-found": "Invalid parameter SAD",
		"claim-certificate": "Invalid parameter credentialID", "claim-algorithm": "Invalid parameter hashAlgorithmOID"}
	say, ok := words[e.Code]
	if !ok {
		return err
	}
	out := *e
	out.Detail = say + ". " + e.Detail
	return &out
}

// timestamp makes a time stamp by the configured authority (section 11.13).
func (c *call) timestamp() error {
	var b struct {
		Hash       *string `json:"hash"`
		HashAlgo   *string `json:"hashAlgo"`
		Nonce      *string `json:"nonce"`
		ClientData *string `json:"clientData"`
	}
	if err := c.into(&b); err != nil {
		return err
	}
	switch {
	case b.Hash == nil:
		return missing("string", "hash")
	case *b.Hash == "":
		return malformed("Empty hash parameter")
	case b.HashAlgo == nil:
		return missing("string", "hashAlgo")
	case hashNames[*b.HashAlgo] == "":
		return invalid("hashAlgo")
	}
	digest, ok := octets(*b.Hash)
	if !ok {
		return malformed("Invalid Base64 hash string parameter")
	}
	if len(digest) != sizeOf(hashNames[*b.HashAlgo]) {
		return malformed("Invalid digest value length")
	}
	var nonce []byte
	if b.Nonce != nil {
		var err error
		if nonce, err = hex.DecodeString(*b.Nonce); err != nil || len(nonce) < 1 || len(nonce) > 32 {
			return invalid("nonce")
		}
	}
	token, err := c.api.Stamper.Stamp(c.ctx(), hashNames[*b.HashAlgo], digest, nonce)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"timestamp": base64.StdEncoding.EncodeToString(token)})
}
