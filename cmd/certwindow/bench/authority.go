package bench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"

	"certwindow/ra/cardmsg"
)

// moment is when everything here is judged; certificates are valid around it.
var moment = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

const (
	holder   = "0000000112345678"
	services = "http://hca.invalid/"
)

var oidDirectoryAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}

// entity is a certificate with its key.
type entity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// authority is a throw-away PKI in the shape of the government's: root, issuing CA, the CA's OCSP responder, and
// one doctor's card.
type authority struct {
	root, ca, responder, card entity
}

func newKey(useRSA bool) (crypto.Signer, error) {
	if useRSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func newAuthority(useRSA bool) (*authority, error) {
	policy, err := x509.ParseOID("2.16.886.101.0.3.3")
	if err != nil {
		return nil, err
	}
	attributes, err := personnel()
	if err != nil {
		return nil, err
	}
	caUsage := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	a := &authority{}
	for _, one := range []struct {
		to       *entity
		by       *entity
		template x509.Certificate
	}{
		{&a.root, &a.root, x509.Certificate{Subject: pkix.Name{CommonName: "Benchmark Root"}, IsCA: true, KeyUsage: caUsage}},
		{&a.ca, &a.root, x509.Certificate{Subject: pkix.Name{CommonName: "Benchmark CA"}, IsCA: true, KeyUsage: caUsage,
			MaxPathLenZero: true, Policies: []x509.OID{policy}, CRLDistributionPoints: []string{services + "root.crl"}}},
		{&a.responder, &a.ca, x509.Certificate{Subject: pkix.Name{CommonName: "Benchmark OCSP"}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}}},
		{&a.card, &a.ca, x509.Certificate{Subject: pkix.Name{CommonName: "王小明", SerialNumber: holder}, KeyUsage: x509.KeyUsageDigitalSignature,
			Policies: []x509.OID{policy}, ExtraExtensions: []pkix.Extension{attributes}, CRLDistributionPoints: []string{services + "complete.crl"},
			OCSPServer: []string{services + "ocsp"}, IssuingCertificateURL: []string{services + "ca.cer"}}},
	} {
		if err := issue(one.to, one.by, one.template, useRSA); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// issue makes a key and a certificate for it.
func issue(to, by *entity, t x509.Certificate, useRSA bool) error {
	var err error
	if to.key, err = newKey(useRSA); err != nil {
		return err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126)); err != nil {
		return err
	}
	t.Subject.Country = []string{"TW"}
	t.BasicConstraintsValid = t.IsCA
	t.NotBefore, t.NotAfter = moment.AddDate(-1, 0, 0), moment.AddDate(5, 0, 0)
	issuer := by.cert
	if to == by {
		issuer = &t
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, issuer, to.key.Public(), by.key)
	if err != nil {
		return err
	}
	to.cert, err = x509.ParseCertificate(der)
	return err
}

// personnel is subjectDirectoryAttributes with the subject type of healthcare personnel.
func personnel() (pkix.Extension, error) {
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.ObjectIdentifier `asn1:"set"`
	}
	der, err := asn1.Marshal([]attribute{{cardmsg.OIDSubjectType, []asn1.ObjectIdentifier{cardmsg.OIDPersonnel}}})
	return pkix.Extension{Id: oidDirectoryAttributes, Value: der}, err
}

// status is the responder's answer about the card: good.
func (a *authority) status() ([]byte, error) {
	return ocsp.CreateResponse(a.ca.cert, a.responder.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: a.card.cert.SerialNumber, Certificate: a.responder.cert, IssuerHash: crypto.SHA1,
		ThisUpdate: moment.Add(-time.Minute), NextUpdate: moment.Add(time.Hour), ProducedAt: moment.Add(-time.Minute),
	}, a.responder.key)
}

// rootCRL is the root's list, with nothing on it.
func (a *authority) rootCRL() ([]byte, error) {
	return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: moment.Add(-time.Hour), NextUpdate: moment.Add(24 * time.Hour),
	}, a.root.cert, a.root.key)
}
