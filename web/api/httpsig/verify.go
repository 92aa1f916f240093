package httpsig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"math/big"
	"net/http"
	"time"
)

// Unverified is a request's signature as it was read. Nothing in it is proved: KeyID tells which key to look
// for, and Verify tells whether that key signed.
type Unverified struct {
	params    Params
	base      []byte
	signature []byte
}

// KeyID names the key that is said to have signed.
func (u *Unverified) KeyID() string { return u.params.KeyID }

// Base is the text that is signed (RFC 9421 section 2.5), for whoever looks for a difference.
func (u *Unverified) Base() []byte { return u.base }

// Read reads the signature of a request and holds the digest against the body, which the caller has read and
// capped. Its errors wrap ErrSignature.
func Read(r *http.Request, body []byte) (*Unverified, error) {
	hasBody := len(body) > 0
	l, p, err := readInput(r.Header, hasBody)
	if err != nil {
		return nil, err
	}
	signature, err := octets(r.Header, HeaderSignature, Label)
	if err != nil {
		return nil, err
	}
	if len(signature) != signatureSize {
		return nil, refused("the signature is %d bytes of r and s", signatureSize)
	}
	if err := checkDigest(r.Header, body); err != nil {
		return nil, err
	}
	text, err := base(r, r.Header.Get(HeaderDigest), l)
	if err != nil {
		return nil, err
	}
	return &Unverified{params: p, base: text, signature: signature}, nil
}

func checkDigest(h http.Header, body []byte) error {
	if len(body) == 0 {
		if len(h.Values(HeaderDigest)) > 0 {
			return refused("%s without a body", HeaderDigest)
		}
		return nil
	}
	digest, err := octets(h, HeaderDigest, digestName)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare(digest, sum[:]) != 1 {
		return refused("%s is not that of the body", HeaderDigest)
	}
	return nil
}

// Verified is a signature that its key made, a moment ago. Only Verify makes one. That its nonce was not used
// before is for whoever keeps nonces to say.
type Verified struct{ params Params }

// Params are what the signer said, and signed.
func (v Verified) Params() Params { return v.params }

// Verify checks the signature under the key, which the caller found by KeyID, and its age.
func (u *Unverified) Verify(key *ecdsa.PublicKey, now time.Time) (Verified, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return Verified{}, refused("the key is not on P-256")
	}
	if !verifyRaw(key, u.base, u.signature) {
		return Verified{}, refused("the signature does not verify under its key")
	}
	if age := now.Sub(u.params.Created); age > Skew || age < -Skew {
		return Verified{}, ErrClock
	}
	return Verified{params: u.params}, nil
}

func verifyRaw(key *ecdsa.PublicKey, text, signature []byte) bool {
	sum := sha256.Sum256(text)
	r := new(big.Int).SetBytes(signature[:signatureSize/2])
	s := new(big.Int).SetBytes(signature[signatureSize/2:])
	return ecdsa.Verify(key, sum[:], r, s)
}
