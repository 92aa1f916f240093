package api_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/devices/attest/attesttest"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
)

// iosApp is an approved app of iPhones; its id at Apple is what phonetest approves it by.
var iosApp = devices.App{Platform: ra.PlatformIOS, Package: "tw.example.ios", Version: "1.0.0"}

const iosID = "ABCDE12345.tw.example.ios"

// clinic is a window that judges one vendor's attestations, with a doctor's device of either platform.
type clinic struct {
	*phonetest.Window
	t       *testing.T
	person  ra.PersonID
	devices map[ra.Platform]ra.DeviceID
	judge   *judge
}

func newClinic(t *testing.T, vendor *attesttest.Vendor) *clinic {
	t.Helper()
	j := &judge{vendor.Trust(t), false}
	j.Verified = true
	w := phonetest.New(t, phonetest.Options{Attestor: j})
	w.Approve(t, iosApp)
	c := &clinic{Window: w, t: t, person: w.Person(t, 1), devices: map[ra.Platform]ra.DeviceID{}, judge: j}
	for _, platform := range []ra.Platform{ra.PlatformAndroid, ra.PlatformIOS} {
		id, err := w.Registry.RegisterDevice(t.Context(), phonetest.Clerk, devices.NewDevice{Code: "ER-" + string(platform), Institution: phonetest.Code,
			Platform: platform, Model: "phone", Users: []ra.PersonID{c.person}})
		if err != nil {
			t.Fatal(err)
		}
		c.devices[platform] = id
	}
	w.Account(t, c.person, "doctor")
	return c
}

// maker attests a key for a challenge.
type maker func(public crypto.PublicKey, challenge []byte) *ra.Attestation

// present has a new phone scan a new QR and present its key with what a maker says of it.
func (c *clinic) present(platform ra.Platform, attested maker) (*phone, answer) {
	c.t.Helper()
	c.Pass(time.Second)
	p := newPhone(c.t, c.Window)
	body := p.presentation(c.Offer(c.t, c.devices[platform]))
	if platform == ra.PlatformIOS {
		body["platform"], body["app"] = "ios", iosApp.Package
	}
	if attested != nil {
		body["attestation"] = doc(c.t, attested(p.key.Public(), devices.BindingChallenge(body["code"].(string))))
	}
	return p, p.post("/bindings", text(c.t, body), "")
}

// bound is a phone that the counter has confirmed, and its approved app has checked in.
func (c *clinic) bound(platform ra.Platform, attested maker) *phone {
	c.t.Helper()
	p, got := c.present(platform, attested)
	if got.status != 201 {
		c.t.Fatalf("%d %s", got.status, got.body)
	}
	var b bindingDoc
	got.into(c.t, &b)
	c.Confirm(c.t, c.devices[platform], b.ShortCode)
	p.certify()
	return p
}

// submit makes a holder's key and hands its request in with what a maker says of the key.
func (c *clinic) submit(p *phone, a ra.Application, attested maker) answer {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := csr.Make(key, pkix.Name{}, a.Challenge)
	if err != nil {
		c.t.Fatal(err)
	}
	body := map[string]any{"csr": der, "signature": p.countersign(a.Consent, der), "attestation": attested(key.Public(), a.Challenge)}
	return p.post("/applications/"+string(a.ID)+"/request", text(c.t, body), nonce())
}

// refusedKey is an attestation that proves something else than it should.
type refusedKey struct {
	name, code, clause string
	make               maker
}

// everywhere holds each of them to its refusal at the binding and for a holder's key: nothing is bound, no request is taken,
// and the next honest one is.
func (c *clinic) everywhere(platform ra.Platform, honest maker, refused []refusedKey) {
	t := c.t
	for _, r := range refused {
		_, got := c.present(platform, r.make)
		want(t, r.name+", at the binding", got, 422, "attestation-"+r.code, r.clause)
	}
	p := c.bound(platform, honest)
	p.signIn("doctor")
	a := c.Apply(t, c.person, c.devices[platform], ra.KeyApp, "")
	for _, r := range refused {
		want(t, r.name+", for a holder's key", c.submit(p, a, r.make), 422, "attestation-"+r.code, r.clause)
	}
	if got := c.submit(p, a, honest); got.status != 202 {
		t.Errorf("the honest one after them: %d %s", got.status, got.body)
	}
	stored, err := c.Enrol.Application(t.Context(), phonetest.Clerk, a.ID)
	if k := enrol.ReadKeyProof(stored); err != nil || k.Kind != "proved" || k.Attested == nil {
		t.Errorf("%+v, %v", k, err)
	}
}

// HCA-6.0, HCA-6.1: what Android says of a key counts for this challenge and key, from this app alone, of a secure
// environment on a locked phone with its maker's system, under the vendor's present list.
func TestAndroidAttestationsRefused(t *testing.T) {
	at := time.Now().UTC()
	vendor, leaked, stranger := attesttest.New(t, at), attesttest.New(t, at), attesttest.New(t, at)
	android := func(v *attesttest.Vendor, change func(*attesttest.Key)) maker {
		k := ours
		change(&k)
		return func(public crypto.PublicKey, challenge []byte) *ra.Attestation {
			return v.Android(t, public, challenge, k)
		}
	}
	honest := android(vendor, func(*attesttest.Key) {})
	old := honest(freshKey(t), make([]byte, 32))
	refused := []refusedKey{
		{"another challenge", "challenge", "HCA-6.0", func(public crypto.PublicKey, _ []byte) *ra.Attestation {
			return vendor.Android(t, public, make([]byte, 32), ours)
		}},
		{"another key", "key", "HCA-6.1", func(_ crypto.PublicKey, challenge []byte) *ra.Attestation {
			return vendor.Android(t, freshKey(t), challenge, ours)
		}},
		{"one that was sent before", "challenge", "HCA-6.0", func(crypto.PublicKey, []byte) *ra.Attestation { return old }},
		{"another app", "application", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Package = "tw.other" })},
		{"another signer", "application", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Digest = []byte(strings.Repeat("x", 32)) })},
		{"software", "security-level", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Software = true })},
		{"imported", "origin", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Imported = true })},
		{"for every app", "all-applications", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Everyone = true })},
		{"an unlocked boot loader", "verified-boot", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Unlocked = true })},
		{"another system", "verified-boot", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Altered = true })},
		{"a chain that is too long", "chain", "HCA-6.1", android(vendor, func(k *attesttest.Key) { k.Longer = true })},
		{"another vendor", "unknown-root", "HCA-6.1", android(stranger, func(*attesttest.Key) {})},
	}
	newClinic(t, vendor).everywhere(ra.PlatformAndroid, honest, refused)

	c := newClinic(t, leaked)
	p := c.bound(ra.PlatformAndroid, android(leaked, func(*attesttest.Key) {}))
	a := c.Apply(t, c.person, c.devices[ra.PlatformAndroid], ra.KeyApp, "")
	leaked.Revoke()
	c.judge.Status = leaked.Trust(t).Status
	want(t, "an attestation key on the vendor's list", c.submit(p, a, android(leaked, func(*attesttest.Key) {})), 422, "attestation-revoked", "HCA-6.1")
	_, got := c.present(ra.PlatformAndroid, android(leaked, func(*attesttest.Key) {}))
	want(t, "the same, at the binding", got, 422, "attestation-revoked", "HCA-6.1")

	vendor.Renew(t) // the phones hold the root's former certificate: its key counts
	if _, got := newClinic(t, vendor).present(ra.PlatformAndroid, honest); got.status != 201 {
		t.Errorf("under the root's next certificate: %d %s", got.status, got.body)
	}
}

// HCA-6.0, HCA-6.1: what Apple says of an app counts for this challenge and key, of the approved app alone, as it is
// distributed, with a fresh key of its own.
func TestAppleAttestationsRefused(t *testing.T) {
	at := time.Now().UTC()
	vendor, stranger := attesttest.New(t, at), attesttest.New(t, at)
	apple := func(v *attesttest.Vendor, app attesttest.App) maker {
		if app.ID == "" {
			app.ID = iosID
		}
		return func(public crypto.PublicKey, challenge []byte) *ra.Attestation {
			return v.Apple(t, ra.ClientData(challenge, spkiOf(t, public)), app)
		}
	}
	honest := apple(vendor, attesttest.App{Category: 4})
	old := honest(freshKey(t), make([]byte, 32))
	refused := []refusedKey{
		{"another challenge", "challenge", "HCA-6.0", func(public crypto.PublicKey, _ []byte) *ra.Attestation {
			return honest(public, make([]byte, 32))
		}},
		{"another key", "challenge", "HCA-6.0", func(_ crypto.PublicKey, challenge []byte) *ra.Attestation { return honest(freshKey(t), challenge) }},
		{"the challenge without the key", "challenge", "HCA-6.0", func(_ crypto.PublicKey, challenge []byte) *ra.Attestation {
			return vendor.Apple(t, [32]byte(challenge), attesttest.App{ID: iosID})
		}},
		{"one that was sent before", "challenge", "HCA-6.0", func(crypto.PublicKey, []byte) *ra.Attestation { return old }},
		{"another app", "application", "HCA-6.1", apple(vendor, attesttest.App{ID: "ABCDE12345.tw.other"})},
		{"another team", "application", "HCA-6.1", apple(vendor, attesttest.App{ID: "ZZZZZ12345.tw.example.ios"})},
		{"the development environment", "environment", "HCA-6.1", apple(vendor, attesttest.App{Development: true})},
		{"a developer's own build", "environment", "HCA-6.1", apple(vendor, attesttest.App{Category: 3})},
		{"a used key", "counter", "HCA-6.1", apple(vendor, attesttest.App{Counter: 1})},
		{"another key id", "key", "HCA-6.1", apple(vendor, attesttest.App{NamedKey: make([]byte, 32)})},
		{"another root", "chain", "HCA-6.1", apple(stranger, attesttest.App{})},
	}
	newClinic(t, vendor).everywhere(ra.PlatformIOS, honest, refused)

	c := newClinic(t, vendor)
	c.bound(ra.PlatformIOS, apple(vendor, attesttest.App{})) // a system before iOS 27
	_, got := c.present(ra.PlatformIOS, func(public crypto.PublicKey, challenge []byte) *ra.Attestation {
		return vendor.Android(t, public, challenge, ours)
	})
	want(t, "Android's word for an iPhone", got, 422, "attestation-of-other-platform", "HCA-6.1")
	c.Pass(25 * time.Hour)
	_, got = c.present(ra.PlatformIOS, honest)
	want(t, "after its certificates", got, 422, "attestation-dates", "HCA-6.1")
}

func spkiOf(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
