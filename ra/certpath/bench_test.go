package certpath

import (
	"context"
	"testing"
)

// benchChain is what a login costs: three certificates, a pinned anchor, a fresh OCSP response for the
// holder and one for the CA.
func benchChain(b *testing.B) (der [2][]byte, responses [2][]byte, pool *Pool, raw []func()) {
	root := issue(b, nil, "root", asCA)
	ca := issue(b, root, "CA", asCA)
	leaf := issue(b, ca, "holder", withServices)
	r0, r1 := ocspFor(b, ca, ca, leaf, nil), ocspFor(b, root, root, ca, nil)
	check := func(signer *Certificate, alg, tbs, sig []byte) func() {
		return func() {
			if err := CheckSignature(signer.PublicKey, alg, tbs, sig); err != nil {
				b.Fatal(err)
			}
		}
	}
	raw = []func(){
		check(ca.cert, leaf.cert.SignatureAlgorithm, leaf.cert.RawTBS, leaf.cert.Signature),
		check(root.cert, ca.cert.SignatureAlgorithm, ca.cert.RawTBS, ca.cert.Signature),
		check(ca.cert, r0.signed.algorithm, r0.signed.tbs, r0.signed.signature),
		check(root.cert, r1.signed.algorithm, r1.signed.tbs, r1.signed.signature),
	}
	return [2][]byte{leaf.cert.Raw, ca.cert.Raw}, [2][]byte{r0.Raw, r1.Raw}, NewPool(root.cert), raw
}

// BenchmarkChain parses and validates; BenchmarkChainRawCrypto checks the same four signatures and nothing
// else. Their difference is what this package costs.
func BenchmarkChain(b *testing.B) {
	der, responses, pool, _ := benchChain(b)
	b.ReportAllocs()
	for b.Loop() {
		var parsed [2]*Certificate
		var ocsp [2]*OCSPResponse
		for i := range parsed {
			var err error
			if parsed[i], err = ParseCertificate(der[i]); err != nil {
				b.Fatal(err)
			}
			if ocsp[i], err = ParseOCSP(responses[i]); err != nil {
				b.Fatal(err)
			}
		}
		_, err := Validate(context.Background(), parsed[0], Options{
			AnchorPool: pool, Intermediates: parsed[1:], OCSP: ocsp[:], At: noon, RequireRevocation: true,
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChainRawCrypto(b *testing.B) {
	_, _, _, raw := benchChain(b)
	for b.Loop() {
		for _, check := range raw {
			check()
		}
	}
}
