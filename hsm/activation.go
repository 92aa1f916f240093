package hsm

import (
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
)

// SecretSize is the length in bytes of the secret that a holder's phone keeps, and without which the holder's key in
// the module cannot be used (HCA-6.3.5).
const SecretSize = 32

// activationOverhead is what HPKE adds: an uncompressed P-256 point and a tag of AES-GCM.
const activationOverhead = 65 + 16

// ActivationSize is the length in bytes of a secret on its way to the module.
const ActivationSize = SecretSize + activationOverhead

// ActivationInfo is what an encrypted secret is bound to (the info of RFC 9180 section 5.1): its purpose, what it is
// for, and the window's challenge. One that was made for another act does not open.
func ActivationInfo(purpose, object string, challenge []byte) []byte {
	return fields("certwindow activation v1", []byte(purpose), []byte(object), challenge)
}

// SealActivation encrypts a phone's secret to the module's activation key, an uncompressed P-256 point: HPKE in base
// mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM (RFC 9180). The result is the encapsulated key and
// the ciphertext behind it.
func SealActivation(public, info, secret []byte) ([]byte, error) {
	if len(secret) != SecretSize {
		return nil, fmt.Errorf("hsm: a phone's secret has %d bytes", SecretSize)
	}
	key, err := hpke.DHKEM(ecdh.P256()).NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("hsm: activation key: %w", err)
	}
	return hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, secret)
}

// ErrActivation means that an encrypted secret does not open: it was made for another act, for another activation
// key, or was changed.
var ErrActivation = errors.New("hsm: the encrypted secret does not open")

// OpenActivation is the way back, with the activation key wherever it is. The caller destroys the secret.
func OpenActivation(key ecdh.KeyExchanger, info, sealed []byte) (Secret, error) {
	if len(sealed) != ActivationSize {
		return Secret{}, ErrActivation
	}
	private, err := hpke.NewDHKEMPrivateKey(key)
	if err != nil {
		return Secret{}, fmt.Errorf("hsm: activation key: %w", err)
	}
	plain, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
	if err != nil {
		return Secret{}, fmt.Errorf("%w: %w", ErrActivation, err)
	}
	defer clear(plain)
	return NewSecret(plain), nil
}

// fields joins a domain and values so that no two different lists give the same bytes.
func fields(domain string, values ...[]byte) []byte {
	out := field(nil, []byte(domain))
	for _, v := range values {
		out = field(out, v)
	}
	return out
}

func field(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(v)))
	return append(b, v...)
}
