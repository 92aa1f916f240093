package p11

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"

	"certwindow/hsm"
)

// GenerateSealed is GenerateWrapped for a key that its holder's phone controls: the wrapped key is sealed once more
// under the phone's secret (hsm.SealBlob), and the MAC covers the sealed form. Without the secret the key comes back
// into no module.
func (t *Token) GenerateSealed(ctx context.Context, alg hsm.Algorithm, b hsm.Binding, secret hsm.Secret) (hsm.WrappedKey, error) {
	k, err := t.GenerateWrapped(ctx, alg, b)
	if err != nil {
		return hsm.WrappedKey{}, err
	}
	return t.lock(ctx, k, b, secret)
}

// lock seals a wrapped key's blob and makes the MAC of the whole anew.
func (t *Token) lock(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret) (hsm.WrappedKey, error) {
	inner := k.Blob
	defer clear(inner)
	var err error
	if k.Blob, err = hsm.SealBlob(secret, k, b, inner); err != nil {
		return hsm.WrappedKey{}, err
	}
	k.MAC, err = t.hmac(ctx, MACLabel, bindingMessage(k, b))
	if err != nil {
		return hsm.WrappedKey{}, err
	}
	return k, nil
}

// unlock verifies the MAC and opens the seal: the key as the module unwraps it, and its public half.
func (t *Token) unlock(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret) (hsm.WrappedKey, crypto.PublicKey, error) {
	if err := t.verify(ctx, k, b); err != nil {
		return k, nil, err
	}
	pub, err := x509.ParsePKIXPublicKey(k.SPKI)
	if err != nil {
		return k, nil, hsm.ErrBinding
	}
	if alg, err := hsm.AlgorithmOf(pub); err != nil || alg != k.Algorithm {
		return k, nil, hsm.ErrBinding
	}
	k.Blob, err = hsm.OpenBlob(secret, k, b)
	return k, pub, err
}

// VerifyBinding checks that a stored key is the one that was made for b and is unchanged (hsm.ErrBinding). It needs
// no secret, and uses no key but the MAC's.
func (t *Token) VerifyBinding(ctx context.Context, k hsm.WrappedKey, b hsm.Binding) error {
	return t.verify(ctx, k, b)
}

// SealedSigner is the signer of a sealed key, for a secret that opens it (hsm.ErrSecret). It holds what the seal hid
// for as long as it is kept, so it is for one act.
func (t *Token) SealedSigner(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret) (crypto.Signer, error) {
	k, pub, err := t.unlock(ctx, k, b, secret)
	if err != nil {
		return nil, err
	}
	return &wrappedSigner{token: t, key: k, pub: pub}, nil
}

// SignSealed signs digests of one hash algorithm with a sealed key: it is unwrapped once as non-extractable, signs
// them all in order, and is destroyed. RSA keys sign PKCS #1 v1.5, others ECDSA in DER.
func (t *Token) SignSealed(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret, hash crypto.Hash, digests [][]byte) ([][]byte, error) {
	inner, pub, err := t.unlock(ctx, k, b, secret)
	if err != nil {
		return nil, err
	}
	defer clear(inner.Blob)
	ops := make([]operation, 0, len(digests))
	for _, d := range digests {
		op, err := prepare(pub, d, hash)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	var out [][]byte
	err = t.pool.do(ctx, func(s *session) error {
		out = out[:0]
		priv, err := t.unwrap(s, masterPrefix, inner, false)
		if err != nil {
			return err
		}
		defer s.discard(priv)
		for _, op := range ops {
			sig, err := s.sign(priv, op)
			if err != nil {
				return err
			}
			out = append(out, sig)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RewrapSealed is Rewrap for a sealed key, which needs its holder's secret: so it is done when the holder uses the
// key (HCA-6.3.4). It is hsm.ErrNotFound where the rollover object of the key's generation is not there.
func (t *Token) RewrapSealed(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret, toGeneration int) (hsm.WrappedKey, error) {
	inner, _, err := t.unlock(ctx, k, b, secret)
	if err != nil || k.Generation == toGeneration {
		return k, err
	}
	defer clear(inner.Blob)
	n := hsm.WrappedKey{Generation: toGeneration, Algorithm: k.Algorithm, SPKI: bytes.Clone(k.SPKI)}
	err = t.pool.do(ctx, func(s *session) error {
		priv, err := t.unwrap(s, rolloverPrefix, inner, true)
		if err != nil {
			return err
		}
		defer s.discard(priv)
		return t.seal(s, &n, priv, b)
	})
	if err != nil {
		return hsm.WrappedKey{}, err
	}
	return t.lock(ctx, n, b, secret)
}
