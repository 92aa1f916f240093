package ra

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"time"
)

// NoncePurpose is the one use a nonce is good for (HCA-8.1.4).
type NoncePurpose string

const (
	NonceEnrol  NoncePurpose = "enrol"
	NonceRevoke NoncePurpose = "revoke"
)

// Nonce is issued once and redeemed once, for one purpose, person, device and session (HCA-8.1.4). The
// database holds its hash.
type Nonce struct {
	Value     string // base64url, 32 random bytes, no padding
	Purpose   NoncePurpose
	Person    PersonID
	Device    DeviceID
	Session   string
	ExpiresAt time.Time
}

// NewNonceValue draws a nonce's 32 bytes.
func NewNonceValue(rand io.Reader) (string, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// NonceHash is what the database keeps of a nonce.
func NonceHash(value string) []byte {
	sum := sha256.Sum256([]byte("certwindow nonce\x00" + value))
	return sum[:]
}
