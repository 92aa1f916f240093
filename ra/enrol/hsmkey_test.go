package enrol_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11/p11test"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// inHSM is an application for a key in the HSM that the card has signed.
func (d *desk) inHSM(t testing.TB, algorithm string) ra.Application {
	t.Helper()
	form := d.form()
	form.KeyDesign, form.Algorithm = ra.KeyHSM, algorithm
	a, err := d.Begin(context.Background(), d.clerk, form)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = d.sign(a); err != nil {
		t.Fatal(err)
	}
	return a
}

// countersigned is what a phone signs over what it hands in.
func (d *desk) countersigned(t testing.TB, key *ecdsa.PrivateKey, consent, handedIn []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(enrol.ChainMessage(consent, handedIn))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// HCA-6.0, HCA-6.3.5: the HSM makes the key when the holder's phone has sent its secret, after the application, once;
// its request holds the holder's name, the challenge and that key. No part of the chain can be exchanged.
func TestKeyOfTheHSM(t *testing.T) {
	token := p11test.Token(t)
	d := newDesk(t, storetest.SQLite(t))
	d.serve(storetest.Accepts{}, token, storetest.Good)
	ctx := context.Background()
	activation, err := token.ActivationKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, secret := d.inHSM(t, "P-256"), bytes.Repeat([]byte{9}, hsm.SecretSize)
	other := d.inHSM(t, "RSA-2048")
	sealedFor := func(x ra.Application) []byte {
		sealed, err := hsm.SealActivation(activation, enrol.SecretInfo(x.ID, x.Challenge), secret)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	submit := func(x ra.Application, sealed, signature []byte) error {
		_, err := d.SubmitSecret(ctx, ra.Actor{Kind: ra.ActorDevice}, d.phone.ID, x.ID, sealed, signature)
		return err
	}
	d.Clock.Advance(time.Second)
	sealed := sealedFor(a)
	stranger := d.Phone(t, storetest.Window, d.doctor)
	refusal(t, submit(a, sealed, d.countersigned(t, stranger.Key, a.Consent, sealed)), "HCA-6.0", "countersignature")
	refusal(t, submit(a, sealed, d.countersigned(t, d.phone.Key, []byte("another consent"), sealed)), "HCA-6.0", "countersignature")
	refusal(t, submit(a, sealedFor(other), d.countersigned(t, d.phone.Key, a.Consent, sealed)), "HCA-6.0", "countersignature")
	refusal(t, submit(a, sealedFor(other), d.countersigned(t, d.phone.Key, a.Consent, sealedFor(other))), "HCA-6.0", "countersignature")
	moved := sealedFor(other)
	refusal(t, submit(a, moved, d.countersigned(t, d.phone.Key, a.Consent, moved)), "HCA-6.3.5", "secret")
	if n := d.Count(t, "holder_keys"); n != 0 || d.World.Application(t, a.ID).State != ra.AppAwaitingKey {
		t.Fatalf("%d keys after refusals", n)
	}
	if n := d.Count(t, "audit_events WHERE act = 'enrol.key' AND outcome = 'refused'"); n != 5 {
		t.Errorf("%d refusals in the log", n)
	}
	for _, x := range []ra.Application{a, other} {
		sealed := sealedFor(x)
		if err := submit(x, sealed, d.countersigned(t, d.phone.Key, x.Consent, sealed)); err != nil {
			t.Fatal(err)
		}
		d.madeInHSM(t, x)
		if err := submit(x, sealed, d.countersigned(t, d.phone.Key, x.Consent, sealed)); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("a second key for one application: %v", err)
		}
	}
	if err := d.Cancel(ctx, d.clerk, a.ID); err != nil || d.Count(t, "holder_keys") != 1 {
		t.Errorf("withdrawn before it was sent: %v, %d keys are left", err, d.Count(t, "holder_keys"))
	}
}

// madeInHSM holds an application's key and request against it.
func (d *desk) madeInHSM(t *testing.T, a ra.Application) {
	t.Helper()
	got := d.World.Application(t, a.ID)
	if got.State != ra.AppRequested {
		t.Fatalf("%s", got.State)
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
	if ra.KeyHash(key.SPKI) != ra.KeyHash(req.SPKI) || string(key.Algorithm) != a.Algorithm {
		t.Error("the request is for another key than the one that was stored")
	}
	if n := d.Count(t, "holder_keys k JOIN applications a ON a.id = k.application_id WHERE k.created_at > a.created_at AND a.id = ?", string(a.ID)); n != 1 {
		t.Error("the key is not younger than its application")
	}
	if _, err := d.SubmitRequest(context.Background(), ra.Actor{}, d.phone.ID, a.ID, got.CSR, nil, nil); ra.AsError(err).Code != "key-in-hsm" {
		t.Errorf("a phone's request for an HSM key: %v", err)
	}
}

// HCA-6.0: no key before consent, for a phone's own key, after its time, or for a device that was bound anew since.
func TestSecretAtItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		kind   ra.Kind
		change func(d *desk)
	}{
		"bound anew": {ra.KindRefused, func(d *desk) { d.device(func(x *ra.DeviceFacts) { x.Generation++ }) }},
		"removed":    {ra.KindRefused, func(d *desk) { d.Register.SetUsers(d.phone.ID) }},
		"too late":   {ra.KindRefused, func(d *desk) { d.Clock.Advance(16 * time.Minute) }},
	} {
		d := newDesk(t, storetest.SQLite(t))
		d.serve(storetest.Accepts{}, deadHSM{}, storetest.Good)
		a := d.inHSM(t, "P-256")
		c.change(d)
		_, err := d.SubmitSecret(context.Background(), ra.Actor{}, d.phone.ID, a.ID, []byte("x"), d.countersigned(t, d.phone.Key, a.Consent, []byte("x")))
		if err == nil || ra.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := newDesk(t, storetest.SQLite(t))
	d.serve(storetest.Accepts{}, deadHSM{}, storetest.Good)
	if _, err := d.SubmitSecret(context.Background(), ra.Actor{}, d.phone.ID, d.begin(t).ID, []byte("x"), nil); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("before consent: %v", err)
	}
	if _, err := d.SubmitSecret(context.Background(), ra.Actor{}, d.phone.ID, d.signed(t).ID, []byte("x"), nil); ra.AsError(err).Code != "key-not-in-hsm" {
		t.Errorf("for a key on the phone: %v", err)
	}
}

// An HSM that fails leaves the application waiting, with no half of a key behind.
func TestHSMFails(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t))
	d.serve(storetest.Accepts{}, deadHSM{}, storetest.Good)
	a := d.inHSM(t, "P-256")
	_, err := d.SubmitSecret(context.Background(), ra.Actor{}, d.phone.ID, a.ID, []byte("x"), d.countersigned(t, d.phone.Key, a.Consent, []byte("x")))
	if ra.KindOf(err) != ra.KindUnavailable {
		t.Errorf("%v", err)
	}
	if got := d.World.Application(t, a.ID); got.State != ra.AppAwaitingKey || got.Slot == nil || d.Count(t, "holder_keys") != 0 {
		t.Errorf("%+v", got)
	}
}

// deadHSM is a module that does not answer.
type deadHSM struct{ enrol.Keys }

func (deadHSM) OpenActivation(context.Context, []byte, []byte) (hsm.Secret, error) {
	return hsm.Secret{}, errors.New("CKR_DEVICE_ERROR")
}
