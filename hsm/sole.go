package hsm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// soleVersion is the first byte of a blob that is sealed under a phone's secret. No RFC 5649 wrapping of a key is
// told by it: that a blob is sealed is said by who calls, and the module refuses to unwrap the sealed form.
const soleVersion = 1

const (
	soleSalt     = 32
	soleOverhead = 1 + soleSalt + 16
)

// ErrSecret means that a phone's secret does not open the holder's key: it is another key's, or somebody else's.
var ErrSecret = errors.New("hsm: the secret does not open this holder's key")

// SealBlob encrypts a wrapped key once more, under the secret that only the holder's phone keeps (HCA-6.3.5):
// AES-256-GCM under HKDF-SHA256(secret, a random salt, key and binding). k is the key without its blob. What the
// window stores is of no use to the window itself.
func SealBlob(secret Secret, k WrappedKey, b Binding, blob []byte) ([]byte, error) {
	out := make([]byte, 1+soleSalt, soleOverhead+len(blob))
	out[0] = soleVersion
	rand.Read(out[1:])
	aead, err := soleCipher(secret, out[1:], k, b)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, make([]byte, aead.NonceSize()), blob, nil), nil
}

// OpenBlob is the way back, or ErrSecret. k is the key with its sealed blob.
func OpenBlob(secret Secret, k WrappedKey, b Binding) ([]byte, error) {
	if len(k.Blob) <= soleOverhead || k.Blob[0] != soleVersion {
		return nil, ErrSecret
	}
	salt, sealed := k.Blob[1:1+soleSalt], k.Blob[1+soleSalt:]
	aead, err := soleCipher(secret, salt, k, b)
	if err != nil {
		return nil, err
	}
	blob, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, nil)
	if err != nil {
		return nil, ErrSecret
	}
	return blob, nil
}

// soleCipher is the cipher of one sealing. Its key is used once, so that its nonce may be zero.
func soleCipher(secret Secret, salt []byte, k WrappedKey, b Binding) (cipher.AEAD, error) {
	if secret.Len() != SecretSize {
		return nil, ErrSecret
	}
	info := fields("certwindow sole control v1", binary.BigEndian.AppendUint64(nil, uint64(k.Generation)), []byte(k.Algorithm), k.SPKI,
		[]byte(b.Person), []byte(b.Device), []byte(b.Application))
	key, err := hkdf.Key(sha256.New, secret.Bytes(), salt, string(info), 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
