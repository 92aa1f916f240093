package remotesign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// SuccessionType is the JWS "typ" of the statement that a status key has a successor.
const SuccessionType = "certwindow-status-succession+jwt"

// Succession says which key signs status statements from now on. It is a JWS of the key before it, whose public half is its
// header's jwk. A phone that knows a key by its name alone can follow it, years later and over any connection: the server's
// TLS key is no evidence of a status key, since who holds that one could name whom he likes.
type Succession struct {
	Issuer   string `json:"iss"`
	Next     []byte `json:"next"` // SubjectPublicKeyInfo, base64
	IssuedAt int64  `json:"iat"`
}

// Succeed makes the statement, in compact form. The new key has to be another one, on P-256.
func Succeed(old crypto.Signer, next crypto.PublicKey, issuer string, now time.Time) (string, error) {
	if k, ok := next.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() || k.Equal(old.Public()) {
		return "", errors.New("remotesign: the next status key is another one than the present, on P-256")
	}
	der, err := x509.MarshalPKIXPublicKey(next)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: cryptosigner.Opaque(old)}, (&jose.SignerOptions{EmbedJWK: true}).WithType(SuccessionType))
	if err != nil {
		return "", fmt.Errorf("remotesign: status key: %w", err)
	}
	payload, err := json.Marshal(Succession{Issuer: issuer, Next: der, IssuedAt: now.Unix()})
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("remotesign: status key: %w", err)
	}
	return jws.CompactSerialize()
}

// maxSuccession bounds one statement that was not believed yet.
const maxSuccession = 2048

// ReadSuccession reads a statement and gives the names of both keys (KeyName): that of the one before, which verified it, and that
// of the next. Whether the first is to be believed is the caller's to say, by its name.
func ReadSuccession(token, issuer string) (before, next string, err error) {
	if len(token) > maxSuccession {
		return "", "", errors.New("the succession of a status key is too long")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", "", fmt.Errorf("the succession of a status key cannot be read: %w", err)
	}
	h := jws.Signatures[0].Protected
	if typ, _ := h.ExtraHeaders[jose.HeaderType].(string); typ != SuccessionType || h.JSONWebKey == nil {
		return "", "", errors.New("this is no " + SuccessionType)
	}
	payload, err := jws.Verify(h.JSONWebKey)
	if err != nil {
		return "", "", fmt.Errorf("the succession of a status key is not signed by the key before it: %w", err)
	}
	var s Succession
	if err := json.Unmarshal(payload, &s); err != nil || s.Issuer != issuer {
		return "", "", errors.New("the succession of a status key is another window's")
	}
	if before, err = KeyName(h.JSONWebKey.Key); err != nil {
		return "", "", err
	}
	return before, nameOf(s.Next), nil
}

// KeyName is the lower hex SHA-256 of a key's SubjectPublicKeyInfo, as a counter's QR names the status key.
func KeyName(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return nameOf(der), err
}

func nameOf(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}
