package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"certwindow/ra/certpath"
)

// Saved is a signed checkpoint as the window keeps it.
type Saved struct {
	Checkpoint
	Signed []byte // CMS SignedData, DER
}

// Log is what the notary reads and writes of the audit log.
type Log interface {
	// Head is the number and the hash of the last row; zero and Genesis of an empty log.
	Head(ctx context.Context) (int64, Hash, error)
	// Rows is a page of the log in its order, after a number.
	Rows(ctx context.Context, after int64, limit int) ([]Record, error)
	// LastCheckpoint is the signed form of the newest one; nil when there is none.
	LastCheckpoint(ctx context.Context) ([]byte, error)
	// Checkpoints are the signed forms of those from the row first to the row last, in their order, limit at most.
	Checkpoints(ctx context.Context, first, last int64, limit int) ([]Saved, error)
	// SaveCheckpoint keeps one; one of the same row that is there already stays.
	SaveCheckpoint(ctx context.Context, s Saved) error
}

// pageSize is how many rows are held in memory at a time.
const pageSize = 500

// Notary makes checkpoints of the log and exports it.
type Notary struct {
	log    Log
	signer Signer
	window []*certpath.Certificate
	now    func() time.Time
}

// NewNotary makes a notary. window are the certificates that earlier checkpoints may be signed with: the present
// one, and those before it.
func NewNotary(log Log, signer Signer, window []*certpath.Certificate, now func() time.Time) *Notary {
	return &Notary{log: log, signer: signer, window: window, now: now}
}

// Checkpoint signs the log as it stands, after it has verified every row since the last checkpoint and that
// checkpoint itself: the window never vouches for a log that does not hold together, so whoever has the database
// but not the HSM can rewrite nothing that is older than the last checkpoint. A log with no row since then is
// left as it is, and the last checkpoint returned.
func (n *Notary) Checkpoint(ctx context.Context) (Saved, error) {
	last, v, err := n.last(ctx)
	if err != nil {
		return Saved{}, err
	}
	seq, hash, err := n.log.Head(ctx)
	if err != nil {
		return Saved{}, err
	}
	if err := n.walk(ctx, &v, seq); err != nil {
		return Saved{}, err
	}
	if end, found := v.Head(); end != seq || !bytes.Equal(found, hash) {
		return Saved{}, broken(end, "the log ends here, its head is row %d: rows were cut off, or the head was changed", seq)
	}
	if last != nil && last.Seq == seq {
		return *last, nil
	}
	c, signed, err := n.signer.checkpoint(seq, hash, n.now())
	if err != nil {
		return Saved{}, err
	}
	s := Saved{Checkpoint: c, Signed: signed}
	return s, n.log.SaveCheckpoint(ctx, s)
}

// last opens the newest checkpoint and holds the row that it names against it.
func (n *Notary) last(ctx context.Context) (*Saved, Verifier, error) {
	signed, err := n.log.LastCheckpoint(ctx)
	if err != nil || signed == nil {
		return nil, Verifier{}, err
	}
	c, err := OpenCheckpoint(signed, n.window)
	if err != nil {
		return nil, Verifier{}, fmt.Errorf("the last checkpoint (after a renewal the earlier certificate is still needed): %w", err)
	}
	if c.Window != n.signer.Window {
		return nil, Verifier{}, errors.New("audit: the last checkpoint is another window's")
	}
	if err := n.holds(ctx, c); err != nil {
		return nil, Verifier{}, err
	}
	return &Saved{Checkpoint: c, Signed: signed}, Resume(c.Seq, c.Hash), nil
}

func (n *Notary) holds(ctx context.Context, c Checkpoint) error {
	hash, err := n.hashOf(ctx, c.Seq)
	if err == nil && !bytes.Equal(hash, c.Hash) {
		err = broken(c.Seq, "a checkpoint of %s has another hash for it: the log was rewritten", c.At.Format(time.RFC3339))
	}
	return err
}

// hashOf is the stored hash of a row; Genesis before the first.
func (n *Notary) hashOf(ctx context.Context, seq int64) (Hash, error) {
	if seq == 0 {
		return Genesis, nil
	}
	rows, err := n.log.Rows(ctx, seq-1, 1)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Seq != seq {
		return nil, broken(seq, "it is missing")
	}
	return rows[0].Hash, nil
}

// walk verifies the rows up to a number, a page at a time.
func (n *Notary) walk(ctx context.Context, v *Verifier, to int64) error {
	for {
		at, _ := v.Head()
		if at >= to {
			return nil
		}
		rows, err := n.log.Rows(ctx, at, int(min(to-at, pageSize)))
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := v.Next(r); err != nil {
				return err
			}
		}
	}
}
