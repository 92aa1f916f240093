// Package seal encrypts database columns and makes their searchable hashes. Its root secret comes out of the
// module (p11.Token.DeriveSecret) and is never stored, so that a copy of the database alone shows no personal data.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// version is the first byte of every sealed value; it names AES-256-GCM with a random 96-bit nonce.
const version = 1

const (
	nonceSize = 12
	tagSize   = 16
	// Overhead is how many bytes longer a sealed value is than its plaintext.
	Overhead = 1 + nonceSize + tagSize
)

// ErrSealed means that a sealed value was cut, changed, sealed for another column or under another secret.
var ErrSealed = errors.New("seal: the sealed value does not open")

// Sealer seals and opens values, and hashes them for search. It is safe for concurrent use.
type Sealer struct {
	aead    cipher.AEAD
	hashKey []byte
	rand    io.Reader
}

// New derives the keys from a secret of 32 bytes. rand is read for nonces and must be safe for concurrent use.
func New(secret []byte, rand io.Reader) (*Sealer, error) {
	if len(secret) != 32 {
		return nil, fmt.Errorf("seal: root secret is %d bytes, not 32", len(secret))
	}
	if rand == nil {
		return nil, errors.New("seal: no random source")
	}
	encKey, err := hkdf.Key(sha256.New, secret, nil, "certwindow seal v1 encryption", 32)
	if err != nil {
		return nil, err
	}
	hashKey, err := hkdf.Key(sha256.New, secret, nil, "certwindow seal v1 search hash", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(encKey)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead, hashKey: hashKey, rand: rand}, nil
}

// Seal encrypts plaintext for one column. The column's name is authenticated: the value opens nowhere else. A
// caller for whom moving a value to another row would matter puts the row's key into the name.
func (s *Sealer) Seal(column string, plaintext []byte) ([]byte, error) {
	out := make([]byte, 1+nonceSize, Overhead+len(plaintext))
	out[0] = version
	nonce := out[1:]
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return nil, fmt.Errorf("seal: random source: %w", err)
	}
	return s.aead.Seal(out, nonce, plaintext, associated(column)), nil
}

// Open decrypts what Seal made for the same column, or returns ErrSealed.
func (s *Sealer) Open(column string, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrSealed
	}
	plain, err := s.aead.Open(nil, sealed[1:1+nonceSize], sealed[1+nonceSize:], associated(column))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Hash is HMAC-SHA-256 of a value for one column, for unique indexes and look-ups. The caller normalises the value
// (case, width, spaces) before. Equal values in different columns have different hashes.
func (s *Sealer) Hash(column, value string) []byte {
	m := hmac.New(sha256.New, s.hashKey)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(column))))
	io.WriteString(m, column)
	io.WriteString(m, value)
	return m.Sum(nil)
}

func associated(column string) []byte {
	return append([]byte{version}, column...)
}
