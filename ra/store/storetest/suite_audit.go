package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/store"
)

// HCA-8.1.6: from however many at once, the rows are numbered without gaps and each covers the one before it.
func testAuditChain(t *testing.T, w *World) {
	const writers, each = 16, 6
	race(t, writers, func(error) bool { return false }, func(i int) error {
		for k := range each {
			err := w.update(func(tx *store.Tx) error {
				for range k%3 + 1 {
					if err := tx.Audit(w.event(i, k)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	rows := w.Audit(t)
	if len(rows) != writers*12 {
		t.Errorf("%d rows, want %d", len(rows), writers*12)
	}
	if err := w.atHead(t, rows); err != nil {
		t.Error(err)
	}
	if r := rows[0]; r.Actor != "clerk" || r.Address != "10.1.2.3" || r.RequestID != "request" || r.Institution != string(Window) || r.Outcome != "done" ||
		r.Clause != "HCA-3.6" || r.Code != "code" || !strings.Contains(r.Details, `"key":"值"`) {
		t.Errorf("a row does not say what happened: %+v", r)
	}
}

func (w *World) event(i, k int) ra.Event {
	return ra.Event{At: w.Clock.Now(), Actor: ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Address: "10.1.2.3", RequestID: "request"}, Act: "test.act",
		Object: fmt.Sprintf("thing/%d-%d", i, k), Institution: Window, Outcome: ra.OutcomeDone, Clause: "HCA-3.6", Code: "code",
		Details: map[string]string{"key": "值", "a": "<b>"}}
}

// atHead compares the end of the log with what the database says its end is.
func (w *World) atHead(t testing.TB, rows []audit.Record) error {
	t.Helper()
	var head struct {
		Seq  int64
		Hash []byte
	}
	if err := w.DB.Gorm.Raw("SELECT seq, hash FROM audit_head").Scan(&head).Error; err != nil {
		t.Fatal(err)
	}
	var v audit.Verifier
	for _, r := range rows {
		if err := v.Next(r); err != nil {
			return err
		}
	}
	if seq, hash := v.Head(); seq != head.Seq || !bytes.Equal(hash, head.Hash) {
		return fmt.Errorf("the log ends at %d, its head says %d", seq, head.Seq)
	}
	return nil
}

// HCA-8.1.6: whoever edits, removes, swaps, doubles or cuts rows is found out.
func testAuditTampering(t *testing.T, w *World) {
	for i := range 9 {
		w.Update(t, func(tx *store.Tx) error { return tx.Audit(w.event(i, 0)) })
	}
	rows := func() (rows []audit.Record) {
		w.View(t, func(tx *store.Tx) (err error) {
			rows, err = tx.AuditFrom(0, 100)
			return err
		})
		return rows
	}
	if err := w.atHead(t, rows()); err != nil {
		t.Fatal(err)
	}
	edits := map[string][]string{
		"text edited":      {"UPDATE audit_events SET actor = 'another' WHERE seq = 4"},
		"outcome edited":   {"UPDATE audit_events SET outcome = 'refused' WHERE seq = 4"},
		"details edited":   {`UPDATE audit_events SET details = '{}' WHERE seq = 4`},
		"time edited":      {"UPDATE audit_events SET at = (SELECT expires_at FROM leases WHERE name = 'moment') WHERE seq = 4"},
		"fields exchanged": {"UPDATE audit_events SET act = object, object = act WHERE seq = 4"},
		"row removed":      {"DELETE FROM audit_events WHERE seq = 4"},
		"first removed":    {"DELETE FROM audit_events WHERE seq = 1"},
		"removed and renumbered": {"DELETE FROM audit_events WHERE seq = 4", "UPDATE audit_events SET seq = seq - 100 WHERE seq > 4",
			"UPDATE audit_events SET seq = seq + 99 WHERE seq < 0"},
		"rows swapped": {"UPDATE audit_events SET seq = -4 WHERE seq = 4", "UPDATE audit_events SET seq = 4 WHERE seq = 5",
			"UPDATE audit_events SET seq = 5 WHERE seq = -4"},
		"end cut": {"DELETE FROM audit_events WHERE seq > 7"},
		"all cut": {"DELETE FROM audit_events"},
		"head set back": {"DELETE FROM audit_events WHERE seq > 7",
			"UPDATE audit_head SET seq = 7"},
	}
	w.Update(t, func(tx *store.Tx) error {
		_, err := tx.TakeLease("moment", "test", w.Clock.Now(), w.Clock.Now().AddDate(1, 0, 0))
		return err
	})
	for name, statements := range edits {
		t.Run(name, func(t *testing.T) {
			before := rows()
			for _, s := range statements {
				if err := w.DB.Gorm.Exec(s).Error; err != nil {
					t.Fatal(err)
				}
			}
			err := w.atHead(t, rows())
			if err == nil {
				t.Error("nobody notices")
			}
			var broken *audit.Broken
			if cut := strings.Contains(name, "cut") || strings.Contains(name, "head"); !cut && (!errors.As(err, &broken) || broken.Seq < 1 || broken.Seq > 5) {
				t.Errorf("found at the wrong place: %v", err)
			}
			w.restoreAudit(t, before)
		})
	}
	if err := w.atHead(t, rows()); err != nil {
		t.Error(err)
	}
}

// restoreAudit puts rows back as they were.
func (w *World) restoreAudit(t testing.TB, rows []audit.Record) {
	t.Helper()
	if err := w.DB.Gorm.Exec("DELETE FROM audit_events").Error; err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		err := w.DB.Gorm.Exec(`INSERT INTO audit_events (seq, at, actor_kind, actor, address, request_id, act, object, institution, outcome, clause, code, details, hash)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Seq, r.At, r.ActorKind, r.Actor, r.Address, r.RequestID, r.Act, r.Object, r.Institution,
			r.Outcome, r.Clause, r.Code, r.Details, r.Hash).Error
		if err != nil {
			t.Fatal(err)
		}
	}
	last := rows[len(rows)-1]
	if err := w.DB.Gorm.Exec("UPDATE audit_head SET seq = ?, hash = ?", last.Seq, last.Hash).Error; err != nil {
		t.Fatal(err)
	}
}

// HCA-8.1.6: what was refused is rolled back, the row that says so stays, even when the caller has gone away.
func testAuditRefusals(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	a := w.Draft(t, person, w.Phone(t, Window, person))
	ctx, gone := context.WithCancel(context.Background())
	refusal := ra.Refuse("HCA-7.5", "limit-reached", "No.", nil)
	err := ra.Act[*store.Tx](ctx, w.Store, w.Clock.Now(), w.event(1, 1), func(tx *store.Tx, e *ra.Event) error {
		if err := tx.InsertApplication(a); err != nil {
			return err
		}
		gone()
		e.Details = map[string]string{"why": "limit"}
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("the refusal came as %v", err)
	}
	rows := w.Audit(t)
	if len(rows) != 1 || rows[0].Outcome != "refused" || rows[0].Clause != "HCA-7.5" || rows[0].Code != "limit-reached" || rows[0].Details != `{"why":"limit"}` {
		t.Errorf("%+v", rows)
	}
	if w.Count(t, "applications") != 0 {
		t.Error("what was refused was stored")
	}
}

// HCA-3.7, HCA-8.1.6: an institution's auditor sees its own rows alone, newest first, page by page.
func testAuditQueries(t *testing.T, w *World) {
	for i := range 6 {
		e := w.event(i, 0)
		if i%2 == 1 {
			e.Institution, e.Clause = Clinic, "HCA-4.1"
		}
		w.Update(t, func(tx *store.Tx) error { return tx.Audit(e) })
	}
	for name, c := range map[string]struct {
		q    store.AuditQuery
		want string
	}{
		"all":         {store.AuditQuery{}, "[6 5 4 3 2 1]"},
		"institution": {store.AuditQuery{Institution: Clinic}, "[6 4 2]"},
		"clause":      {store.AuditQuery{Clause: "HCA-3.6"}, "[5 3 1]"},
		"object":      {store.AuditQuery{Object: "thing/2-0"}, "[3]"},
		"page":        {store.AuditQuery{Before: 4, Limit: 2}, "[3 2]"},
	} {
		if c.q.Limit == 0 {
			c.q.Limit = 10
		}
		w.View(t, func(tx *store.Tx) error {
			rows, err := tx.AuditRows(c.q)
			var seqs []int64
			for _, r := range rows {
				seqs = append(seqs, r.Seq)
			}
			if got := fmt.Sprint(seqs); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
			return err
		})
	}
}
