package window

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/ra/store"
	"certwindow/web/admin"
)

// openApprovals comes last: its acts are those of all the other rooms.
func (w *Window) openApprovals(context.Context) error {
	w.Bulk = bulk.New(store.BulkStore{Store: w.Store}, w.Revoke, w.now, rand.Reader)
	w.Approve = approve.New(store.ApproveStore{Store: w.Store}, w.Revoke, w.acts(), w.Settings.Life(policy.ProposalLife), w.now, rand.Reader)
	return nil
}

// acts are the acts of the other rooms of the house that two persons decide (HCA-8.1.6), a line for each room: what
// is judged when it is proposed and again when it is approved, and what the approval carries out.
func (w *Window) acts() map[approve.Act]approve.Executor {
	all := map[approve.Act]approve.Executor{}
	for _, room := range []map[approve.Act]approve.Executor{
		w.Accounts.Acts(),
		w.Settings.Acts(),
		w.Custody.Acts(),
		admin.CardChanges(w.Registry, w.registerIn, w.now),
		w.registerActs(),
		w.Clients.Acts(),
		w.Bulk.Acts(),
		w.Exchange.Acts(w.Revoked),
	} {
		maps.Copy(all, room)
	}
	return all
}

// registerIn is the register of persons and devices inside the transaction of an approval, which writes the audit row.
func (w *Window) registerIn(tx approve.Tx) (devices.Tx, error) {
	x, ok := tx.(*store.Tx)
	if !ok {
		return nil, fmt.Errorf("%T is no transaction of this database", tx)
	}
	return w.register.In(x.DB()), nil
}
