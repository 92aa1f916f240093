package window

import (
	"context"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/store"
	"certwindow/web/admin"
)

// What the staff's pages are given of the audit log.

func logQuery(q admin.LogQuery) store.AuditQuery {
	return store.AuditQuery{Institution: q.Institution, Object: q.Object, Act: q.Act, Actor: q.Actor, Outcome: q.Outcome, Clause: q.Clause,
		From: q.From, To: q.To, Before: q.Before, After: q.After, OldestFirst: q.OldestFirst, Limit: q.Limit}
}

func (w *Window) auditLog(ctx context.Context, q admin.LogQuery) (out []audit.Record, err error) {
	err = w.Store.View(ctx, func(tx *store.Tx) error {
		out, err = tx.AuditRows(logQuery(q))
		return err
	})
	return out, err
}

func (w *Window) countLog(ctx context.Context, q admin.LogQuery) (n int, err error) {
	err = w.Store.View(ctx, func(tx *store.Tx) error {
		n, err = tx.CountAudit(logQuery(q))
		return err
	})
	return n, err
}

// record writes an act of the pages themselves, done or, with what it failed by, not.
func (w *Window) record(ctx context.Context, e ra.Event, failed error) error {
	return ra.Act[*store.Tx](ctx, w.Store, w.now(), e, func(*store.Tx, *ra.Event) error { return failed })
}
