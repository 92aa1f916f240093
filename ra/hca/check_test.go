package hca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"

	"certwindow/ra/hca"
)

// directory encodes subjectDirectoryAttributes with the given subject types.
func directory(t *testing.T, types ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.ObjectIdentifier `asn1:"set"`
	}
	der, err := asn1.Marshal([]attribute{{hca.OIDSubjectType, types}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: hca.OIDSubjectDirectoryAttributes, Value: der}
}

// issuer is a CA that signs whatever a test wants.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newIssuer(t *testing.T, now time.Time, keyID byte) issuer {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Country: []string{"TW"}, Organization: []string{"行政院"}}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(9 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{keyID, 1, 2, 3},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{cert, key}
}

// HCA-3.3: what comes back is held against what was asked for, in each way that it can differ.
func TestCheckCertificate(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	ca, namesake, key := newIssuer(t, now, 1), newIssuer(t, now, 1), newKey(t)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	policy := asn1.ObjectIdentifier{2, 16, 886, 101, 0, 3, 3}
	for _, c := range []struct {
		name   string
		want   hca.MismatchReason
		change func(tmpl *x509.Certificate, f *hca.Facts, by *issuer, pub **ecdsa.PublicKey)
	}{
		{"fits", "", func(*x509.Certificate, *hca.Facts, *issuer, **ecdsa.PublicKey) {}},
		{"non-repudiation too", "", func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.KeyUsage |= x509.KeyUsageContentCommitment
		}},
		{"begins in a minute", "", func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.NotBefore = now.Add(time.Minute)
		}},
		{"other key", hca.MismatchKey, func(_ *x509.Certificate, _ *hca.Facts, _ *issuer, p **ecdsa.PublicKey) { *p = &newKey(t).PublicKey }},
		{"other holder", hca.MismatchHolder, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) { c.Subject.SerialNumber = "12" }},
		{"two holders", hca.MismatchHolder, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "1234"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "12"}}
		}},
		{"facts without holder", hca.MismatchHolder, func(_ *x509.Certificate, f *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) { f.Holder = "" }},
		{"other name", hca.MismatchName, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.Subject.CommonName = "陳小花"
		}},
		{"other CA of the same name and key identifier", hca.MismatchIssuer, func(_ *x509.Certificate, _ *hca.Facts, by *issuer, _ **ecdsa.PublicKey) { *by = namesake }},
		{"no issuer pinned", hca.MismatchIssuer, func(_ *x509.Certificate, f *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) { f.Issuers = nil }},
		{"a CA", hca.MismatchProfile, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.IsCA, c.BasicConstraintsValid = true, true
		}},
		{"encryption", hca.MismatchProfile, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.KeyUsage = x509.KeyUsageKeyEncipherment
		}},
		{"also encryption", hca.MismatchProfile, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.KeyUsage |= x509.KeyUsageKeyEncipherment
		}},
		{"no key usage", hca.MismatchProfile, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) { c.KeyUsage = 0 }},
		{"OCSP responder", hca.MismatchProfile, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		}},
		{"unknown critical extension", hca.MismatchProfile, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 999, 1}, Critical: true, Value: asn1.NullBytes})
		}},
		{"policy missing", hca.MismatchProfile, func(_ *x509.Certificate, f *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			f.Policies = []asn1.ObjectIdentifier{policy}
		}},
		{"institution", hca.MismatchSubjectType, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.ExtraExtensions = []pkix.Extension{directory(t, hca.OIDInstitution)}
		}},
		{"both types", hca.MismatchSubjectType, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.ExtraExtensions = []pkix.Extension{directory(t, hca.OIDPersonnel, hca.OIDInstitution)}
		}},
		{"no type", hca.MismatchSubjectType, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) { c.ExtraExtensions = nil }},
		{"begins in an hour", hca.MismatchValidity, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.NotBefore = now.Add(time.Hour)
		}},
		{"ended", hca.MismatchValidity, func(c *x509.Certificate, _ *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) {
			c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(-time.Second)
		}},
		{"too long", hca.MismatchValidity, func(_ *x509.Certificate, f *hca.Facts, _ *issuer, _ **ecdsa.PublicKey) { f.MaxValidity = time.Hour }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl := &x509.Certificate{
				SerialNumber: big.NewInt(77), Subject: pkix.Name{Country: []string{"TW"}, CommonName: "陳小華", SerialNumber: "1234"},
				NotBefore: now, NotAfter: now.Add(2 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
				ExtraExtensions: []pkix.Extension{directory(t, hca.OIDPersonnel)},
			}
			f := hca.Facts{SPKI: spki, Holder: "1234", Name: "陳小華", Issuers: [][]byte{ca.cert.Raw}, Now: now}
			by, pub := ca, &key.PublicKey
			c.change(tmpl, &f, &by, &pub)
			der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, pub, by.key)
			if err != nil {
				t.Fatal(err)
			}
			wantMismatch(t, hca.CheckCertificate(der, f), c.want)
		})
	}
	wantMismatch(t, hca.CheckCertificate(nil, hca.Facts{}), hca.MismatchUndecodable)
	wantMismatch(t, hca.CheckCertificate(make([]byte, 1<<20), hca.Facts{}), hca.MismatchUndecodable)
}

func wantMismatch(t *testing.T, err error, want hca.MismatchReason) {
	t.Helper()
	var m *hca.Mismatch
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (!errors.As(err, &m) || m.Reason != want):
		t.Errorf("%v, want %s", err, want)
	}
}

// Nothing that the HCA sends may crash the window.
func FuzzCheckCertificate(f *testing.F) {
	key := newKey(f)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, der []byte) {
		err := hca.CheckCertificate(der, hca.Facts{SPKI: spki, Holder: "x", Name: "x", Now: time.Unix(1, 0)})
		var m *hca.Mismatch
		if !errors.As(err, &m) {
			t.Fatalf("%v: nothing fits facts without an issuer", err)
		}
	})
}
