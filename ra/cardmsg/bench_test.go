package cardmsg

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"
	"golang.org/x/crypto/ocsp"

	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/certpath"
)

// rawOperation is one signature to be verified, and the bytes that are hashed for it.
type rawOperation struct {
	pub    crypto.PublicKey
	signed []byte
	sig    []byte
}

func (r rawOperation) run(b *testing.B) {
	digest := sha256.Sum256(r.signed)
	switch k := r.pub.(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], r.sig); err != nil {
			b.Fatal(err)
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, digest[:], r.sig) {
			b.Fatal("not a signature")
		}
	}
}

// benchCase is one message with everything that is needed to judge it, by us and by bare libraries.
type benchCase struct {
	pki      *cardtest.PKI
	card     *cardtest.Card
	der      []byte
	response []byte
	o        Options
	raw      []rawOperation
}

// BenchmarkVerify verifies a message with its chain and an OCSP response that was never seen before, and
// compares that to two sums: "signatures" is nothing but the five signatures in it (the message's, the card's,
// the CA's, the response's and its responder's; a CRL's is verified once and remembered), and "operations" is
// the bare libraries: pkcs7 parse and verify, an x509 chain, an OCSP response. The bound is 1.5 times the
// signatures; certwindow bench holds it by processor time, this is by the clock.
func BenchmarkVerify(b *testing.B) {
	for _, ec := range []bool{false, true} {
		name, pki := "RSA", cardtest.NewRSA
		if ec {
			name, pki = "P-256", cardtest.New
		}
		b.Run(name, func(b *testing.B) { newBenchCase(b, pki(b, now), ec).run(b) })
	}
}

func newBenchCase(b *testing.B, pki *cardtest.PKI, ec bool) benchCase {
	card := pki.Card(b, cardtest.CardOptions{EC: ec})
	text, err := enrolment().Text()
	if err != nil {
		b.Fatal(err)
	}
	c := benchCase{pki: pki, card: card, der: card.Sign(b, text, now, testNonce)}
	c.o = Options{Path: pki.Path(b, now, card), Content: text, Nonce: testNonce, OneReading: true}
	c.response = c.o.Path.OCSP[0].Raw
	sign := func(key crypto.Signer, size int) rawOperation {
		op := rawOperation{pub: key.Public(), signed: make([]byte, size)}
		digest := sha256.Sum256(op.signed)
		if op.sig, err = key.Sign(nil, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
		return op
	}
	c.raw = []rawOperation{
		sign(card.Key, 200), sign(pki.CA.Key, 600), sign(pki.Root.Key, 600), sign(pki.CA.Key, 600), sign(pki.Responder.Key, 900),
	}
	return c
}

// run lets the three alternate, so that whatever else the machine does falls on all of them.
func (c benchCase) run(b *testing.B) {
	var signatures, operations, whole time.Duration
	for b.Loop() {
		start := time.Now()
		for _, r := range c.raw {
			r.run(b)
		}
		signed := time.Now()
		c.libraries(b)
		opened := time.Now()
		c.verify(b)
		signatures += signed.Sub(start)
		operations += opened.Sub(signed)
		whole += time.Since(opened)
	}
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) }
	b.ReportMetric(per(signatures), "signatures-ns")
	b.ReportMetric(per(operations), "operations-ns")
	b.ReportMetric(per(whole), "verify-ns")
	b.ReportMetric(float64(whole)/float64(signatures), "x-signatures")
	b.ReportMetric(float64(whole)/float64(operations), "x-operations")
}

func (c benchCase) verify(b *testing.B) {
	fresh, err := certpath.ParseOCSP(c.response)
	if err != nil {
		b.Fatal(err)
	}
	c.o.Path.OCSP = []*certpath.OCSPResponse{fresh}
	u, err := Decode(c.der)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := u.Verify(context.Background(), c.o); err != nil {
		b.Fatal(err)
	}
}

// libraries does what a program would that trusts them with everything.
func (c benchCase) libraries(b *testing.B) {
	p7, err := pkcs7.Parse(c.der)
	if err != nil {
		b.Fatal(err)
	}
	if err := p7.VerifyWithChainAtTime(nil, now); err != nil {
		b.Fatal(err)
	}
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c.pki.Root.Cert)
	middle.AddCert(c.pki.CA.Cert)
	any := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	if _, err := p7.GetOnlySigner().Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: now, KeyUsages: any}); err != nil {
		b.Fatal(err)
	}
	if _, err := ocsp.ParseResponseForCert(c.response, p7.GetOnlySigner(), c.pki.CA.Cert); err != nil {
		b.Fatal(err)
	}
}
