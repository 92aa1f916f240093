package p11_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
)

func BenchmarkGenerateWrapped(b *testing.B) {
	tok := p11test.Token(b)
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		b.Run(string(alg), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := tok.GenerateWrapped(context.Background(), alg, binding); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkWrappedSign is unwrap, sign and destroy: what one signature of a holder costs.
func BenchmarkWrappedSign(b *testing.B) {
	tok := p11test.Token(b)
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		k, err := tok.GenerateWrapped(context.Background(), alg, binding)
		if err != nil {
			b.Fatal(err)
		}
		s, err := tok.SignerFor(context.Background(), k, binding)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) { benchmarkSigner(b, s) })
	}
}

func BenchmarkTokenSign(b *testing.B) {
	tok := p11test.Token(b)
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		s, err := tok.GenerateKeyPair(context.Background(), "bench-"+string(alg), alg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) { benchmarkSigner(b, s) })
	}
}

func benchmarkSigner(b *testing.B, s crypto.Signer) {
	digest := sha256.Sum256([]byte("a medical record"))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRewrap is what a rollover costs for each key (HCA-6.3.4).
func BenchmarkRewrap(b *testing.B) {
	p := p11test.Prepare(b)
	tok, err := p11.Open(context.Background(), p.Config())
	if err != nil {
		b.Fatal(err)
	}
	k, err := tok.GenerateWrapped(context.Background(), hsm.P256, binding)
	if err != nil {
		b.Fatal(err)
	}
	tok.Close() // a ceremony needs the token for itself
	addRollover(b, p, 1)
	addMaster(b, p, 2)
	tok = p11test.Open(b, p)
	for b.Loop() {
		if _, err := tok.Rewrap(context.Background(), k, binding, 2); err != nil {
			b.Fatal(err)
		}
	}
}
