package evidence

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"certwindow/devices/attest/attesttest"
	"certwindow/ra"
	"certwindow/ra/csr"
)

// HCA-6.0, HCA-6.1: what the evidence calls proved is judged again, of the request's own key and challenge; without roots it
// is shown and not judged, and an invented proof is refused.
func TestKeyIsJudgedAgain(t *testing.T) {
	at := time.Now().UTC()
	vendor := attesttest.New(t, at)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	challenge := make([]byte, 32)
	request, err := csr.Make(key, pkix.Name{}, challenge)
	if err != nil {
		t.Fatal(err)
	}
	other, err := csr.Make(key, pkix.Name{}, []byte("another application's challenge!"))
	if err != nil {
		t.Fatal(err)
	}
	file := func(f keyFile) []byte {
		raw, err := json.Marshal(map[string]any{"kind": f.Kind, "made_at": f.MadeAt, "attested": f.Attested, "proof": f.Proof, "package": f.Package, "digests": f.Digests})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	proved := keyFile{Kind: "proved", MadeAt: at, Attested: &ra.Attested{Format: ra.AttestChip}, Proof: vendor.Chip(t, key.Public(), challenge)}
	trust, stranger := vendor.Trust(t), attesttest.New(t, at).Trust(t)
	if k, err := checkKey(file(proved), request, trust.Judge); err != nil || !k.Judged || k.Tie != "proved" {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := checkKey(file(proved), request, nil); err != nil || k.Judged {
		t.Errorf("without roots: %+v, %v", k, err)
	}
	if k, err := checkKey(file(keyFile{Kind: "declared", MadeAt: at}), request, trust.Judge); err != nil || k.Judged || k.Tie != "declared" {
		t.Errorf("declared: %+v, %v", k, err)
	}
	invented := proved
	invented.Proof = nil
	for what, err := range map[string]error{
		"for another application": second(checkKey(file(proved), other, trust.Judge)),
		"of another maker":        second(checkKey(file(proved), request, stranger.Judge)),
		"without its proof":       second(checkKey(file(invented), request, trust.Judge)),
	} {
		var e *Error
		if !errors.As(err, &e) || e.Reason != ReasonKey {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[A any](_ A, err error) error { return err }
