// Package api is the phone's side of the window: the JSON API that a hospital's mobile app talks to. Its contract
// is openapi.yaml, which it also serves, and no address answers that is not in the table of routes.go.
//
// It shares nothing with the pages: no cookie, no form, no token. Every request but the public ones is signed by
// the device's own key (package httpsig), was made a moment ago, and is taken once.
package api

import (
	"certwindow/web/throttle"
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/news"
	"certwindow/ra/remotesign"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
)

// Devices is what the API needs of the register; devices.Service is one.
type Devices interface {
	DeviceByKey(ctx context.Context, keyHash string) (devices.Device, error)
	Seen(ctx context.Context, d devices.Device) error
	PresentBinding(ctx context.Context, actor ra.Actor, code string, window devices.WindowKeys, spki []byte, client string, proof *ra.Attestation) (devices.Binding, error)
	BindingOfKey(ctx context.Context, id, keyHash string) (devices.Binding, error)
	Certify(ctx context.Context, actor ra.Actor, d devices.Device, brought string, issue func(ra.DeviceID, int, []byte) ([]byte, error)) (der []byte, next string, err error)
}

// Authority issues and knows the certificates of devices; deviceca.Authority is one.
type Authority interface {
	Root() *x509.Certificate
	Issue(device ra.DeviceID, generation int, spki []byte) ([]byte, error)
	Verify(c *x509.Certificate, device ra.DeviceID, generation int, spki []byte) error
}

// Holders are the holders' accounts; appcred.Service is one.
type Holders interface {
	IdleTime() time.Duration
	Login(ctx context.Context, actor ra.Actor, at appcred.Attempt) (appcred.Grant, error)
	Authenticate(ctx context.Context, token appcred.Secret, device ra.DeviceID, thumbprint string) (appcred.Login, error)
	Known(ctx context.Context, token appcred.Secret, device ra.DeviceID, thumbprint string) (appcred.Login, error)
	Logout(ctx context.Context, actor ra.Actor, token appcred.Secret, l appcred.Login) error
	ChangePassword(ctx context.Context, actor ra.Actor, token appcred.Secret, l appcred.Login, current, next appcred.Secret) error
	SendCode(ctx context.Context, actor ra.Actor, account string, device ra.DeviceID, purpose appcred.Purpose, channel appcred.Channel) error
	Challenge(ctx context.Context, account string, device ra.DeviceID, purpose appcred.Purpose) (string, error)
	SetUpTOTP(ctx context.Context, actor ra.Actor, l appcred.Login) (secret, address appcred.Secret, err error)
	AddBiometric(ctx context.Context, actor ra.Actor, l appcred.Login, kind string, spki, signature []byte, challenge string) error
}

// Enrolments are the applications that wait for a key; enrol.Service is one.
type Enrolments interface {
	Waiting(ctx context.Context, device ra.DeviceID) ([]ra.Application, error)
	KeyTask(ctx context.Context, device ra.DeviceID, id ra.ApplicationID) (enrol.KeyTask, error)
	SubmitRequest(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.ApplicationID, der, signature []byte, proof *ra.Attestation) (ra.Application, error)
	SubmitSecret(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.ApplicationID, sealed, signature []byte) (ra.Application, error)
}

// Delivery hands out issued certificates; enrol.Delivery is one.
type Delivery interface {
	Deliver(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.ApplicationID) (ra.Application, *ra.Certificate, error)
}

// Certificates lists them; revoke.Service does.
type Certificates interface {
	Certificate(ctx context.Context, actor ra.Actor, id ra.CertificateID) (ra.Certificate, error)
	Certificates(ctx context.Context, actor ra.Actor, q revoke.Query) ([]ra.Certificate, error)
}

// Keys tells whether a key may be used and uses those in the HSM; remotesign.Service is one.
type Keys interface {
	Status(ctx context.Context, actor ra.Actor, device ra.DeviceID, id ra.CertificateID, seen string) (remotesign.Issued, error)
	ActivationStatement() (string, error)
	Challenge(ctx context.Context, device ra.DeviceID, id ra.CertificateID) (string, time.Time, error)
	Sign(ctx context.Context, actor ra.Actor, device ra.DeviceID, own remotesign.Own, r remotesign.Release) (remotesign.Outcome, error)
	Pending(ctx context.Context, device ra.DeviceID, person ra.PersonID) ([]remotesign.Authorisation, error)
	PendingOn(ctx context.Context, device ra.DeviceID, person ra.PersonID, id ra.CertificateID) ([]remotesign.Authorisation, error)
	Whose(ctx context.Context, device ra.DeviceID, id remotesign.AuthorisationID) (ra.PersonID, error)
	Release(ctx context.Context, actor ra.Actor, device ra.DeviceID, id remotesign.AuthorisationID, r remotesign.Release) (remotesign.Outcome, error)
	Deny(ctx context.Context, actor ra.Actor, device ra.DeviceID, id remotesign.AuthorisationID) error
}

// Requests remembers, for all replicas, which requests came before; store.Store does.
type Requests interface {
	UseRequestNonce(ctx context.Context, keyHash, value string, now, until time.Time) error
	BeginAttempt(ctx context.Context, principal, key string, request [32]byte, now, until time.Time) (store.Attempt, *store.Answer, error)
	EndAttempt(ctx context.Context, a store.Attempt, answer store.Answer, until time.Time) error
	DropAttempt(ctx context.Context, a store.Attempt) error
	Before(ctx context.Context, r store.Sent, now time.Time) (*store.Answer, error)
	Keep(ctx context.Context, r store.Sent, a store.Answer, now time.Time) error
	ForgetRequests(ctx context.Context, now time.Time) error
}

// Config is what the API needs of the rest of the house. Every field must be set but Pushes, MostWaiting and Successions.
type Config struct {
	Now          func() time.Time
	Log          *slog.Logger
	Devices      Devices
	Authority    Authority
	Holders      Holders
	Enrolments   Enrolments
	Delivery     Delivery
	Certificates Certificates
	Renewals     Renewals
	Keys         Keys
	Access       Access
	News         news.Store
	Requests     Requests
	Apps         Apps
	// TrustList is the signed list of the certification authorities to trust, as a JWS in compact form (HCA-8.2.5).
	TrustList func() (string, error)
	// StatusKey is the public key of status statements, on P-256, and StatusKeyID the kid in their headers.
	StatusKey   crypto.PublicKey
	StatusKeyID string
	// Pushes keep by what apps are woken; nil: none are.
	Pushes Pushes
	// MostWaiting is how many phones wait for news at a time in this process; zero: ten thousand.
	MostWaiting int
	// Successions are the statements by which status keys named their successors, oldest first (remotesign.Succeed).
	Successions []string
	// Pin is that of the server, as the QR of a binding says it (devices.BindText).
	Pin string
}

// API is the handlers.
type API struct {
	Config
	table     []route
	keySet    []byte
	docs      []byte
	byDevice  *throttle.Limiter
	byAddress *throttle.Limiter
	byPublic  *throttle.Limiter
	byLogin   *throttle.Limiter // attempts to sign in and requests for codes, of one device

	catalogue, notices, trust public

	window  devices.WindowKeys // as the QR names them
	room    *news.Room
	looking chan struct{} // a place in it for each phone that looks at how things stand

	tidying sync.Mutex
	tidied  time.Time
}

// New refuses a configuration with a gap, and reads the contract that it serves.
func New(cfg Config) (*API, error) {
	if cfg.Now == nil || cfg.Log == nil || cfg.Devices == nil || cfg.Authority == nil || cfg.Holders == nil || cfg.Enrolments == nil || cfg.Delivery == nil || cfg.Certificates == nil || cfg.Renewals == nil ||
		cfg.Keys == nil || cfg.Access == nil || cfg.News == nil || cfg.Requests == nil || cfg.Apps == nil || cfg.TrustList == nil || cfg.StatusKeyID == "" {
		return nil, errors.New("api: a dependency is missing")
	}
	if k, ok := cfg.StatusKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return nil, errors.New("api: the key of status statements is not on P-256")
	}
	a := &API{Config: cfg, room: news.NewRoom(cfg.News, cfg.Log, cmp.Or(cfg.MostWaiting, mostWaiting)), looking: make(chan struct{}, mostLooking), table: routes, byDevice: throttle.New(deviceRate, deviceBurst), byAddress: throttle.New(addressRate, addressBurst),
		byPublic: throttle.New(publicRate, publicBurst), byLogin: throttle.New(loginRate, loginBurst)}
	status, err := remotesign.KeyName(cfg.StatusKey)
	if err != nil {
		return nil, err
	}
	a.window = devices.WindowKeys{Pin: cfg.Pin, Status: status}
	activation, err := cfg.Keys.ActivationStatement()
	if err != nil {
		return nil, err
	}
	if a.keySet, err = keySet(cfg.StatusKey, cfg.StatusKeyID, activation, cfg.Successions); err != nil {
		return nil, err
	}
	a.docs, err = renderDocs(contract, a.table)
	return a, err
}

// Mount registers every route of the table, and nothing else.
func (a *API) Mount(e *echo.Echo) {
	for _, r := range a.table {
		e.Add(r.method, r.echoPath(), a.guard(r))
	}
}

// tidyEvery is how often what need not be remembered any more is deleted.
const tidyEvery = time.Minute

// tidy deletes it on the way of a request, so that nobody has to remember to run it.
func (a *API) tidy(ctx context.Context) {
	now := a.Now()
	if !a.tidying.TryLock() {
		return
	}
	defer a.tidying.Unlock()
	if since := now.Sub(a.tidied); since >= 0 && since < tidyEvery {
		return
	}
	a.tidied = now
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer stop()
	if err := a.Requests.ForgetRequests(ctx, now); err != nil {
		a.Log.Warn("used request nonces were not deleted", "cause", err.Error())
	}
}
