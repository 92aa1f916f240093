package cardmsg

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

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

// BenchmarkVerify compares the verification of a message, with its chain and an OCSP response that was never
// seen before, to nothing but the signatures in it: the message's, the card's, the CA's, the CRL's, the
// response's and its responder's. The aim is a ratio of at most 1.5.
func BenchmarkVerify(b *testing.B) {
	for name, pki := range map[string]*cardtest.PKI{"RSA": cardtest.NewRSA(b, now), "P-256": cardtest.New(b, now)} {
		b.Run(name, func(b *testing.B) { benchmarkVerify(b, pki, name == "P-256") })
	}
}

func benchmarkVerify(b *testing.B, pki *cardtest.PKI, ec bool) {
	card := pki.Card(b, cardtest.CardOptions{EC: ec})
	text, err := enrolment().Text()
	if err != nil {
		b.Fatal(err)
	}
	der := card.Sign(b, text, now, testNonce)
	o := Options{Path: pki.Path(b, now, card), Content: text, Nonce: testNonce}
	response := o.Path.OCSP[0].Raw
	raw := []rawOperation{
		{card.Cert.PublicKey, make([]byte, 160), nil},
		{pki.CA.Cert.PublicKey, card.Cert.RawTBSCertificate, card.Cert.Signature},
		{pki.Root.Cert.PublicKey, pki.CA.Cert.RawTBSCertificate, pki.CA.Cert.Signature},
		{pki.CA.Cert.PublicKey, pki.Responder.Cert.RawTBSCertificate, pki.Responder.Cert.Signature},
		{pki.Root.Cert.PublicKey, make([]byte, 300), nil},
		{pki.Responder.Cert.PublicKey, make([]byte, 200), nil},
	}
	for i, key := range map[int]crypto.Signer{0: card.Key, 4: pki.Root.Key, 5: pki.Responder.Key} {
		digest := sha256.Sum256(raw[i].signed)
		if raw[i].sig, err = key.Sign(nil, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
	// The two alternate, so that whatever else the machine does falls on both.
	var crypt, whole time.Duration
	for b.Loop() {
		start := time.Now()
		for _, r := range raw {
			r.run(b)
		}
		between := time.Now()
		verifyFresh(b, der, response, o)
		crypt += between.Sub(start)
		whole += time.Since(between)
	}
	b.ReportMetric(float64(crypt.Nanoseconds())/float64(b.N), "crypto-ns/op")
	b.ReportMetric(float64(whole.Nanoseconds())/float64(b.N), "verify-ns/op")
	b.ReportMetric(float64(whole)/float64(crypt), "ratio")
}

func verifyFresh(b *testing.B, der, response []byte, o Options) {
	fresh, err := certpath.ParseOCSP(response)
	if err != nil {
		b.Fatal(err)
	}
	o.Path.OCSP = []*certpath.OCSPResponse{fresh}
	u, err := Decode(der)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := u.Verify(context.Background(), o); err != nil {
		b.Fatal(err)
	}
}
