package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// batch is what a record system asked one holder to release, and what it has got of it.
type batch struct {
	from       *recordSystem
	of         credential
	handle     string
	records    [][]byte
	hashes     []string
	signatures [][]byte // by position; nil: not collected
	parts      int      // in how many it collected them
	sad        string
	refused    int // hashes before which a rule stopped the batch
}

// source is what the records of the story are said to be from.
const source = "電子病歷系統"

// asks has a record system ask for signatures over as many records.
func (r *recordSystem) asks(ctx context.Context, c credential, title string, n int) (*batch, error) {
	b := &batch{from: r, of: c, signatures: make([][]byte, n)}
	type document struct {
		Title    string `json:"title"`
		Patients int    `json:"patients"`
		Source   string `json:"source"`
	}
	var documents []document
	for i := range n {
		record := fmt.Appendf(nil, "%s %03d\n%d", title, i+1, time.Now().UnixNano())
		b.records, b.hashes = append(b.records, record), append(b.hashes, hashOf(record))
		documents = append(documents, document{fmt.Sprintf("%s %03d", title, i+1), 1, source})
	}
	var got struct{ Handle string }
	err := r.call(ctx, "credentials/authorize", map[string]any{"credentialID": c.id, "numSignatures": n, "hashes": b.hashes, "hashAlgorithmOID": oidSHA256, "documents": documents}, &got)
	b.handle = got.Handle
	r.hide("handle of a batch", b.handle)
	return b, err
}

// standing is what authorizeCheck says of a batch.
type standing struct {
	SAD      string
	Ready    []int
	Progress struct{ Total, Signed, Collected, Refused int }
}

func (b *batch) stands(ctx context.Context) (s standing, err error) {
	return s, b.from.call(ctx, "credentials/authorizeCheck", map[string]string{"handle": b.handle}, &s)
}

// fetch has signHash hand out the signatures at these positions.
func (b *batch) fetch(ctx context.Context, positions ...int) ([][]byte, error) {
	var hashes []string
	for _, i := range positions {
		hashes = append(hashes, b.hashes[i])
	}
	var got struct{ Signatures [][]byte }
	if err := b.from.call(ctx, "signatures/signHash", map[string]any{"credentialID": b.of.id, "SAD": b.sad, "hashes": hashes, "signAlgo": oidECDSA, "hashAlgorithmOID": oidSHA256}, &got); err != nil {
		return nil, err
	}
	if len(got.Signatures) != len(positions) {
		return nil, fmt.Errorf("%d signatures for %d hashes", len(got.Signatures), len(positions))
	}
	return got.Signatures, nil
}

// between is how long a record system waits before it asks again.
const between = 10 * time.Millisecond

// collect fetches the signatures as they come, and returns once none is to come any more. part, where it is not nil, is told
// before each part is fetched how many are signed.
func (b *batch) collect(ctx context.Context, part func(signed int) error) error {
	ctx, stop := context.WithTimeout(ctx, 3*time.Minute)
	defer stop()
	for {
		s, err := b.stands(ctx)
		if err != nil {
			return err
		}
		if len(s.Ready) > 0 {
			b.sad = s.SAD
			b.from.hide("SAD of a batch", b.sad)
			if part != nil {
				if err := part(s.Progress.Signed + s.Progress.Collected); err != nil {
					return err
				}
			}
			if err := b.take(ctx, s.Ready); err != nil {
				return err
			}
		}
		if b.refused = s.Progress.Refused; b.collected()+b.refused == len(b.hashes) {
			return nil
		}
		if pause(ctx, between); ctx.Err() != nil {
			return fmt.Errorf("%d of %d signatures came: %w", b.collected(), len(b.hashes), ctx.Err())
		}
	}
}

func (b *batch) take(ctx context.Context, ready []int) error {
	got, err := b.fetch(ctx, ready...)
	if err != nil {
		return err
	}
	b.parts++
	for i, n := range ready {
		if b.signatures[n] != nil {
			return fmt.Errorf("signature %d was handed out twice", n+1)
		}
		b.signatures[n] = got[i]
	}
	return nil
}

func (b *batch) collected() (n int) {
	for _, sig := range b.signatures {
		if sig != nil {
			n++
		}
	}
	return n
}

// verify checks every signature that was collected: by the certificate's key, and that no two are the same.
func (b *batch) verify() error {
	for i, sig := range b.signatures {
		if sig == nil {
			continue
		}
		if err := b.of.verify(b.records[i], sig); err != nil {
			return fmt.Errorf("%d: %w", i+1, err)
		}
		for _, other := range b.signatures[:i] {
			if bytes.Equal(other, sig) {
				return errors.New("two records have one signature")
			}
		}
	}
	return nil
}
