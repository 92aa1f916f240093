package p11_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
)

// TestSignatures proves every padding against Go's own verifiers (HCA-3.1: the dedicated key is in the HSM).
func TestSignatures(t *testing.T) {
	tok := p11test.Token(t)
	ctx := context.Background()
	d256, d384 := sha256.Sum256([]byte("m")), sha512.Sum384([]byte("m"))
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.P384, hsm.RSA2048} {
		t.Run(string(alg), func(t *testing.T) {
			made, err := tok.GenerateKeyPair(ctx, "key-"+string(alg), alg)
			if err != nil {
				t.Fatal(err)
			}
			k, err := tok.Signer(ctx, "key-"+string(alg))
			if err != nil {
				t.Fatal(err)
			}
			if !made.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public()) {
				t.Fatal("the key read back is not the key made")
			}
			for _, c := range []struct {
				name   string
				digest []byte
				opts   crypto.SignerOpts
			}{
				{"SHA-256", d256[:], crypto.SHA256},
				{"SHA-384", d384[:], crypto.SHA384},
				{"PSS", d256[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
				{"PSS auto", d384[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA384}},
			} {
				sig, err := k.Sign(nil, c.digest, c.opts)
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					continue
				}
				if !verify(k.Public(), c.digest, sig, c.opts) {
					t.Errorf("%s: the signature does not verify", c.name)
				}
			}
		})
	}
}

func verify(pub crypto.PublicKey, digest, sig []byte, opts crypto.SignerOpts) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(k, opts.HashFunc(), digest, sig, pss) == nil
		}
		return rsa.VerifyPKCS1v15(k, opts.HashFunc(), digest, sig) == nil
	}
	return false
}

func TestWrapped(t *testing.T) {
	tok := p11test.Token(t)
	ctx := context.Background()
	b := hsm.Binding{Person: "p", Device: "d", Application: "a"}
	k, err := tok.GenerateWrapped(ctx, hsm.P256, b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tok.SignerFor(ctx, k, b)
	if err != nil {
		t.Fatal(err)
	}
	d := p11test.Digest(t)
	sig, err := s.Sign(nil, d, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if !verify(s.Public(), d, sig, crypto.SHA256) {
		t.Fatal("the signature does not verify")
	}
	if _, err := tok.GenerateKeyPair(ctx, p11.MACLabel, hsm.P256); !errors.Is(err, hsm.ErrExists) {
		t.Fatalf("a label in use: %v", err)
	}
}
