package enrol_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-7.5: two hundred applications of one person, at counters of two institutions that know nothing of each other,
// signed all at once: five get a place, never four and never six, and the others are told by which rule.
func TestFiveUnderConcurrency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const tries = 200
		d := newDesk(t, db)
		counters := []struct {
			clerk ra.Actor
			phone *storetest.Phone
		}{
			{d.clerk, d.phone},
			{ra.Actor{Kind: ra.ActorStaff, ID: "other clerk", Institution: storetest.Clinic, Session: "s"}, d.Phone(t, storetest.Clinic, d.doctor)},
		}
		apps := make([]ra.Application, tries)
		for i := range apps {
			form := d.form()
			c := counters[i%2]
			form.Device, form.Institution = c.phone.ID, c.clerk.Institution
			var err error
			if apps[i], err = d.Begin(context.Background(), c.clerk, form); err != nil {
				t.Fatal(err)
			}
		}
		errs := make([]error, tries)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i, a := range apps {
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-start
				_, errs[i] = d.Sign(context.Background(), counters[i%2].clerk, a.ID, enrol.Signature{CMS: []byte("signed")})
			}()
		}
		close(start)
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			refusal(t, err, "HCA-7.5", "limit-reached")
		}
		if won != 5 || !reflect.DeepEqual(d.Slots(t, d.doctor), []int{1, 2, 3, 4, 5}) {
			t.Errorf("%d applications got a place; places held: %v", won, d.Slots(t, d.doctor))
		}
		if n := d.Count(t, "audit_events WHERE clause = 'HCA-7.5' AND outcome = 'refused'"); n != tries-5 {
			t.Errorf("%d refusals in the log", n)
		}
		d.Audit(t)
	})
}

// HCA-7.5: a request whose outcome is unknown keeps its place; the HCA's definite no, a lapse and a withdrawal give it
// back; so does the end of a certificate.
func TestWhatHoldsAPlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		var apps []ra.Application
		for range 5 {
			apps = append(apps, d.signed(t))
		}
		full := func(why string) {
			t.Helper()
			_, err := d.sign(d.begin(t))
			if refusal(t, err, "HCA-7.5", "limit-reached"); t.Failed() {
				t.Fatal(why)
			}
		}
		free := func(why string, place int) ra.Application {
			t.Helper()
			a, err := d.sign(d.begin(t))
			if err != nil || a.Slot == nil || *a.Slot != place {
				t.Fatalf("%s: place %v, %v", why, a.Slot, err)
			}
			return a
		}
		full("five are held")
		for _, state := range []ra.ApplicationState{ra.AppRequested, ra.AppSent, ra.AppDisputed} {
			d.move(t, apps[1].ID, state, false)
			full(string(state) + " does not keep its place")
		}
		d.move(t, apps[1].ID, ra.AppRefused, true)
		again := free("refused by the HCA", 2)
		full("taken again")
		if err := d.Cancel(context.Background(), d.clerk, again.ID); err != nil {
			t.Fatal(err)
		}
		free("withdrawn", 2)
		d.Clock.Advance(16 * time.Minute) // past the time in which a key is made
		full("late, but not lapsed yet")
		if n, err := d.Lapse(context.Background()); err != nil || n == 0 {
			t.Fatalf("%d lapsed, %v", n, err)
		}
		if got := d.Slots(t, d.doctor); len(got) != 0 {
			t.Errorf("held after everything lapsed: %v", got)
		}
		for i := range 5 {
			d.Issue(t, d.doctor, d.phone, i+1, func(c *ra.Certificate) { c.NotAfter = d.Clock.Now().Add(time.Duration(i+1) * time.Hour) })
		}
		full("five certificates")
		d.Clock.Advance(time.Hour + time.Second)
		free("one expired", 1)
		full("the others live")
	})
}

// move sets an application's state, as the exchange with the HCA would.
func (d *desk) move(t testing.TB, id ra.ApplicationID, to ra.ApplicationState, free bool) {
	t.Helper()
	d.Update(t, func(tx *store.Tx) error {
		a, err := tx.Application("", id)
		if err != nil {
			return err
		}
		from := a.State
		a.State = to
		if free {
			a.Slot = nil
		}
		return tx.UpdateApplication(a, from)
	})
}

// HCA-7.5: an exemption raises the number until its date. When it has ended, nothing new is issued until the count is
// below five again, however the places are numbered.
func TestExemption(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		until := d.Clock.Now().Add(time.Hour).Truncate(time.Second)
		d.Exempt(t, d.doctor, 8, until)
		for i := range 8 {
			d.Issue(t, d.doctor, d.phone, i+1, nil)
		}
		_, err := d.sign(d.begin(t))
		refusal(t, err, "HCA-7.5", "limit-reached")
		revoke := func(places ...int) {
			for _, n := range places {
				if err := d.DB.Gorm.Exec("UPDATE applications SET slot = NULL WHERE person_id = ? AND slot = ?", string(d.doctor), n).Error; err != nil {
					t.Fatal(err)
				}
			}
		}
		revoke(3)
		if a, err := d.sign(d.begin(t)); err != nil || *a.Slot != 3 {
			t.Fatalf("within the exemption: %v, %v", a.Slot, err)
		}
		d.Clock.Advance(2 * time.Hour)
		for _, place := range []int{1, 2, 3} { // 7, 6 and 5 are left
			revoke(place)
			_, err := d.sign(d.begin(t))
			refusal(t, err, "HCA-7.5", "limit-reached")
		}
		revoke(8)
		if a, err := d.sign(d.begin(t)); err != nil || *a.Slot != 1 {
			t.Errorf("below five again: %v, %v", a.Slot, err)
		}
		_, err = d.sign(d.begin(t))
		refusal(t, err, "HCA-7.5", "limit-reached")
	})
}

// HCA-7.5, HCA-8.1.4: fifty copies of one signed message take one place.
func TestOneMessageOnePlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		a := d.begin(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 50 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, err := d.sign(a)
				mu.Lock()
				defer mu.Unlock()
				var e *ra.Error
				switch {
				case err == nil:
					won++
				case !errors.As(err, &e) || (e.Clause != "HCA-8.1.4" && e.Kind != ra.KindConflict):
					t.Errorf("a copy: %v", err)
				}
			}()
		}
		wg.Wait()
		if got := d.Slots(t, d.doctor); won != 1 || len(got) != 1 {
			t.Errorf("%d copies were taken, places %v", won, got)
		}
	})
}
