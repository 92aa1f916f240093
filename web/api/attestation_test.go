package api_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/json"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/devices/attest"
	"certwindow/devices/attest/attesttest"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
)

// judge is a window's attestor that knows one vendor.
type judge struct {
	*attest.Trust
	required bool
}

func (j judge) Setting(ra.Platform) policy.KeySetting {
	return policy.KeySetting{Designs: []string{"app", "chip", "hsm"}, AllowDeclared: !j.required}
}

// doc is an attestation as the contract writes it.
func doc(t *testing.T, a *ra.Attestation) (out map[string]any) {
	t.Helper()
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func freshKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

// ours is the approved app's own key in a secure environment.
var ours = attesttest.Key{Package: "tw.example.app", Digest: make([]byte, 32)}

// HCA-6.0, HCA-6.1: a device key is attested for the code of its own QR, by the approved app, in a secure environment; what
// proves anything else is refused whether an attestation was needed or not, and one is needed where the window says so.
func TestDeviceKeyIsAttested(t *testing.T) {
	at := time.Now().UTC()
	vendor, stranger := attesttest.New(t, at), attesttest.New(t, at)
	for name, c := range map[string]struct {
		required     bool
		make         func(p *phone, challenge []byte) *ra.Attestation
		code, clause string
		tie          string
	}{
		"proved":                {true, func(p *phone, c []byte) *ra.Attestation { return vendor.Android(t, p.key.Public(), c, ours) }, "", "", "proved"},
		"none, and none needed": {false, nil, "", "", "declared"},
		"none":                  {true, nil, "device-key-not-attested", "HCA-6.1", ""},
		"for another QR": {false, func(p *phone, c []byte) *ra.Attestation {
			return vendor.Android(t, p.key.Public(), devices.BindingChallenge("x"), ours)
		}, "attestation-challenge", "HCA-6.0", ""},
		"of another key": {false, func(p *phone, c []byte) *ra.Attestation { return vendor.Android(t, freshKey(t), c, ours) }, "attestation-key", "HCA-6.1", ""},
		"of another app": {false, func(p *phone, c []byte) *ra.Attestation {
			return vendor.Android(t, p.key.Public(), c, attesttest.Key{Package: "tw.other", Digest: make([]byte, 32)})
		}, "attestation-application", "HCA-6.1", ""},
		"signed by another": {false, func(p *phone, c []byte) *ra.Attestation {
			return vendor.Android(t, p.key.Public(), c, attesttest.Key{Package: ours.Package, Digest: []byte("other")})
		}, "attestation-application", "HCA-6.1", ""},
		"by software": {false, func(p *phone, c []byte) *ra.Attestation {
			return vendor.Android(t, p.key.Public(), c, attesttest.Key{Package: ours.Package, Digest: ours.Digest, Software: true})
		}, "attestation-security-level", "HCA-6.1", ""},
		"of a key that was imported": {false, func(p *phone, c []byte) *ra.Attestation {
			return vendor.Android(t, p.key.Public(), c, attesttest.Key{Package: ours.Package, Digest: ours.Digest, Imported: true})
		}, "attestation-origin", "HCA-6.1", ""},
		"of a vendor nobody knows": {false, func(p *phone, c []byte) *ra.Attestation { return stranger.Android(t, p.key.Public(), c, ours) }, "attestation-unknown-root", "HCA-6.1", ""},
		"by a chip":                {false, func(p *phone, c []byte) *ra.Attestation { return vendor.Chip(t, p.key.Public(), c) }, "attestation-of-other-platform", "HCA-6.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := phonetest.New(t, phonetest.Options{Attestor: judge{vendor.Trust(t), c.required}})
			device := w.Device(t, "ER-01", w.Person(t, 1))
			p := newPhone(t, w)
			qr := w.Offer(t, device)
			code, err := devices.ParseBindText(qr)
			if err != nil {
				t.Fatal(err)
			}
			body := p.presentation(qr)
			if c.make != nil {
				body["attestation"] = doc(t, c.make(p, devices.BindingChallenge(code.Code)))
			}
			got := p.post("/bindings", text(t, body), "")
			if c.code != "" {
				want(t, name, got, 422, c.code, c.clause)
				return
			}
			if got.status != 201 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			b, _, err := w.Registry.Binding(t.Context(), phonetest.Clerk, device)
			if err != nil {
				t.Fatal(err)
			}
			k := b.Key()
			if k.Tie != c.tie || c.tie == "proved" && (k.Attested.Level != "tee" || k.Attested.OSPatch != "202611" || k.Attested.App != ours.Package || k.Proof == nil) {
				t.Errorf("%+v %+v", k, k.Attested)
			}
		})
	}
}

// HCA-3.5, HCA-6.0, HCA-6.1, HCA-6.2: a holder's key is attested for the application's challenge, by the app or by a listed chip as
// was applied for; the evidence says proved or declared.
func TestHoldersKeyIsAttested(t *testing.T) {
	at := time.Now().UTC()
	vendor, stranger := attesttest.New(t, at), attesttest.New(t, at)
	android := func(v *attesttest.Vendor, k attesttest.Key) func(crypto.PublicKey, []byte) *ra.Attestation {
		return func(pub crypto.PublicKey, challenge []byte) *ra.Attestation { return v.Android(t, pub, challenge, k) }
	}
	chip := func(v *attesttest.Vendor) func(crypto.PublicKey, []byte) *ra.Attestation {
		return func(pub crypto.PublicKey, challenge []byte) *ra.Attestation { return v.Chip(t, pub, challenge) }
	}
	for name, c := range map[string]struct {
		design       ra.KeyDesign
		required     bool
		make         func(crypto.PublicKey, []byte) *ra.Attestation
		code, clause string
		tie          string
	}{
		"app, proved":   {ra.KeyApp, true, android(vendor, ours), "", "", "proved"},
		"app, declared": {ra.KeyApp, false, nil, "", "", "declared"},
		"app, none":     {ra.KeyApp, true, nil, "app-not-attested", "HCA-6.1", ""},
		"app, for another": {ra.KeyApp, false, func(pub crypto.PublicKey, _ []byte) *ra.Attestation {
			return vendor.Android(t, pub, make([]byte, 32), ours)
		}, "attestation-challenge", "HCA-6.0", ""},
		"app, of another key": {ra.KeyApp, false, func(_ crypto.PublicKey, ch []byte) *ra.Attestation {
			return vendor.Android(t, freshKey(t), ch, ours)
		}, "attestation-key", "HCA-6.1", ""},
		"app, of another vendor":   {ra.KeyApp, false, android(stranger, ours), "attestation-unknown-root", "HCA-6.1", ""},
		"app, by a chip":           {ra.KeyApp, false, chip(vendor), "attestation-of-other-design", "HCA-6.0", ""},
		"chip, proved":             {ra.KeyChip, true, chip(vendor), "", "", "proved"},
		"chip, none":               {ra.KeyChip, false, nil, "chip-not-proved", "HCA-6.2", ""},
		"chip, by the phone alone": {ra.KeyChip, false, android(vendor, ours), "attestation-of-other-design", "HCA-6.0", ""},
		"chip, not listed":         {ra.KeyChip, false, chip(stranger), "attestation-chain", "HCA-6.2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{vendor.Trust(t), false}
			w, p, person, device := bound(t, phonetest.Options{Attestor: j})
			j.required = c.required
			a := w.Apply(t, person, device, c.design, "")
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			der, err := csr.Make(key, pkix.Name{}, a.Challenge)
			if err != nil {
				t.Fatal(err)
			}
			body := map[string]any{"csr": der, "signature": p.countersign(a.Consent, der)}
			if c.make != nil {
				body["attestation"] = c.make(key.Public(), a.Challenge)
			}
			got := p.post("/applications/"+string(a.ID)+"/request", text(t, body), nonce())
			stored, err := w.Enrol.Application(t.Context(), phonetest.Clerk, a.ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.code != "" {
				want(t, name, got, 422, c.code, c.clause)
				if stored.State != ra.AppAwaitingKey {
					t.Errorf("it is %s", stored.State)
				}
				return
			}
			k := enrol.ReadKeyProof(stored)
			if got.status != 202 || k.Kind != c.tie || (c.tie == "proved") != (k.Attested != nil) || c.tie == "proved" && !bytes.Contains(stored.KeyProof, []byte(`"proof"`)) {
				t.Errorf("%d %s: %+v", got.status, got.body, k)
			}
		})
	}
}
