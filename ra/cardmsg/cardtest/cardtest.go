// Package cardtest makes a small government PKI for tests: a root, the HCA's issuing CA, IC cards with what
// the real ones carry, OCSP responses and CRLs. It is imported by tests alone.
package cardtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// Object identifiers of what cards carry.
var (
	oidDirectoryAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}
	oidSubjectType         = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 1}
	oidCardRank            = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 2}

	Personnel   = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 1, 7}
	Institution = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 2, 21}
	Citizen     = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 3, 1, 1}
	Policy      = asn1.ObjectIdentifier{2, 16, 886, 101, 0, 3, 3}
)

// Authority is a certificate and its key.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// PKI is a root, an issuing CA under it, and that CA's OCSP responder.
type PKI struct {
	At        time.Time // everything is valid around it
	Root      Authority
	CA        Authority
	Responder Authority

	rsa    bool
	serial int64
}

// New makes a PKI whose CAs have P-256 keys, valid five years either side of at.
func New(tb testing.TB, at time.Time) *PKI { return build(tb, at, false) }

// NewRSA makes a PKI whose CAs and responder have RSA-2048 keys, as the government's do.
func NewRSA(tb testing.TB, at time.Time) *PKI { return build(tb, at, true) }

func build(tb testing.TB, at time.Time, useRSA bool) *PKI {
	tb.Helper()
	p := &PKI{At: at, rsa: useRSA, serial: 1000}
	root := p.template("Government Root Certification Authority - TEST")
	root.IsCA, root.BasicConstraintsValid = true, true
	root.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	p.Root.Key = p.NewKey(tb, useRSA)
	p.Root.Cert = sign(tb, root, p.Root.Key.Public(), Authority{root, p.Root.Key})

	ca := p.template("醫事憑證管理中心 TEST")
	ca.IsCA, ca.BasicConstraintsValid, ca.MaxPathLenZero = true, true, true
	ca.KeyUsage = root.KeyUsage
	ca.Policies = []x509.OID{policyOID(tb)}
	p.CA.Key = p.NewKey(tb, useRSA)
	p.CA.Cert = sign(tb, ca, p.CA.Key.Public(), p.Root)

	responder := p.template("HCA OCSP responder TEST")
	responder.KeyUsage = x509.KeyUsageDigitalSignature
	responder.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	responder.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}
	p.Responder.Key = p.NewKey(tb, useRSA)
	p.Responder.Cert = sign(tb, responder, p.Responder.Key.Public(), p.CA)
	return p
}

func (p *PKI) template(cn string) *x509.Certificate {
	p.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(p.serial),
		Subject:      pkix.Name{Country: []string{"TW"}, CommonName: cn},
		NotBefore:    p.At.AddDate(-5, 0, 0),
		NotAfter:     p.At.AddDate(5, 0, 0),
	}
}

// NewKey makes an RSA-2048 or a P-256 key.
func (p *PKI) NewKey(tb testing.TB, useRSA bool) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	if useRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func policyOID(tb testing.TB) x509.OID {
	tb.Helper()
	oid, err := x509.ParseOID(Policy.String())
	if err != nil {
		tb.Fatal(err)
	}
	return oid
}

func sign(tb testing.TB, t *x509.Certificate, pub crypto.PublicKey, issuer Authority) *x509.Certificate {
	tb.Helper()
	if spki, err := x509.MarshalPKIXPublicKey(pub); err == nil {
		id := sha1.Sum(spki)
		t.SubjectKeyId = id[:]
	}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer.Cert, pub, issuer.Key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// CardOptions is what a card's signing certificate says. The zero value is a good doctor's card.
type CardOptions struct {
	Name        string // 王小明 if empty
	Holder      string // 0000000112345678 if empty
	Number      string // card number; HC00000000000001 if empty
	EC          bool   // P-256 in place of RSA-2048
	Key         crypto.Signer
	SubjectType []asn1.ObjectIdentifier // nil is personnel; empty but not nil is none
	Rank        string                  // primary if empty
	KeyUsage    x509.KeyUsage           // 0 is digitalSignature
	NoKeyUsage  bool
	NotBefore   time.Time
	NotAfter    time.Time
	Issuer      *Authority                   // nil is the CA
	Edit        func(tmpl *x509.Certificate) // last word on the template
}

// Card is an IC card: a key that signs and its certificate.
type Card struct {
	Authority
	Number string
}

// Card issues a card.
func (p *PKI) Card(tb testing.TB, o CardOptions) *Card {
	tb.Helper()
	t := p.template(or(o.Name, "王小明"))
	t.Subject.SerialNumber = or(o.Holder, "0000000112345678")
	t.Policies = []x509.OID{policyOID(tb)}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if o.KeyUsage != 0 {
		t.KeyUsage = o.KeyUsage
	}
	if o.NoKeyUsage {
		t.KeyUsage = 0
	}
	if !o.NotBefore.IsZero() {
		t.NotBefore = o.NotBefore
	}
	if !o.NotAfter.IsZero() {
		t.NotAfter = o.NotAfter
	}
	types := o.SubjectType
	if types == nil {
		types = []asn1.ObjectIdentifier{Personnel}
	}
	t.ExtraExtensions = []pkix.Extension{directoryAttributes(tb, types, or(o.Rank, "primary"))}
	if o.Edit != nil {
		o.Edit(t)
	}
	issuer := p.CA
	if o.Issuer != nil {
		issuer = *o.Issuer
	}
	key := o.Key
	if key == nil {
		key = p.NewKey(tb, !o.EC)
	}
	return &Card{Authority{sign(tb, t, key.Public(), issuer), key}, or(o.Number, "HC00000000000001")}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func directoryAttributes(tb testing.TB, types []asn1.ObjectIdentifier, rank string) pkix.Extension {
	tb.Helper()
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	raw := func(v any, params string) asn1.RawValue {
		der, err := asn1.MarshalWithParams(v, params)
		if err != nil {
			tb.Fatal(err)
		}
		return asn1.RawValue{FullBytes: der}
	}
	attrs := []attribute{{oidCardRank, []asn1.RawValue{raw(rank, "utf8")}}}
	if len(types) > 0 {
		a := attribute{Type: oidSubjectType}
		for _, t := range types {
			a.Values = append(a.Values, raw(t, ""))
		}
		attrs = append(attrs, a)
	}
	der, err := asn1.Marshal(attrs)
	if err != nil {
		tb.Fatal(err)
	}
	return pkix.Extension{Id: oidDirectoryAttributes, Value: der}
}

// Sign makes what the card component makes: CMS with the leaf alone, SHA-256, signing time, card number and,
// where nonce is not empty, the nonce attribute.
func (c *Card) Sign(tb testing.TB, content []byte, at time.Time, nonce string) []byte {
	tb.Helper()
	o := cms.SignOptions{SigningTime: at, Attributes: []cms.Attribute{{OID: cms.OIDCardNumber, Value: cms.UTF8String(c.Number)}}}
	if nonce != "" {
		o.Attributes = append(o.Attributes, cms.Attribute{OID: cms.OIDRandomNonce, Value: cms.UTF8String(nonce)})
	}
	return c.SignWith(tb, content, o)
}

// SignWith signs with options of the caller's.
func (c *Card) SignWith(tb testing.TB, content []byte, o cms.SignOptions) []byte {
	tb.Helper()
	der, err := cms.Sign(content, c.Key, c.Cert.Raw, o)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// OCSP makes the responder's answer about a certificate of the CA: ocsp.Good, ocsp.Revoked or ocsp.Unknown.
func (p *PKI) OCSP(tb testing.TB, cert *x509.Certificate, status int, at time.Time) []byte {
	tb.Helper()
	t := ocsp.Response{
		Status: status, SerialNumber: cert.SerialNumber,
		ThisUpdate: at.Add(-time.Minute), NextUpdate: at.Add(time.Hour), ProducedAt: at.Add(-time.Minute),
		Certificate: p.Responder.Cert, IssuerHash: crypto.SHA1,
	}
	if status == ocsp.Revoked {
		t.RevokedAt, t.RevocationReason = at.Add(-time.Hour), ocsp.KeyCompromise
	}
	der, err := ocsp.CreateResponse(p.CA.Cert, p.Responder.Cert, t, p.Responder.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// CRL makes an issuer's CRL with the certificates that are given on it.
func (p *PKI) CRL(tb testing.TB, issuer Authority, at time.Time, revoked ...*x509.Certificate) []byte {
	tb.Helper()
	t := &x509.RevocationList{
		Number: big.NewInt(at.Unix()), ThisUpdate: at.Add(-time.Hour), NextUpdate: at.Add(24 * time.Hour),
	}
	for _, c := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: c.SerialNumber, RevocationTime: at.Add(-2 * time.Hour), ReasonCode: 1,
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, issuer.Cert, issuer.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// Path returns options that validate the cards at a moment: the root as the anchor, the CA as intermediate,
// the root's CRL, and a good OCSP response for each card.
func (p *PKI) Path(tb testing.TB, at time.Time, good ...*Card) certpath.Options {
	tb.Helper()
	o := certpath.Options{
		Anchors:       []*certpath.Certificate{p.parse(tb, p.Root.Cert.Raw)},
		Intermediates: []*certpath.Certificate{p.parse(tb, p.CA.Cert.Raw)},
		At:            at,
	}
	crl, err := certpath.ParseCRL(p.CRL(tb, p.Root, at))
	if err != nil {
		tb.Fatal(err)
	}
	o.CRLs = append(o.CRLs, crl)
	for _, c := range good {
		r, err := certpath.ParseOCSP(p.OCSP(tb, c.Cert, ocsp.Good, at))
		if err != nil {
			tb.Fatal(err)
		}
		o.OCSP = append(o.OCSP, r)
	}
	return o
}

func (p *PKI) parse(tb testing.TB, der []byte) *certpath.Certificate {
	tb.Helper()
	c, err := certpath.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// PEM encodes certificates one after another.
func PEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
