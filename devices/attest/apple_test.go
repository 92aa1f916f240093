package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// phone is one document of the corpora's YAML.
type phone struct {
	Type        string    `yaml:"type"`
	RawAtt      string    `yaml:"attestationBase64"`
	RawAss      string    `yaml:"assertionBase64"`
	RawHash     string    `yaml:"clientDataHashSha256Base64"`
	RawKeyID    string    `yaml:"keyIdBase64"`
	Bundle      string    `yaml:"bundleIdentifier"`
	Team        string    `yaml:"teamIdentifier"`
	PublicKey   string    `yaml:"publicKey"`
	Counter     uint32    `yaml:"counter"`
	Environment string    `yaml:"environment"`
	Timestamp   time.Time `yaml:"timestamp"`
}

// phones are the attestation and the assertion of a real phone.
func phones(t testing.TB) (attestation, assertion phone) {
	t.Helper()
	documents := yaml.NewDecoder(bytes.NewReader(read(t, corpora(t, "apple-app-attest", "ios-14.4.yaml"))))
	for {
		var p phone
		err := documents.Decode(&p)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch p.Type {
		case "attestation":
			attestation = p
		case "assertion":
			assertion = p
		}
	}
	return attestation, assertion
}

// appleWant is what the corpora's attestation shows at its own time.
func appleWant(t testing.TB, p phone) AppleWant {
	t.Helper()
	roots, err := AppleRoots()
	if err != nil {
		t.Fatal(err)
	}
	return AppleWant{Roots: roots, AppID: p.Team + "." + p.Bundle, KeyID: unbase64(t, p.RawKeyID),
		ClientDataHash: [32]byte(unbase64(t, p.RawHash)), Environment: AppleEnvironment(p.Environment), At: p.Timestamp}
}

// The embedded root is the one that Apple publishes.
func TestAppleRoot(t *testing.T) {
	roots, err := AppleRoots()
	if err != nil || len(roots) != 1 {
		t.Fatal(roots, err)
	}
	sum := sha256.Sum256(roots[0].Raw)
	if got := hex.EncodeToString(sum[:]); got != "1cb9823ba28ba6ad2d33a006941de2ae4f513ef1d4e831b9f7e0fa7b6242c932" {
		t.Errorf("the embedded root is %s", got)
	}
}

// HCA-6.1: a real phone's attestation and its assertion count.
func TestApplePhone(t *testing.T) {
	attestation, assertion := phones(t)
	key, err := VerifyApple(unbase64(t, attestation.RawAtt), appleWant(t, attestation))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(attestation.PublicKey))
	if !bytes.Equal(key.SPKI, block.Bytes) || key.Counter != 0 || len(key.Receipt) < 3000 {
		t.Errorf("key %x, counter %d, receipt of %d bytes", key.SPKI, key.Counter, len(key.Receipt))
	}
	counter, err := VerifyAppleAssertion(unbase64(t, assertion.RawAss), *key, [32]byte(unbase64(t, assertion.RawHash)))
	if err != nil || counter != assertion.Counter {
		t.Errorf("assertion: counter %d, %v", counter, err)
	}
}

func BenchmarkVerifyApple(b *testing.B) {
	phone, _ := phones(b)
	object, want := unbase64(b, phone.RawAtt), appleWant(b, phone)
	for b.Loop() {
		if _, err := VerifyApple(object, want); err != nil {
			b.Fatal(err)
		}
	}
}
