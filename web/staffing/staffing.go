// Package staffing takes in what the programs of institutions tell of their professionals: who changed, left, suspended
// or ceased practice, or died (HCA-3.7). What is told stops the person's accounts there in the same transaction, and
// the revocations that follow begin with it.
//
// A program proves itself by the certificate on the register of systems, over mutual TLS, and by nothing else; which
// institution it speaks for stands on the register, never in the request.
package staffing

import (
	"context"
	"crypto/x509"
	_ "embed" // the contract is part of the program
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/store"
	"certwindow/web/problem"
	"certwindow/web/throttle"
)

// Clients is the register of systems; apiclient.Service is one.
type Clients interface {
	Telling(ctx context.Context, shown *x509.Certificate) (apiclient.Client, error)
}

// Register is where the professionals are; devices.Service is one.
type Register interface {
	Tell(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, e devices.StaffingEvent) (person ra.PersonID, stopped bool, err error)
}

// Requests remembers what was answered; store.Store does.
type Requests interface {
	BeginAttempt(ctx context.Context, principal, key string, request [32]byte, now, until time.Time) (store.Attempt, *store.Answer, error)
	EndAttempt(ctx context.Context, a store.Attempt, answer store.Answer, until time.Time) error
	DropAttempt(ctx context.Context, a store.Attempt) error
}

// Hasher makes keyed hashes; seal.Sealer does.
type Hasher interface {
	Hash(column, value string) []byte
}

// Config is what the API needs of the rest of the house. Every field must be set.
type Config struct {
	Now      func() time.Time
	Log      *slog.Logger
	Clients  Clients
	Register Register
	Requests Requests
	// Hasher names requests in what is remembered of them: a plain hash over a national id is the id to whoever tries all.
	Hasher Hasher
}

// API is the handlers.
type API struct {
	Config
	byAddress *throttle.Limiter
	byClient  *throttle.Limiter
}

// How many requests a second are looked at in the long run, and how many at once: of one network, and of one system. The
// first day of a month may hold a hundred changes.
const (
	addressRate, addressBurst = 10, 200
	clientRate, clientBurst   = 5, 100
)

// New refuses a configuration with a gap.
func New(c Config) (*API, error) {
	if c.Now == nil || c.Log == nil || c.Clients == nil || c.Register == nil || c.Requests == nil || c.Hasher == nil {
		return nil, errors.New("staffing: a dependency is missing")
	}
	return &API{Config: c, byAddress: throttle.New(addressRate, addressBurst), byClient: throttle.New(clientRate, clientBurst)}, nil
}

const prefix = "/api/staffing/v1"

//go:embed openapi.yaml
var contract []byte

// route is one operation of the contract.
type route struct {
	method, path string
	public       bool // for anybody; else a system proves itself
	do           func(*call) (store.Answer, error)
}

// routes is the whole API. A test holds it against openapi.yaml.
var routes = []route{
	{method: http.MethodPost, path: "/events", do: (*call).tell},
	{method: http.MethodGet, path: "/openapi.yaml", public: true, do: (*call).contract},
}

// Mount registers every route of the table, and nothing else.
func (a *API) Mount(e *echo.Echo) {
	for _, r := range routes {
		e.Add(r.method, prefix+r.path, a.guard(r))
	}
}

// call is one request on its way.
type call struct {
	echo.Context
	api    *API
	client apiclient.Client // who sent it, proved
}

func (c *call) ctx() context.Context { return c.Request().Context() }

func (c *call) actor() ra.Actor {
	return ra.Actor{Kind: ra.ActorClient, ID: c.client.ID, Institution: c.client.Institution, Address: c.RealIP(), RequestID: problem.RequestID(c)}
}

// guard is what every request passes. Errors leave as problem documents, which the server writes.
func (a *API) guard(r route) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, api: a}
		c.Response().Header().Set("Cache-Control", "no-store")
		out, err := c.run(r)
		if err != nil {
			if e := ra.AsError(err); e.Kind == ra.KindTooMany || e.Code == "under-way" {
				c.Response().Header().Set("Retry-After", "1")
			}
			return err
		}
		return c.Blob(out.Status, out.Type, out.Body)
	}
}

func (c *call) run(r route) (store.Answer, error) {
	req := c.Request()
	if !c.api.byAddress.Take(throttle.Network(c.RealIP()), c.api.Now()) {
		return store.Answer{}, tooMany()
	}
	if req.URL.RawQuery != "" || req.URL.ForceQuery {
		return store.Answer{}, malformed("query", "This address takes no query. Nothing was changed.")
	}
	if r.public {
		return r.do(c)
	}
	if len(req.Header.Values("Cookie")) > 0 || len(req.Header.Values("Authorization")) > 0 {
		return store.Answer{}, malformed("credentials", "A system proves itself by its registered certificate, and by neither cookies nor an Authorization header. Nothing was changed.")
	}
	var shown *x509.Certificate
	if t := req.TLS; t != nil && len(t.PeerCertificates) > 0 {
		shown = t.PeerCertificates[0]
	}
	var err error
	if c.client, err = c.api.Clients.Telling(c.ctx(), shown); err != nil {
		return store.Answer{}, err
	}
	if !c.api.byClient.Take(c.client.ID, c.api.Now()) {
		return store.Answer{}, tooMany()
	}
	return r.do(c)
}

// contract serves openapi.yaml as it is.
func (c *call) contract() (store.Answer, error) {
	return store.Answer{Status: http.StatusOK, Type: "application/yaml", Body: contract}, nil
}

func malformed(code, text string) error { return ra.Errorf(ra.KindMalformed, code, nil, "%s", text) }

func tooMany() error {
	return ra.Errorf(ra.KindTooMany, "too-many", nil, "Too many requests. Nothing was done; wait a moment and try again.")
}
