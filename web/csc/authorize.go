package csc

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// wanted is an authorization request as it was read, and what it is about.
type wanted struct {
	fields url.Values
	asked  oauth.Asked
	client string // its name, as the holder is shown it
}

// known are the parameters of an authorization request (section 8.4.2). Others are ignored, as RFC 6749 section 3.1 has
// it, and are not carried on.
var known = []string{"response_type", "client_id", "redirect_uri", "scope", "authorization_details", "code_challenge", "code_challenge_method", "state",
	"lang", "credentialID", "signatureQualifier", "numSignatures", "hashes", "hashAlgorithmOID", "description", "clientData"}

// backError is an error that the client is told by a redirection (RFC 6749 section 4.1.2.1).
type backError struct {
	to   string
	word string
	text string
}

func (e backError) Error() string { return e.word + ": " + e.text }

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// maxState bounds the client's own word, in bytes.
const maxState = 512

// wants reads an authorization request. As long as client and address are not known to belong together, an error stays on
// our page: anybody could have written the address.
func (c *call) wants(f url.Values) (w wanted, err error) {
	w.fields = url.Values{}
	for _, name := range known {
		if f.Get(name) != "" {
			w.fields.Set(name, f.Get(name))
		}
	}
	cl, err := c.api.Clients.Active(c.ctx(), f.Get("client_id"))
	if err != nil {
		return w, err
	}
	to := f.Get("redirect_uri")
	if !slices.Contains(cl.Redirects, to) {
		return w, malformed("The address to return to is not registered for this system.")
	}
	w.client = cl.Name
	w.asked = oauth.Asked{Client: cl.ID, Redirect: to, State: f.Get("state"), Challenge: f.Get("code_challenge"), Scope: f.Get("scope")}
	back := func(word, text string) (wanted, error) {
		return w, backError{c.api.back(w.asked.Redirect, w.asked.State, url.Values{"error": {word}, "error_description": {text}}), word, text}
	}
	switch {
	case len(w.asked.State) > maxState:
		w.asked.State = ""
		return back("invalid_request", "Invalid parameter state")
	case f.Get("response_type") == "":
		return back("invalid_request", "Missing parameter response_type")
	case f.Get("response_type") != "code":
		return back("unsupported_response_type", "Only codes are given")
	case !challengeForm.MatchString(w.asked.Challenge) || f.Get("code_challenge_method") != "S256":
		return back("invalid_request", "PKCE by S256 is required")
	}
	details := f.Get("authorization_details")
	if w.asked.Rich = details != ""; w.asked.Rich {
		w.asked.Scope = oauth.Credential
	} else if w.asked.Scope == "" {
		w.asked.Scope = oauth.Service
	}
	switch w.asked.Scope {
	case oauth.Service:
		return w, nil
	case oauth.Credential:
		if w.asked.Sign, err = c.signing(f, cl.ID, cl.Name, cl.Scopes); err != nil {
			_, said := failureOf(err)
			return back(said.Error, said.Description)
		}
		return w, nil
	}
	return back("invalid_scope", "Invalid parameter scope")
}

// signing reads what is to be signed: from the parameters, or from authorization_details.
func (c *call) signing(f url.Values, client, name string, scopes []string) (ask remotesign.Ask, err error) {
	var b authorizeRequest
	if details := f.Get("authorization_details"); details != "" {
		b, err = readDetails(details)
	} else {
		b, err = readParameters(f)
	}
	if err != nil {
		return ask, err
	}
	switch {
	case b.Qualifier != nil: // the certificates of this window are of none of the kinds that those names promise
		return ask, invalid("signatureQualifier")
	case b.CredentialID == nil || !idForm.MatchString(*b.CredentialID):
		return ask, invalid("credentialID")
	}
	list, err := c.api.Signatures.Credentials(c.ctx(), remotesign.ClientID(client), "", ra.CertificateID(*b.CredentialID))
	if err != nil {
		return ask, err
	}
	if len(list) != 1 {
		return ask, invalid("credentialID")
	}
	return b.ask(list[0], name, scopes)
}

// readParameters reads the parameters of section 8.4.2, where hashes are base64url with commas between. Some clients send
// them as base64, as everywhere else.
func readParameters(f url.Values) (b authorizeRequest, err error) {
	text := func(name string) *string {
		if v := f.Get(name); v != "" {
			return &v
		}
		return nil
	}
	n, err := strconv.Atoi(f.Get("numSignatures"))
	if err != nil {
		return b, missing("integer", "numSignatures")
	}
	b = authorizeRequest{CredentialID: text("credentialID"), Qualifier: text("signatureQualifier"), NumSignatures: &n, HashAlgorithm: text("hashAlgorithmOID"),
		Description: text("description")}
	url := strings.NewReplacer("+", "-", "/", "_")
	for i, h := range strings.Split(f.Get("hashes"), ",") {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(url.Replace(h), "="))
		if err != nil || len(raw) == 0 || i >= remotesign.MaxHashes {
			return b, invalid("hashes")
		}
		b.Hashes = append(b.Hashes, base64.StdEncoding.EncodeToString(raw))
	}
	return b, nil
}

// details is one authorization_details object of the type "credential" (RFC 9396, section 8.4.2).
type details struct {
	Type          string           `json:"type"`
	CredentialID  *string          `json:"credentialID"`
	Qualifier     *string          `json:"signatureQualifier,omitempty"`
	Documents     []documentDigest `json:"documentDigests"`
	HashAlgorithm *string          `json:"hashAlgorithmOID"`
	Locations     []string         `json:"locations,omitempty"`
}

type documentDigest struct {
	Hash  string `json:"hash"`
	Label string `json:"label"`
}

// readDetails reads authorization_details: one object in an array.
func readDetails(text string) (b authorizeRequest, err error) {
	var all struct {
		List []details `json:"list"`
	}
	// decode takes objects; the array is what it is given in one.
	if err := decode([]byte(`{"list":`+text+`}`), &all); err != nil || len(all.List) != 1 || all.List[0].Type != oauth.Credential {
		return b, badDetails("Invalid parameter authorization_details")
	}
	d := all.List[0]
	n := len(d.Documents)
	b = authorizeRequest{CredentialID: d.CredentialID, Qualifier: d.Qualifier, NumSignatures: &n, HashAlgorithm: d.HashAlgorithm}
	for _, x := range d.Documents {
		b.Hashes = append(b.Hashes, x.Hash)
		b.Documents = append(b.Documents, document{Title: x.Label})
	}
	return b, nil
}

// badDetails is RFC 9396's own error (section 5).
func badDetails(text string) error {
	return ra.Errorf(ra.KindMalformed, "invalid_authorization_details", nil, "%s", text)
}

// detailsOf are what a holder released, as authorization_details (RFC 9396 section 7).
func detailsOf(a remotesign.Authorisation) []details {
	id, oid := string(a.Certificate), ""
	for o, name := range hashNames {
		if name == a.HashAlgorithm {
			oid = o
		}
	}
	d := details{Type: oauth.Credential, CredentialID: &id, HashAlgorithm: &oid}
	for _, i := range a.Items {
		d.Documents = append(d.Documents, documentDigest{base64.StdEncoding.EncodeToString(i.Hash), i.Title})
	}
	return []details{d}
}

// back is the client's address with an answer (RFC 6749 section 4.1.2, RFC 9207).
func (a *API) back(to, state string, answer url.Values) string {
	u, err := url.Parse(to)
	if err != nil { // it was registered
		return to
	}
	q := u.Query()
	for name, values := range answer {
		q[name] = values
	}
	if state != "" {
		q.Set("state", state)
	}
	q.Set("iss", a.PublicURL)
	u.RawQuery = q.Encode()
	return u.String()
}

// browserCookie keeps what only the browser that asked has. The prefix ties it to this host.
const browserCookie = "__Host-certwindow-request"

// authorizePage shows the holder who asks for what. Nothing is stored yet: browsers fetch addresses ahead.
func (c *call) authorizePage() error {
	f, err := once(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	w, err := c.wants(f)
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "ask", view{Client: w.client, Credential: w.asked.Scope == oauth.Credential, Count: len(w.asked.Sign.Items), Fields: w.fields,
		Lang: language(f.Get("lang"), c.Request().Header.Get("Accept-Language"))})
}

// beginAuthorize puts the request before the holder, and sends the browser to wait for the answer.
func (c *call) beginAuthorize() error {
	// Only our own page's form is taken: else another site could have a visitor's browser begin what that site chose.
	if err := http.NewCrossOriginProtection().Check(c.Request()); err != nil {
		return ra.Errorf(ra.KindForbidden, "cross-origin", err, "The request came from another site's page. Nothing was changed.")
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	w, err := c.wants(f)
	if err != nil {
		return err
	}
	if w.asked.Scope == oauth.Service {
		w.asked.Account = strings.ToLower(strings.TrimSpace(f.Get("account")))
		if !accountForm.MatchString(w.asked.Account) || !utf8.ValidString(w.asked.Account) {
			return c.show(http.StatusBadRequest, "ask", view{Client: w.client, Fields: w.fields, Wrong: true, Account: w.asked.Account, Lang: language(f.Get("lang"), c.Request().Header.Get("Accept-Language"))})
		}
		if !c.api.byAccount.Take(w.asked.Account, c.api.Now()) {
			return tooMany()
		}
	}
	if w.asked.Scope == oauth.Credential && !c.api.byAccount.Take("certificate/"+string(w.asked.Sign.Certificate), c.api.Now()) {
		return tooMany() // anybody can write the address: a holder is not to be asked without end
	}
	r, browser, err := c.api.Grants.Begin(c.ctx(), c.actor(), w.asked)
	if err != nil {
		return err
	}
	c.SetCookie(&http.Cookie{Name: browserCookie, Value: browser, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(remotesign.Life.Seconds())})
	return c.Redirect(http.StatusSeeOther, "/oauth2/authorize/wait/"+r.ID+"?lang="+url.QueryEscape(language(f.Get("lang"), c.Request().Header.Get("Accept-Language"))))
}

// waitPage waits for the phone, by loading itself again, and then sends the browser back with the code.
func (c *call) waitPage() error {
	cookie, err := c.Cookie(browserCookie)
	if err != nil || !idForm.MatchString(c.Param("request")) {
		return ra.Errorf(ra.KindNotFound, "not-found", err, "There is no such request of this browser.")
	}
	r, err := c.api.Grants.Stand(c.ctx(), c.Param("request"), cookie.Value)
	if err != nil {
		return err
	}
	switch r.Standing {
	case oauth.Pending:
		name := r.Client
		if cl, err := c.api.Clients.Active(c.ctx(), r.Client); err == nil {
			name = cl.Name
		}
		return c.show(http.StatusOK, "wait", view{Client: name, Credential: r.Scope == oauth.Credential, Code: r.ShortCode, Refresh: true,
			Lang: language(c.QueryParam("lang"), c.Request().Header.Get("Accept-Language"))})
	case oauth.Approved:
		code, r, err := c.api.Grants.CodeFor(c.ctx(), c.actor(), r.ID, cookie.Value)
		if err != nil {
			return err
		}
		return c.Redirect(http.StatusFound, c.api.back(r.Redirect, r.State, url.Values{"code": {code}}))
	case oauth.Denied:
		return c.Redirect(http.StatusFound, c.api.back(r.Redirect, r.State, url.Values{"error": {"access_denied"},
			"error_description": {"HCA-7.4: The holder refused, or did not answer in time."}}))
	}
	return ra.Errorf(ra.KindConflict, "moved-on", nil, "This request was answered before. Begin again in the system that asked.")
}
