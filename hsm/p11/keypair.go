package p11

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// tokenSigner signs with a private key object of the token.
type tokenSigner struct {
	pool  *pool
	label string
	pub   crypto.PublicKey
}

// Public is the key read from the token when the signer was made.
func (k *tokenSigner) Public() crypto.PublicKey { return k.pub }

// Sign makes a signature, waiting for a session as long as it takes.
func (k *tokenSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(context.Background(), rand, digest, opts)
}

// SignContext is Sign that stops waiting for a session when ctx ends. The module's own randomness is used.
func (k *tokenSigner) SignContext(ctx context.Context, _ io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	op, err := prepare(k.pub, digest, opts)
	if err != nil {
		return nil, err
	}
	err = k.pool.do(ctx, func(s *session) error {
		key, err := k.pool.tokenObject(s, pkcs11.CKO_PRIVATE_KEY, k.label)
		if err != nil {
			return err
		}
		sig, err = s.sign(key, op)
		return err
	})
	return sig, err
}

// Signer returns the key pair of a label. Its public half is read from the token (from the certificate of the same
// label where the token keeps no public key object). It signs RSA PKCS#1 v1.5, RSA-PSS and ECDSA (DER).
func (t *Token) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	var pub crypto.PublicKey
	err := t.pool.do(ctx, func(s *session) error {
		if _, err := s.findOne(pkcs11.CKO_PRIVATE_KEY, label); err != nil {
			return err
		}
		var err error
		pub, err = s.publicOf(label)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &tokenSigner{pool: t.pool, label: label, pub: pub}, nil
}

// publicOf reads the public half of a key pair of the token.
func (s *session) publicOf(label string) (crypto.PublicKey, error) {
	hs, err := s.find(attr(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, label))
	if err != nil {
		return nil, err
	}
	if len(hs) == 1 {
		return s.publicKey(hs[0])
	}
	if len(hs) > 1 {
		return nil, fmt.Errorf("p11: %d public keys have the label %q", len(hs), label)
	}
	cert, err := s.findOne(pkcs11.CKO_CERTIFICATE, label)
	if err != nil {
		return nil, err
	}
	der, err := s.value(cert, pkcs11.CKA_VALUE)
	if err != nil {
		return nil, err
	}
	return publicFromCertificate(der)
}

// publicFromCertificate takes RSA and EC keys only.
func publicFromCertificate(der []byte) (crypto.PublicKey, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("p11: certificate: %w", err)
	}
	switch c.PublicKey.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return c.PublicKey, nil
	}
	return nil, fmt.Errorf("%w key %T in the certificate", hsm.ErrUnsupported, c.PublicKey)
}

// GenerateKeyPair makes a key pair inside the token that can never leave it: a sensitive, non-extractable token
// object (HCA-3.1, and the design "token" of HCA-6.3.5). A label that is in use is hsm.ErrExists.
func (t *Token) GenerateKeyPair(ctx context.Context, label string, alg hsm.Algorithm) (crypto.Signer, error) {
	if label == "" {
		return nil, fmt.Errorf("p11: a key needs a label")
	}
	t.making.Lock()
	defer t.making.Unlock()
	var pub crypto.PublicKey
	err := t.pool.do(ctx, func(s *session) error {
		if err := s.refuseExisting(label); err != nil {
			return err
		}
		shared := []*pkcs11.Attribute{attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, label), attr(pkcs11.CKA_ID, objectID(label))}
		pubHandle, priv, err := s.generate(alg, shared,
			append([]*pkcs11.Attribute{attr(pkcs11.CKA_EXTRACTABLE, false)}, shared...))
		if err != nil {
			return err
		}
		if pub, err = s.publicKey(pubHandle); err != nil {
			s.ctx.DestroyObject(s.h, pubHandle)
			s.ctx.DestroyObject(s.h, priv)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &tokenSigner{pool: t.pool, label: label, pub: pub}, nil
}

// refuseExisting looks for token objects of any class with the label. A certificate may be there before its key
// only where the key came with it, so it counts as well.
func (s *session) refuseExisting(label string) error {
	hs, err := s.find(attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, label))
	if err != nil {
		return err
	}
	if len(hs) > 0 {
		return fmt.Errorf("%w: %s", hsm.ErrExists, label)
	}
	return s.loggedIn()
}

// generate makes a key pair that signs and does nothing else.
func (s *session) generate(alg hsm.Algorithm, public, private []*pkcs11.Attribute) (pub, priv pkcs11.ObjectHandle, err error) {
	var mechanism uint
	public = append([]*pkcs11.Attribute{attr(pkcs11.CKA_VERIFY, true)}, public...)
	switch alg {
	case hsm.P256, hsm.P384:
		mechanism = pkcs11.CKM_EC_KEY_PAIR_GEN
		params, err := ecParams(alg)
		if err != nil {
			return 0, 0, err
		}
		public = append(public, attr(pkcs11.CKA_EC_PARAMS, params))
	case hsm.RSA2048, hsm.RSA3072, hsm.RSA4096:
		mechanism = pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN
		bits := map[hsm.Algorithm]int{hsm.RSA2048: 2048, hsm.RSA3072: 3072, hsm.RSA4096: 4096}[alg]
		public = append(public, attr(pkcs11.CKA_MODULUS_BITS, bits), attr(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
	default:
		return 0, 0, fmt.Errorf("%w algorithm %q", hsm.ErrUnsupported, alg)
	}
	private = append([]*pkcs11.Attribute{
		attr(pkcs11.CKA_PRIVATE, true),
		attr(pkcs11.CKA_SENSITIVE, true),
		attr(pkcs11.CKA_SIGN, true),
		attr(pkcs11.CKA_DECRYPT, false),
		attr(pkcs11.CKA_UNWRAP, false),
		attr(pkcs11.CKA_DERIVE, false),
	}, private...)
	pub, priv, err = s.ctx.GenerateKeyPair(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	return pub, priv, wrap("C_GenerateKeyPair", err)
}

// DestroyKeyPair removes a key pair and its certificates from the token. A label without objects is
// hsm.ErrNotFound. The master keys and the MAC key are not its business.
func (t *Token) DestroyKeyPair(ctx context.Context, label string) error {
	t.making.Lock()
	defer t.making.Unlock()
	found := false
	err := t.pool.do(ctx, func(s *session) error {
		if err := s.loggedIn(); err != nil {
			return err
		}
		// The private key goes first, so that an interrupted run leaves nothing that signs.
		for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_CERTIFICATE} {
			hs, err := s.find(attr(pkcs11.CKA_CLASS, class), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, label))
			if err != nil {
				return err
			}
			t.pool.forget(class, label)
			for _, h := range hs {
				if err := s.ctx.DestroyObject(s.h, h); err != nil {
					return wrap("C_DestroyObject", err)
				}
				found = true
			}
		}
		return nil
	})
	if err == nil && !found {
		return fmt.Errorf("%w: %s", hsm.ErrNotFound, label)
	}
	return err
}
