package audit

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// What a signed statement is about: its first field, so that no signature serves two purposes.
const (
	formatCheckpoint = "certwindow audit checkpoint v1"
	formatSeal       = "certwindow audit export v1"
)

// Checkpoint states that the window's log had this row, and by its hash every row before it (HCA-8.1.6). Kept
// somewhere else, it shows whether the log was rewritten or cut since.
type Checkpoint struct {
	Format string    `json:"format"`
	Window string    `json:"window"` // the institution's code
	Seq    int64     `json:"seq"`
	Hash   Hash      `json:"hash"`
	At     time.Time `json:"at"` // UTC, whole seconds: also the signing time
}

// Seal states what one export held, so that nothing can be cut off its end and no checkpoint be taken out of it.
type Seal struct {
	Format      string    `json:"format"`
	Window      string    `json:"window"`
	From        int64     `json:"from"`   // the first row of the export
	Before      Hash      `json:"before"` // of the row before From; Genesis before the first
	Seq         int64     `json:"seq"`    // the last row
	Hash        Hash      `json:"hash"`   // of the last row
	Checkpoints int       `json:"checkpoints"`
	At          time.Time `json:"at"`
}

// Signer is the dedicated certificate with its key, which stays in the HSM (HCA-3.1).
type Signer struct {
	Key         crypto.Signer
	Certificate []byte // DER
	Window      string // the institution's code
}

// maxSigned bounds a signed statement: one certificate and a few hundred bytes.
const maxSigned = 16 << 10

// maxSeq keeps every number exact in JSON readers of other languages.
const maxSeq = 1<<53 - 1

// checkpoint signs a row's number and hash, as CMS SignedData with the statement inside.
func (s Signer) checkpoint(seq int64, hash Hash, at time.Time) (Checkpoint, []byte, error) {
	c := Checkpoint{Format: formatCheckpoint, Window: s.Window, Seq: seq, Hash: hash, At: at.UTC().Truncate(time.Second)}
	signed, err := s.sign(c, c.At)
	return c, signed, err
}

func (s Signer) sign(statement any, at time.Time) ([]byte, error) {
	content, err := json.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	signed, err := cms.Sign(content, s.Key, s.Certificate, cms.SignOptions{SigningTime: at})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint verifies a checkpoint, CMS SignedData in DER, that one of the window's certificates signed. The
// certificates are pinned: neither their chain nor their validity is judged, so that a checkpoint can be verified
// years later.
func OpenCheckpoint(der []byte, window []*certpath.Certificate) (Checkpoint, error) {
	var c Checkpoint
	at, err := open(der, window, &c)
	switch {
	case err != nil:
		return Checkpoint{}, err
	case c.Format != formatCheckpoint:
		return Checkpoint{}, fmt.Errorf("audit: the signature is over a %q, not over a checkpoint", c.Format)
	case c.Seq < 0 || c.Seq > maxSeq || len(c.Hash) == 0 || !at.Equal(c.At):
		return Checkpoint{}, errors.New("audit: a checkpoint that contradicts itself")
	}
	return c, nil
}

func openSeal(der []byte, window []*certpath.Certificate) (Seal, error) {
	var s Seal
	at, err := open(der, window, &s)
	switch {
	case err != nil:
		return Seal{}, err
	case s.Format != formatSeal:
		return Seal{}, fmt.Errorf("audit: the signature is over a %q, not over an export", s.Format)
	case s.From < 1 || s.Seq > maxSeq || s.Seq < s.From-1 || len(s.Hash) == 0 || len(s.Before) == 0 || !at.Equal(s.At):
		return Seal{}, errors.New("audit: a seal that contradicts itself")
	}
	return s, nil
}

// open verifies the signature and reads the statement, which must be written exactly as sign writes it.
func open[T any](der []byte, window []*certpath.Certificate, to *T) (time.Time, error) {
	sd, err := cms.Open(der, cms.OpenOptions{Max: maxSigned, RequireSigningTime: true})
	if err != nil {
		return time.Time{}, fmt.Errorf("audit: signature: %w", err)
	}
	if !slices.ContainsFunc(window, func(c *certpath.Certificate) bool { return bytes.Equal(c.Raw, sd.Signer) }) {
		return time.Time{}, errors.New("audit: signed with another certificate than the window's")
	}
	return sd.SigningTime, exactJSON(sd.Content, to)
}

// exactJSON reads a value that is written as encoding/json writes it, byte for byte: no unknown or doubled
// field, no other spelling of a name, nothing that two readers could take differently.
func exactJSON[T any](data []byte, to *T) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("audit: something after the end of the JSON value")
	}
	again, err := json.Marshal(*to)
	if err != nil || !bytes.Equal(again, data) {
		return errors.New("audit: the JSON is not written as the window writes it")
	}
	return nil
}
