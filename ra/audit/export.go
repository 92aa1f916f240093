package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// exportVersion is the version of the file that this package writes, and the only one it reads.
const exportVersion = 1

// header is the first line of an export.
type header struct {
	Version int    `json:"version"`
	Window  string `json:"window"`
	From    int64  `json:"from"`
	Before  Hash   `json:"before"` // of the row before From
	To      int64  `json:"to"`
}

// signedLine is a line that holds a signature and no row: one of the two, CMS SignedData in DER.
type signedLine struct {
	Checkpoint []byte `json:"checkpoint,omitempty"`
	Seal       []byte `json:"seal,omitempty"`
}

// maxLine bounds a line. Rows have a few hundred bytes.
const maxLine = 1 << 20

// Exported says what an export holds.
type Exported struct {
	From        int64 `json:"from"`
	To          int64 `json:"to"`
	Hash        Hash  `json:"hash"` // of the last row
	Checkpoints int   `json:"checkpoints"`
}

// Export writes the log from a row on as JSON lines: a header, every row as it was hashed with the checkpoints
// after the rows that they sign, and last the window's signature over the whole. The log is verified while it is
// read, and a broken one is not exported. It takes the same memory for a log of any length.
func (n *Notary) Export(ctx context.Context, out io.Writer, from int64) (Exported, error) {
	last, err := n.Checkpoint(ctx)
	if err != nil {
		return Exported{}, err
	}
	if from < 1 || from > last.Seq {
		return Exported{}, fmt.Errorf("audit: the log has no row %d; its last is row %d", from, last.Seq)
	}
	before, err := n.hashOf(ctx, from-1)
	if err != nil {
		return Exported{}, err
	}
	w := &writer{out: bufio.NewWriterSize(out, 1<<16)}
	w.line(header{Version: exportVersion, Window: n.signer.Window, From: from, Before: before, To: last.Seq})
	count, err := n.writeRows(ctx, w, Resume(from-1, before), last)
	if err != nil {
		return Exported{}, err
	}
	at := n.now().UTC().Truncate(time.Second)
	seal, err := n.signer.sign(Seal{Format: formatSeal, Window: n.signer.Window, From: from, Before: before, Seq: last.Seq, Hash: last.Hash,
		Checkpoints: count, At: at}, at)
	if err != nil {
		return Exported{}, err
	}
	w.line(signedLine{Seal: seal})
	return Exported{From: from, To: last.Seq, Hash: last.Hash, Checkpoints: count}, w.flush()
}

// writeRows writes rows and checkpoints until the last one, which the log's end has.
func (n *Notary) writeRows(ctx context.Context, w *writer, v Verifier, last Saved) (count int, err error) {
	at, _ := v.Head()
	marks, err := n.log.Checkpoints(ctx, at, at, 1) // it vouches for what the first row is chained to
	if err != nil {
		return 0, err
	}
	for _, m := range marks {
		w.line(signedLine{Checkpoint: m.Signed})
		count++
	}
	for at < last.Seq {
		rows, err := n.log.Rows(ctx, at, int(min(last.Seq-at, pageSize)))
		if err != nil {
			return count, err
		}
		if len(rows) == 0 {
			return count, broken(at+1, "it is missing")
		}
		marks, err := n.log.Checkpoints(ctx, at+1, rows[len(rows)-1].Seq, len(rows))
		if err != nil {
			return count, err
		}
		for _, r := range rows {
			if err := v.Next(r); err != nil {
				return count, err
			}
			w.line(r)
			for len(marks) > 0 && marks[0].Seq == r.Seq {
				w.line(signedLine{Checkpoint: marks[0].Signed})
				marks, count = marks[1:], count+1
			}
		}
		at, _ = v.Head()
		if w.err != nil {
			return count, w.err
		}
	}
	return count, nil
}

// writer writes lines until the first failure.
type writer struct {
	out *bufio.Writer
	err error
}

func (w *writer) line(v any) {
	if w.err != nil {
		return
	}
	raw, err := json.Marshal(v)
	if err == nil && len(raw) >= maxLine {
		err = fmt.Errorf("audit: a row of %d bytes is too long to export", len(raw))
	}
	if err == nil {
		_, err = w.out.Write(append(raw, '\n'))
	}
	w.err = err
}

func (w *writer) flush() error {
	if w.err != nil {
		return w.err
	}
	return w.out.Flush()
}
