// Package hsm holds the words that users of a hardware security module share: which module, which algorithm, whose
// key. The keys themselves stay behind crypto.Signer; package p11 is what talks to a module.
package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Algorithm names a kind of key pair that a module makes.
type Algorithm string

// The algorithms that this program asks a module for.
const (
	P256    Algorithm = "P-256"
	P384    Algorithm = "P-384"
	RSA2048 Algorithm = "RSA-2048"
	RSA3072 Algorithm = "RSA-3072"
	RSA4096 Algorithm = "RSA-4096"
)

// Valid says whether a is one of the algorithms above.
func (a Algorithm) Valid() bool {
	return slices.Contains([]Algorithm{P256, P384, RSA2048, RSA3072, RSA4096}, a)
}

// AlgorithmOf names the algorithm of a public key. It refuses what this program does not make or use.
func AlgorithmOf(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return P256, nil
		case elliptic.P384():
			return P384, nil
		}
	case *rsa.PublicKey:
		if a := Algorithm(fmt.Sprintf("RSA-%d", k.N.BitLen())); a.Valid() {
			return a, nil
		}
	}
	return "", fmt.Errorf("hsm: unsupported public key %T", pub)
}

// Info says which module holds the keys. Where an auditor asks which certified module made a key (HCA-6.3.1), this
// is the answer; the certification itself is recorded by the operator.
type Info struct {
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Serial       string `json:"serial"`
	Label        string `json:"label"`
	Firmware     string `json:"firmware"`
	// Software is true for SoftHSM, which is no hardware at all: development only (HCA-6.3.1).
	Software bool `json:"software"`
}

// Binding ties a holder's key to what it was made for: one person, one device, one application (HCA-6.3.5).
type Binding struct {
	Person      string
	Device      string
	Application string
}

// WrappedKey is a holder's private key outside the module, encrypted under the master key of one generation
// (HCA-6.3.5). MAC covers every other field and the Binding, so that a row that was edited or swapped with another
// is noticed.
type WrappedKey struct {
	Generation int       // of the master key, from 1
	Algorithm  Algorithm // of the key pair
	Blob       []byte    // RFC 5649 key wrap of the PKCS#8 private key
	SPKI       []byte    // DER SubjectPublicKeyInfo of the public half
	MAC        []byte    // HMAC-SHA-256 made inside the module
}

// ContextSigner is a crypto.Signer that can stop waiting for a free module session. Every signer of package p11
// that belongs to a Token is one.
type ContextSigner interface {
	crypto.Signer
	SignContext(ctx context.Context, rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Sign makes a signature over a digest with the signer's own randomness. A signer that waits for a free module session
// stops waiting when ctx ends.
func Sign(ctx context.Context, key crypto.Signer, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k, ok := key.(ContextSigner); ok {
		return k.SignContext(ctx, nil, digest, opts)
	}
	return key.Sign(nil, digest, opts)
}

// Errors that callers act on.
var (
	// ErrBinding means that a wrapped key is not the one made for this person, device and application, or was
	// changed since (HCA-6.3.5). Nothing was unwrapped.
	ErrBinding = errors.New("hsm: wrapped key does not belong to this person, device and application")
	// ErrNotFound means that the token holds no object of that label or generation.
	ErrNotFound = errors.New("hsm: no such object in the token")
	// ErrExists means that an object or token of that label or generation is there already.
	ErrExists = errors.New("hsm: already exists")
	// ErrUnsupported means an algorithm, hash or padding that this program does not use.
	ErrUnsupported = errors.New("hsm: unsupported")
)
