package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	lib "github.com/go-oauth2/oauth2/v4"
	liberrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"

	"certwindow/ra"
	"certwindow/ra/apiclient"
)

// exchange is one request on its way through the library: it is the library's store of clients and tokens for this one
// client, and what is granted. Clock, randomness and the rows of the audit log are the window's own.
type exchange struct {
	s      *Server
	actor  ra.Actor
	client apiclient.Client
	grant  Token // what a token is to say; of a code it is what the code says
	failed error // what the library has no word for
}

// life is what the library is told of everything: what it compares with the system's clock is compared with the
// window's before it sees it.
const life = 24 * time.Hour

func (x *exchange) manager() *manage.Manager {
	m := manage.NewManager()
	m.SetAuthorizeCodeExp(life)
	m.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: life})
	m.SetClientTokenCfg(&manage.Config{AccessTokenExp: life})
	m.SetValidateURIHandler(func(registered, given string) error {
		if !slices.Contains(strings.Fields(registered), given) {
			return liberrors.ErrInvalidRedirectURI
		}
		return nil
	})
	m.MapAuthorizeGenerate(codes{x.s})
	m.MapAccessGenerate(accesses{x.s})
	m.MapClientStorage(x)
	m.MapTokenStorage(x)
	return m
}

type codes struct{ s *Server }

// Token implements the library's AuthorizeGenerate.
func (c codes) Token(context.Context, *lib.GenerateBasic) (string, error) { return c.s.secret() }

type accesses struct{ s *Server }

// Token implements the library's AccessGenerate. There are no refresh tokens: a system asks again, and so does a holder.
func (a accesses) Token(context.Context, *lib.GenerateBasic, bool) (access, refresh string, err error) {
	access, err = a.s.secret()
	return access, "", err
}

// registered is a system as the library sees it. It has no secret: its certificate was proved before (RFC 8705).
type registered struct{ apiclient.Client }

func (r registered) GetID() string     { return r.ID }
func (r registered) GetSecret() string { return "" }
func (r registered) GetDomain() string { return strings.Join(r.Redirects, " ") }
func (r registered) IsPublic() bool    { return false }
func (r registered) GetUserID() string { return "" }

// GetByID implements the library's ClientStore for the one system that asks.
func (x *exchange) GetByID(_ context.Context, id string) (lib.ClientInfo, error) {
	if id != x.client.ID {
		return nil, liberrors.ErrInvalidClient
	}
	return registered{x.client}, nil
}

// event begins the row of something that this exchange did.
func (x *exchange) event(act string) ra.Event {
	return ra.Event{Actor: x.actor, Act: act, Object: "client/" + x.client.ID, Institution: x.client.Institution}
}

// Create stores a code or an access token, with its row.
func (x *exchange) Create(ctx context.Context, info lib.TokenInfo) error {
	now, t := x.s.Now(), x.grant
	t.CreatedAt, t.EndedAt, t.Client = now, nil, x.client.ID
	e := x.event("oauth.token")
	if code := info.GetCode(); code != "" {
		t.Hash, t.Kind, t.ExpiresAt = hashOf("code", code), Code, now.Add(CodeLife)
		e.Act = "oauth.code"
	} else {
		fromCode := x.grant.Kind == Code
		t.Hash, t.Kind, t.Redirect, t.Challenge = hashOf("access", info.GetAccess()), Access, "", ""
		t.Thumbprint, t.ExpiresAt = x.client.Thumbprint, now.Add(lifeOf(t.Scope))
		return x.store(ctx, e, t, fromCode)
	}
	return x.store(ctx, e, t, false)
}

func (x *exchange) store(ctx context.Context, e ra.Event, t Token, fromCode bool) error {
	e.Details = map[string]string{"scope": t.Scope, "grant": t.Grant}
	return x.keep(x.s.act(ctx, e, func(tx Tx, _ *ra.Event) error {
		if fromCode {
			if err := tx.HoldGrant(t.Grant); err != nil {
				return err
			}
		}
		return tx.InsertToken(t)
	}))
}

func lifeOf(scope string) time.Duration {
	if scope == Credential {
		return CredentialLife
	}
	return ServiceLife
}

// keep remembers an error that the library would only hand on.
func (x *exchange) keep(err error) error {
	if err != nil {
		x.failed = err
	}
	return err
}

// GetByCode finds a code. One that comes again ends everything that came of it (RFC 6749 section 4.1.2).
func (x *exchange) GetByCode(ctx context.Context, code string) (lib.TokenInfo, error) {
	t, err := x.find(ctx, "code", code)
	if err != nil || t == nil {
		return nil, err
	}
	switch {
	case t.Client != x.client.ID:
		return nil, x.refused(ctx, "another system's code", nil)
	case t.Kind == Burnt, t.EndedAt != nil:
		return nil, x.again(ctx, *t)
	case t.Kind != Code || !x.s.Now().Before(t.ExpiresAt):
		return nil, nil
	}
	x.grant = *t
	info := models.NewToken()
	info.SetClientID(t.Client)
	info.SetUserID(string(t.Person))
	info.SetScope(t.Scope)
	info.SetRedirectURI(t.Redirect)
	info.SetCode(code)
	info.SetCodeCreateAt(time.Now()) // the library's clock; ours has judged the code above
	info.SetCodeExpiresIn(life)
	info.SetCodeChallenge(t.Challenge)
	info.SetCodeChallengeMethod(lib.CodeChallengeS256)
	return info, nil
}

// find reads what is stored of a token; nil where there is none.
func (x *exchange) find(ctx context.Context, kind, token string) (*Token, error) {
	var t Token
	err := x.s.Store.View(ctx, func(tx Tx) (err error) { t, err = tx.Token(hashOf(kind, token)); return err })
	switch {
	case err == nil:
		return &t, nil
	case ra.KindOf(err) == ra.KindNotFound:
		return nil, nil
	}
	return nil, x.keep(err)
}

// again ends a grant whose code came a second time: one of the two who had it should not have.
func (x *exchange) again(ctx context.Context, t Token) error {
	e := x.event("oauth.reuse")
	e.Details = map[string]string{"grant": t.Grant}
	if err := x.s.act(ctx, e, func(tx Tx, _ *ra.Event) error { return tx.EndGrant(t.Grant, x.s.Now()) }); err != nil {
		return x.keep(err)
	}
	return x.keep(errGrant)
}

// refused writes the row of a refusal that matters to whoever reads the log.
func (x *exchange) refused(ctx context.Context, what string, cause error) error {
	err := refuse(ra.KindMalformed, "invalid_grant", "The authorization code is invalid, was used, or is expired.", errors.Join(errors.New(what), cause))
	return x.keep(x.s.act(ctx, x.event("oauth.token"), func(Tx, *ra.Event) error { return err }))
}

// RemoveByCode uses a code up. Of two who use it at once one is too late, and then neither has anything of it.
func (x *exchange) RemoveByCode(ctx context.Context, code string) error {
	first := false
	err := x.s.Store.Update(ctx, func(tx Tx) (err error) { first, err = tx.EndToken(hashOf("code", code), x.s.Now()); return err })
	if err == nil && !first {
		return x.again(ctx, x.grant)
	}
	return x.keep(err)
}

// GetByAccess finds an access token that is good by the window's clock.
func (x *exchange) GetByAccess(ctx context.Context, access string) (lib.TokenInfo, error) {
	t, err := x.find(ctx, "access", access)
	switch {
	case err != nil || t == nil || t.Kind != Access:
		return nil, err
	case t.EndedAt != nil || !x.s.Now().Before(t.ExpiresAt):
		return nil, x.keep(errLate)
	}
	x.grant = *t
	info := models.NewToken()
	info.SetClientID(t.Client)
	info.SetAccess(access)
	return info, nil
}

// RemoveByAccess ends a token of this system.
func (x *exchange) RemoveByAccess(ctx context.Context, access string) error {
	t, err := x.find(ctx, "access", access)
	if err != nil || t == nil || t.Kind != Access {
		return err
	}
	return x.keep(x.s.act(ctx, x.event("oauth.revoke"), func(tx Tx, e *ra.Event) error {
		e.Details = map[string]string{"grant": t.Grant}
		if t.Client != x.client.ID {
			return refuse(ra.KindForbidden, "invalid_token", "The token is not this system's.", nil)
		}
		_, err := tx.EndToken(t.Hash, x.s.Now())
		return err
	}))
}

// RemoveByRefresh and GetByRefresh are about tokens that the window does not give.
func (x *exchange) RemoveByRefresh(context.Context, string) error { return nil }

// GetByRefresh finds none.
func (x *exchange) GetByRefresh(context.Context, string) (lib.TokenInfo, error) { return nil, nil }
