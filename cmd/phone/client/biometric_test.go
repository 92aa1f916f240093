package client_test

import (
	"crypto/sha256"
	"errors"
	"testing"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/policy"
	"certwindow/ra"
)

// HCA-8.2.8, HCA-6.3.5: a finger releases what the holder was shown and nothing else: its signature for one release is
// worth nothing with other activation data, whoever has the device's key. Each release works once.
func TestBiometricReleasesOneActivation(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{HSM: true})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	p, _ := bound(t, w, device)
	signIn(t, w, p, person, "doctor")
	p.SetPassword("correct horse")
	a := w.Apply(t, person, device, ra.KeyHSM, "P-256")
	if err := p.Enrol(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	c := w.Issue(t, a.ID)
	issued, err := p.Certificate(t.Context(), string(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	p.ProveByBiometric()
	digest := sha256.Sum256([]byte("a record"))
	if _, err := p.SignWithHSM(t.Context(), string(c.ID), digest[:]); err == nil {
		t.Error("signed by a finger that is not registered")
	}
	if err := p.RegisterBiometric(t.Context(), "doctor", "iris"); err == nil {
		t.Error("a kind that the institution does not accept is registered")
	}
	if err := p.RegisterBiometric(t.Context(), "doctor", "fingerprint"); err != nil {
		t.Fatal(err)
	}
	signature, err := p.SignWithHSM(t.Context(), string(c.ID), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	verify(t, issued.PEM, "a record", signature)

	// The app was taken over after the finger: it has the device's key and the finger's last signature.
	var kept client.Factor
	spy := p.Proof()
	p.SetFactor(policy.FactorBiometric, func(activation string) (f client.Factor, err error) {
		kept, err = spy(activation)
		return kept, err
	})
	if _, err := p.SignWithHSM(t.Context(), string(c.ID), digest[:]); err != nil {
		t.Fatal(err)
	}
	p.SetFactor(policy.FactorBiometric, func(string) (client.Factor, error) { return kept, nil })
	other := sha256.Sum256([]byte("another record"))
	for what, d := range map[string][32]byte{"another hash": other, "the same hash again": digest} {
		var no *client.Refusal
		if _, err := p.SignWithHSM(t.Context(), string(c.ID), d[:]); !errors.As(err, &no) || no.Code != "biometric-wrong" || no.Clause != "HCA-8.2.8" {
			t.Errorf("%s: %v, want biometric-wrong", what, err)
		}
	}
}
