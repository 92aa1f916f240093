package csr_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/csr"
)

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustMake(t testing.TB, key crypto.Signer, subject pkix.Name, challenge []byte) []byte {
	t.Helper()
	der, err := csr.Make(key, subject, challenge)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var holder = pkix.Name{Country: []string{"TW"}, CommonName: "陳小華", SerialNumber: "1234567890123456"}

// HCA-6.0: a request comes back with its key and its challenge.
func TestRoundTrip(t *testing.T) {
	challenge := bytes.Repeat([]byte{0xfb}, 32)
	for name, key := range map[string]crypto.Signer{"P-256": newKey(t, elliptic.P256()), "P-384": newKey(t, elliptic.P384()), "RSA-2048": newRSA(t, 2048)} {
		for _, ch := range [][]byte{challenge, {}, nil} {
			der := mustMake(t, key, holder, ch)
			r, err := csr.Parse(der)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			spki, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(r.SPKI, spki) || r.Challenge != csr.Challenge(ch) || !bytes.Equal(r.Raw, der) {
				t.Errorf("%s: challenge %q, want %q", name, r.Challenge, csr.Challenge(ch))
			}
			x, err := x509.ParseCertificateRequest(der)
			if err != nil || x.Subject.CommonName != holder.CommonName || x.Subject.SerialNumber != holder.SerialNumber {
				t.Errorf("%s: %v, %v", name, x.Subject, err)
			}
		}
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := csr.Make(edwards, holder, challenge); err == nil {
		t.Error("made with a key that is not supported")
	}
}

// What is not a request of ours, or proves nothing, is refused.
func TestRefused(t *testing.T) {
	good := mustMake(t, newKey(t, elliptic.P256()), holder, []byte("challenge"))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	standard := func(key crypto.Signer, a x509.SignatureAlgorithm) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: a}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, der := range map[string][]byte{
		"nothing":               nil,
		"cut":                   good[:len(good)-1],
		"bytes after the end":   append(bytes.Clone(good), 0),
		"too large":             bytes.Repeat([]byte{0x30}, csr.MaxSize+1),
		"signature changed":     flip(good, len(good)-1),
		"content changed":       flip(good, 40),
		"P-224":                 standard(newKey(t, elliptic.P224()), x509.ECDSAWithSHA256),
		"P-521":                 standard(newKey(t, elliptic.P521()), x509.ECDSAWithSHA512),
		"Ed25519":               standard(edwards, x509.PureEd25519),
		"PSS":                   standard(newRSA(t, 2048), x509.SHA256WithRSAPSS),
		"challenge twice":       withAttributes(t, challengeAttribute("a"), challengeAttribute("a")),
		"challenge, two values": withAttributes(t, challengeAttribute("a", "b")),
		"challenge, no value":   withAttributes(t, challengeAttribute()),
	} {
		if r, err := csr.Parse(der); err == nil {
			t.Errorf("%s: taken, challenge %q", name, r.Challenge)
		}
	}
	if r, err := csr.Parse(withAttributes(t, challengeAttribute("a"))); err != nil || r.Challenge != "a" {
		t.Errorf("one challenge: %v", err)
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// challengeAttribute is a challengePassword with these values.
func challengeAttribute(values ...string) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier([]int{1, 2, 840, 113549, 1, 9, 7})
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				for _, v := range values {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(v)) })
				}
			})
		})
	}
}

// withAttributes makes a properly signed request with attributes of any kind.
func withAttributes(t testing.TB, attributes ...func(*cryptobyte.Builder)) []byte {
	t.Helper()
	key := newKey(t, elliptic.P256())
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	var info cryptobyte.Builder
	info.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(*cryptobyte.Builder) {})
		b.AddBytes(spki)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			for _, a := range attributes {
				a(b)
			}
		})
	})
	tbs, err := info.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	h := crypto.SHA256.New()
	h.Write(tbs)
	sig, err := key.Sign(rand.Reader, h.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier([]int{1, 2, 840, 10045, 4, 3, 2}) })
		b.AddASN1BitString(sig)
	})
	der, err := out.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// openssl runs it where it is installed.
func openssl(t testing.TB, stdin []byte, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v: %s", args, err, out)
	}
	return string(out)
}

// A second opinion: OpenSSL verifies what we make and reads the same challenge; we read what OpenSSL makes.
func TestOpenSSL(t *testing.T) {
	for _, key := range []crypto.Signer{newKey(t, elliptic.P256()), newRSA(t, 2048)} {
		der := mustMake(t, key, holder, []byte("challenge"))
		out := openssl(t, der, "req", "-inform", "DER", "-verify", "-noout", "-text", "-nameopt", "utf8")
		for _, want := range []string{"verify OK", "challengePassword", csr.Challenge([]byte("challenge")), "1234567890123456", "陳小華"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "req.cnf")
	text := "[req]\nprompt = no\nstring_mask = utf8only\ndistinguished_name = dn\nattributes = attrs\n[dn]\nCN = x\n[attrs]\nchallengePassword = " + csr.Challenge([]byte("challenge")) + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "req.der")
	openssl(t, nil, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", filepath.Join(dir, "key.pem"), "-config", config,
		"-outform", "DER", "-out", file)
	der, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := csr.Parse(der); err != nil || r.Challenge != csr.Challenge([]byte("challenge")) {
		t.Errorf("%+v, %v", r, err)
	}
}

// Nothing that a phone sends makes the parser panic, and what it takes says what Go's own parser says.
func FuzzParse(f *testing.F) {
	key := newKey(f, elliptic.P256())
	for _, challenge := range [][]byte{nil, {}, []byte("challenge")} {
		f.Add(mustMake(f, key, holder, challenge))
	}
	f.Add(withAttributes(f, challengeAttribute("a"), challengeAttribute("b")))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := csr.Parse(der)
		if err != nil {
			return
		}
		x, err := x509.ParseCertificateRequest(der)
		if err != nil || x.CheckSignature() != nil || !bytes.Equal(x.RawSubjectPublicKeyInfo, r.SPKI) || !bytes.Equal(r.Raw, der) {
			t.Errorf("taken: %x", der)
		}
	})
}
