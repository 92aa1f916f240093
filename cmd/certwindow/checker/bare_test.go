package checker_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"certwindow/ra"
	"certwindow/ra/consent"
	"certwindow/ra/enrol"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-3.3, HCA-5.1.1: an enrolment whose card component gives a bare signature goes its whole way: the window's verifier
// takes it, the HCA issues on it, the checker believes it again from the database, and OpenSSL agrees.
func TestBareConsent(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, sim)
		c := h.onHSM
		var a ra.Application
		h.ok(t, h.Store.View(context.Background(), func(tx *store.Tx) (err error) {
			a, err = tx.Application("", c.ApplicationID)
			return err
		}))
		if !a.ConsentBare || a.State != ra.AppCompleted {
			t.Fatalf("bare %v, %s", a.ConsentBare, a.State)
		}
		for _, f := range h.check(t) {
			t.Errorf("%+v", f)
		}
		openssl(t, a)
	})
}

// bareSignature is what a component gives that makes no CMS.
func (h *house) bareSignature(t testing.TB, text []byte) enrol.Signature {
	t.Helper()
	sum := sha256.Sum256(text)
	value, err := h.hca.Card.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	h.ok(t, err)
	return enrol.Signature{Bare: &consent.Bare{Value: value, Certificate: h.hca.Card.Certificate.Raw}}
}

// openssl verifies the wrapped message, without the chain: the card's certificate is no e-mail signer's.
func openssl(t *testing.T, a ra.Application) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	file := filepath.Join(t.TempDir(), "consent.p7")
	if err := os.WriteFile(file, a.Consent, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "cms", "-verify", "-inform", "DER", "-in", file, "-noverify", "-binary").Output()
	if err != nil || string(out) != string(a.Text) {
		t.Errorf("openssl: %v, content equal %v", err, string(out) == string(a.Text))
	}
}
