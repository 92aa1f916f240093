// Package audit is the tamper-evident audit log (HCA-8.1.6): numbered rows, each with a hash that covers the row
// before it; checkpoints of the log signed with the window's dedicated certificate; exports of it, and their
// verifier, which needs nothing but the file and that certificate.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Record is one row as it is exported. Times are UTC with microseconds.
type Record struct {
	Seq         int64     `json:"seq"`
	At          time.Time `json:"at"`
	ActorKind   string    `json:"actor_kind"`
	Actor       string    `json:"actor"`
	Address     string    `json:"address"`
	RequestID   string    `json:"request_id"`
	Act         string    `json:"act"`
	Object      string    `json:"object"`
	Institution string    `json:"institution"`
	Outcome     string    `json:"outcome"`
	Clause      string    `json:"clause"`
	Code        string    `json:"code"`
	Details     string    `json:"details"` // a JSON object, byte for byte as it was hashed
	Hash        Hash      `json:"hash"`
}

// Hash is a SHA-256 value, in lower hex as text.
type Hash []byte

// MarshalText writes lower hex.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText takes 64 lower hex digits and nothing else.
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != sha256.Size || string(bytes.ToLower(text)) != string(text) {
		return errors.New("audit: a hash is 64 lower hex digits")
	}
	*h = raw
	return nil
}

// String is the hex.
func (h Hash) String() string { return hex.EncodeToString(h) }

// Genesis is what the first row's hash covers in place of a row before it.
var Genesis = make(Hash, sha256.Size)

// Chain is the hash of a row: SHA-256 over a domain, the hash before it, the number, the time and every field,
// each with its length before it so that no two rows can be written the same way.
func Chain(prev []byte, r Record) []byte {
	h := sha256.New()
	field := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	field([]byte("certwindow audit v1"))
	field(prev)
	field(binary.BigEndian.AppendUint64(nil, uint64(r.Seq)))
	field([]byte(r.At.UTC().Format(time.RFC3339Nano)))
	for _, s := range []string{r.ActorKind, r.Actor, r.Address, r.RequestID, r.Act, r.Object, r.Institution, r.Outcome, r.Clause, r.Code, r.Details} {
		field([]byte(s))
	}
	return h.Sum(nil)
}

// Broken says where a log does not hold together.
type Broken struct {
	Seq int64 // the first row that does not fit
	Why string
}

func (b *Broken) Error() string { return fmt.Sprintf("audit: row %d: %s", b.Seq, b.Why) }

func broken(seq int64, format string, args ...any) error {
	return &Broken{Seq: seq, Why: fmt.Sprintf(format, args...)}
}

// Verifier walks a log in its order. The zero value begins at the first row.
type Verifier struct {
	seq  int64
	hash Hash
}

// Resume makes a Verifier that goes on after a row.
func Resume(seq int64, hash Hash) Verifier { return Verifier{seq: seq, hash: bytes.Clone(hash)} }

// Next takes the next row, and returns a *Broken when it does not follow the one before.
func (v *Verifier) Next(r Record) error {
	_, prev := v.Head()
	if r.Seq != v.seq+1 {
		return broken(r.Seq, "row %d was expected here: rows are missing, doubled or out of order", v.seq+1)
	}
	want := Chain(prev, r)
	if !bytes.Equal(want, r.Hash) {
		return broken(r.Seq, "its content, or a row before it, is not what was written")
	}
	v.seq, v.hash = r.Seq, want
	return nil
}

// Head is the number and the hash of the last row that was taken.
func (v *Verifier) Head() (int64, Hash) {
	if v.hash == nil {
		return v.seq, Genesis
	}
	return v.seq, v.hash
}
