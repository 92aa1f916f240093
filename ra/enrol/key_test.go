package enrol_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11/p11test"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// serve gives the desk a use case with other parts.
func (d *desk) serve(c enrol.Consent, keys enrol.Keys, standing func(context.Context) policy.WindowStanding) {
	d.Service = enrol.NewService(store.EnrolStore{Store: d.Store}, c, keys, standing,
		enrol.Config{Window: storetest.Window, MessageLife: 5 * time.Minute, KeyLife: 15 * time.Minute}, d.Clock.Now, rand.Reader)
}

// HCA-6.0, HCA-7.3: consent, phone and key are one chain. A request that breaks it anywhere is refused, and the
// application goes on waiting for the right one.
func TestRequestOfAPhone(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	actor := ra.Actor{Kind: ra.ActorDevice, ID: string(d.phone.ID)}
	a := d.signed(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	submit := func(change func(*made)) error {
		der, sig := d.request(t, a, change)
		_, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig)
		return err
	}
	for name, c := range map[string]struct {
		code   string
		change func(*made)
	}{
		"no challenge":               {"challenge-differs", func(m *made) { m.challenge = nil }},
		"another challenge":          {"challenge-differs", func(m *made) { m.challenge = []byte("another") }},
		"signed by another device":   {"countersignature", func(m *made) { m.device = other }},
		"for another consent":        {"countersignature", func(m *made) { m.consent = []byte("another") }},
		"the device's own key":       {"device-key-reused", func(m *made) { m.key = d.phone.Key }},
		"another kind of key":        {"algorithm", func(m *made) { m.key = p384 }},
		"signed by the holder's own": {"countersignature", func(m *made) { m.device = m.key }},
	} {
		if err := submit(c.change); err == nil || ra.AsError(err).Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	der, sig := d.request(t, a, nil)
	der[len(der)-1] ^= 1
	if _, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig); ra.AsError(err).Code != "csr" {
		t.Errorf("without proof of possession: %v", err)
	}
	if _, err := d.SubmitRequest(context.Background(), actor, d.Phone(t, storetest.Window, d.doctor).ID, a.ID, der, sig); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("from another device: %v", err)
	}
	if got := d.World.Application(t, a.ID); got.State != ra.AppAwaitingKey || got.CSR != nil {
		t.Fatalf("a refused request changed the application: %+v", got)
	}
	if err := submit(nil); err != nil {
		t.Fatal(err)
	}
	if err := submit(nil); ra.KindOf(err) != ra.KindConflict {
		t.Errorf("a second request: %v", err)
	}
	if got := d.World.Application(t, a.ID); got.State != ra.AppRequested || d.Jobs(t, "exchange") != 1 {
		t.Errorf("state %s, %d jobs", got.State, d.Jobs(t, "exchange"))
	}
}

// HCA-6.0: no key before consent, none after its time, and none for a device that was bound anew since.
func TestKeyAtItsTime(t *testing.T) {
	actor := ra.Actor{Kind: ra.ActorDevice}
	for name, c := range map[string]struct {
		kind   ra.Kind
		change func(d *desk)
	}{
		"bound anew": {ra.KindRefused, func(d *desk) { d.device(func(x *ra.DeviceFacts) { x.Generation++ }) }},
		"removed":    {ra.KindRefused, func(d *desk) { d.Register.SetUsers(d.phone.ID) }},
		"too late":   {ra.KindRefused, func(d *desk) { d.Clock.Advance(16 * time.Minute) }},
	} {
		d := newDesk(t, storetest.SQLite(t))
		a := d.signed(t)
		der, sig := d.request(t, a, nil)
		c.change(d)
		if _, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig); err == nil || ra.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := newDesk(t, storetest.SQLite(t))
	a := d.begin(t)
	der, sig := d.request(t, a, nil)
	if _, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("before consent: %v", err)
	}
	if _, err := d.KeyTask(context.Background(), d.phone.ID, a.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("a task before consent: %v", err)
	}
}

// HCA-6.0, HCA-6.3: the HSM makes the key after the application, once, and its request holds the holder's name, the
// challenge and that key.
func TestKeyOfTheHSM(t *testing.T) {
	token := p11test.Token(t)
	d := newDesk(t, storetest.SQLite(t))
	d.serve(storetest.Accepts{}, token, storetest.Good)
	form := d.form()
	form.KeyDesign = ra.KeyHSM
	ctx := context.Background()
	a, err := d.Begin(ctx, d.clerk, form)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.MakeKey(ctx, a.ID); err != nil || d.Count(t, "holder_keys") != 0 {
		t.Fatalf("a key before consent: %v", err)
	}
	if _, err := d.sign(a); err != nil || d.Jobs(t, "make-key") != 1 {
		t.Fatalf("%v, %d jobs", err, d.Jobs(t, "make-key"))
	}
	d.Clock.Advance(time.Second)
	for range 2 { // a job that is run again after a crash does nothing
		if err := d.MakeKey(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	got := d.World.Application(t, a.ID)
	if got.State != ra.AppRequested || d.Count(t, "holder_keys") != 1 || d.Jobs(t, "exchange") != 1 {
		t.Fatalf("%s, %d keys, %d jobs", got.State, d.Count(t, "holder_keys"), d.Jobs(t, "exchange"))
	}
	req, err := csr.Parse(got.CSR)
	if err != nil || req.Challenge != csr.Challenge(a.Challenge) {
		t.Fatalf("%+v, %v", req, err)
	}
	x, err := x509.ParseCertificateRequest(got.CSR)
	if err != nil || x.Subject.CommonName != "陳小華" || x.Subject.SerialNumber != "1234567890123456" {
		t.Errorf("subject %v, %v", x.Subject, err)
	}
	var key hsm.WrappedKey
	d.View(t, func(tx *store.Tx) (err error) {
		key, err = tx.HolderKey(a.ID)
		return err
	})
	if ra.KeyHash(key.SPKI) != ra.KeyHash(req.SPKI) {
		t.Error("the request is for another key than the one that was stored")
	}
	if n := d.Count(t, "holder_keys k JOIN applications a ON a.id = k.application_id WHERE k.created_at > a.created_at"); n != 1 {
		t.Error("the key is not younger than its application")
	}
	if _, err := d.SubmitRequest(ctx, ra.Actor{}, d.phone.ID, a.ID, got.CSR, nil); ra.AsError(err).Code != "key-in-hsm" {
		t.Errorf("a phone's request for an HSM key: %v", err)
	}
	if err := d.Cancel(ctx, d.clerk, a.ID); err != nil || d.Count(t, "holder_keys") != 0 {
		t.Errorf("withdrawn before it was sent: %v, %d keys are left behind", err, d.Count(t, "holder_keys"))
	}
}

// An HSM that fails leaves the application waiting, with no half of a key behind.
func TestHSMFails(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.serve(storetest.Accepts{}, deadHSM{}, storetest.Good)
	form := d.form()
	form.KeyDesign = ra.KeyHSM
	a, err := d.Begin(context.Background(), d.clerk, form)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.sign(a); err != nil {
		t.Fatal(err)
	}
	if err := d.MakeKey(context.Background(), a.ID); ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("%v", err)
	}
	if got := d.World.Application(t, a.ID); got.State != ra.AppAwaitingKey || got.Slot == nil || d.Count(t, "holder_keys") != 0 {
		t.Errorf("%+v", got)
	}
}

// deadHSM is a module that does not answer.
type deadHSM struct{ enrol.Keys }

func (deadHSM) GenerateWrapped(context.Context, hsm.Algorithm, hsm.Binding) (hsm.WrappedKey, error) {
	return hsm.WrappedKey{}, errors.New("CKR_DEVICE_ERROR")
}
