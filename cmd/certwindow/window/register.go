package window

import (
	"context"
	"crypto"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/hsm/ceremony"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/store"
	"certwindow/ra/trustlist"
)

// registerActs are what two persons decide of the register: app versions (HCA-2.6), and lists that are unmasked
// (HCA-8.1.5).
func (w *Window) registerActs() map[approve.Act]approve.Executor {
	in := func(tx approve.Tx) devices.Tx { return w.register.In(tx.(interface{ DB() *gorm.DB }).DB()) }
	return map[approve.Act]approve.Executor{
		approve.ApproveApp: {
			WholeWindow: true,
			Check: func(tx approve.Tx, _ ra.Actor, object string, facts approve.Facts) error {
				return devices.CheckApproval(in(tx), strings.TrimPrefix(object, "app/"), facts)
			},
			CarryOut: func(tx approve.Tx, a approve.Approval) error {
				if err := devices.ApproveApp(in(tx), strings.TrimPrefix(a.Proposal.Object, "app/"), w.now()); err != nil {
					return err
				}
				e := a.Event("app.approve", a.Proposal.Object)
				e.At = w.now()
				return tx.Audit(e)
			},
		},
		approve.UnmaskMany: {
			Check: func(tx approve.Tx, actor ra.Actor, object string, facts approve.Facts) error {
				return devices.CheckUnmaskMany(in(tx), object, facts)
			},
			CarryOut: func(tx approve.Tx, a approve.Approval) error {
				id, err := ra.NewID(w.now(), rand.Reader)
				if err != nil {
					return err
				}
				if err := devices.ApproveUnmaskMany(in(tx), id, a.Proposal.ID, a.Proposal.ProposedBy, a.Facts, w.now()); err != nil {
					return err
				}
				e := a.Event("person.unmask-approve", "unmasked-list/"+id)
				e.At = w.now()
				return tx.Audit(e)
			},
		},
	}
}

var _ interface{ DB() *gorm.DB } = (*store.Tx)(nil)

// openTrustList makes the list of authorities that phones trust, signed like status statements (HCA-8.2.5).
func (w *Window) openTrustList(key crypto.Signer) (err error) {
	w.trustList, err = trustlist.New(trustlist.Config{Issuer: w.Config.PublicURL, Key: key, KeyID: ceremony.LabelStatus, Anchors: w.trust.anchors.Certificates(),
		Intermediates: w.trust.intermediates, Now: w.now})
	return err
}

// retainEvery is how often this process looks for persons whose retention ends (HCA-9). Several replicas may look at the
// same time: each step is guarded, and done once.
const retainEvery = 24 * time.Hour

// retained is when this process looked last.
type retained struct {
	mu sync.Mutex
	at time.Time
}

// retain erases what must not be kept any longer.
func (w *Window) retain(ctx context.Context) error {
	w.retained.mu.Lock()
	defer w.retained.mu.Unlock()
	now := w.now()
	if since := now.Sub(w.retained.at); since >= 0 && since < retainEvery {
		return nil
	}
	listed, erased, err := w.Registry.Retain(ctx, ra.Actor{Kind: ra.ActorSystem, ID: "retention"}, w.Config.Limits.Retention)
	if err != nil {
		return err
	}
	w.retained.at = now
	w.Log.Info("retention", "listed", listed, "erased", erased)
	return nil
}
