package p11

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"certwindow/hsm"

	"github.com/miekg/pkcs11"
)

// digestInfo holds the DER that PKCS#1 v1.5 puts before a digest (RFC 8017, section 9.2, note 1).
var digestInfo = map[crypto.Hash][]byte{
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

// pssHashes are the mechanism and the mask function that CK_RSA_PKCS_PSS_PARAMS names for a hash.
var pssHashes = map[crypto.Hash][2]uint{
	crypto.SHA256: {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// operation is a signature that is ready to be made: mechanism and input, and how to read the module's answer.
type operation struct {
	mechanism *pkcs11.Mechanism
	input     []byte
	finish    func(raw []byte) ([]byte, error)
}

// prepare chooses the mechanism for a key, a digest and options as crypto.Signer knows them. The digest is always
// made outside; only SHA-256, SHA-384 and SHA-512 are signed.
func prepare(pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (operation, error) {
	if opts == nil {
		return operation{}, errors.New("p11: no signature options")
	}
	h := opts.HashFunc()
	prefix, ok := digestInfo[h]
	if !ok {
		return operation{}, fmt.Errorf("%w hash %v", hsm.ErrUnsupported, uint(h))
	}
	if len(digest) != h.Size() {
		return operation{}, fmt.Errorf("p11: digest of %d bytes, not the %d of %v", len(digest), h.Size(), h)
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return preparePSS(k, digest, h, pss.SaltLength)
		}
		return operation{
			mechanism: pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil),
			input:     append(prefix[:len(prefix):len(prefix)], digest...),
			finish:    sized(k.Size()),
		}, nil
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().N.BitLen() + 7) / 8
		// ECDSA takes the leftmost bits; modules differ in whether they cut a longer digest themselves.
		return operation{
			mechanism: pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil),
			input:     digest[:min(len(digest), size)],
			finish:    func(raw []byte) ([]byte, error) { return ecdsaDER(raw, size) },
		}, nil
	}
	return operation{}, fmt.Errorf("%w key %T", hsm.ErrUnsupported, pub)
}

func preparePSS(k *rsa.PublicKey, digest []byte, h crypto.Hash, salt int) (operation, error) {
	room := (k.N.BitLen()-1+7)/8 - 2 - h.Size()
	switch salt {
	case rsa.PSSSaltLengthAuto:
		salt = room
	case rsa.PSSSaltLengthEqualsHash:
		salt = h.Size()
	}
	if salt < 0 || salt > room {
		return operation{}, fmt.Errorf("%w PSS salt of %d bytes", hsm.ErrUnsupported, salt)
	}
	names := pssHashes[h]
	params := pkcs11.NewPSSParams(names[0], names[1], uint(salt))
	return operation{
		mechanism: pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params),
		input:     digest,
		finish:    sized(k.Size()),
	}, nil
}

// sized refuses an RSA signature that is not as long as the modulus.
func sized(n int) func([]byte) ([]byte, error) {
	return func(raw []byte) ([]byte, error) {
		if len(raw) != n {
			return nil, fmt.Errorf("p11: the module gave an RSA signature of %d bytes, not %d", len(raw), n)
		}
		return raw, nil
	}
}

// ecdsaDER turns the module's r and s, of equal length side by side, into an ECDSA-Sig-Value (RFC 3279).
func ecdsaDER(raw []byte, size int) ([]byte, error) {
	if len(raw) != 2*size {
		return nil, fmt.Errorf("p11: the module gave an ECDSA signature of %d bytes, not %d", len(raw), 2*size)
	}
	r, s := new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])
	if r.Sign() == 0 || s.Sign() == 0 {
		return nil, errors.New("p11: the module gave an ECDSA signature of zero")
	}
	return asn1.Marshal(struct{ R, S *big.Int }{r, s})
}

// sign makes a prepared signature with a key of the session.
func (s *session) sign(key pkcs11.ObjectHandle, op operation) ([]byte, error) {
	raw, err := s.signRaw(key, op.mechanism, op.input)
	if err != nil {
		return nil, err
	}
	return op.finish(raw)
}

func (s *session) signRaw(key pkcs11.ObjectHandle, m *pkcs11.Mechanism, input []byte) ([]byte, error) {
	if err := s.ctx.SignInit(s.h, []*pkcs11.Mechanism{m}, key); err != nil {
		return nil, wrap("C_SignInit", err)
	}
	raw, err := s.ctx.Sign(s.h, input)
	return raw, wrap("C_Sign", err)
}
