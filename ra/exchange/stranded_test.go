package exchange_test

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

// HCA-3.4: a request that the queue gave up, or that lost its job, is taken up again, once; one whose job waits is left alone.
func TestARequestWithoutAJobIsTakenUp(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		a := g.requested(t)
		takenUp := func(want int) {
			t.Helper()
			if n, err := g.Store.TakeUpStranded(context.Background()); err != nil || n != want {
				t.Fatalf("%d were taken up, %v, want %d", n, err, want)
			}
		}
		g.Clock.Set(g.Clock.Now().Add(3 * time.Hour))
		takenUp(0)
		if err := db.Gorm.Exec("UPDATE river_job SET state = 'discarded', finalized_at = created_at WHERE kind = 'exchange'").Error; err != nil {
			t.Fatal(err)
		}
		takenUp(1)
		takenUp(0)
		if n := g.Count(t, "audit_events WHERE act = 'exchange.requeue' AND object = ?", "application/"+string(a.ID)); n != 1 {
			t.Errorf("%d rows", n)
		}
		if _, err := g.run(a.ID); err != nil {
			t.Fatal(err)
		}
		if err := db.Gorm.Exec("DELETE FROM river_job WHERE kind = 'exchange'").Error; err != nil {
			t.Fatal(err)
		}
		g.Clock.Set(g.Clock.Now().Add(3 * time.Hour))
		takenUp(0)
	})
}

// HCA-6.0, HCA-8.1.6: a new binding voids what the old one began, each with a row of its own; a certificate that was taken
// over before the device had a binding belongs to its first one.
func TestBindingLeavesRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		doctor := w.Doctor(t, "王大明", "0000000000000001")
		phone := w.Phone(t, storetest.Window, doctor)
		draft := w.Insert(t, w.Draft(t, doctor, phone))
		adopted := w.Issue(t, doctor, phone, 1, func(c *ra.Certificate) { c.Generation = 0 })
		old := w.Issue(t, doctor, phone, 2, nil)
		if err := db.Gorm.Transaction(func(tx *gorm.DB) error { return store.VoidForDevice(tx, phone.ID, w.Clock.Now()) }); err != nil {
			t.Fatal(err)
		}
		if got := w.Application(t, draft.ID); got.State != ra.AppVoided || got.Slot != nil {
			t.Errorf("the application is %s", got.State)
		}
		if w.Certificate(t, adopted.ID).Generation != 1 || w.Certificate(t, old.ID).Generation != old.Generation {
			t.Error("the generations of the certificates")
		}
		rows := map[string]string{}
		for _, r := range w.Audit(t) {
			rows[r.Act] = r.Object
		}
		if rows["application.void"] != "application/"+string(draft.ID) || rows["certificate.bound"] != "certificate/"+string(adopted.ID) {
			t.Errorf("rows %v", rows)
		}
	})
}
