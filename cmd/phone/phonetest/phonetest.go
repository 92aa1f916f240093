// Package phonetest runs a service window for tests of phones: the real API, use cases and stores on a SQLite
// database in the test's folder, behind TLS on a free port. What needs a card reader or the HCA is stood in for:
// every card's signature is believed, and Issue takes the HCA's place.
package phonetest

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/devices/deviceca"
	devicestore "certwindow/devices/store"
	"certwindow/hsm"
	"certwindow/hsm/p11/p11test"
	"certwindow/hsm/seal"
	"certwindow/migrations"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/certpath"
	"certwindow/ra/consent"
	"certwindow/ra/enrol"
	"certwindow/ra/jobs"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/renew"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/trustlist"
	"certwindow/web"
	"certwindow/web/api"
	"certwindow/web/csc"
	"certwindow/web/staffing"
)

// Code is the one institution's.
const Code ra.InstitutionCode = "0101090517"

// StatusKeyID names the key of status statements.
const StatusKeyID = "test-status"

// Clerk is who works at the counter.
var Clerk = ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: Code, Session: "counter-1"}

// Window is the running window.
type Window struct {
	Server   *httptest.Server
	Store    *store.Store
	DB       *store.DB
	Registry *devices.Service
	Register *devicestore.Store
	Enrol    *enrol.Service
	Revoke   *revoke.Service
	Renew    *renew.Service
	Sign     *remotesign.Service
	Clients  Systems
	Systems  *apiclient.Service // those on the register
	Grants   *oauth.Server
	Holders  *appcred.Service
	API      *api.API
	Config   api.Config   // as the running API has it
	Sweeps   atomic.Int32 // that were started
	Wakes    []jobs.Wake  // that were enqueued, with Options.Push

	keyring
	stamper csc.Stamper
	options Options
	first   *Window          // whose replica it is; nil: its own
	sent    []appcred.Secret // codes
	mu      sync.Mutex
	at      time.Time
}

// Options are what a test may want otherwise.
type Options struct {
	Attestor      ra.Attestor // judges what phones say of their keys; nil: ra.Unattested
	HSM           bool        // holders' keys in a SoftHSM token; the test skips where there is none
	ClosedNetwork []netip.Prefix
	NoApp         bool        // App is not on file
	MostWaiting   int         // phones that wait for news; zero: as many as the API's own
	Push          bool        // apps are woken
	Stamper       csc.Stamper // nil: the window makes no time stamps
	Database      string      // its address; empty: a SQLite file of the test's
}

// keyring is what every replica of a window has in common beside the database.
type keyring struct {
	sealer    *seal.Sealer
	keys      keyMaker
	status    *ecdsa.PrivateKey
	challenge hsm.Secret
	authority *deviceca.Authority
	issuer    issuer
}

// New starts a window with one institution and the scope EMR-SIGN. It ends with the test.
func New(t testing.TB, o Options) *Window {
	t.Helper()
	w := &Window{at: time.Now().UTC().Truncate(time.Second)}
	ctx := t.Context()
	if o.Attestor == nil {
		o.Attestor = ra.Unattested{}
	}
	if o.Database == "" {
		o.Database = "sqlite:" + filepath.Join(t.TempDir(), "window.db")
	}
	w.options = o
	w.keyring = w.newKeys(t, o)
	w.run(t)
	must(t, w.Registry.AddInstitution(ctx, ra.Actor{Kind: ra.ActorCommand}, devices.Institution{Code: Code, Name: "Test Hospital", IsWindow: true,
		Agreement: hex.EncodeToString(make([]byte, 32)), AgreedFrom: w.Now().Add(-time.Hour)}))
	must(t, w.Registry.SaveScope(ctx, ra.Actor{Kind: ra.ActorCommand}, devices.Scope{Code: "EMR-SIGN", Name: "Electronic records", Approved: true}))
	if !o.NoApp {
		w.Approve(t, App)
	}
	return w
}

// run opens the database and serves it.
func (w *Window) run(t testing.TB) {
	var err error
	w.DB, err = store.Open(t.Context(), w.options.Database)
	must(t, err)
	t.Cleanup(func() { w.DB.Close() })
	_, err = migrations.Up(t.Context(), w.DB.SQL, w.DB.Dialect)
	must(t, err)
	w.stores(t, w.options)
	w.useCases(t, w.options)
	w.stamper = w.options.Stamper
	w.serve(t)
}

// Replica starts another server of the same window. Database, keys and clock are the same; what a server remembers is not.
func (w *Window) Replica(t testing.TB) *Window {
	t.Helper()
	r := &Window{first: w, options: w.options, keyring: w.keyring}
	r.run(t)
	return r
}

// enqueue keeps what the queue would work.
func (w *Window) enqueue(_ *gorm.DB, j jobs.Args) error {
	if wake, ok := j.(jobs.Wake); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.Wakes = append(w.Wakes, wake)
	}
	return nil
}

// Now is the window's clock.
func (w *Window) Now() time.Time {
	if w.first != nil {
		return w.first.Now()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// Pass lets time go by.
func (w *Window) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *Window) stores(t testing.TB, o Options) {
	register := devicestore.New(w.DB.Gorm, w.sealer, devicestore.Hooks{Audit: store.AppendEvent, DeviceBound: store.VoidForDevice, DeviceReplaced: store.VoidForReplaced,
		StartSweep: func(*gorm.DB) error { w.Sweeps.Add(1); return nil },
		Notice: func(tx *gorm.DB, person ra.PersonID, kind ra.NoticeKind, object string) error {
			return w.Store.Tell(tx, person, kind, object)
		}}, w.Now, rand.Reader)
	w.Store = store.New(w.DB, register, w.enqueue, w.sealer, w.Now, rand.Reader)
	w.Register, w.Registry = register, devices.NewAttesting(register, o.Attestor, w.Now, rand.Reader)
	w.accounts(t, register)
}

// accounts are the holders', whose passwords are cheap to try.
func (w *Window) accounts(t testing.TB, register appcred.Store) {
	pepper := func(_ context.Context, data []byte) ([]byte, error) {
		sum := sha256.Sum256(append([]byte("pepper"), data...))
		return sum[:], nil
	}
	hasher, err := factor.NewHasher("holder", factor.PasswordCost{Time: 1, Memory: 64, Threads: 1}, pepper, rand.Reader)
	must(t, err)
	w.Holders, err = appcred.New(appcred.Config{Store: register, Hasher: hasher, MAC: pepper, Sender: w, Idle: policy.Always(10 * time.Minute), Issuer: "certwindow",
		Log: slog.New(slog.DiscardHandler), Now: w.Now, Rand: rand.Reader})
	must(t, err)
}

// newKeys makes the window's keys, its own authority for devices among them.
func (w *Window) newKeys(t testing.TB, o Options) (k keyring) {
	secret := make([]byte, 32)
	rand.Read(secret)
	var err error
	k.sealer, err = seal.New(secret, rand.Reader)
	must(t, err)
	if k.keys = (noKeys{}); o.HSM {
		k.keys = p11test.Token(t)
	}
	k.status, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	k.issuer, k.challenge = newIssuer(t, w.Now()), hsm.NewSecret([]byte(rand.Text()))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root, err := deviceca.MakeRoot("Test Hospital", key, w.Now(), rand.Reader)
	must(t, err)
	k.authority, err = deviceca.New(root, key, w.Now, rand.Reader)
	must(t, err)
	return k
}

func (w *Window) useCases(t testing.TB, o Options) {
	w.Enrol = enrol.NewService(store.EnrolStore{Store: w.Store}, believer{}, w.keys, w.standing,
		enrol.Config{Window: Code, MessageLife: policy.Always(5 * time.Minute), KeyLife: policy.Always(24 * time.Hour), Most: policy.Always(policy.MaxValidCertificates), Attestor: o.Attestor}, w.Now, rand.Reader)
	w.Revoke = revoke.NewService(store.RevokeStore{Store: w.Store}, believer{}, revoke.Config{Window: Code, MessageLife: policy.Always(5 * time.Minute)}, w.Now, rand.Reader)
	w.Renew = renew.New(store.RenewStore{Store: w.Store}, w.Now)
	w.Server = httptest.NewUnstartedServer(nil)
	if o.ClosedNetwork == nil {
		o.ClosedNetwork = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	activation, err := w.keys.ActivationKey(t.Context())
	must(t, err)
	w.Clients, w.Systems = Systems{}, apiclient.New(store.ClientStore{Store: w.Store}, w.Now)
	w.Sign, err = remotesign.New(remotesign.Config{Life: policy.Always(10 * time.Minute), Store: store.SignStore{Store: w.Store}, Keys: w.keys, Statement: w.status, KeyID: StatusKeyID,
		Issuer: "https://" + w.Server.Listener.Addr().String(), ActivationKey: activation, ChallengeKey: w.challenge, Factors: api.Factors{Accounts: w.Holders},
		Clients: clients{w.Clients, w.Systems}, Zones: policy.Zones{Closed: o.ClosedNetwork, HSM: []policy.Zone{policy.ZoneClosed}}, Now: w.Now, Rand: rand.Reader})
	must(t, err)
	w.Config = api.Config{Now: w.Now, Log: slog.New(slog.DiscardHandler), Devices: w.Registry, Authority: w.authority, Holders: w.Holders, Enrolments: w.Enrol,
		Delivery: enrol.NewDelivery(store.DeliveryStore{Store: w.Store}, w.Now), Certificates: w.Revoke, Renewals: w.Renew,
		Keys: w.Sign, News: w.Store, MostWaiting: o.MostWaiting, Requests: w.Store, StatusKey: w.status.Public(), StatusKeyID: StatusKeyID, Apps: w.Registry}
	if o.Push {
		w.Store.CallPhones()
		w.Config.Pushes = w.Registry
	}
	trusted, err := trustlist.New(trustlist.Config{Issuer: "https://" + w.Server.Listener.Addr().String(), Key: w.status, KeyID: StatusKeyID,
		Anchors: []*certpath.Certificate{w.issuer.root(t)}, Now: w.Now})
	must(t, err)
	w.Config.TrustList = trusted.Statement
}

func (w *Window) serve(t testing.TB) {
	w.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	asked := x509.NewCertPool()
	asked.AddCert(w.Config.Authority.Root())
	w.Server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, ClientCAs: asked}
	w.Server.StartTLS()
	t.Cleanup(w.Server.Close)
	w.Config.Pin = w.Pin()
	systems := w.documentSystems(t, w.stamper)
	w.Config.Access = w.Grants
	personnel, err := staffing.New(staffing.Config{Now: w.Now, Log: w.Config.Log, Clients: w.Systems, Register: w.Registry, Requests: w.Store, Hasher: w.sealer})
	must(t, err)
	a, err := api.New(w.Config)
	must(t, err)
	w.API = a
	w.Server.Config.RegisterOnShutdown(a.Stop)
	e, err := web.New(web.Config{Log: w.Config.Log, Now: w.Now, Rand: rand.Reader, Metrics: prometheus.NewRegistry(), Mounts: []func(*echo.Echo){a.Mount, systems.Mount, personnel.Mount}})
	must(t, err)
	w.Server.Config.Handler = newContract(t, e)
}

func (w *Window) standing(context.Context) policy.WindowStanding {
	return policy.WindowStanding{Acknowledged: true, OwnInstitution: true, NotBefore: w.Now().Add(-time.Hour), NotAfter: w.Now().Add(time.Hour),
		RevocationKnown: true, KeyMatches: true}
}

// Keys are what the QR says of the window's keys.
func (w *Window) Keys(t testing.TB) devices.WindowKeys {
	status, err := remotesign.KeyName(w.Config.StatusKey)
	must(t, err)
	return devices.WindowKeys{Pin: w.Pin(), Status: status}
}

// StatusSigner is the key of status statements.
func (w *Window) StatusSigner() crypto.Signer { return w.status }

// Pin is what the QR says of the server's key.
func (w *Window) Pin() string {
	sum := sha256.Sum256(w.Server.Certificate().RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// believer takes every card's signature for good.
type believer struct{}

func (believer) Verify(_ context.Context, _ consent.Expected, cms []byte) (consent.Verified, error) {
	sum := sha256.Sum256(cms)
	return consent.Verified{Proof: []byte("{}"), MessageSHA256: hex.EncodeToString(sum[:])}, nil
}

type keyMaker interface {
	enrol.Keys
	remotesign.Keys
	ActivationKey(ctx context.Context) ([]byte, error)
}

// noKeys is a window without an HSM: it publishes an activation key, and makes and uses no key of a holder's.
type noKeys struct{}

var errNoHSM = errors.New("phonetest: this window has no HSM")

func (noKeys) ActivationKey(context.Context) ([]byte, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes(), nil
}

func (noKeys) OpenActivation(context.Context, []byte, []byte) (hsm.Secret, error) {
	return hsm.Secret{}, errNoHSM
}

func (noKeys) GenerateSealed(context.Context, hsm.Algorithm, hsm.Binding, hsm.Secret) (hsm.WrappedKey, error) {
	return hsm.WrappedKey{}, errNoHSM
}

func (noKeys) SealedSigner(context.Context, hsm.WrappedKey, hsm.Binding, hsm.Secret) (crypto.Signer, error) {
	return nil, errNoHSM
}

func (noKeys) SignSealed(context.Context, hsm.WrappedKey, hsm.Binding, hsm.Secret, crypto.Hash, [][]byte) ([][]byte, error) {
	return nil, errNoHSM
}

func (noKeys) RewrapSealed(context.Context, hsm.WrappedKey, hsm.Binding, hsm.Secret, int) (hsm.WrappedKey, error) {
	return hsm.WrappedKey{}, errNoHSM
}

func (noKeys) MasterGenerations(context.Context) ([]int, error) { return nil, errNoHSM }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
