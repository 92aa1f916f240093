package renew_test

import (
	"context"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/renew"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const day = 24 * time.Hour

// world is a doctor with a phone, and the use case.
type world struct {
	*storetest.World
	*renew.Service
	doctor ra.PersonID
	phone  *storetest.Phone
}

func newWorld(t *testing.T, db *store.DB) *world {
	w := &world{World: storetest.NewWorld(t, db)}
	w.Service = renew.New(store.RenewStore{Store: w.Store}, w.Clock.Now)
	w.doctor = w.Doctor(t, "陳小華", "1234567890123456")
	w.phone = w.Phone(t, storetest.Window, w.doctor)
	return w
}

// ending is a live certificate of the doctor's that ends after so long.
func (w *world) ending(t *testing.T, slot int, after time.Duration) ra.Certificate {
	t.Helper()
	return w.Issue(t, w.doctor, w.phone, slot, func(c *ra.Certificate) { c.NotAfter = w.Clock.Now().Add(after) })
}

// told is how many holders this run told.
func (w *world) told(t *testing.T) int {
	t.Helper()
	before := w.Count(t, "notices WHERE kind = ?", ra.NoticeExpiring)
	n, err := w.Remind(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if now := w.Count(t, "notices WHERE kind = ?", ra.NoticeExpiring); now != before+n {
		t.Errorf("%d notices for %d that were told", now-before, n)
	}
	return n
}

// HCA-3.4: the holder is told when a renewal may begin, and again as the end comes near, once each time; who is late
// with the first is told once.
func TestRemind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.ending(t, 1, 61*day)
		w.ending(t, 2, 20*day)
		if n := w.told(t); n != 1 {
			t.Errorf("told of %d, want the one that ends in 20 days", n)
		}
		if n := w.told(t); n != 0 {
			t.Errorf("told %d again", n)
		}
		var days []int
		for d := range 62 {
			if w.told(t) > 0 {
				days = append(days, d)
			}
			w.Clock.Advance(day)
		}
		// The one of 20 days at 14, 7 and 1 days before its end; the one of 61 at 60, 30, 14, 7 and 1.
		want := []int{1, 6, 13, 19, 31, 47, 54, 60}
		if len(days) != len(want) {
			t.Fatalf("told on days %v, want %v", days, want)
		}
		for i := range want {
			if days[i] != want[i] {
				t.Errorf("told on days %v, want %v", days, want)
			}
		}
		rows := w.World.Audit(t)
		if last := rows[len(rows)-1]; last.Act != "certificate.remind" || last.Clause != "HCA-3.4" {
			t.Errorf("the last row is %s", last.Act)
		}
	})
}

// Nobody is told of what is stopped or ended, of what is being renewed, and of what a later certificate has followed.
func TestNobodyIsRemindedInVain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.Issue(t, w.doctor, w.phone, 1, func(c *ra.Certificate) { c.NotAfter, c.State = w.Clock.Now().Add(day), ra.CertSuspended })
		w.Issue(t, w.doctor, w.phone, 2, func(c *ra.Certificate) { c.NotAfter, c.State = w.Clock.Now().Add(-day), ra.CertLive })
		renewed := w.ending(t, 3, 10*day)
		a := w.Draft(t, w.doctor, w.phone)
		a.State, a.Renews = ra.AppAwaitingKey, renewed.ID
		slot := 4
		a.Slot = &slot
		w.Insert(t, a)
		if n := w.told(t); n != 0 {
			t.Errorf("told %d", n)
		}
		// The renewal comes to nothing: the holder is told at the next distance.
		w.Update(t, func(tx *store.Tx) error {
			from := a.State
			a.State, a.Slot = ra.AppLapsed, nil
			return tx.UpdateApplication(a, from)
		})
		w.Clock.Advance(4 * day)
		if n := w.told(t); n != 1 {
			t.Errorf("told %d after the renewal had lapsed", n)
		}
		w.ending(t, 4, 400*day)
		w.Clock.Advance(5 * day)
		if n := w.told(t); n != 0 {
			t.Errorf("told %d of what a later one has followed", n)
		}
	})
}

// More certificates than one transaction holds are all seen to.
func TestRemindMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for n := range 205 {
			w.ending(t, n+1, 5*day)
		}
		if n := w.told(t); n != 205 {
			t.Errorf("told %d of 205", n)
		}
	})
}
