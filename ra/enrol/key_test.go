package enrol_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// serve gives the desk a use case with other parts.
func (d *desk) serve(c enrol.Consent, keys enrol.Keys, standing func(context.Context) policy.WindowStanding) {
	d.Service = enrol.NewService(store.EnrolStore{Store: d.Store}, c, keys, standing,
		enrol.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute), KeyLife: policy.Always(15 * time.Minute), Most: policy.Always(policy.MaxValidCertificates)}, d.Clock.Now, rand.Reader)
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
		_, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig, nil)
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
	if _, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig, nil); ra.AsError(err).Code != "csr" {
		t.Errorf("without proof of possession: %v", err)
	}
	if _, err := d.SubmitRequest(context.Background(), actor, d.Phone(t, storetest.Window, d.doctor).ID, a.ID, der, sig, nil); ra.KindOf(err) != ra.KindNotFound {
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
		if _, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig, nil); err == nil || ra.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := newDesk(t, storetest.SQLite(t))
	a := d.begin(t)
	der, sig := d.request(t, a, nil)
	if _, err := d.SubmitRequest(context.Background(), actor, d.phone.ID, a.ID, der, sig, nil); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("before consent: %v", err)
	}
	if _, err := d.KeyTask(context.Background(), d.phone.ID, a.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("a task before consent: %v", err)
	}
}
