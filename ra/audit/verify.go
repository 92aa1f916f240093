package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"certwindow/ra/certpath"
)

// Report is how far an export holds.
type Report struct {
	Rows        int64 // that hold, from the first on
	Seq         int64 // of the last row that holds
	Hash        Hash
	Checkpoints int
}

// Kept is what a checkpoint that was kept outside the window says of the log.
type Kept struct {
	Window string
	Seq    int64
	Hash   Hash
}

// maxKept bounds how many checkpoints one file may hold.
const maxKept = 1000

// ParseKept reads a file with a kept checkpoint: CMS SignedData in DER, or lines of an export that hold a
// checkpoint or a seal. The window's certificates are pinned.
func ParseKept(data []byte, window []*certpath.Certificate) ([]Kept, error) {
	if len(data) == 0 {
		return nil, errors.New("audit: the kept checkpoint is empty")
	}
	if data[0] != '{' {
		c, err := OpenCheckpoint(data, window)
		return []Kept{{c.Window, c.Seq, c.Hash}}, err
	}
	var out []Kept
	for line := range bytes.Lines(data) {
		var l signedLine
		if err := exactJSON(bytes.TrimSuffix(line, []byte("\n")), &l); err != nil {
			return nil, fmt.Errorf("the kept checkpoint: %w", err)
		}
		k, err := l.kept(window)
		if err != nil {
			return nil, fmt.Errorf("the kept checkpoint: %w", err)
		}
		if out = append(out, k); len(out) > maxKept {
			return nil, fmt.Errorf("audit: more than %d kept checkpoints", maxKept)
		}
	}
	slices.SortStableFunc(out, func(a, b Kept) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

func (l signedLine) kept(window []*certpath.Certificate) (Kept, error) {
	switch {
	case l.Checkpoint != nil && l.Seal == nil:
		c, err := OpenCheckpoint(l.Checkpoint, window)
		return Kept{c.Window, c.Seq, c.Hash}, err
	case l.Seal != nil && l.Checkpoint == nil:
		s, err := openSeal(l.Seal, window)
		return Kept{s.Window, s.Seq, s.Hash}, err
	}
	return Kept{}, errors.New("audit: a line holds either a checkpoint or a seal")
}

// Verify verifies an export: every row and its place, every checkpoint, the seal at the end, and that the log
// still has what the kept checkpoints say. It uses no clock, and a bounded amount of memory. When it refuses, the
// report tells what held until there, and the error names the line and the row.
func Verify(in io.Reader, window []*certpath.Certificate, kept []Kept) (Report, error) {
	e := export{window: window, kept: kept, lines: bufio.NewReaderSize(in, maxLine)}
	err := e.begin()
	for err == nil {
		var line []byte
		if line, err = e.next(); err == nil {
			err = e.take(line)
		}
	}
	if err == io.EOF {
		err = e.end()
	}
	if err != nil && e.line > 0 {
		err = fmt.Errorf("line %d: %w", e.line, err)
	}
	seq, hash := e.chain.Head()
	return Report{Rows: e.rows, Seq: seq, Hash: hash, Checkpoints: e.checkpoints}, err
}

// export is an export while it is read.
type export struct {
	window []*certpath.Certificate
	kept   []Kept
	lines  *bufio.Reader
	line   int64 // the number of the line at hand

	header      header
	chain       Verifier
	rows        int64
	checkpoints int
	marked      int64 // the row of the last checkpoint
	sealed      bool
}

// next is one line without its end; io.EOF after the last.
func (e *export) next() ([]byte, error) {
	line, err := e.lines.ReadSlice('\n')
	switch {
	case err == io.EOF && len(line) == 0:
		return nil, io.EOF
	case err == io.EOF:
		e.line++
		return nil, errors.New("audit: the line has no end: the file was cut off")
	case errors.Is(err, bufio.ErrBufferFull):
		e.line++
		return nil, fmt.Errorf("audit: longer than %d bytes", maxLine)
	case err != nil:
		return nil, err
	}
	e.line++
	return line[:len(line)-1], nil
}

func (e *export) begin() error {
	line, err := e.next()
	if err == io.EOF {
		return errors.New("audit: the file is empty")
	}
	if err != nil {
		return err
	}
	h := &e.header
	if err := exactJSON(line, h); err != nil {
		return fmt.Errorf("the header of an export: %w", err)
	}
	switch {
	case h.Version != exportVersion:
		return fmt.Errorf("audit: version %d of an export is unsupported", h.Version)
	case h.From < 1 || h.To < h.From || h.To > maxSeq || len(h.Before) == 0:
		return errors.New("audit: the header contradicts itself")
	case h.From == 1 && !bytes.Equal(h.Before, Genesis):
		return errors.New("audit: the header has a row before the first")
	}
	e.chain, e.marked = Resume(h.From-1, h.Before), h.From-2
	for _, k := range e.kept {
		switch {
		case k.Window != h.Window:
			return fmt.Errorf("audit: the kept checkpoint is of window %q, the export of %q", k.Window, h.Window)
		case k.Seq < h.From-1:
			return fmt.Errorf("audit: the export begins with row %d, after row %d of the kept checkpoint: they cannot be compared", h.From, k.Seq)
		}
	}
	return e.compare()
}

// Beginnings of the lines, which exactJSON then holds the line to.
var (
	beginsRow    = []byte(`{"seq":`)
	beginsSigned = []byte(`{"checkpoint":`)
	beginsSeal   = []byte(`{"seal":`)
)

func (e *export) take(line []byte) error {
	switch {
	case e.sealed:
		return errors.New("audit: something after the seal")
	case bytes.HasPrefix(line, beginsRow):
		return e.row(line)
	case bytes.HasPrefix(line, beginsSigned):
		return e.checkpoint(line)
	case bytes.HasPrefix(line, beginsSeal):
		return e.seal(line)
	}
	return errors.New("audit: neither a row nor a signature")
}

func (e *export) row(line []byte) error {
	var r Record
	if err := exactJSON(line, &r); err != nil {
		seq, _ := e.chain.Head()
		return fmt.Errorf("row %d was expected here: %w", seq+1, err)
	}
	if r.Seq > e.header.To {
		return broken(r.Seq, "the header says that the export ends with row %d", e.header.To)
	}
	if err := e.chain.Next(r); err != nil {
		return err
	}
	e.rows++
	return e.compare()
}

// compare holds the row at hand against the kept checkpoints of it.
func (e *export) compare() error {
	seq, hash := e.chain.Head()
	for len(e.kept) > 0 && e.kept[0].Seq == seq {
		if !bytes.Equal(e.kept[0].Hash, hash) {
			return broken(seq, "the kept checkpoint has another hash for it: this row, or one before it, was rewritten since")
		}
		e.kept = e.kept[1:]
	}
	return nil
}

func (e *export) checkpoint(line []byte) error {
	var l signedLine
	if err := exactJSON(line, &l); err != nil {
		return err
	}
	if l.Seal != nil {
		return errors.New("audit: a line holds either a checkpoint or a seal")
	}
	c, err := OpenCheckpoint(l.Checkpoint, e.window)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	seq, hash := e.chain.Head()
	switch {
	case c.Window != e.header.Window:
		return fmt.Errorf("audit: the checkpoint is of window %q", c.Window)
	case c.Seq != seq || c.Seq <= e.marked:
		return broken(seq, "a checkpoint of row %d is in this place", c.Seq)
	case !bytes.Equal(c.Hash, hash):
		return broken(seq, "its checkpoint has another hash for it: this row, or one before it, was rewritten")
	}
	e.marked = seq
	e.checkpoints++
	return nil
}

func (e *export) seal(line []byte) error {
	var l signedLine
	if err := exactJSON(line, &l); err != nil {
		return err
	}
	s, err := openSeal(l.Seal, e.window)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	seq, hash := e.chain.Head()
	h := e.header
	switch {
	case s.Window != h.Window || s.From != h.From || !bytes.Equal(s.Before, h.Before) || s.Seq != h.To:
		return errors.New("audit: the header is not the one that was sealed")
	case s.Seq != seq || !bytes.Equal(s.Hash, hash):
		return broken(seq, "the export was sealed with row %d at its end: rows were cut off", s.Seq)
	case s.Checkpoints != e.checkpoints:
		return fmt.Errorf("audit: the export was sealed with %d checkpoints, it holds %d", s.Checkpoints, e.checkpoints)
	}
	e.sealed = true
	return nil
}

// end judges a file that has no more lines.
func (e *export) end() error {
	seq, _ := e.chain.Head()
	switch {
	case !e.sealed && seq < e.header.To:
		return broken(seq, "the export ends here, its header says row %d: the end was cut off", e.header.To)
	case !e.sealed:
		return broken(seq, "the export ends here without its seal: the end was cut off")
	case len(e.kept) > 0:
		return broken(seq, "the log ends here, the kept checkpoint is of row %d: the end was cut off, or the log was replaced", e.kept[0].Seq)
	}
	return nil
}
