package checker_test

import (
	"context"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-9: when a person's data was erased after its retention, what is left adds up, and the audit log verifies; but
// whoever only calls a row erased is found.
func TestErasedPerson(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db, sim)
		ctx := context.Background()
		h.exec(t, `UPDATE applications SET erased_at = created_at WHERE id = ?`, string(h.live.ApplicationID))
		if found := h.check(t); len(found) != 1 || found[0].Clause != "HCA-9" {
			t.Errorf("called erased without a row of the log: %+v", found)
		}
		h.exec(t, `UPDATE applications SET erased_at = NULL`)

		// Everything that is under way comes to its end.
		ahead := h.Clock.Now()
		h.Clock.Set(time.Now()) // the simulator goes by the real clock
		var open string
		h.ok(t, h.DB.Gorm.Raw(`SELECT id FROM applications WHERE kind = 'revocation' AND state = 'requested'`).Scan(&open).Error)
		_, err := h.exchange.Run(ctx, ra.ApplicationID(open))
		h.ok(t, err)
		h.Clock.Set(ahead.Add(time.Hour))
		_, err = h.enrol.Lapse(ctx)
		h.ok(t, err)
		h.Clock.Set(h.live.NotAfter.AddDate(8, 0, 0))
		now := h.Clock.Now()
		h.ok(t, h.DB.Gorm.Transaction(func(tx *gorm.DB) error {
			if err := (store.PersonRecords{Sealer: storetest.Sealer()}).Erase(tx, h.doctor, now); err != nil {
				return err
			}
			return store.AppendEvent(tx, ra.Event{At: now, Actor: ra.Actor{Kind: ra.ActorSystem, ID: "retention"}, Act: "person.erase", Object: "person/" + string(h.doctor),
				Outcome: ra.OutcomeDone, Clause: "HCA-9"})
		}))
		for _, f := range h.check(t) {
			t.Errorf("erased: %+v", f)
		}
	})
}
