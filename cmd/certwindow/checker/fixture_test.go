package checker_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"certwindow/cmd/certwindow/checker"
	"certwindow/hsm"
	"certwindow/migrations"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/consent"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// fetcher fetches what the simulator's certificates name.
type fetcher struct{}

func (fetcher) OCSP(_ context.Context, url string, request []byte) ([]byte, error) {
	resp, err := http.Post(url, "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (fetcher) CRL(_ context.Context, url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// module stands in for the HSM: keys in memory, bound by a MAC.
type module struct{ keys map[string]*ecdsa.PrivateKey }

func (m module) mac(k hsm.WrappedKey, b hsm.Binding) []byte {
	h := hmac.New(sha256.New, []byte("module"))
	fmt.Fprintf(h, "%d %s %x %x %q %q %q", k.Generation, k.Algorithm, k.SPKI, k.Blob, b.Person, b.Device, b.Application)
	return h.Sum(nil)
}

func (m module) GenerateSealed(_ context.Context, alg hsm.Algorithm, b hsm.Binding, _ hsm.Secret) (hsm.WrappedKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return hsm.WrappedKey{}, err
	}
	k := hsm.WrappedKey{Generation: 1, Algorithm: alg, Blob: []byte(b.Application)}
	if k.SPKI, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return k, err
	}
	m.keys[string(k.SPKI)] = key
	k.MAC = m.mac(k, b)
	return k, nil
}

func (m module) VerifyBinding(_ context.Context, k hsm.WrappedKey, b hsm.Binding) error {
	if !hmac.Equal(k.MAC, m.mac(k, b)) {
		return hsm.ErrBinding
	}
	return nil
}

func (m module) SealedSigner(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, _ hsm.Secret) (crypto.Signer, error) {
	return m.keys[string(k.SPKI)], m.VerifyBinding(ctx, k, b)
}

func (m module) OpenActivation(_ context.Context, _, sealed []byte) (hsm.Secret, error) {
	return hsm.NewSecret(sealed), nil
}

// house is a window that has worked for a while: real use cases over a real database and a simulated HCA.
type house struct {
	*storetest.World
	hca      *hcatest.Window
	keys     module
	enrol    *enrol.Service
	revoke   *revoke.Service
	exchange *exchange.Service
	delivery *enrol.Delivery
	clerk    ra.Actor
	doctor   ra.PersonID
	phone    *storetest.Phone
	config   checker.Config
	notary   *audit.Notary
	findings []checker.Finding

	live, onHSM, revoked, revoking ra.Certificate
	waiting, signed                ra.Application
	bare                           bool // the card component makes no CMS
}

func newHouse(t testing.TB, db *store.DB, sim *hcatest.Window) *house {
	t.Helper()
	h := &house{World: storetest.NewWorld(t, db), hca: sim, keys: module{map[string]*ecdsa.PrivateKey{}},
		clerk: ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Session: "session"}}
	h.Clock.Set(time.Now())
	root, issuer := certificate(t, sim.Server.Root().Raw), certificate(t, sim.Server.CA().Raw)
	anchors := certpath.NewPool(root)
	verifier := consent.New(consent.Config{Anchors: anchors, Intermediates: []*certpath.Certificate{issuer}, Fetcher: fetcher{}, Skew: time.Minute},
		h.Store.IsMobile, h.Clock.Now)
	adapter, err := cmc.New(cmc.Config{URL: sim.Server.CMCURL, TLSRoots: sim.Server.TLSRoots(), Anchors: []*certpath.Certificate{root},
		Intermediates: []*certpath.Certificate{issuer}, Signer: sim.Signer, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	h.enrol = enrol.NewService(store.EnrolStore{Store: h.Store}, verifier, h.keys, storetest.Good,
		enrol.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute), KeyLife: policy.Always(15 * time.Minute), Most: policy.Always(policy.MaxValidCertificates)}, h.Clock.Now, rand.Reader)
	h.revoke = revoke.NewService(store.RevokeStore{Store: h.Store}, verifier, revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)},
		h.Clock.Now, rand.Reader)
	h.exchange = exchange.New(store.ExchangeStore{Store: h.Store}, adapter, storetest.Good,
		exchange.Profile{Issuers: [][]byte{issuer.Raw}, MaxValidity: 400 * 24 * time.Hour}, h.Clock.Now, rand.Reader)
	h.delivery = enrol.NewDelivery(store.DeliveryStore{Store: h.Store}, h.Clock.Now)
	subject := sim.Card.Certificate.Subject
	h.doctor = h.Doctor(t, subject.CommonName, subject.SerialNumber)
	h.phone = h.Phone(t, storetest.Window, h.doctor)
	h.register(t)
	h.trust(t, anchors, issuer)
	h.work(t)
	return h
}

func certificate(t testing.TB, der []byte) *certpath.Certificate {
	t.Helper()
	c, err := certpath.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// register puts the device into the tables, where the checker looks for its binding.
func (h *house) register(t testing.TB) {
	t.Helper()
	now := h.Clock.Now().UTC()
	h.exec(t, `INSERT INTO institutions (code, name, is_window, active, agreement, created_at, updated_at) VALUES (?, 'x', TRUE, TRUE, '', ?, ?)`,
		string(storetest.Window), now, now)
	h.exec(t, `INSERT INTO devices (id, code, institution, platform, model, shared, state, generation, created_at, updated_at)
		VALUES (?, 'D', ?, 'android', 'm', FALSE, 'bound', 1, ?, ?)`, string(h.phone.ID), string(storetest.Window), now, now)
}

func (h *house) trust(t testing.TB, anchors *certpath.Pool, issuer *certpath.Certificate) {
	t.Helper()
	dedicated, err := h.hca.Signer.Dedicated(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	signing := []*certpath.Certificate{certificate(t, dedicated.Certificate)}
	h.notary = audit.NewNotary(store.AuditLog{Store: h.Store},
		audit.Signer{Key: dedicated.Key, Certificate: dedicated.Certificate, Window: string(storetest.Window)}, signing, h.Clock.Now)
	h.config = checker.Config{DB: h.DB.SQL, Postgres: h.DB.Dialect == migrations.Postgres, Window: string(storetest.Window), Signing: signing,
		Anchors: anchors, Intermediates: []*certpath.Certificate{issuer}, Keys: h.keys, Sealer: storetest.Sealer(),
		Report: func(f checker.Finding) { h.findings = append(h.findings, f) }}
}

// work is what happened at the window: of each kind of thing one, and checkpoints between.
func (h *house) work(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	h.checkpoint(t)
	h.live = h.enrolled(t, ra.KeyApp)
	_, _, err := h.delivery.Deliver(ctx, ra.Actor{Kind: ra.ActorDevice}, h.phone.ID, h.live.ApplicationID)
	h.ok(t, err)
	h.bare = true
	h.onHSM = h.enrolled(t, ra.KeyHSM)
	h.bare = false
	h.checkpoint(t)
	h.revoked = h.enrolled(t, ra.KeyHSM)
	r := h.toRevoke(t, h.revoked)
	_, err = h.exchange.Run(ctx, r.ID)
	h.ok(t, err)
	h.revoking = h.enrolled(t, ra.KeyApp)
	h.toRevoke(t, h.revoking)
	h.signed = h.sign(t, h.begin(t, ra.KeyApp))
	cancelled := h.begin(t, ra.KeyApp)
	h.ok(t, h.enrol.Cancel(ctx, h.clerk, cancelled.ID))
	h.begin(t, ra.KeyApp)
	h.Clock.Advance(6 * time.Minute)
	_, err = h.enrol.Lapse(ctx)
	h.ok(t, err)
	h.waiting = h.begin(t, ra.KeyApp)
	h.checkpoint(t)
}

func (h *house) ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) checkpoint(t testing.TB) {
	t.Helper()
	_, err := h.notary.Checkpoint(context.Background())
	h.ok(t, err)
}

func (h *house) begin(t testing.TB, design ra.KeyDesign) ra.Application {
	t.Helper()
	a, err := h.enrol.Begin(context.Background(), h.clerk, enrol.New{Person: h.doctor, Device: h.phone.ID, Institution: storetest.Window,
		Scope: []string{"EMR-SIGN"}, KeyDesign: design, Carrier: ra.CarrierDevice})
	h.ok(t, err)
	return a
}

func (h *house) card(t testing.TB, text []byte) enrol.Signature {
	t.Helper()
	if h.bare {
		return h.bareSignature(t, text)
	}
	out, err := cms.Sign(text, h.hca.Card.Key, h.hca.Card.Certificate.Raw, cms.SignOptions{SigningTime: h.Clock.Now()})
	h.ok(t, err)
	return enrol.Signature{CMS: out}
}

func (h *house) sign(t testing.TB, a ra.Application) ra.Application {
	t.Helper()
	a, err := h.enrol.Sign(context.Background(), h.clerk, a.ID, h.card(t, a.Text))
	h.ok(t, err)
	return a
}

// ready is an application whose request may leave.
func (h *house) ready(t testing.TB, design ra.KeyDesign) ra.Application {
	t.Helper()
	ctx := context.Background()
	a := h.sign(t, h.begin(t, design))
	if design == ra.KeyHSM {
		secret := bytes.Repeat([]byte{1}, hsm.SecretSize)
		digest := sha256.Sum256(enrol.ChainMessage(a.Consent, secret))
		sig, err := ecdsa.SignASN1(rand.Reader, h.phone.Key, digest[:])
		h.ok(t, err)
		_, err = h.enrol.SubmitSecret(ctx, ra.Actor{Kind: ra.ActorDevice}, h.phone.ID, a.ID, secret, sig)
		h.ok(t, err)
	} else {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		h.ok(t, err)
		der, err := csr.Make(key, pkix.Name{}, a.Challenge)
		h.ok(t, err)
		digest := sha256.Sum256(enrol.ChainMessage(a.Consent, der))
		sig, err := ecdsa.SignASN1(rand.Reader, h.phone.Key, digest[:])
		h.ok(t, err)
		_, err = h.enrol.SubmitRequest(ctx, ra.Actor{Kind: ra.ActorDevice}, h.phone.ID, a.ID, der, sig, nil)
		h.ok(t, err)
	}
	return a
}

func (h *house) enrolled(t testing.TB, design ra.KeyDesign) ra.Certificate {
	t.Helper()
	a := h.ready(t, design)
	_, err := h.exchange.Run(context.Background(), a.ID)
	h.ok(t, err)
	if a = h.Application(t, a.ID); a.CertificateID == nil {
		t.Fatalf("%s: %s %s", a.State, a.FailureCode, a.FailureDetail)
	}
	return h.Certificate(t, *a.CertificateID)
}

func (h *house) toRevoke(t testing.TB, c ra.Certificate) ra.Application {
	t.Helper()
	a, err := h.revoke.Begin(context.Background(), h.clerk, c.ID, ra.ReasonSuperseded, "")
	h.ok(t, err)
	a, err = h.revoke.Sign(context.Background(), h.clerk, a.ID, h.card(t, a.Text))
	h.ok(t, err)
	return a
}

func (h *house) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if err := h.DB.Gorm.Exec(statement, args...).Error; err != nil {
		t.Fatal(err)
	}
}

// check runs the checker at the house's moment.
func (h *house) check(t testing.TB) []checker.Finding {
	t.Helper()
	h.findings, h.config.At = nil, h.Clock.Now()
	n, err := checker.Run(context.Background(), h.config)
	h.ok(t, err)
	if int(n.Findings) != len(h.findings) || n.Applications == 0 {
		t.Errorf("%d findings reported, %+v", len(h.findings), n)
	}
	return h.findings
}
