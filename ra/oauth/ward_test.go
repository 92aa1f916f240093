package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var ctx = context.Background()

const (
	back     = "https://his.example/back?tenant=1"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ward is a window of two replicas on one database, with a record system on its register and a doctor.
type ward struct {
	*storetest.World
	t       *testing.T
	a, b    *oauth.Server // the replicas
	systems *apiclient.Service
	doctor  ra.PersonID
	cert    ra.Certificate
	his     apiclient.Client
	shown   *x509.Certificate // that his connection shows
}

// asks puts hashes before a holder as package remotesign does, as far as its row goes; the release is the test's.
type asks struct{ w *ward }

// Request implements oauth.Asks.
func (a asks) Request(ctx context.Context, _ ra.Actor, ask remotesign.Ask) (remotesign.Authorisation, string, error) {
	now := a.w.Clock.Now()
	made := remotesign.Authorisation{ID: remotesign.AuthorisationID(a.w.ID(a.w.t)), Certificate: a.w.cert.ID, Person: a.w.doctor, Device: a.w.cert.DeviceID, Institution: storetest.Window,
		Client: ask.Client, Scope: "EMR-SIGN", HashAlgorithm: "SHA-256", Challenge: make([]byte, 32), Items: ask.Items, Count: len(ask.Items), State: remotesign.Pending,
		HandleHash: []byte(rand.Text()), SADHash: []byte(rand.Text()), CreatedAt: now, ExpiresAt: now.Add(remotesign.Life)}
	return made, "", a.w.Store.Update(ctx, func(tx *store.Tx) error { return tx.InsertAuthorisation(made, nil) })
}

// decide is the holder's answer to a request for signatures.
func (w *ward) decide(id remotesign.AuthorisationID, to remotesign.State) {
	w.t.Helper()
	now := w.Clock.Now()
	w.must(w.Store.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.Authorisation(id)
		if err != nil {
			return err
		}
		a.State, a.DecidedAt = to, &now
		return tx.Decide(a, nil)
	}))
}

func (w *ward) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWard(t *testing.T, db *store.DB) *ward {
	t.Helper()
	w := &ward{World: storetest.NewWorld(t, db), t: t}
	w.doctor = w.Doctor(t, "王小明", "2001")
	w.cert = w.Issue(t, w.doctor, w.Phone(t, storetest.Window, w.doctor), 1, nil)
	w.systems = apiclient.New(store.ClientStore{Store: w.Store}, w.Clock.Now)
	w.shown = w.certificate()
	w.his = w.register("his", w.shown)
	w.a, w.b = w.replica(w.Store), w.replica(store.New(db, w.Register, w.Queue.Enqueue, storetest.Sealer(), w.Clock.Now, rand.Reader))
	return w
}

func (w *ward) replica(s *store.Store) *oauth.Server {
	accounts := func(_ context.Context, name string) (ra.PersonID, bool, error) {
		return w.doctor, name == "doctor", nil
	}
	o, err := oauth.New(oauth.Config{Store: store.OAuthStore{Store: s}, Clients: apiclient.New(store.ClientStore{Store: s}, w.Clock.Now), Asks: asks{w}, Accounts: accounts,
		Now: w.Clock.Now, Rand: rand.Reader})
	w.must(err)
	return o
}

// certificate is a self-signed one of a system, for a day.
func (w *ward) certificate() *x509.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	now := w.Clock.Now()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "system"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	w.must(err)
	c, err := x509.ParseCertificate(der)
	w.must(err)
	return c
}

// register puts a system on the register, or writes over it.
func (w *ward) register(id string, shown *x509.Certificate) apiclient.Client {
	w.t.Helper()
	now := w.Clock.Now()
	c := apiclient.Client{ID: id, Kind: apiclient.Signing, Name: "病歷系統", Institution: storetest.Window, Scopes: []string{"EMR-SIGN"}, Redirects: []string{back, "https://his.example/other"},
		Thumbprint: apiclient.Thumbprint(shown.Raw), NotAfter: shown.NotAfter, Active: true, CreatedAt: now, UpdatedAt: now}
	w.must(w.Store.Update(ctx, func(tx *store.Tx) error { return tx.SaveAPIClient(c) }))
	return c
}

func (w *ward) asked(scope string) oauth.Asked {
	hash := sha256.Sum256([]byte("record"))
	return oauth.Asked{Client: "his", Redirect: back, Scope: scope, State: "their own word", Challenge: challenge(verifier), Account: "doctor",
		Sign: remotesign.Ask{Certificate: w.cert.ID, Items: []remotesign.Item{{Hash: hash[:], Title: "出院病歷", State: remotesign.HashWaiting}}}}
}

var system = ra.Actor{Kind: ra.ActorClient, ID: "his", Institution: storetest.Window}

// code is a fresh code that the holder granted.
func (w *ward) code(scope string) string {
	w.t.Helper()
	r, browser, err := w.a.Begin(ctx, system, w.asked(scope))
	w.must(err)
	if scope == oauth.Credential {
		w.decide(r.Authorisation, remotesign.Released)
	} else {
		w.must(w.b.Answer(ctx, ra.Actor{Kind: ra.ActorDevice}, w.doctor, r.ID, true))
	}
	code, got, err := w.b.CodeFor(ctx, system, r.ID, browser)
	w.must(err)
	if got.State != "their own word" || got.Redirect != back {
		w.t.Fatalf("%+v", got)
	}
	return code
}

// refused checks an error's OAuth word.
func (w *ward) refused(what string, err error, word string) {
	w.t.Helper()
	if err == nil || ra.AsError(err).Code != word {
		w.t.Errorf("%s: %v, want %s", what, err, word)
	}
}

// rows counts audit rows of an act with an outcome.
func (w *ward) rows(act string, outcome ra.Outcome) (n int) {
	w.t.Helper()
	for _, r := range w.Audit(w.t) {
		if r.Act == act && r.Outcome == string(outcome) {
			n++
		}
	}
	return n
}
