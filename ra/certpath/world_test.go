package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// entity is a certificate made for a test, with its key.
type entity struct {
	key  crypto.Signer
	std  *x509.Certificate
	cert *Certificate
}

var serials = int64(1000)

// issue makes a certificate; a nil issuer makes it self-signed. edit may change the template.
func issue(t testing.TB, issuer *entity, name string, edit func(*x509.Certificate)) *entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, issuer, name, key, edit)
}

func issueFor(t testing.TB, issuer *entity, name string, key crypto.Signer, edit func(*x509.Certificate)) *entity {
	t.Helper()
	serials++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: name},
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0),
	}
	if edit != nil {
		edit(tmpl)
	}
	parent, signer := tmpl, key
	if issuer != nil {
		parent, signer = issuer.std, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	out := &entity{key: key}
	if out.std, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if out.cert, err = ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return out
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func withServices(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.OCSPServer = []string{"http://ocsp.test/"}
	c.CRLDistributionPoints = []string{"http://crl.test/1.crl"}
}

func (e *entity) crl(t testing.TB, edit func(*x509.RevocationList)) *CRL {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon.Add(-time.Hour), NextUpdate: noon.Add(time.Hour)}
	if edit != nil {
		edit(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, e.std, e.key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

func revoking(e *entity, reason int) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{
			{SerialNumber: big.NewInt(77), RevocationTime: noon.AddDate(0, -1, 0)},
			{SerialNumber: e.std.SerialNumber, RevocationTime: noon.Add(-2 * time.Hour), ReasonCode: reason},
		}
	}
}

// ocsp makes a response about subject, signed by responder for issuer.
func ocspFor(t testing.TB, issuer, responder, subject *entity, edit func(*ocsp.Response)) *OCSPResponse {
	t.Helper()
	r := ocsp.Response{
		Status: ocsp.Good, SerialNumber: subject.std.SerialNumber, ThisUpdate: noon.Add(-time.Minute),
		NextUpdate: noon.Add(time.Hour), IssuerHash: crypto.SHA1,
	}
	if responder != issuer {
		r.Certificate = responder.std
	}
	if edit != nil {
		edit(&r)
	}
	der, err := ocsp.CreateResponse(issuer.std, responder.std, r, responder.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseOCSP(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
