package csc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/oauth"
)

// authenticate takes the access token of a request (RFC 6750 section 2.1), bound to the connection's certificate.
func (c *call) authenticate(scope string) error {
	values := c.Request().Header.Values("Authorization")
	if len(values) == 0 {
		return ra.Errorf(ra.KindUnauthenticated, "invalid_token", nil, "An access token is missing.")
	}
	kind, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(kind, "Bearer") || token == "" {
		return malformed("Malformed authorization header")
	}
	var err error
	c.bearer = token
	c.proof, err = c.api.Grants.Authenticate(c.ctx(), c.actor(), token, c.shown())
	if err != nil {
		return err
	}
	if !c.api.byClient.Take(c.proof.Client.ID, c.api.Now()) {
		return tooMany()
	}
	if scope != anyScope && c.proof.Token.Scope != scope {
		return ra.Errorf(ra.KindForbidden, "scope-of-token", nil, "The access token is not of the scope that this method takes.")
	}
	return nil
}

// sender is the system that a form names, by the certificate of the connection (RFC 8705 section 2.2).
func (c *call) sender(f url.Values) (apiclient.Client, error) {
	// A parameter without a value is as if it were not there (RFC 6749 section 3.2).
	if len(c.Request().Header.Values("Authorization")) > 0 || f.Get("client_secret") != "" || f.Get("client_assertion") != "" {
		return apiclient.Client{}, ra.Errorf(ra.KindUnauthenticated, "invalid_client", nil, "A system proves itself by its registered certificate, and by nothing else.")
	}
	if f.Get("client_id") == "" {
		return apiclient.Client{}, malformed("Missing parameter client_id")
	}
	cl, err := c.api.Clients.Proven(c.ctx(), f.Get("client_id"), c.shown())
	switch k := ra.KindOf(err); {
	case err == nil:
	case k == ra.KindNotFound || k == ra.KindUnauthenticated:
		return cl, ra.Errorf(ra.KindUnauthenticated, "invalid_client", err, "Invalid parameter client_id: the system is not registered, is stopped, or the connection's certificate is not its own.")
	default:
		return cl, err
	}
	if !c.api.byClient.Take(cl.ID, c.api.Now()) {
		return cl, tooMany()
	}
	c.proof.Client = cl
	return cl, nil
}

type tokenAnswer struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
	// Details are what the holder granted, where they were asked for so (RFC 9396 section 7).
	Details []details `json:"authorization_details,omitempty"`
}

// tokenEndpoint is POST /oauth2/token (section 8.4.4).
func (c *call) tokenEndpoint() error {
	f, err := c.form()
	if err != nil {
		return err
	}
	cl, err := c.sender(f)
	if err != nil {
		return err
	}
	var g oauth.Granted
	switch f.Get("grant_type") {
	case "":
		return malformed("Missing parameter grant_type")
	case "client_credentials":
		g, err = c.api.Grants.ForClient(c.ctx(), c.actor(), cl, f.Get("scope"))
	case "authorization_code":
		if f.Get("code") == "" {
			return malformed("Missing parameter code")
		}
		return c.forCode(cl, f)
	default:
		return ra.Errorf(ra.KindMalformed, "unsupported_grant_type", nil, "Invalid parameter grant_type")
	}
	if err != nil {
		return err
	}
	return c.granted(g, nil)
}

// forCode exchanges a code. What is asked for again by authorization_details must be what the holder granted (RFC 9396
// section 6.1).
func (c *call) forCode(cl apiclient.Client, f url.Values) error {
	var again authorizeRequest
	var err error
	rich := f.Get("authorization_details")
	if rich != "" {
		if again, err = readDetails(rich); err != nil {
			return err
		}
	}
	g, err := c.api.Grants.ForCode(c.ctx(), c.actor(), cl, f.Get("code"), f.Get("redirect_uri"), f.Get("code_verifier"))
	if err != nil {
		return err
	}
	if rich == "" && !g.Token.Rich {
		return c.granted(g, nil)
	}
	var list []details
	if g.Token.Scope == oauth.Credential {
		a, err := c.api.Grants.Release(c.ctx(), g.Token)
		if err != nil {
			return err
		}
		list = detailsOf(a)
	}
	if rich != "" && !again.sameAs(list) {
		if err := c.api.Grants.Revoke(c.ctx(), c.actor(), cl, g.Access); err != nil {
			return err
		}
		return badDetails("The authorization_details are not those that were granted. The code is used up.")
	}
	return c.granted(g, list)
}

// sameAs tells whether a request names nothing that was not granted.
func (b authorizeRequest) sameAs(granted []details) bool {
	if len(granted) != 1 || b.Qualifier != nil || b.CredentialID != nil && *b.CredentialID != *granted[0].CredentialID ||
		b.HashAlgorithm == nil || *b.HashAlgorithm != *granted[0].HashAlgorithm {
		return false
	}
	for _, h := range b.Hashes {
		if !slices.ContainsFunc(granted[0].Documents, func(d documentDigest) bool { return d.Hash == h }) {
			return false
		}
	}
	return true
}

func (c *call) granted(g oauth.Granted, list []details) error {
	c.Response().Header().Set("Pragma", "no-cache")
	return c.JSON(http.StatusOK, tokenAnswer{Access: g.Access, Type: "Bearer", ExpiresIn: int(g.ExpiresIn.Seconds()), Scope: g.Scope, Details: list})
}

// revokeEndpoint is POST /oauth2/revoke (section 8.4.5, RFC 7009).
func (c *call) revokeEndpoint() error {
	f, err := c.form()
	if err != nil {
		return err
	}
	cl, err := c.sender(f)
	if err != nil {
		return err
	}
	if f.Get("token") == "" {
		return malformed("Missing parameter token")
	}
	if err := c.api.Grants.Revoke(c.ctx(), c.actor(), cl, f.Get("token")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// authRevoke is the same by JSON (section 11.3).
func (c *call) authRevoke() error {
	var b struct {
		Token      *string `json:"token"`
		Hint       *string `json:"token_type_hint"`
		ClientData *string `json:"clientData"`
	}
	if err := c.into(&b); err != nil {
		return err
	}
	if b.Token == nil || *b.Token == "" {
		return missing("string", "token")
	}
	if b.Hint != nil && *b.Hint != "access_token" && *b.Hint != "refresh_token" {
		return invalid("token_type_hint")
	}
	if err := c.api.Grants.Revoke(c.ctx(), c.actor(), c.proof.Client, *b.Token); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// metadata is the authorisation server's own description (RFC 8414).
func (c *call) metadata() error {
	at := c.api.PublicURL
	c.Response().Header().Set("Cache-Control", "max-age=300")
	return c.JSON(http.StatusOK, map[string]any{
		"issuer":                                         at,
		"authorization_endpoint":                         at + "/oauth2/authorize",
		"token_endpoint":                                 at + "/oauth2/token",
		"revocation_endpoint":                            at + "/oauth2/revoke",
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"authorization_code", "client_credentials"},
		"scopes_supported":                               []string{oauth.Service, oauth.Credential},
		"token_endpoint_auth_methods_supported":          []string{"self_signed_tls_client_auth"},
		"revocation_endpoint_auth_methods_supported":     []string{"self_signed_tls_client_auth"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_details_types_supported":          []string{oauth.Credential},
		"tls_client_certificate_bound_access_tokens":     true,
		"authorization_response_iss_parameter_supported": true,
		"ui_locales_supported":                           []string{"zh-Hant-TW", "en"},
	})
}
