// Package oauth is the window as an authorisation server for the systems of package apiclient (RFC 6749): codes with
// PKCE (RFC 7636) that a holder grants on the phone, a system's own access, and tokens that are good in the hands of the
// very certificate that fetched them (RFC 8705).
//
// The flow of grants is that of go-oauth2's manager; what it stores, how long anything lives and who asks is judged
// here. Codes and tokens are random, kept as hashes, and their ends are rows of the audit log.
package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/remotesign"
)

// Scopes of access (CSC API v2.0 section 8.4).
const (
	Service    = "service"    // to ask about credentials and for signatures
	Credential = "credential" // to collect what one holder released
)

// How long what is granted lives.
const (
	CodeLife       = time.Minute
	ServiceLife    = 10 * time.Minute
	CredentialLife = 5 * time.Minute
)

// Kind is what a stored token is.
type Kind string

const (
	Code   Kind = "code"
	Burnt  Kind = "burnt" // a code of which nothing more may come
	Access Kind = "access"
)

// Token is a code or an access token.
type Token struct {
	Hash          []byte
	Kind          Kind
	Grant         string // a code and what came of it have the same
	Client        string
	Scope         string
	Person        ra.PersonID                // the holder who granted it; empty: it is the system's own
	Authorisation remotesign.AuthorisationID // what a credential token collects
	Redirect      string
	Challenge     string // of PKCE
	Rich          bool   // it was asked for by authorization_details (RFC 9396)
	Thumbprint    string // of the certificate that it is bound to
	CreatedAt     time.Time
	ExpiresAt     time.Time
	EndedAt       *time.Time
}

// Tx is one transaction on grants.
type Tx interface {
	InsertToken(t Token) error
	Token(hash []byte) (Token, error)
	// EndToken ends one, and says whether it was not ended before.
	EndToken(hash []byte, at time.Time) (bool, error)
	// EndGrant ends a code and everything that came of it; HoldGrant fails with a conflict once that was done.
	EndGrant(grant string, at time.Time) error
	HoldGrant(grant string) error

	InsertAccessRequest(r Request) error
	AccessRequest(id string) (Request, error)
	// AccessRequestsOf are those that wait for a person's answer, oldest first.
	AccessRequestsOf(person ra.PersonID, at time.Time, limit int) ([]Request, error)
	// MoveAccessRequest moves one on from where it stands, or fails with a conflict.
	MoveAccessRequest(id string, from, to Standing) error
	// ForgetGrants deletes what was over before.
	ForgetGrants(before time.Time) error

	Authorisation(id remotesign.AuthorisationID) (remotesign.Authorisation, error)
	Person(id ra.PersonID) (ra.PersonFacts, error)
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Clients is the register of systems; apiclient.Service is one.
type Clients interface {
	Active(ctx context.Context, id string) (apiclient.Client, error)
	Proven(ctx context.Context, id string, shown *x509.Certificate) (apiclient.Client, error)
}

// Asks puts hashes before holders; remotesign.Service does.
type Asks interface {
	Request(ctx context.Context, actor ra.Actor, ask remotesign.Ask) (remotesign.Authorisation, string, error)
}

// Accounts finds a holder by the name of the account on phones; ok is false where there is none.
type Accounts func(ctx context.Context, name string) (person ra.PersonID, ok bool, err error)

// Config is what the use case needs of the rest of the house. Every field must be set.
type Config struct {
	Store    Store
	Clients  Clients
	Asks     Asks
	Accounts Accounts
	Now      func() time.Time
	Rand     io.Reader
}

// Server is the use case.
type Server struct{ Config }

// New refuses a configuration with a gap.
func New(c Config) (*Server, error) {
	if c.Store == nil || c.Clients == nil || c.Asks == nil || c.Accounts == nil || c.Now == nil || c.Rand == nil {
		return nil, errors.New("oauth: a dependency is missing")
	}
	return &Server{c}, nil
}

// secret is a fresh token: 32 random bytes in base64url.
func (s *Server) secret() (string, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(s.Rand, raw); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

func hashOf(kind, token string) []byte {
	sum := sha256.Sum256([]byte("certwindow oauth " + kind + "\x00" + token))
	return sum[:]
}

// refuse is an error in OAuth's own words (RFC 6749 section 5.2, RFC 6750 section 3.1).
func refuse(kind ra.Kind, code, detail string, cause error) error {
	return ra.Errorf(kind, code, cause, "%s", detail)
}

var (
	errGrant = refuse(ra.KindMalformed, "invalid_grant", "The authorization code is invalid, was used, or is expired.", nil)
	errToken = refuse(ra.KindUnauthenticated, "invalid_token", "The access token is not valid here.", nil)
	errLate  = refuse(ra.KindUnauthenticated, "expired_token", "The access token is expired or has been revoked.", nil)
	errScope = refuse(ra.KindMalformed, "invalid_scope", "The requested scope is not one that can be had this way.", nil)
)

// act is one change with its audit row.
func (s *Server) act(ctx context.Context, e ra.Event, fn func(Tx, *ra.Event) error) error {
	return ra.Act[Tx](ctx, s.Store, s.Now(), e, fn)
}

// Forget deletes what nobody can use any more and no reuse of which would be told from any other wrong word.
func (s *Server) Forget(ctx context.Context) error {
	return s.Store.Update(ctx, func(tx Tx) error { return tx.ForgetGrants(s.Now().Add(-24 * time.Hour)) })
}
