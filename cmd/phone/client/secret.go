package client

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/argon2"

	"certwindow/hsm"
)

// A key in the window's HSM obeys a secret that this phone alone has (HCA-6.3.5). It is a file here, locked by the
// holder's password and by the phone's own key store: an app keeps it as an item of the Keychain, or under a key of the
// Android Keystore, that asks for the holder's password or biometric.
const secretSuffix = ".secret" // after the application's id

// secretFile is how it is kept.
type secretFile struct {
	Salt   []byte `json:"salt"`
	Nonce  []byte `json:"nonce"`
	Sealed []byte `json:"sealed"`
}

// Argon2id as RFC 9106 section 4 recommends where memory is scarce.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// SetPassword gives the password that locks the secrets of keys in the HSM on this phone. It is never sent.
func (p *Phone) SetPassword(password string) { p.password = password }

// secret is the one of an application: what was made before, or a new one, which is stored before anything is told
// of it.
func (p *Phone) secret(application string) ([]byte, error) {
	secret, err := p.loadSecret(application)
	if !errors.Is(err, os.ErrNotExist) {
		return secret, err
	}
	secret = make([]byte, hsm.SecretSize)
	rand.Read(secret) // never fails; the program would have ended
	f := secretFile{Salt: make([]byte, 16), Nonce: make([]byte, 12)}
	rand.Read(f.Salt)
	rand.Read(f.Nonce)
	aead, err := p.lock(application, f.Salt)
	if err != nil {
		return nil, err
	}
	f.Sealed = aead.Seal(nil, f.Nonce, secret, []byte(application))
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	return secret, writeFile(filepath.Join(p.dir, application+secretSuffix), raw)
}

// loadSecret unlocks a secret that is here.
func (p *Phone) loadSecret(application string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(p.dir, application+secretSuffix))
	if err != nil {
		return nil, err
	}
	var f secretFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("the secret of this key cannot be read: %w", err)
	}
	aead, err := p.lock(application, f.Salt)
	if err != nil {
		return nil, err
	}
	if len(f.Nonce) != aead.NonceSize() {
		return nil, errors.New("the secret of this key cannot be read")
	}
	secret, err := aead.Open(nil, f.Nonce, f.Sealed, []byte(application))
	if err != nil {
		return nil, errors.New("the password does not unlock this key")
	}
	return secret, nil
}

// lock is the cipher of one secret: under the password, and under what does not leave this phone's key store.
func (p *Phone) lock(application string, salt []byte) (cipher.AEAD, error) {
	if p.password == "" {
		return nil, errors.New("a key in the window's HSM needs a password on this phone: give one first")
	}
	device, err := p.deviceKey()
	if err != nil {
		return nil, err
	}
	ec, ok := device.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("device key of type %T", device)
	}
	inside, err := ec.Bytes()
	if err != nil {
		return nil, err
	}
	outside := argon2.IDKey([]byte(p.password), salt, argonTime, argonMemory, argonThreads, 32)
	key, err := hkdf.Key(sha256.New, append(outside, inside...), salt, "certwindow phone secret v1 "+application, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
