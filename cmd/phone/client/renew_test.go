package client_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"testing"
	"time"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
	"certwindow/ra/enrol"
)

const day = 24 * time.Hour

// enrolled is a certificate whose key the phone made.
func enrolled(t *testing.T, w *phonetest.Window, p *client.Phone, a ra.Application) ra.Certificate {
	t.Helper()
	if err := p.Enrol(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	c := w.Issue(t, a.ID)
	if _, err := p.Certificate(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	return c
}

// one is the line of a certificate in the phone's list.
func one(t *testing.T, p *client.Phone, id ra.CertificateID) client.Certificate {
	t.Helper()
	list, err := p.Certificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.Certificate == string(id) {
			return c
		}
	}
	t.Fatalf("%s is not in %+v", id, list)
	return client.Certificate{}
}

// HCA-7.2, HCA-7.5: in its last 60 days a certificate is renewed by a new application, for a new key on the same phone. The
// phone is told, uses the newer one as soon as it has it, and both count until the older one has ended.
func TestRenew(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	p, _ := bound(t, w, device)
	signIn(t, w, p, person, "doctor")
	old := enrolled(t, w, p, w.Apply(t, person, device, ra.KeyApp, ""))
	renewal := enrol.New{Person: person, Device: device, Institution: phonetest.Code, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice, Renews: old.ID}
	if _, err := w.Enrol.Begin(t.Context(), phonetest.Clerk, renewal); ra.AsError(err).Code != "renewal-too-early" {
		t.Errorf("a year before: %v", err)
	}
	if c := one(t, p, old.ID); c.RenewBy != nil {
		t.Errorf("to be renewed a year before its end: %+v", c)
	}

	w.Pass(310 * day)
	if _, err := p.Login(t.Context(), "doctor", phonetest.Password); err != nil {
		t.Fatal(err)
	}
	if c := one(t, p, old.ID); c.RenewBy == nil || !c.RenewBy.Equal(old.NotAfter) {
		t.Errorf("55 days before its end: %+v", c)
	}
	if _, err := p.Renew(t.Context(), string(old.ID)); !errors.Is(err, client.ErrNotApplied) {
		t.Errorf("before the holder applied: %v", err)
	}
	a := w.ApplyFor(t, renewal)
	if err := p.Enrol(t.Context(), string(a.ID)); err != nil { // and the answer is lost
		t.Fatal(err)
	}
	if now, err := p.Newest(t.Context(), string(old.ID)); err != nil || now.Certificate != string(old.ID) {
		t.Errorf("used while the HCA has not answered: %+v, %v", now, err)
	}
	next := w.Issue(t, a.ID)
	if now, err := p.Newest(t.Context(), string(old.ID)); err != nil || now.Certificate != string(old.ID) {
		t.Errorf("used before the phone has the newer one: %+v, %v", now, err)
	}
	if _, err := p.Certificate(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	if c := one(t, p, old.ID); c.RenewBy != nil || c.RenewedBy != string(next.ID) || c.State != "live" {
		t.Errorf("the older one: %+v", c)
	}
	if c := one(t, p, next.ID); c.Renews != string(old.ID) {
		t.Errorf("the newer one: %+v", c)
	}
	now, err := p.Newest(t.Context(), string(old.ID))
	if err != nil || now.Certificate != string(next.ID) {
		t.Fatalf("used: %+v, %v", now, err)
	}
	digest := sha256.Sum256([]byte("a record"))
	if _, err := p.SignDocumentHash(t.Context(), now.Certificate, digest[:]); err != nil {
		t.Errorf("signed with the newer: %v", err)
	}
	w.Pass(56 * day) // the older one has ended by itself
	if _, err := p.CheckIn(t.Context(), client.Condition{CarrierPresent: true, ScreenLock: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Login(t.Context(), "doctor", phonetest.Password); err != nil {
		t.Fatal(err)
	}
	var no *client.Refusal
	if _, err := p.Status(t.Context(), string(old.ID)); !errors.As(err, &no) || no.Clause != "HCA-7.2" {
		t.Errorf("the older one after its end: %v", err)
	}
	if _, err := p.SignDocumentHash(t.Context(), now.Certificate, digest[:]); err != nil {
		t.Errorf("signed with the newer after the older one's end: %v", err)
	}
}

// HCA-6.3.6, HCA-7.3: in the last month of its own certificate the phone fetches the next at its check-in; who copied its
// key, and not what it was given last, gets none and is found out.
func TestDeviceCertificateInTime(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	device := w.Device(t, "ER-01", w.Person(t, 1))
	p, dir := bound(t, w, device)
	ctx, sound := t.Context(), client.Condition{CarrierPresent: true, ScreenLock: true}
	before, err := os.ReadFile(dir + "/device.crt")
	if err != nil {
		t.Fatal(err)
	}
	checkIn := func() []byte {
		t.Helper()
		if _, err := p.CheckIn(ctx, sound); err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(dir + "/device.crt")
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	w.Pass(300 * day)
	if string(checkIn()) != string(before) {
		t.Error("fetched two months before its end")
	}
	twin := t.TempDir()
	if err := os.CopyFS(twin, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	w.Pass(40 * day)
	if string(checkIn()) == string(before) {
		t.Error("not fetched in its last month")
	}
	w.Pass(100 * day)
	checkIn() // the phone's own goes on
	thief := open(t, w, twin)
	var refusal *client.Refusal
	if err := thief.Certify(ctx); !errors.As(err, &refusal) || refusal.Code != "device-copied" || refusal.Clause != "HCA-7.3" {
		t.Errorf("the copy, for a certificate of its own: %v", err)
	}
	if _, err := p.CheckIn(ctx, sound); !errors.As(err, &refusal) || refusal.Code != "key-unknown" {
		t.Errorf("the phone goes on: %v", err)
	}
}

// HCA-4.1, HCA-6.1: a re-installed app has a new key, which the window does not know; it must be bound anew, and what the key of
// before was for has ended.
func TestReinstalled(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	p, dir := bound(t, w, device)
	signIn(t, w, p, person, "doctor")
	c := enrolled(t, w, p, w.Apply(t, person, device, ra.KeyApp, ""))

	fresh := t.TempDir()
	for _, name := range []string{"phone.json", "login"} { // what a backup might bring back; the key never
		raw, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fresh+"/"+name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other, otherDir := bound(t, w, w.Device(t, "ER-02", person))
	raw, err := os.ReadFile(otherDir + "/device.key")
	if err != nil {
		t.Fatal(err)
	}
	w.Report(t, "ER-02", ra.DeviceUnbind) // a key that is nobody's
	if err := os.WriteFile(fresh+"/device.key", raw, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, w, fresh)
	var no *client.Refusal
	for what, do := range map[string]func() error{
		"its list":          func() error { _, err := again.Certificates(t.Context()); return err },
		"a status":          func() error { _, err := again.Status(t.Context(), string(c.ID)); return err },
		"a certificate":     func() error { return again.Certify(t.Context()) },
		"a login":           func() error { _, err := again.Login(t.Context(), "doctor", phonetest.Password); return err },
		"an unbound device": func() error { _, err := other.Device(t.Context()); return err },
	} {
		if err := do(); !errors.As(err, &no) || no.Status != 401 || no.Code != "key-unknown" {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.Pass(time.Second)
	next, _ := bound(t, w, device)
	if _, err := next.Login(t.Context(), "doctor", phonetest.Password); err != nil {
		t.Fatal(err)
	}
	if list, err := next.Certificates(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the certificates of the key before are listed: %+v, %v", list, err)
	}
	if _, err := next.Status(t.Context(), string(c.ID)); !errors.As(err, &no) {
		t.Errorf("the status of the key before: %v", err)
	}
	if _, err := p.Device(t.Context()); !errors.As(err, &no) || no.Code != "key-unknown" {
		t.Errorf("the key before: %v", err)
	}
}
