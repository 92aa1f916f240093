// Package audit is the format of the audit log (HCA-8.1.6): numbered rows, each with a hash that covers the row
// before it, so that an edited, removed, reordered or inserted row is found by anybody who has the rows.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
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
	Hash        []byte    `json:"hash"`
}

// Genesis is what the first row's hash covers in place of a row before it.
var Genesis = make([]byte, sha256.Size)

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

// Verifier walks a log in its order. The zero value begins at the first row.
type Verifier struct {
	seq  int64
	hash []byte
}

// Next takes the next row, and returns a *Broken when it does not follow the one before.
func (v *Verifier) Next(r Record) error {
	if v.hash == nil {
		v.hash = Genesis
	}
	if r.Seq != v.seq+1 {
		return &Broken{Seq: r.Seq, Why: fmt.Sprintf("row %d was expected here: rows are missing, doubled or out of order", v.seq+1)}
	}
	want := Chain(v.hash, r)
	if string(want) != string(r.Hash) {
		return &Broken{Seq: r.Seq, Why: "its content, or a row before it, is not what was written"}
	}
	v.seq, v.hash = r.Seq, want
	return nil
}

// Head is the number and the hash of the last row that was taken.
func (v *Verifier) Head() (int64, []byte) { return v.seq, v.hash }
