package exchange_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		childMain()
	}
	storetest.Main(m)
}

// gate is a window between its database and the HCA, a simulator of which it reaches over HTTPS.
type gate struct {
	*storetest.World
	hca     *hcatest.Window
	adapter hca.Adapter
	enrol   *enrol.Service
	revoke  *revoke.Service
	doctor  ra.PersonID
	phone   *storetest.Phone
	clerk   ra.Actor
}

// newGate makes a window at the real time, which the simulator keeps too.
func newGate(t testing.TB, db *store.DB, sim *hcatest.Window) *gate {
	t.Helper()
	g := &gate{World: storetest.NewWorld(t, db), hca: sim, clerk: ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Session: "session"}}
	g.Clock.Set(time.Now())
	g.adapter = newAdapter(t, sim.Server.CMCURL, sim.Server.TLSRoots(), sim.Server.Root().Raw, sim.Signer, 0)
	g.enrol = enrol.NewService(store.EnrolStore{Store: g.Store}, storetest.Accepts{}, nil, storetest.Good,
		enrol.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute), KeyLife: policy.Always(15 * time.Minute), Most: policy.Always(policy.MaxValidCertificates)}, g.Clock.Now, rand.Reader)
	g.revoke = revoke.NewService(store.RevokeStore{Store: g.Store}, storetest.Accepts{},
		revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)}, g.Clock.Now, rand.Reader)
	subject := sim.Card.Certificate.Subject
	g.doctor = g.Doctor(t, subject.CommonName, subject.SerialNumber)
	g.phone = g.Phone(t, storetest.Window, g.doctor)
	return g
}

func newAdapter(t testing.TB, url string, roots *x509.CertPool, root []byte, signer cmc.SignerSource, timeout time.Duration) hca.Adapter {
	t.Helper()
	anchor, err := certpath.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cmc.New(cmc.Config{URL: url, TLSRoots: roots, Anchors: []*certpath.Certificate{anchor}, Signer: signer, Timeout: timeout,
		Now: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// service is one process's exchange over a store and an adapter.
func (g *gate) service(s exchange.Store, a hca.Adapter) *exchange.Service {
	return exchange.New(s, a, storetest.Good, exchange.Profile{Issuers: [][]byte{g.hca.Server.CA().Raw}, MaxValidity: 400 * 24 * time.Hour}, g.Clock.Now, rand.Reader)
}

// run is one step of an exchange by a process that nothing is wrong with.
func (g *gate) run(id ra.ApplicationID) (time.Duration, error) {
	return g.service(store.ExchangeStore{Store: g.Store}, g.adapter).Run(context.Background(), id)
}

// requested is an application whose request is ready to be sent: signed by the card, and for a key of the phone.
func (g *gate) requested(t testing.TB) ra.Application {
	t.Helper()
	ctx := context.Background()
	a, err := g.enrol.Begin(ctx, g.clerk, enrol.New{Person: g.doctor, Device: g.phone.ID, Institution: storetest.Window, Scope: []string{"EMR-SIGN"},
		KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	if err != nil {
		t.Fatal(err)
	}
	if a, err = g.enrol.Sign(ctx, g.clerk, a.ID, enrol.Signature{CMS: g.sign(t, a.Text)}); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := csr.Make(key, pkix.Name{}, a.Challenge)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(enrol.ChainMessage(a.Consent, der))
	sig, err := ecdsa.SignASN1(rand.Reader, g.phone.Key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	if a, err = g.enrol.SubmitRequest(ctx, ra.Actor{Kind: ra.ActorDevice}, g.phone.ID, a.ID, der, sig, nil); err != nil {
		t.Fatal(err)
	}
	return a
}

func (g *gate) sign(t testing.TB, text []byte) []byte {
	t.Helper()
	out, err := cms.Sign(text, g.hca.Card.Key, g.hca.Card.Certificate.Raw, cms.SignOptions{SigningTime: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// enrolled is a certificate that went the whole way.
func (g *gate) enrolled(t testing.TB) ra.Certificate {
	t.Helper()
	a := g.requested(t)
	if _, err := g.run(a.ID); err != nil {
		t.Fatal(err)
	}
	return g.Certificate(t, *g.Application(t, a.ID).CertificateID)
}

// issuedTo lists the serial numbers of the mobile certificates that the simulator issued for a key.
func (g *gate) issuedTo(t testing.TB, request []byte) (serials []string) {
	t.Helper()
	req, err := csr.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(g.hca.Dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Certificate *struct {
				Serial string `json:"serial"`
				DER    []byte `json:"der"`
			} `json:"certificate"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Certificate == nil {
			continue
		}
		if x, err := x509.ParseCertificate(line.Certificate.DER); err == nil && string(x.RawSubjectPublicKeyInfo) == string(req.SPKI) {
			serials = append(serials, line.Certificate.Serial)
		}
	}
	return serials
}

// once fails the test unless the application came to exactly one certificate, here and at the HCA, in one place of the
// person's, told of once.
func (g *gate) once(t testing.TB, a ra.Application) {
	t.Helper()
	got := g.Application(t, a.ID)
	if got.State != ra.AppCompleted || got.CertificateID == nil || got.FailureCode != "" {
		t.Fatalf("the application is %s, %q", got.State, got.FailureCode)
	}
	if n := g.Count(t, "certificates WHERE application_id = ?", string(a.ID)); n != 1 {
		t.Errorf("%d certificates here", n)
	}
	c := g.Certificate(t, *got.CertificateID)
	if there := g.issuedTo(t, got.CSR); len(there) != 1 || there[0] != c.Serial {
		t.Errorf("the HCA issued %v, here is %s", there, c.Serial)
	}
	if got.Slot == nil || g.Count(t, "applications WHERE person_id = ? AND slot = ?", string(a.PersonID), *got.Slot) != 1 {
		t.Errorf("place %v", got.Slot)
	}
	if n := g.Count(t, "notices WHERE object = ?", "certificate/"+string(c.ID)); n != 1 {
		t.Errorf("%d notices", n)
	}
	if n := g.Count(t, "audit_events WHERE act = 'hca.issued' AND outcome = 'done' AND object = ?", "application/"+string(a.ID)); n != 1 {
		t.Errorf("%d rows in the log", n)
	}
}

// fault makes the simulator misbehave for the next requests.
func (g *gate) fault(t testing.TB, kind hcasim.FaultKind, count int) {
	t.Helper()
	g.hca.Server.ClearFaults()
	if err := g.hca.Server.SetFault(hcasim.Fault{Kind: kind, Count: count}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.hca.Server.ClearFaults)
}

// standing makes an exchange whose window stands otherwise.
func (g *gate) standing(s func(context.Context) policy.WindowStanding) *exchange.Service {
	return exchange.New(store.ExchangeStore{Store: g.Store}, g.adapter, s, exchange.Profile{Issuers: [][]byte{g.hca.Server.CA().Raw}}, g.Clock.Now, rand.Reader)
}
