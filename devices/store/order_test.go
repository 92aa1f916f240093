package store_test

import (
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/jobs"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-8.1.6: who puts a phone in another's place and who reports a loss in the same second both start the sweep and both
// write to the log. Neither waits for what the other holds.
func TestSweepComesBeforeTheLog(t *testing.T) {
	o := newOffice(t, storetest.Postgres(t))
	doctor := o.person(t, chen())
	old := o.device(t, "PHONE-1", false, doctor)
	o.bind(t, old)
	o.Insert(t, o.Draft(t, doctor, &storetest.Phone{ID: old})) // void with the replacement, which is logged
	o.Clock.Advance(time.Minute)                               // no sweep was started in this one

	other := o.DB.Gorm.Begin()
	defer other.Rollback()
	if err := o.Queue.Enqueue(other, jobs.Sweep{}); err != nil {
		t.Fatal(err)
	}
	replaced := make(chan error, 1)
	go func() {
		_, err := o.Replace(t.Context(), o.clerk, old, devices.Replacement{Code: "PHONE-2", Platform: ra.PlatformIOS, Model: "iPhone 17", Event: ra.DeviceLose})
		replaced <- err
	}()
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for until := time.Now().Add(20 * time.Second); ; {
		n := 0
		if err := o.DB.Gorm.Raw(waiting).Scan(&n).Error; err != nil || time.Now().After(until) {
			t.Fatal("the replacement waits for nobody's sweep", err)
		}
		if n > 0 {
			break
		}
	}
	err := rastore.AppendEvent(other, ra.Event{At: o.Clock.Now(), Actor: o.clerk, Act: "device.lose", Object: "device/another", Outcome: ra.OutcomeDone})
	if err == nil {
		err = other.Commit().Error
	}
	if err != nil {
		t.Errorf("the report: %v", err)
	}
	if err := <-replaced; err != nil {
		t.Errorf("the replacement: %v", err)
	}
}
