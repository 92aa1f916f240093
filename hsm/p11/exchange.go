package p11

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"fmt"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// ActivationLabel is the key pair that phones encrypt their secrets to. It derives and does nothing else, and can
// never leave the token (HCA-6.3.5).
const ActivationLabel = "certwindow-activation"

// GenerateActivationKey makes the activation key, on P-256. One that is there already is hsm.ErrExists.
func (t *Token) GenerateActivationKey(ctx context.Context) error {
	t.making.Lock()
	defer t.making.Unlock()
	return t.pool.do(ctx, func(s *session) error {
		if err := s.refuseExisting(ActivationLabel); err != nil {
			return err
		}
		params, err := ecParams(hsm.P256)
		if err != nil {
			return err
		}
		shared := []*pkcs11.Attribute{attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_LABEL, ActivationLabel), attr(pkcs11.CKA_ID, objectID(ActivationLabel))}
		_, _, err = s.ctx.GenerateKeyPair(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
			append([]*pkcs11.Attribute{attr(pkcs11.CKA_EC_PARAMS, params), attr(pkcs11.CKA_VERIFY, false)}, shared...),
			append([]*pkcs11.Attribute{
				attr(pkcs11.CKA_PRIVATE, true),
				attr(pkcs11.CKA_SENSITIVE, true),
				attr(pkcs11.CKA_EXTRACTABLE, false),
				attr(pkcs11.CKA_DERIVE, true),
				attr(pkcs11.CKA_SIGN, false),
				attr(pkcs11.CKA_DECRYPT, false),
				attr(pkcs11.CKA_UNWRAP, false),
				allowMechanisms(pkcs11.CKM_ECDH1_DERIVE),
			}, shared...))
		return wrap("C_GenerateKeyPair", err)
	})
}

// ActivationKey is the public half, as an uncompressed point.
func (t *Token) ActivationKey(ctx context.Context) ([]byte, error) {
	pub, err := t.activationKey(ctx)
	if err != nil {
		return nil, err
	}
	return pub.Bytes(), nil
}

// activationKey reads it once; a token has one for its whole life.
func (t *Token) activationKey(ctx context.Context) (*ecdh.PublicKey, error) {
	if pub := t.activation.Load(); pub != nil {
		return pub, nil
	}
	var pub *ecdh.PublicKey
	err := t.pool.do(ctx, func(s *session) error {
		h, err := s.findOne(pkcs11.CKO_PUBLIC_KEY, ActivationLabel)
		if err != nil {
			return err
		}
		found, err := s.publicKey(h)
		if err != nil {
			return err
		}
		k, ok := found.(*ecdsa.PublicKey)
		if !ok {
			return fmt.Errorf("%w activation key %T", hsm.ErrUnsupported, found)
		}
		if pub, err = k.ECDH(); err == nil && pub.Curve() != ecdh.P256() {
			err = fmt.Errorf("%w: the activation key is not on P-256", hsm.ErrUnsupported)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	t.activation.Store(pub)
	return pub, nil
}

// OpenActivation opens a secret that a phone encrypted to this token (hsm.SealActivation), or hsm.ErrActivation.
func (t *Token) OpenActivation(ctx context.Context, info, sealed []byte) (hsm.Secret, error) {
	pub, err := t.activationKey(ctx)
	if err != nil {
		return hsm.Secret{}, err
	}
	x := &exchanger{ctx: ctx, pool: t.pool, pub: pub}
	secret, err := hsm.OpenActivation(x, info, sealed)
	if x.failed != nil { // the module did not answer: nothing is said of the secret
		return hsm.Secret{}, x.failed
	}
	return secret, err
}

// exchanger is the activation key for the length of one call.
type exchanger struct {
	ctx    context.Context
	pool   *pool
	pub    *ecdh.PublicKey
	failed error
}

func (x *exchanger) PublicKey() *ecdh.PublicKey { return x.pub }
func (x *exchanger) Curve() ecdh.Curve          { return x.pub.Curve() }

// ECDH derives inside the module and reads the shared secret, which is the one value of the exchange that leaves it.
func (x *exchanger) ECDH(remote *ecdh.PublicKey) (shared []byte, err error) {
	err = x.pool.do(x.ctx, func(s *session) error {
		key, err := x.pool.tokenObject(s, pkcs11.CKO_PRIVATE_KEY, ActivationLabel)
		if err != nil {
			return err
		}
		// It is read at once and destroyed, so it is no private object: those a module encrypts in its memory first.
		params := pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, remote.Bytes())
		h, err := s.ctx.DeriveKey(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, params)}, key, []*pkcs11.Attribute{
			attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
			attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
			attr(pkcs11.CKA_TOKEN, false),
			attr(pkcs11.CKA_PRIVATE, false),
			attr(pkcs11.CKA_SENSITIVE, false),
			attr(pkcs11.CKA_EXTRACTABLE, true),
			attr(pkcs11.CKA_VALUE_LEN, 32),
		})
		if err != nil {
			return wrap("C_DeriveKey", err)
		}
		defer s.discard(h)
		if shared, err = s.value(h, pkcs11.CKA_VALUE); err == nil && len(shared) != 32 {
			err = fmt.Errorf("p11: the module gave a shared secret of %d bytes", len(shared))
		}
		return err
	})
	x.failed = err
	return shared, err
}
