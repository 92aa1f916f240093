package ceremony

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"certwindow/hsm"
)

const (
	transcriptFormat = "certwindow key ceremony v1"
	maxRecord        = 256 << 10
)

// Kind is what a ceremony did.
type Kind string

// The kinds of ceremony.
const (
	KindCreate   Kind = "create"   // a new generation of the master key
	KindRestore  Kind = "restore"  // an old generation made again in a new token
	KindRollover Kind = "rollover" // leave to wrap an old generation's keys anew
	KindRetire   Kind = "retire"   // an old generation destroyed
)

// Transcript is the record of one ceremony (HCA-6.3.2). It holds no secret: check values tell keys apart, and the
// MAC key's backup is encrypted under the master key that the custodians hold in parts.
type Transcript struct {
	Format           string      `json:"format"`
	ID               string      `json:"id"` // random, hexadecimal
	Kind             Kind        `json:"kind"`
	Started          time.Time   `json:"started"`
	Finished         time.Time   `json:"finished"`
	Token            hsm.Info    `json:"token"`
	Module           string      `json:"module"`
	Generation       int         `json:"generation"`
	Custodians       []Custodian `json:"custodians,omitempty"` // in the order of their components
	MasterCheckValue string      `json:"master_check_value"`
	MACCheckValue    string      `json:"mac_check_value,omitempty"`
	MACBackup        []byte      `json:"mac_backup,omitempty"`
}

// Custodian is who entered a component, and the component's key check value.
type Custodian struct {
	Name       string `json:"name"`
	CheckValue string `json:"check_value"`
}

// record is a transcript with the signature of the token's ceremony key over its compact JSON.
type record struct {
	Transcript json.RawMessage `json:"transcript"`
	Key        []byte          `json:"key"`       // SubjectPublicKeyInfo of the ceremony key
	Signature  []byte          `json:"signature"` // ECDSA with SHA-256, DER
}

// signRecord is the file that a ceremony leaves.
func signRecord(t *Transcript, key crypto.Signer) ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(body)
	sig, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("ceremony: signing the transcript: %w", err)
	}
	out, err := json.MarshalIndent(record{Transcript: body, Key: spki, Signature: sig}, "", "  ")
	return append(out, '\n'), err
}

// ParseRecord verifies a ceremony's record and returns its transcript and the key that signed it. Who trusts the
// record compares that key with the one of the token, or with the one on paper from the first ceremony: passed as
// trusted (SubjectPublicKeyInfo), any other is refused.
func ParseRecord(file, trusted []byte) (*Transcript, *ecdsa.PublicKey, error) {
	if len(file) > maxRecord {
		return nil, nil, fmt.Errorf("ceremony: a record has at most %d bytes", maxRecord)
	}
	var r record
	if err := json.Unmarshal(file, &r); err != nil {
		return nil, nil, fmt.Errorf("ceremony: record: %w", err)
	}
	if trusted != nil && !bytes.Equal(trusted, r.Key) {
		return nil, nil, errors.New("ceremony: the record is signed by another key than the trusted one")
	}
	pub, err := x509.ParsePKIXPublicKey(r.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("ceremony: key of the record: %w", err)
	}
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("ceremony: unsupported key %T signed the record", pub)
	}
	// The file is indented for people; the signature is over the compact form.
	var body bytes.Buffer
	if err := json.Compact(&body, r.Transcript); err != nil {
		return nil, nil, fmt.Errorf("ceremony: record: %w", err)
	}
	digest := sha256.Sum256(body.Bytes())
	if !ecdsa.VerifyASN1(key, digest[:], r.Signature) {
		return nil, nil, errors.New("ceremony: the signature of the record does not verify")
	}
	var t Transcript
	if err := json.Unmarshal(body.Bytes(), &t); err != nil {
		return nil, nil, fmt.Errorf("ceremony: transcript: %w", err)
	}
	if t.Format != transcriptFormat {
		return nil, nil, fmt.Errorf("ceremony: not a record of the format %q", transcriptFormat)
	}
	return &t, key, nil
}
