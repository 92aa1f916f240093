package ra

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// ledger is a store of changes and audit rows that keeps what a transaction did only when it returned no error.
type ledger struct {
	changes  []string
	rows     []Event
	auditErr error // what writing an audit row gives
}

type ledgerTx struct {
	of      *ledger
	changes []string
	rows    []Event
}

func (tx *ledgerTx) Audit(e Event) error {
	tx.rows = append(tx.rows, e)
	return tx.of.auditErr
}

func (l *ledger) Update(ctx context.Context, fn func(*ledgerTx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &ledgerTx{of: l}
	if err := fn(tx); err != nil {
		return err
	}
	l.changes, l.rows = append(l.changes, tx.changes...), append(l.rows, tx.rows...)
	return nil
}

func change(err error) func(*ledgerTx, *Event) error {
	return func(tx *ledgerTx, e *Event) error {
		tx.changes = append(tx.changes, "changed")
		e.Details = map[string]string{"slot": "3"}
		return err
	}
}

// HCA-8.1.6: every act leaves exactly one row: with the change when it was done, alone when it was refused or failed.
func TestActLeavesOneRow(t *testing.T) {
	act := Event{Act: "enrol.consent", Object: "application/1"}
	for _, c := range []struct {
		name    string
		err     error
		changes []string
		outcome Outcome
	}{
		{"done", nil, []string{"changed"}, OutcomeDone},
		{"refused", Refuse("HCA-7.5", "limit-reached", "No.", nil), nil, OutcomeRefused},
		{"failed", io.ErrUnexpectedEOF, nil, OutcomeFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l ledger
			if err := Act(context.Background(), &l, moment, act, change(c.err)); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if !slices.Equal(l.changes, c.changes) || len(l.rows) != 1 {
				t.Fatalf("changes %v, rows %+v", l.changes, l.rows)
			}
			row := l.rows[0]
			if row.Outcome != c.outcome || !row.At.Equal(moment) || row.Act != act.Act || row.Details["slot"] != "3" {
				t.Errorf("row %+v", row)
			}
			if c.outcome == OutcomeRefused && (row.Clause != "HCA-7.5" || row.Code != "limit-reached") {
				t.Errorf("row %+v does not name the rule", row)
			}
		})
	}
}

// HCA-8.1.6: what cannot be recorded is not done, and a refusal that cannot be recorded says so.
func TestActWithoutRowIsNotDone(t *testing.T) {
	full := errors.New("audit log full")
	for _, cause := range []error{nil, io.ErrUnexpectedEOF} {
		l := ledger{auditErr: full}
		err := Act(context.Background(), &l, moment, Event{Act: "enrol.consent"}, change(cause))
		if !errors.Is(err, full) || (cause != nil && !errors.Is(err, cause)) {
			t.Errorf("cause %v: got %v", cause, err)
		}
		if len(l.changes) != 0 || len(l.rows) != 0 {
			t.Errorf("cause %v: changes %v, rows %v", cause, l.changes, l.rows)
		}
	}
}

// HCA-8.1.6: a caller that goes away in the middle leaves its row all the same.
func TestActOutlivesItsCaller(t *testing.T) {
	var l ledger
	ctx, cancel := context.WithCancel(context.Background())
	err := Act(ctx, &l, moment, Event{Act: "enrol.consent"}, func(*ledgerTx, *Event) error {
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || len(l.rows) != 1 || l.rows[0].Outcome != OutcomeFailed {
		t.Errorf("%v, rows %+v", err, l.rows)
	}
}

// HCA-8.1.4: a nonce is 32 random bytes and never fewer, and the database's hash does not give it away.
func TestNonceValue(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb}, 32)
	v, err := NewNonceValue(bytes.NewReader(raw))
	if err != nil || len(v) != 43 || strings.ContainsAny(v, "+/=") {
		t.Errorf("%q, %v", v, err)
	}
	if v, err := NewNonceValue(bytes.NewReader(raw[:31])); err == nil {
		t.Errorf("31 bytes gave %q", v)
	}
	h := NonceHash(v)
	if len(h) != 32 || bytes.Contains(h, []byte(v)) || bytes.Equal(h, NonceHash(v+"A")) {
		t.Errorf("hash %x", h)
	}
}
