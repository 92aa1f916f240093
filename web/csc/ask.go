package csc

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"certwindow/ra"
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
	CredentialID  *string  `json:"credentialID"`
	Qualifier     *string  `json:"-"` // of an authorization request alone
	NumSignatures *int     `json:"numSignatures"`
	Hashes        []string `json:"hashes"`
	HashAlgorithm *string  `json:"hashAlgorithmOID"`
	former
	AuthData    []authObjectData `json:"authData"`
	Description *string          `json:"description"`
	ClientData  *string          `json:"clientData"`
	Scope       *string          `json:"scope"`
	Documents   []document       `json:"documents"`
}

// former are the names that version 1 of the specification had, and that clients of both send; sections 11.10 and 13 of
// version 2 still write one of them.
type former struct {
	Hash []string `json:"hash"`
	Algo *string  `json:"hashAlgo"`
}

// under puts what came under the former names in the place of what did not come under the names of now.
func (f former) under(hashes *[]string, algorithm **string) error {
	switch {
	case f.Hash != nil && *hashes != nil:
		return invalid("hash")
	case f.Algo != nil && *algorithm != nil:
		return invalid("hashAlgo")
	}
	if f.Hash != nil {
		*hashes = f.Hash
	}
	if f.Algo != nil {
		*algorithm = f.Algo
	}
	return nil
}

// maxDescription is the specification's bound, in characters.
const maxDescription = 500

// authorize puts hashes before a holder. It is decided on the phone, so the answer is always a handle (HTTP 202).
func (c *call) authorize() error {
	var b authorizeRequest
	if err := c.into(&b); err != nil {
		return err
	}
	if err := b.under(&b.Hashes, &b.HashAlgorithm); err != nil {
		return err
	}
	x, err := c.credential(b.CredentialID)
	if err != nil {
		return err
	}
	for _, d := range b.AuthData {
		if d.ID != phoneID || d.Value != nil && *d.Value != "" { // section 8.3.1.5: the object is empty
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
		return disabled(x, err)
	}
	return c.JSON(http.StatusAccepted, handleAnswer{Handle: handle})
}

// disabled puts the specification's words before a rule's, where the credential is not to be used at all.
func disabled(x remotesign.Credential, err error) error {
	e := ra.AsError(err)
	if x.Usable == nil || e.Kind != ra.KindRefused {
		return err
	}
	out := *e
	out.Detail = "The credential identified by credentialID is disabled. " + e.Detail
	return &out
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
	if b.Documents != nil && b.Documents[i].Title != "" {
		d := b.Documents[i]
		return remotesign.Item{Hash: hash, Title: d.Title, Patients: d.Patients, Source: d.Source}
	}
	title := fmt.Sprintf("%d/%d", i+1, len(b.Hashes))
	if b.Description != nil && *b.Description != "" {
		title = cut(printable(*b.Description), 180) + " " + title
	}
	return remotesign.Item{Hash: hash, Title: title, Source: client}
}

// printable is a free text as one line that a holder can be shown.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
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
