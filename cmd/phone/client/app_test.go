package client_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"testing"
	"time"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
)

// HCA-8.2.1, HCA-8.2.2, HCA-8.2.3, HCA-8.2.4, HCA-8.2.5: what an app does at its start: it checks in, looks for its version, shows the notices and says
// that they were read, and takes the list of authorities by which it then judges certificates.
func TestStartOfTheApp(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{NoApp: true})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	p, _ := bound(t, w, device)
	ctx := t.Context()
	if v, err := p.CheckIn(ctx, client.Condition{CarrierPresent: true, ScreenLock: true}); err != nil || v.Usable || v.Clause != "HCA-8.2.1" {
		t.Errorf("not on file: %+v, %v", v, err)
	}
	w.Approve(t, devices.App{Platform: ra.PlatformAndroid, Package: about.App, Version: about.AppVersion})
	if v, err := p.CheckIn(ctx, client.Condition{CarrierPresent: true, ScreenLock: true}); err != nil || !v.Usable {
		t.Errorf("approved: %+v, %v", v, err)
	}
	if v, err := p.CheckIn(ctx, client.Condition{CarrierPresent: true, Rooted: true}); err != nil || v.Usable || v.Clause != "HCA-6.1" {
		t.Errorf("rooted: %+v, %v", v, err)
	}
	if v, err := p.CheckIn(ctx, client.Condition{CarrierPresent: true}); err != nil || !v.Usable {
		t.Errorf("sound again: %+v, %v", v, err)
	}
	c, err := p.Catalogue(ctx)
	if err != nil || len(c.Apps) != 1 || c.Apps[0].Package != about.App || c.Minimum[0].Version != about.AppVersion {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := w.Registry.WriteNotices(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, devices.SafetyNotice{RiskZH: "風險", RiskEN: "Risks", AntivirusZH: "防毒",
		AntivirusEN: "Antivirus"}, 0); err != nil {
		t.Fatal(err)
	}
	n, err := p.Notices(ctx)
	if err != nil || n.Version != 1 || n.Risk["zh-Hant-TW"] != "風險" || n.Antivirus["en"] != "Antivirus" {
		t.Errorf("%+v, %v", n, err)
	}
	for want := 1; want <= 2; want++ {
		if starts, err := p.Acknowledge(ctx, n.Version, ""); err != nil || starts != want {
			t.Errorf("%d starts, %v", starts, err)
		}
	}
	trust, err := p.TrustList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a := w.Apply(t, person, device, ra.KeyApp, "")
	if err := p.Enrol(ctx, string(a.ID)); err != nil {
		t.Fatal(err)
	}
	w.Issue(t, a.ID)
	issued, err := p.Certificate(ctx, string(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(issued.PEM))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := trust.Verify(leaf, w.Now()); err != nil {
		t.Errorf("the window's own: %v", err)
	}
	if err := trust.Verify(leaf, w.Now().Add(25*time.Hour)); err == nil {
		t.Error("believed by a list that has ended")
	}
	if err := trust.Verify(w.Server.Certificate(), w.Now()); err == nil {
		t.Error("a certificate of another authority is believed")
	}
}

// HCA-7.3: a copied folder stands for a copied phone: as soon as both copies have checked in, neither is bound any more,
// and binding anew helps the one that does so.
func TestCopiedPhone(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	device := w.Device(t, "ER-01", w.Person(t, 1))
	p, dir := bound(t, w, device)
	ctx, sound := t.Context(), client.Condition{CarrierPresent: true, ScreenLock: true}
	if _, err := p.CheckIn(ctx, sound); err != nil {
		t.Fatal(err)
	}
	twin := t.TempDir()
	if err := os.CopyFS(twin, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	thief := open(t, w, twin)
	if _, err := thief.CheckIn(ctx, sound); err != nil {
		t.Fatalf("the copy alone cannot be told from the phone: %v", err)
	}
	if _, err := thief.CheckIn(ctx, sound); err != nil {
		t.Fatal(err)
	}
	var refusal *client.Refusal
	if _, err := p.CheckIn(ctx, sound); !errors.As(err, &refusal) || refusal.Code != "device-copied" || refusal.Clause != "HCA-7.3" {
		t.Errorf("the phone after its copy: %v", err)
	}
	for who, x := range map[string]*client.Phone{"phone": p, "copy": thief} {
		if _, err := x.Device(ctx); !errors.As(err, &refusal) || refusal.Code != "key-unknown" {
			t.Errorf("the %s goes on: %v", who, err)
		}
	}
	w.Pass(time.Second)
	again, _ := bound(t, w, device)
	if _, err := again.CheckIn(ctx, sound); err != nil {
		t.Errorf("bound anew: %v", err)
	}
}
