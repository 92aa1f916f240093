// Package csc is the window for document systems: the Cloud Signature Consortium's API v2.0 and the OAuth 2.0 endpoints
// that it rests on. A system asks for signatures with its own credentials; only the holder's phone releases them
// (HCA-6.3.5), and the system collects each once.
//
// Requests are JSON in strict form: members that the contract (openapi.yaml) does not know are refused, since one that
// is ignored could be one that was meant.
package csc

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/web/problem"
	"certwindow/web/throttle"
)

// Specs is the version of the specification that is spoken.
const Specs = "2.0.0.0"

// Grants is the authorisation server; oauth.Server is one.
type Grants interface {
	ForClient(ctx context.Context, actor ra.Actor, c apiclient.Client, scope string) (oauth.Granted, error)
	ForCode(ctx context.Context, actor ra.Actor, c apiclient.Client, code, redirect, verifier string) (oauth.Granted, error)
	Authenticate(ctx context.Context, actor ra.Actor, access string, shown *x509.Certificate) (oauth.Proof, error)
	Revoke(ctx context.Context, actor ra.Actor, c apiclient.Client, access string) error
	Begin(ctx context.Context, actor ra.Actor, a oauth.Asked) (oauth.Request, string, error)
	Stand(ctx context.Context, id, browser string) (oauth.Request, error)
	CodeFor(ctx context.Context, actor ra.Actor, id, browser string) (string, oauth.Request, error)
	Release(ctx context.Context, t oauth.Token) (remotesign.Authorisation, error)
}

// Clients is the register of systems; apiclient.Service is one.
type Clients interface {
	Active(ctx context.Context, id string) (apiclient.Client, error)
	Proven(ctx context.Context, id string, shown *x509.Certificate) (apiclient.Client, error)
}

// Signatures are those with keys in the HSM; remotesign.Service makes them.
type Signatures interface {
	Credentials(ctx context.Context, client remotesign.ClientID, person ra.PersonID, id ra.CertificateID) ([]remotesign.Credential, error)
	Request(ctx context.Context, actor ra.Actor, ask remotesign.Ask) (remotesign.Authorisation, string, error)
	Check(ctx context.Context, actor ra.Actor, client remotesign.ClientID, handle string) (remotesign.Standing, error)
	CollectClaim(ctx context.Context, actor ra.Actor, c remotesign.Claim) ([][]byte, error)
}

// Stamper makes time stamps; timestamp.Client does.
type Stamper interface {
	Stamp(ctx context.Context, algorithm string, digest []byte, nonce []byte) ([]byte, error)
}

// Config is what the API needs of the rest of the house. Every field without a remark must be set.
type Config struct {
	Now        func() time.Time
	Log        *slog.Logger
	Grants     Grants
	Clients    Clients
	Signatures Signatures
	// Holder finds a holder by what a system calls him: the name of his account on phones.
	Holder func(ctx context.Context, name string) (person ra.PersonID, ok bool, err error)
	// Issuers are the certificates above those of holders, for "certificates": "chain"; DER, nearest first.
	Issuers   [][]byte
	Stamper   Stamper // nil: the window makes no time stamps, and does not say that it would
	PublicURL string  // of the window, without a slash at its end
	Name      string  // of the service
}

// API is the handlers.
type API struct {
	Config
	pages     pages
	byAddress *throttle.Limiter
	byClient  *throttle.Limiter
	byAccount *throttle.Limiter // how often one holder's phone is asked
}

// How many requests a second are looked at in the long run, and how many at once: of one network, of one system, and
// how often one holder's phone is asked by anybody. A hospital's systems share an address.
const (
	addressRate, addressBurst = 50, 500
	clientRate, clientBurst   = 50, 500
	accountRate, accountBurst = 1.0 / 30, 5
)

// New refuses a configuration with a gap.
func New(c Config) (*API, error) {
	if c.Now == nil || c.Log == nil || c.Grants == nil || c.Clients == nil || c.Signatures == nil || c.Holder == nil || c.Name == "" {
		return nil, errors.New("csc: a dependency is missing")
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("csc: the public address is not https")
	}
	p, err := loadPages()
	return &API{Config: c, pages: p, byAddress: throttle.New(addressRate, addressBurst), byClient: throttle.New(clientRate, clientBurst),
		byAccount: throttle.New(accountRate, accountBurst)}, err
}

// route is one operation of the contract.
type route struct {
	method, path string
	do           func(*call) error
	token        string // the scopes that its access token may have: "service", "any"; empty: it takes none
}

// routes is the whole API. A test holds it against openapi.yaml.
var routes = []route{
	{http.MethodPost, "/csc/v2/info", (*call).info, ""},
	{http.MethodPost, "/csc/v2/auth/revoke", (*call).authRevoke, anyScope},
	{http.MethodPost, "/csc/v2/credentials/list", (*call).listCredentials, oauth.Service},
	{http.MethodPost, "/csc/v2/credentials/info", (*call).credentialInfo, anyScope},
	{http.MethodPost, "/csc/v2/credentials/authorize", (*call).authorize, oauth.Service},
	{http.MethodPost, "/csc/v2/credentials/authorizeCheck", (*call).authorizeCheck, oauth.Service},
	{http.MethodPost, "/csc/v2/signatures/signHash", (*call).signHash, anyScope},
	{http.MethodPost, "/csc/v2/signatures/timestamp", (*call).timestamp, anyScope},
	{http.MethodPost, "/oauth2/token", (*call).tokenEndpoint, ""},
	{http.MethodPost, "/oauth2/revoke", (*call).revokeEndpoint, ""},
	{http.MethodGet, "/.well-known/oauth-authorization-server", (*call).metadata, ""},
	{http.MethodGet, "/oauth2/authorize", (*call).authorizePage, ""},
	{http.MethodPost, "/oauth2/authorize", (*call).beginAuthorize, ""},
	{http.MethodGet, "/oauth2/authorize/wait/:request", (*call).waitPage, ""},
	{http.MethodGet, "/oauth2/page.css", (*call).style, ""},
	{http.MethodGet, "/oauth2/logo.png", (*call).logo, ""},
	{http.MethodGet, "/csc/v2/openapi.yaml", (*call).contract, ""},
}

const anyScope = "any"

// Mount registers every route of the table, and nothing else.
func (a *API) Mount(e *echo.Echo) {
	for _, r := range routes {
		if r.path == "/csc/v2/signatures/timestamp" && a.Stamper == nil {
			continue
		}
		e.Add(r.method, r.path, a.guard(r))
	}
	e.Any("/csc/v2/*", a.guard(route{do: (*call).elsewhere}))
}

// methods are those of the specification (section 11, table 4, and what its sections name) that not every service has.
var methods = []string{"auth/login", "credentials/extendTransaction", "credentials/getChallenge", "credentials/sendOTP", "signatures/signDoc", "signatures/signPolling",
	"signatures/timestamp"}

// elsewhere answers for every other address under the API's, so that a client reads the specification's errors there too
// (section 10.1).
func (c *call) elsewhere() error {
	name := strings.TrimPrefix(c.Request().URL.Path, "/csc/v2/")
	known := func(r route) bool { return r.path == "/csc/v2/"+name }
	switch i := slices.IndexFunc(routes, known); {
	case slices.Contains(methods, name) && (i < 0 || c.api.Stamper == nil):
		return ra.Errorf(ra.KindMalformed, notImplemented, nil, "This service does not have the method; info lists those that it has.")
	case i >= 0:
		c.Response().Header().Set("Allow", routes[i].method)
		return echo.ErrMethodNotAllowed
	}
	return echo.ErrNotFound
}

// call is one request on its way.
type call struct {
	echo.Context
	api    *API
	proof  oauth.Proof // who sent it, where the route takes a token
	bearer string      // that token
}

func (c *call) ctx() context.Context { return c.Request().Context() }

func (c *call) actor() ra.Actor {
	return ra.Actor{Kind: ra.ActorClient, ID: c.proof.Client.ID, Institution: c.proof.Client.Institution, Address: c.RealIP(), RequestID: problem.RequestID(c)}
}

// shown is the certificate that the connection showed; nil: none.
func (c *call) shown() *x509.Certificate {
	if t := c.Request().TLS; t != nil && len(t.PeerCertificates) > 0 {
		return t.PeerCertificates[0]
	}
	return nil
}

// guard is what every request passes. Errors leave in the words of the specification (section 10.2), and not as the
// problem documents of the window's other APIs.
func (a *API) guard(r route) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, api: a}
		c.Response().Header().Set("Cache-Control", "no-store")
		err := c.run(r)
		if err == nil || c.Response().Committed {
			return err
		}
		problem.Log(c, a.Log, err)
		if slices.Contains(paged, r.path) {
			return c.errorPage(err)
		}
		return c.refuse(err)
	}
}

// paged are the addresses that people's browsers see.
var paged = []string{"/oauth2/authorize", "/oauth2/authorize/wait/:request"}

func (c *call) run(r route) error {
	if !c.api.byAddress.Take(throttle.Network(c.RealIP()), c.api.Now()) {
		return tooMany()
	}
	if len(c.Request().Header.Values("Content-Encoding")) > 0 {
		return malformed("The body must not be encoded.")
	}
	if r.token != "" {
		if err := c.authenticate(r.token); err != nil {
			return err
		}
	}
	return r.do(c)
}
