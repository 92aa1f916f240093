package p11_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
)

func secretOf(b byte) hsm.Secret { return hsm.NewSecret(bytes.Repeat([]byte{b}, hsm.SecretSize)) }

var holder = hsm.Binding{Person: "P", Device: "D", Application: "A"}

// HCA-6.3.5: what a phone encrypts to the token's activation key opens there, for what it was made for and nothing else.
func TestActivationKey(t *testing.T) {
	tok, ctx := p11test.Token(t), context.Background()
	pub, err := tok.ActivationKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	info := hsm.ActivationInfo("sign", "A", []byte("challenge"))
	secret := secretOf(7)
	sealed, err := hsm.SealActivation(pub, info, secret.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, err := tok.OpenActivation(ctx, info, sealed)
	if err != nil || !bytes.Equal(got.Bytes(), secret.Bytes()) {
		t.Fatalf("%v", err)
	}
	other := p11test.Token(t)
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() (hsm.Secret, error){
		"for another act": func() (hsm.Secret, error) {
			return tok.OpenActivation(ctx, hsm.ActivationInfo("sign", "B", []byte("challenge")), sealed)
		},
		"changed":          func() (hsm.Secret, error) { return tok.OpenActivation(ctx, info, changed) },
		"cut":              func() (hsm.Secret, error) { return tok.OpenActivation(ctx, info, sealed[:40]) },
		"no point":         func() (hsm.Secret, error) { return tok.OpenActivation(ctx, info, make([]byte, hsm.ActivationSize)) },
		"by another token": func() (hsm.Secret, error) { return other.OpenActivation(ctx, info, sealed) },
	} {
		if s, err := open(); s.Len() != 0 || !errors.Is(err, hsm.ErrActivation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tok.GenerateActivationKey(ctx); !errors.Is(err, hsm.ErrExists) {
		t.Errorf("a second activation key: %v", err)
	}
	s, err := tok.Signer(ctx, p11.ActivationLabel)
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := s.Sign(nil, p11test.Digest(t), crypto.SHA256); err == nil {
		t.Errorf("the activation key signs: %x", sig)
	}
}

// HCA-6.3.5: a sealed key signs for the secret and the binding it was made with. Whoever has the token, its PIN and the
// stored key, and not the secret, makes no signature.
func TestSealedKey(t *testing.T) {
	tok, ctx := p11test.Token(t), context.Background()
	for _, alg := range []hsm.Algorithm{hsm.P256, hsm.RSA2048} {
		k, err := tok.GenerateSealed(ctx, alg, holder, secretOf(1))
		if err != nil {
			t.Fatal(err)
		}
		digests := [][]byte{p11test.Digest(t), p11test.Digest(t), p11test.Digest(t)}
		sigs, err := tok.SignSealed(ctx, k, holder, secretOf(1), crypto.SHA256, digests)
		if err != nil || len(sigs) != 3 {
			t.Fatalf("%s: %d signatures, %v", alg, len(sigs), err)
		}
		pub, err := x509.ParsePKIXPublicKey(k.SPKI)
		if err != nil {
			t.Fatal(err)
		}
		for i, sig := range sigs {
			if !verifies(pub, digests[i], sig) {
				t.Errorf("%s: signature %d does not verify", alg, i)
			}
		}
		if _, err := tok.SignSealed(ctx, k, holder, secretOf(2), crypto.SHA256, digests); !errors.Is(err, hsm.ErrSecret) {
			t.Errorf("%s, another secret: %v", alg, err)
		}
		stranger := holder
		stranger.Device = "E"
		if _, err := tok.SignSealed(ctx, k, stranger, secretOf(1), crypto.SHA256, digests); !errors.Is(err, hsm.ErrBinding) {
			t.Errorf("%s, another device: %v", alg, err)
		}
		// The operator's own way: the MAC is right, and the blob is no wrapped key.
		if s, err := tok.SignerFor(ctx, k, holder); err == nil {
			if sig, err := s.Sign(nil, digests[0], crypto.SHA256); err == nil {
				t.Errorf("%s: signed without the secret: %x", alg, sig)
			}
		}
		if err := tok.VerifyBinding(ctx, k, holder); err != nil {
			t.Error(err)
		}
	}
}

func verifies(pub crypto.PublicKey, digest, sig []byte) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, sig) == nil
	}
	return false
}

// HCA-6.3.4: a sealed key moves to the newer master key when its holder uses it, and only with the holder's secret.
func TestRewrapSealed(t *testing.T) {
	p, ctx := p11test.Prepare(t), context.Background()
	reopen := func() *p11.Token { // a ceremony has the token to itself
		tok, err := p11.Open(ctx, p.Config())
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	tok := reopen()
	k, err := tok.GenerateSealed(ctx, hsm.P256, holder, secretOf(1))
	if err != nil {
		t.Fatal(err)
	}
	tok.Close()
	addMaster(t, p, 2)
	tok = reopen()
	if _, err := tok.RewrapSealed(ctx, k, holder, secretOf(1), 2); !errors.Is(err, hsm.ErrNotFound) {
		t.Errorf("without the rollover object: %v", err)
	}
	tok.Close()
	addRollover(t, p, 1)
	tok = p11test.Open(t, p)
	if _, err := tok.RewrapSealed(ctx, k, holder, secretOf(2), 2); !errors.Is(err, hsm.ErrSecret) {
		t.Errorf("with another secret: %v", err)
	}
	moved, err := tok.RewrapSealed(ctx, k, holder, secretOf(1), 2)
	if err != nil || moved.Generation != 2 || !bytes.Equal(moved.SPKI, k.SPKI) {
		t.Fatalf("generation %d, %v", moved.Generation, err)
	}
	digest := p11test.Digest(t)
	for _, one := range []hsm.WrappedKey{k, moved} {
		pub, err := x509.ParsePKIXPublicKey(one.SPKI)
		if err != nil {
			t.Fatal(err)
		}
		sigs, err := tok.SignSealed(ctx, one, holder, secretOf(1), crypto.SHA256, [][]byte{digest})
		if err != nil || !verifies(pub, digest, sigs[0]) {
			t.Errorf("generation %d: %v", one.Generation, err)
		}
	}
}
