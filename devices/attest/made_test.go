package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// made is a certificate of our own making and its key.
type made struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// certify makes a certificate for a new key; an issuer that is the zero value makes it self-signed. change
// edits the template.
func certify(t testing.TB, issuer made, subject pkix.Name, change func(*x509.Certificate)) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), BasicConstraintsValid: true}
	if change != nil {
		change(template)
	}
	parent, signer := template, crypto.Signer(key)
	if issuer.cert != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made{cert, key}
}

func authority(c *x509.Certificate) { c.IsCA = true }

// tagged is a member of an authorization list: an explicit context tag around a value.
func tagged(t testing.TB, tag int, value any) asn1.RawValue {
	t.Helper()
	inner, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner}
}

// boot is what the boot loader told the secure environment.
func boot(t testing.TB, locked bool, state asn1.Enumerated) asn1.RawValue {
	t.Helper()
	return tagged(t, 704, struct {
		Key    []byte
		Locked bool
		State  asn1.Enumerated
		Hash   []byte
	}{make([]byte, 32), locked, state, make([]byte, 32)})
}

// unbooted is the hardware list of a key made in place, for signing only, which says nothing of the boot.
func unbooted(t testing.TB, more ...asn1.RawValue) []asn1.RawValue {
	purposes := asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: []byte{2, 1, 2}}
	return append([]asn1.RawValue{tagged(t, 1, purposes), tagged(t, 702, 0)}, more...)
}

// signingKey is that list on an unlocked device.
func signingKey(t testing.TB, more ...asn1.RawValue) []asn1.RawValue {
	return append(unbooted(t, more...), boot(t, false, 2))
}

// describe encodes a KeyDescription of a TEE.
func describe(t testing.TB, challenge string, software, hardware []asn1.RawValue) []byte {
	t.Helper()
	return describeAt(t, 1, 1, challenge, software, hardware)
}

// describeAt encodes a KeyDescription with these levels of attestation and of key store.
func describeAt(t testing.TB, level, keyMint asn1.Enumerated, challenge string, software, hardware []asn1.RawValue) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Version            int
		Level              asn1.Enumerated
		KeyMint            int
		KeyMintLevel       asn1.Enumerated
		Challenge, ID      []byte
		Software, Hardware []asn1.RawValue
	}{300, level, 300, keyMint, []byte(challenge), nil, software, hardware})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// attestation puts a KeyDescription into a certificate.
func attestation(der []byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidKeyDescription, Value: der})
	}
}

// phoneChain is a factory chain of our own root: root, intermediate, attestation key, attested key.
type phoneChain struct{ root, intermediate, batch, leaf made }

// fromFactory makes a chain whose intermediate is edited by change and whose leaf holds the description.
func fromFactory(t testing.TB, description []byte, change func(*x509.Certificate)) phoneChain {
	t.Helper()
	var c phoneChain
	c.root = certify(t, made{}, pkix.Name{SerialNumber: "f9"}, authority)
	c.intermediate = certify(t, c.root, pkix.Name{SerialNumber: "11"}, func(cert *x509.Certificate) {
		authority(cert)
		if change != nil {
			change(cert)
		}
	})
	c.batch = certify(t, c.intermediate, pkix.Name{SerialNumber: "22"}, nil)
	c.leaf = certify(t, c.batch, pkix.Name{CommonName: "Android Keystore Key"}, attestation(description))
	return c
}

func (c phoneChain) certs() []*x509.Certificate {
	return []*x509.Certificate{c.leaf.cert, c.batch.cert, c.intermediate.cert, c.root.cert}
}

// want is what the chain shows at noon.
func (c phoneChain) want(t testing.TB, challenge string) AndroidWant {
	t.Helper()
	list, err := json.Marshal([]string{pemOf(c.root.cert)})
	if err != nil {
		t.Fatal(err)
	}
	roots, err := ParseAndroidRoots(list)
	if err != nil {
		t.Fatal(err)
	}
	status, err := ParseAndroidStatus([]byte(`{"entries":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	return AndroidWant{Roots: roots, Status: status, Challenge: []byte(challenge), At: noon}
}

func pemOf(certs ...*x509.Certificate) string {
	var text []byte
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return string(text)
}

// mustRefuse fails unless the error is a refusal with this code.
func mustRefuse(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil {
		t.Errorf("accepted, want a refusal for %s", code)
	} else if !asRefusals(err).Has(code) {
		t.Errorf("refused for %v, want %s", err, code)
	}
}

// mustBe fails unless the error is a refusal with this code, or none where the code is empty.
func mustBe(t *testing.T, err error, code string) {
	t.Helper()
	if code != "" {
		mustRefuse(t, err, code)
	} else if err != nil {
		t.Error(err)
	}
}
