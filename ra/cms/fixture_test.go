package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var at = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// identity is a key, its certificate, and both as PEM files for openssl.
type identity struct {
	key  crypto.Signer
	cert []byte
}

func newIdentity(tb testing.TB, key crypto.Signer, serial int64) identity {
	tb.Helper()
	return identity{key, newIdentityFor(tb, key.Public(), key, serial)}
}

// newIdentityFor makes a certificate for a public key, signed by any key.
func newIdentityFor(tb testing.TB, pub crypto.PublicKey, signer crypto.Signer, serial int64) []byte {
	tb.Helper()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "王小明"},
		NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, pub, signer)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

var rsaIdentity = sync.OnceValue(func() identity { return mustIdentity(77)(rsa.GenerateKey(rand.Reader, 2048)) })
var p256Identity = sync.OnceValue(func() identity { return mustIdentity(78)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
var p384Identity = sync.OnceValue(func() identity { return mustIdentity(79)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })

// mustIdentity takes what a key generator returns.
func mustIdentity(serial int64) func(crypto.Signer, error) identity {
	return func(key crypto.Signer, err error) identity {
		if err != nil {
			panic(err)
		}
		return newIdentity(&testing.B{}, key, serial)
	}
}

// files writes certificate and key for openssl.
func (id identity) files(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.cert}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return cert, key
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// openssl runs the second opinion. It is part of what a developer's machine has to have.
func openssl(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is needed")
		}
		t.Skip("no openssl: the second opinion is skipped")
	}
	return exec.Command("openssl", args...).CombinedOutput()
}

// wantReason fails unless err is a refusal for the reason.
func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal for %q", err, reason)
	}
	if e.Reason != reason {
		t.Fatalf("refused for %q (%v), want %q", e.Reason, e, reason)
	}
}

// corpora finds test material that others made. Without it a test skips, but fails where CI is set.
func corpora(t testing.TB, folder string) string {
	t.Helper()
	dir := findCorpora(folder)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the corpora are missing: %v", err)
		}
		t.Skipf("skipped without the corpora: %v", err)
	}
	return dir
}

// findCorpora is where a folder of them would be.
func findCorpora(folder string) string {
	dir := os.Getenv("CERTWINDOW_CORPORA")
	if dir == "" {
		root, _ := os.Getwd()
		for root != filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared", "corpora")
	}
	return filepath.Join(dir, folder)
}
