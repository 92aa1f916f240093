package enrol_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// desk is a counter: a world, the use case, and a doctor with a phone.
type desk struct {
	*storetest.World
	*enrol.Service
	doctor ra.PersonID
	phone  *storetest.Phone
	clerk  ra.Actor
}

func newDesk(t testing.TB, db *store.DB) *desk {
	t.Helper()
	d := &desk{World: storetest.NewWorld(t, db)}
	d.Service = enrol.NewService(store.EnrolStore{Store: d.Store}, storetest.Accepts{}, nil, storetest.Good,
		enrol.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute), KeyLife: policy.Always(15 * time.Minute), Most: policy.Always(policy.MaxValidCertificates)}, d.Clock.Now, rand.Reader)
	d.doctor = d.Doctor(t, "陳小華", "1234567890123456")
	d.phone = d.Phone(t, storetest.Window, d.doctor)
	d.clerk = ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Institution: storetest.Window, Session: "session"}
	return d
}

func (d *desk) form() enrol.New {
	return enrol.New{Person: d.doctor, Device: d.phone.ID, Institution: storetest.Window, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice}
}

// begin begins an application that must be taken.
func (d *desk) begin(t testing.TB) ra.Application {
	t.Helper()
	a, err := d.Begin(context.Background(), d.clerk, d.form())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sign has the card sign it, which may be refused.
func (d *desk) sign(a ra.Application) (ra.Application, error) {
	return d.Sign(context.Background(), d.clerk, a.ID, enrol.Signature{CMS: []byte("signed by the card"), Insertion: "1"})
}

// signed is an application that holds a place.
func (d *desk) signed(t testing.TB) ra.Application {
	t.Helper()
	a, err := d.sign(d.begin(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// request makes a key as a phone does, and the countersigned request for it.
func (d *desk) request(t testing.TB, a ra.Application, change func(*made)) (der, signature []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &made{key: key, device: d.phone.Key, challenge: a.Challenge, consent: a.Consent}
	if change != nil {
		change(m)
	}
	if der, err = csr.Make(m.key, pkix.Name{}, m.challenge); err != nil {
		t.Fatal(err)
	}
	message := sha256.Sum256(enrol.ChainMessage(m.consent, der))
	if signature, err = ecdsa.SignASN1(rand.Reader, m.device, message[:]); err != nil {
		t.Fatal(err)
	}
	return der, signature
}

// made is what a phone puts into a request.
type made struct {
	key, device *ecdsa.PrivateKey
	challenge   []byte
	consent     []byte
}

// refusal fails the test unless err is a refusal under the clause with the code.
func refusal(t testing.TB, err error, clause, code string) {
	t.Helper()
	e := ra.AsError(err)
	if err == nil || string(e.Clause) != clause || e.Code != code {
		t.Errorf("%v, want a refusal %s %s", err, clause, code)
	}
}
