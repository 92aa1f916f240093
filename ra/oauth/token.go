package oauth

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	lib "github.com/go-oauth2/oauth2/v4"
	liberrors "github.com/go-oauth2/oauth2/v4/errors"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/remotesign"
)

// Granted is an access token, told once.
type Granted struct {
	Access    string
	Scope     string
	ExpiresIn time.Duration
	Token     Token
}

// ForClient grants a system access of its own (RFC 6749 section 4.4). What only a holder can grant is not to be had so.
func (s *Server) ForClient(ctx context.Context, actor ra.Actor, c apiclient.Client, scope string) (Granted, error) {
	if scope != "" && scope != Service {
		return Granted{}, errScope
	}
	grant, err := ra.NewID(s.Now(), s.Rand)
	if err != nil {
		return Granted{}, err
	}
	x := &exchange{s: s, actor: actor, client: c, grant: Token{Grant: grant, Scope: Service}}
	return x.token(ctx, lib.ClientCredentials, &lib.TokenGenerateRequest{ClientID: c.ID, Scope: Service})
}

// ForCode exchanges a code (RFC 6749 section 4.1.3, RFC 7636 section 4.6). A wrong verifier uses it up.
func (s *Server) ForCode(ctx context.Context, actor ra.Actor, c apiclient.Client, code, redirect, verifier string) (Granted, error) {
	if code == "" || redirect == "" || len(verifier) < 43 || len(verifier) > 128 {
		return Granted{}, errGrant
	}
	x := &exchange{s: s, actor: actor, client: c}
	return x.token(ctx, lib.AuthorizationCode, &lib.TokenGenerateRequest{ClientID: c.ID, Code: code, RedirectURI: redirect, CodeVerifier: verifier})
}

func (x *exchange) token(ctx context.Context, g lib.GrantType, r *lib.TokenGenerateRequest) (Granted, error) {
	info, err := x.manager().GenerateAccessToken(ctx, g, r)
	if err != nil {
		return Granted{}, x.explain(ctx, err)
	}
	return Granted{Access: info.GetAccess(), Scope: x.grant.Scope, ExpiresIn: lifeOf(x.grant.Scope), Token: x.grant}, nil
}

// explain gives what the library refused the window's words, and a row.
func (x *exchange) explain(ctx context.Context, err error) error {
	switch {
	case x.failed != nil:
		return x.failed
	case errors.Is(err, liberrors.ErrInvalidAuthorizeCode), errors.Is(err, liberrors.ErrInvalidCodeChallenge), errors.Is(err, liberrors.ErrMissingCodeVerifier),
		errors.Is(err, liberrors.ErrInvalidRedirectURI):
		return x.refused(ctx, "code", err)
	}
	return err
}

// Proof is who sent a request with an access token.
type Proof struct {
	Client apiclient.Client
	Token  Token
}

// Release is what the holder released for a token of the scope "credential".
func (s *Server) Release(ctx context.Context, t Token) (a remotesign.Authorisation, err error) {
	if t.Authorisation == "" {
		return a, errToken
	}
	err = s.Store.View(ctx, func(tx Tx) (err error) { a, err = tx.Authorisation(t.Authorisation); return err })
	return a, err
}

// CredentialOf is what the token collects; empty for one of the scope "service".
func (p Proof) CredentialOf() remotesign.AuthorisationID { return p.Token.Authorisation }

// Authenticate takes an access token from the certificate that it is bound to, and from no other (RFC 8705 section 3).
func (s *Server) Authenticate(ctx context.Context, actor ra.Actor, access string, shown *x509.Certificate) (Proof, error) {
	if len(access) != 43 {
		return Proof{}, errToken
	}
	x := &exchange{s: s}
	if _, err := x.manager().LoadAccessToken(ctx, access); err != nil {
		if x.failed != nil {
			return Proof{}, x.failed
		}
		return Proof{}, errToken
	}
	t := x.grant
	c, err := s.Clients.Proven(ctx, t.Client, shown)
	if err == nil && apiclient.Thumbprint(shown.Raw) != t.Thumbprint {
		err = errors.New("the token is bound to another certificate")
	}
	if err != nil && (ra.KindOf(err) == ra.KindUnavailable) {
		return Proof{}, err
	}
	if err != nil {
		e := ra.Event{Actor: actor, Act: "oauth.use", Object: "client/" + t.Client}
		return Proof{}, s.act(ctx, e, func(Tx, *ra.Event) error {
			return refuse(ra.KindUnauthenticated, "invalid_token", "The access token is not valid here.", err)
		})
	}
	return Proof{Client: c, Token: t}, nil
}

// Revoke ends a token (RFC 7009). One that is not known, or is another system's, is told from one that was ended by the
// audit log alone.
func (s *Server) Revoke(ctx context.Context, actor ra.Actor, c apiclient.Client, access string) error {
	x := &exchange{s: s, actor: actor, client: c}
	err := error(nil)
	if access != "" {
		err = x.manager().RemoveAccessToken(ctx, access)
	}
	if ra.KindOf(err) == ra.KindForbidden {
		return nil
	}
	return err
}
