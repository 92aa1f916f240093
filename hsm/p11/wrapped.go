package p11

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// maxBlob is above the wrapped form of the largest key (RSA-4096: about 2,400 bytes).
const maxBlob = 8 << 10

var keyWrap = []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil)}

// GenerateWrapped makes a holder's key pair (HCA-6.3.5, design "wrapped"): inside the module, wrapped at once under
// the newest master key, and destroyed there. While it exists it is sensitive and can be wrapped by nothing but a
// master key of a ceremony.
func (t *Token) GenerateWrapped(ctx context.Context, alg hsm.Algorithm, b hsm.Binding) (hsm.WrappedKey, error) {
	if err := complete(b); err != nil {
		return hsm.WrappedKey{}, err
	}
	var k hsm.WrappedKey
	err := t.pool.do(ctx, func(s *session) error {
		generations, err := s.generations(masterPrefix)
		if err != nil {
			return err
		}
		if len(generations) == 0 {
			return fmt.Errorf("%w: a master key (key ceremony)", hsm.ErrNotFound)
		}
		k = hsm.WrappedKey{Generation: generations[len(generations)-1], Algorithm: alg}
		pub, priv, err := s.generate(alg, []*pkcs11.Attribute{attr(pkcs11.CKA_TOKEN, false)}, []*pkcs11.Attribute{
			attr(pkcs11.CKA_TOKEN, false),
			attr(pkcs11.CKA_EXTRACTABLE, true),
			attr(pkcs11.CKA_WRAP_WITH_TRUSTED, true),
		})
		if err != nil {
			return err
		}
		defer s.discard(pub)
		defer s.discard(priv)
		public, err := s.publicKey(pub)
		if err != nil {
			return err
		}
		if k.SPKI, err = x509.MarshalPKIXPublicKey(public); err != nil {
			return fmt.Errorf("p11: public key: %w", err)
		}
		return t.seal(s, &k, priv, b)
	})
	if err != nil {
		return hsm.WrappedKey{}, err
	}
	return k, nil
}

// seal fills in Blob and MAC of k from a private key of the session.
func (t *Token) seal(s *session, k *hsm.WrappedKey, priv pkcs11.ObjectHandle, b hsm.Binding) error {
	master, err := t.trusted(s, masterPrefix, k.Generation)
	if err != nil {
		return err
	}
	if k.Blob, err = s.ctx.WrapKey(s.h, keyWrap, master, priv); err != nil {
		return wrap("C_WrapKey", err)
	}
	mac, err := t.pool.tokenObject(s, pkcs11.CKO_SECRET_KEY, MACLabel)
	if err != nil {
		return err
	}
	k.MAC, err = s.hmac(mac, bindingMessage(*k, b))
	return err
}

// bindingMessage is what the MAC of a wrapped key covers.
func bindingMessage(k hsm.WrappedKey, b hsm.Binding) []byte {
	return macMessage(domainWrapped, binary.BigEndian.AppendUint64(nil, uint64(k.Generation)), []byte(k.Algorithm),
		k.SPKI, k.Blob, []byte(b.Person), []byte(b.Device), []byte(b.Application))
}

func complete(b hsm.Binding) error {
	if b.Person == "" || b.Device == "" || b.Application == "" {
		return errors.New("p11: a holder's key needs a person, a device and an application")
	}
	return nil
}

// verify checks that k was made for b and is unchanged, before anything is unwrapped.
func (t *Token) verify(ctx context.Context, k hsm.WrappedKey, b hsm.Binding) error {
	if err := complete(b); err != nil {
		return err
	}
	if k.Generation < 1 || len(k.Blob) == 0 || len(k.Blob) > maxBlob || len(k.SPKI) == 0 || len(k.SPKI) > maxBlob {
		return hsm.ErrBinding
	}
	message := bindingMessage(k, b)
	name := sha256.Sum256(append(bytes.Clone(message), k.MAC...))
	if t.verified.has(name) {
		return nil
	}
	want, err := t.hmac(ctx, MACLabel, message)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, k.MAC) {
		return hsm.ErrBinding
	}
	t.verified.add(name)
	return nil
}

// verified remembers which keys and bindings, each with its MAC, were found right. The same bytes stay right for the life
// of the token, and a holder's key is looked at for each of his signatures: by a module across a network, a round trip.
type verified struct {
	mu    sync.Mutex
	names map[[sha256.Size]byte]struct{}
}

// maxVerified bounds it, at 32 bytes each: the holders of a country's hospitals who sign on one day.
const maxVerified = 1 << 16

func (v *verified) has(name [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, there := v.names[name]
	return there
}

func (v *verified) add(name [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.names == nil || len(v.names) >= maxVerified {
		v.names = map[[sha256.Size]byte]struct{}{}
	}
	v.names[name] = struct{}{}
}

// wrappedSigner signs with a holder's key, which is in the module for the length of one signature.
type wrappedSigner struct {
	token *Token
	key   hsm.WrappedKey
	pub   crypto.PublicKey
}

// SignerFor returns the signer of a holder's key, after its MAC has shown that the key is the one made for b and
// has not been changed (hsm.ErrBinding). Each signature unwraps the key as non-extractable, signs, and destroys it.
func (t *Token) SignerFor(ctx context.Context, k hsm.WrappedKey, b hsm.Binding) (crypto.Signer, error) {
	k.Blob, k.SPKI, k.MAC = bytes.Clone(k.Blob), bytes.Clone(k.SPKI), bytes.Clone(k.MAC)
	if err := t.verify(ctx, k, b); err != nil {
		return nil, err
	}
	pub, err := x509.ParsePKIXPublicKey(k.SPKI)
	if err != nil {
		return nil, fmt.Errorf("p11: public key of the wrapped key: %w", err)
	}
	if alg, err := hsm.AlgorithmOf(pub); err != nil || alg != k.Algorithm {
		return nil, hsm.ErrBinding
	}
	return &wrappedSigner{token: t, key: k, pub: pub}, nil
}

// Public is the public half, as the MAC vouches for it.
func (w *wrappedSigner) Public() crypto.PublicKey { return w.pub }

// Sign makes a signature, waiting for a session as long as it takes.
func (w *wrappedSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return w.SignContext(context.Background(), rand, digest, opts)
}

// SignContext is Sign that stops waiting for a session when ctx ends.
func (w *wrappedSigner) SignContext(ctx context.Context, _ io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	op, err := prepare(w.pub, digest, opts)
	if err != nil {
		return nil, err
	}
	err = w.token.pool.do(ctx, func(s *session) error {
		priv, err := w.token.unwrap(s, masterPrefix, w.key, false)
		if err != nil {
			return err
		}
		defer s.discard(priv)
		sig, err = s.sign(priv, op)
		return err
	})
	return sig, err
}

// unwrap brings a holder's key into the session. A key that may be wrapped again comes in through the rollover
// object only, whose template adds that nothing but a master key may wrap it.
func (t *Token) unwrap(s *session, prefix string, k hsm.WrappedKey, again bool) (pkcs11.ObjectHandle, error) {
	kind := uint(pkcs11.CKK_RSA)
	if k.Algorithm == hsm.P256 || k.Algorithm == hsm.P384 {
		kind = pkcs11.CKK_EC
	}
	master, err := t.trusted(s, prefix, k.Generation)
	if err != nil {
		return 0, err
	}
	template := []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		attr(pkcs11.CKA_KEY_TYPE, kind),
		attr(pkcs11.CKA_TOKEN, false),
		attr(pkcs11.CKA_PRIVATE, true),
		attr(pkcs11.CKA_SENSITIVE, true),
		attr(pkcs11.CKA_EXTRACTABLE, again),
		attr(pkcs11.CKA_SIGN, !again),
		attr(pkcs11.CKA_DECRYPT, false),
		attr(pkcs11.CKA_UNWRAP, false),
		attr(pkcs11.CKA_DERIVE, false),
	}
	if again {
		template = append(template, attr(pkcs11.CKA_WRAP_WITH_TRUSTED, true))
	}
	h, err := s.ctx.UnwrapKey(s.h, keyWrap, master, k.Blob, template)
	return h, wrap("C_UnwrapKey", err)
}

// Rewrap wraps a holder's key under the master key of another generation (HCA-6.3.4). It needs the rollover object
// of the key's generation, which a ceremony makes with that generation's custodians. A key that is under
// toGeneration already comes back as it is, so that an interrupted rollover is simply run again. The old form goes
// on signing until its master key is destroyed.
func (t *Token) Rewrap(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, toGeneration int) (hsm.WrappedKey, error) {
	if err := t.verify(ctx, k, b); err != nil {
		return hsm.WrappedKey{}, err
	}
	if k.Generation == toGeneration {
		return k, nil
	}
	n := hsm.WrappedKey{Generation: toGeneration, Algorithm: k.Algorithm, SPKI: bytes.Clone(k.SPKI)}
	err := t.pool.do(ctx, func(s *session) error {
		priv, err := t.unwrap(s, rolloverPrefix, k, true)
		if err != nil {
			return err
		}
		defer s.discard(priv)
		return t.seal(s, &n, priv, b)
	})
	if err != nil {
		return hsm.WrappedKey{}, err
	}
	return n, nil
}

// discard destroys a session object. Where that fails the session is closed, which destroys its objects too.
func (s *session) discard(h pkcs11.ObjectHandle) {
	if s.ctx.DestroyObject(s.h, h) != nil {
		s.close()
	}
}
