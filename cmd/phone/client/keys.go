package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The keys are PKCS#8 files that only their owner may read. They stand for the Secure Enclave or the Android
// Keystore, which an app uses in their place: there a key cannot be read, copied or backed up (HCA-6.1).
const (
	deviceKeyFile = "device.key"
	keySuffix     = ".key" // of a holder's key, after its application's id
)

// makeKey makes a key and stores it before anything is told of it.
func makeKey(algorithm, path string) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case "P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RSA-2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		return nil, fmt.Errorf("this phone makes no keys of algorithm %q", algorithm)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func loadKey(path string) (crypto.Signer, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", filepath.Base(path))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds a key that cannot sign", filepath.Base(path))
	}
	return signer, nil
}

func (p *Phone) deviceKey() (crypto.Signer, error) {
	key, err := loadKey(filepath.Join(p.dir, deviceKeyFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("this phone is not bound: scan the counter's QR first")
	}
	return key, err
}

// holderKey is the key of an application: the one that was made before, or a new one.
func (p *Phone) holderKey(application, algorithm string) (crypto.Signer, error) {
	path := filepath.Join(p.dir, application+keySuffix)
	key, err := loadKey(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(algorithm, path)
	}
	return key, err
}

// writeFile puts a whole file in its place, or leaves what was there.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // readable by its owner only
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
