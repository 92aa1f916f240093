package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
)

var about = client.About{Platform: "android", Model: "reference phone", OSVersion: "16", App: "tw.example.app", AppVersion: "1.0.0"}

func open(t *testing.T, w *phonetest.Window, dir string) *client.Phone {
	t.Helper()
	p, err := client.Open(dir, about, w.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bound is a phone whose binding the clerk has confirmed.
func bound(t *testing.T, w *phonetest.Window, device ra.DeviceID) (*client.Phone, string) {
	t.Helper()
	dir := t.TempDir()
	p := open(t, w, dir)
	code, err := p.Bind(t.Context(), w.Offer(t, device))
	if err != nil {
		t.Fatal(err)
	}
	w.Confirm(t, device, code)
	if err := p.WaitBound(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, dir
}

func verify(t *testing.T, pemChain, document string, signature []byte) {
	t.Helper()
	block, _ := pem.Decode([]byte(pemChain))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(document))
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, digest[:], signature) {
			t.Error("the signature does not verify under the certificate")
		}
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature); err != nil {
			t.Error(err)
		}
	default:
		t.Fatalf("key %T", k)
	}
}

// signIn opens the account of a doctor and signs him in.
func signIn(t *testing.T, w *phonetest.Window, p *client.Phone, person ra.PersonID, account string) {
	t.Helper()
	w.Account(t, person, account)
	if _, err := p.Login(t.Context(), account, phonetest.Password); err != nil {
		t.Fatal(err)
	}
	p.ProveBy(phonetest.Password)
}

// From the QR to a signed document, with keys in the app (HCA-4.1, HCA-6.1, HCA-7.2), across restarts of the app.
func TestEnrolAndSign(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	first, dir := bound(t, w, device)
	signIn(t, w, first, person, "doctor")
	for _, algorithm := range []string{"P-256", "RSA-2048"} {
		t.Run(algorithm, func(t *testing.T) {
			a := w.Apply(t, person, device, ra.KeyApp, algorithm)
			p := open(t, w, dir)
			waiting, err := p.Applications(t.Context())
			if err != nil || len(waiting) != 1 || waiting[0].Application != string(a.ID) {
				t.Fatalf("waiting: %+v, %v", waiting, err)
			}
			if err := p.Enrol(t.Context(), string(a.ID)); err != nil {
				t.Fatal(err)
			}
			p = open(t, w, dir)
			if err := p.Enrol(t.Context(), string(a.ID)); err != nil {
				t.Errorf("handed in again after a lost answer: %v", err)
			}
			c := w.Issue(t, a.ID)
			issued, err := p.Certificate(t.Context(), string(a.ID))
			if err != nil || issued.Certificate != string(c.ID) {
				t.Fatalf("certificate: %+v, %v", issued, err)
			}
			p = open(t, w, dir)
			digest := sha256.Sum256([]byte("a record"))
			signature, err := p.SignDocumentHash(t.Context(), string(c.ID), digest[:])
			if err != nil {
				t.Fatal(err)
			}
			verify(t, issued.PEM, "a record", signature)

			w.SetState(t, c.ID, ra.CertSuspended) // HCA-7.2: no statement, no signature
			var no *client.Refusal
			if _, err := p.SignDocumentHash(t.Context(), string(c.ID), digest[:]); !errors.As(err, &no) || no.Clause != "HCA-7.2" {
				t.Errorf("a suspended certificate: %v, want HCA-7.2", err)
			}
		})
	}
}

// HCA-6.3.5: a key that the HSM made and keeps.
func TestSignWithHSM(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{HSM: true})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	p, dir := bound(t, w, device)
	signIn(t, w, p, person, "doctor")
	a := w.Apply(t, person, device, ra.KeyHSM, "P-256")
	if err := p.Enrol(t.Context(), string(a.ID)); err == nil {
		t.Fatal("a secret without a lock")
	}
	p.SetPassword("correct horse")
	for range 2 { // the second time after a lost answer
		if err := p.Enrol(t.Context(), string(a.ID)); err != nil {
			t.Fatal(err)
		}
	}
	c := w.Issue(t, a.ID)
	issued, err := p.Certificate(t.Context(), string(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a record"))
	signature, err := p.SignWithHSM(t.Context(), string(c.ID), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	verify(t, issued.PEM, "a record", signature)
	p = open(t, w, dir)
	p.ProveBy(phonetest.Password)
	p.SetPassword("wrong horse")
	if _, err := p.SignWithHSM(t.Context(), string(c.ID), digest[:]); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("with a wrong password: %v", err)
	}
	p.SetPassword("correct horse")

	w.SetState(t, c.ID, ra.CertRevoking)
	var no *client.Refusal
	if _, err := p.SignWithHSM(t.Context(), string(c.ID), digest[:]); !errors.As(err, &no) || no.Clause != "HCA-7.2" {
		t.Errorf("a revoked certificate: %v, want HCA-7.2", err)
	}
}

// A phone talks to the key that the QR named, whatever answers at the address.
func TestAnotherServerIsRefused(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	device := w.Device(t, "ER-01", w.Person(t, 1))
	qr, err := devices.ParseBindText(w.Offer(t, device))
	if err != nil {
		t.Fatal(err)
	}
	qr.Pin = strings.Repeat("0", 64)
	if _, err := open(t, w, t.TempDir()).Bind(t.Context(), qr.String()); err == nil || !strings.Contains(err.Error(), "this is not the window") {
		t.Errorf("a server with another key: %v", err)
	}
	other := httptest.NewTLSServer(w.Server.Config.Handler)
	defer other.Close()
	qr.Server, qr.Pin = "https://localhost"+other.URL[strings.LastIndexByte(other.URL, ':'):], w.Pin()
	if _, err := open(t, w, t.TempDir()).Bind(t.Context(), qr.String()); err == nil || !strings.Contains(err.Error(), "certificate is valid for") {
		t.Errorf("the pinned key under a name that its certificate does not have: %v", err)
	}
}

// HCA-8.1.3: the phone that photographed the QR shows other digits, and what the clerk then confirms is not bound.
func TestPhotographedQR(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	device := w.Device(t, "ER-01", w.Person(t, 1))
	qr := w.Offer(t, device)
	thief, err := open(t, w, t.TempDir()).Bind(t.Context(), qr)
	if err != nil {
		t.Fatal(err)
	}
	var no *client.Refusal
	if _, err := open(t, w, t.TempDir()).Bind(t.Context(), qr); !errors.As(err, &no) || no.Clause != "HCA-8.1.4" {
		t.Errorf("the second phone with the same code: %v, want HCA-8.1.4", err)
	}
	text, _ := devices.ParseBindText(qr)
	if other := devices.ShortCode(text.Code, text.WindowKeys, []byte("the doctor's own key")); other == thief {
		t.Error("two keys show the same short code")
	}
}

// Keys are readable by their owner alone, and a phone that was never bound asks nobody.
func TestFolder(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	device := w.Device(t, "ER-01", w.Person(t, 1))
	_, dir := bound(t, w, device)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	if _, err := open(t, w, t.TempDir()).Device(context.Background()); err == nil {
		t.Error("a phone that is not bound got an answer")
	}
}
