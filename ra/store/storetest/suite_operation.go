package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/certpath/crlstore"
	"certwindow/ra/notify"
	"certwindow/ra/store"
	"certwindow/ra/sweep"
)

// HCA-3.4: a notice and the job that sends it are there together or not at all, and it is sent once.
func testNotices(t *testing.T, w *World) {
	ctx := context.Background()
	w.Update(t, func(tx *store.Tx) error { return tx.Notice("person", ra.NoticeEnrolled, "certificate/1") })
	stop := errors.New("stop")
	if err := w.update(func(tx *store.Tx) error {
		if err := tx.Notice("person", ra.NoticeRevoked, "certificate/1"); err != nil {
			return err
		}
		return stop
	}); !errors.Is(err, stop) {
		t.Error(err)
	}
	if n, j := w.Count(t, "notices"), w.Jobs(t, "notice"); n != 1 || j != 1 {
		t.Fatalf("%d notices and %d jobs", n, j)
	}
	var id string
	if err := w.DB.Gorm.Raw("SELECT id FROM notices").Scan(&id).Error; err != nil {
		t.Fatal(err)
	}
	n, err := w.Store.LoadNotice(ctx, id)
	if err != nil || n.Person != "person" || n.Kind != ra.NoticeEnrolled || n.Object != "certificate/1" || n.State != notify.Queued || n.Attempts != 0 {
		t.Errorf("%+v, %v", n, err)
	}
	if err := w.Store.NoticeTried(ctx, id, w.Clock.Now(), "not delivered"); err != nil {
		t.Error(err)
	}
	if n, _ := w.Store.LoadNotice(ctx, id); n.State != notify.Queued || n.Attempts != 1 {
		t.Errorf("after a failure: %+v", n)
	}
	won := race(t, 8, conflict, func(int) error { return w.Store.NoticeTried(ctx, id, w.Clock.Now(), "") })
	if n, _ := w.Store.LoadNotice(ctx, id); won != 1 || n.State != notify.Sent || n.Attempts != 2 {
		t.Errorf("%d marked it as sent: %+v", won, n)
	}
	if _, err := w.Store.LoadNotice(ctx, "none"); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("a notice that is not: %v", err)
	}
}

// HCA-3.6: one of many replicas has the right, until it ends or gives it back.
func testLeases(t *testing.T, w *World) {
	now := w.Clock.Now()
	take := func(who string, at time.Time) (mine bool, err error) {
		err = w.update(func(tx *store.Tx) error {
			mine, err = tx.TakeLease("sweep", who, at, at.Add(time.Minute))
			return err
		})
		return mine, err
	}
	busy := errors.New("busy")
	var winner string
	won := race(t, 20, func(err error) bool { return errors.Is(err, busy) }, func(i int) error {
		who := fmt.Sprint("replica ", i)
		mine, err := take(who, now)
		if err == nil && !mine {
			err = busy
		}
		if err == nil {
			winner = who
		}
		return err
	})
	if won != 1 {
		t.Fatalf("%d replicas hold the lease", won)
	}
	for _, c := range []struct {
		who  string
		at   time.Time
		want bool
	}{
		{"another", now.Add(59 * time.Second), false},
		{winner, now.Add(30 * time.Second), true}, // prolonged
		{"another", now.Add(61 * time.Second), false},
		{"another", now.Add(91 * time.Second), true}, // it ran out
		{winner, now.Add(92 * time.Second), false},
	} {
		if mine, err := take(c.who, c.at); mine != c.want || err != nil {
			t.Errorf("%s at %s: %v, %v; want %v", c.who, c.at.Sub(now), mine, err, c.want)
		}
	}
	w.Update(t, func(tx *store.Tx) error { return tx.ReleaseLease("sweep", winner) }) // not its own any more
	if mine, _ := take("third", now.Add(93*time.Second)); mine {
		t.Error("somebody else's lease was given back")
	}
	w.Update(t, func(tx *store.Tx) error { return tx.ReleaseLease("sweep", "another") })
	if mine, _ := take("third", now.Add(93*time.Second)); !mine {
		t.Error("a lease that was given back is not free")
	}
}

// HCA-3.6: an inventory that was interrupted is found again, a finished one is not, and a dry one is no real one.
func testSweepRuns(t *testing.T, w *World) {
	r := sweep.Report{ID: w.ID(t), StartedAt: w.Clock.Now().UTC(), Findings: []sweep.Finding{{Certificate: "c", Serial: "0a", What: "device-lost", Action: "none"}},
		After: "c", Looked: 7, Note: "note"}
	w.Update(t, func(tx *store.Tx) error { return tx.SaveRun(r) })
	unfinished := func(dry bool) (r sweep.Report, found bool) {
		w.View(t, func(tx *store.Tx) (err error) {
			r, found, err = tx.UnfinishedRun(dry)
			return err
		})
		return r, found
	}
	got, found := unfinished(false)
	if !found || !reflect.DeepEqual(got, r) {
		t.Errorf("%v %+v, want %+v", found, got, r)
	}
	if _, found := unfinished(true); found {
		t.Error("a real run was taken for a dry one")
	}
	now := w.Clock.Now()
	r.FinishedAt, r.Looked = &now, 8
	w.Update(t, func(tx *store.Tx) error { return tx.SaveRun(r) })
	if _, found := unfinished(false); found {
		t.Error("a finished run was taken for an unfinished one")
	}
	w.View(t, func(tx *store.Tx) error {
		runs, err := tx.Runs(10)
		if len(runs) != 1 || runs[0].Looked != 8 {
			t.Errorf("runs: %+v", runs)
		}
		return err
	})

	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	var want []ra.CertificateID
	for i, state := range []ra.CertificateState{ra.CertLive, ra.CertSuspended, ra.CertRevoking, ra.CertRevoked, ra.CertExpired} {
		c := w.Issue(t, person, phone, i+1, func(c *ra.Certificate) { c.State = state })
		if state.Valid() {
			want = append(want, c.ID)
		}
		w.Clock.Advance(time.Millisecond)
	}
	w.View(t, func(tx *store.Tx) error {
		var got []ra.CertificateID
		for after := ra.CertificateID(""); ; {
			page, err := tx.ValidAfter(after, 2)
			if err != nil || len(page) == 0 {
				n, _ := tx.CountValid()
				if !reflect.DeepEqual(got, want) || n != len(want) {
					t.Errorf("paged %v, counted %d, want %v", got, n, want)
				}
				return err
			}
			for _, c := range page {
				got, after = append(got, c.ID), c.ID
			}
		}
	})
}

// The first to stamp a setting stamps it for good: a database of one mode never serves the other.
func testSettings(t *testing.T, w *World) {
	ctx := context.Background()
	if v, err := w.Store.Setting(ctx, "mode"); v != "" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	values := make([]string, 8)
	race(t, len(values), func(error) bool { return false }, func(i int) (err error) {
		values[i], err = w.Store.StampSetting(ctx, "mode", fmt.Sprint("mode ", i))
		return err
	})
	for _, v := range values {
		if v != values[0] {
			t.Fatalf("stamped differently: %v", values)
		}
	}
	if err := w.Store.PutSetting(ctx, "mode", "other"); err != nil {
		t.Error(err)
	}
	if v, _ := w.Store.Setting(ctx, "mode"); v != "other" {
		t.Errorf("put: %q", v)
	}
}

// HCA-3.6: the replicas share one list, whose number only goes up.
func testCRLs(t *testing.T, w *World) {
	ctx := context.Background()
	shared := w.Store.CRLs("0a0b")
	if n, err := shared.Number(ctx); n != nil || err != nil {
		t.Errorf("number of none: %v, %v", n, err)
	}
	if s, err := shared.Load(ctx); s.Raw != nil || s.Number != nil || err != nil {
		t.Errorf("none: %+v, %v", s, err)
	}
	nine, ten := crlstore.Stored{Number: big.NewInt(9), Raw: []byte("nine")}, crlstore.Stored{Number: big.NewInt(10), Raw: []byte("ten")}
	for _, c := range []struct {
		put  crlstore.Stored
		want error
		kept string
	}{{nine, nil, "nine"}, {ten, nil, "ten"}, {nine, crlstore.ErrRolledBack, "ten"}, {ten, nil, "ten"}} {
		if err := shared.Store(ctx, c.put); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.put.Number, err, c.want)
		}
		if s, err := shared.Load(ctx); string(s.Raw) != c.kept || err != nil {
			t.Errorf("kept %q, %v; want %q", s.Raw, err, c.kept)
		}
	}
	if n, err := shared.Number(ctx); n == nil || n.Cmp(big.NewInt(10)) != 0 || err != nil {
		t.Errorf("number %v, %v", n, err)
	}
	if n, _ := w.Store.CRLs("ffff").Number(ctx); n != nil {
		t.Error("another issuer's list was given")
	}
	mine, err := shared.Lease(ctx, "a", w.Clock.Now(), w.Clock.Now().Add(time.Minute))
	other, _ := shared.Lease(ctx, "b", w.Clock.Now(), w.Clock.Now().Add(time.Minute))
	if !mine || other || err != nil {
		t.Errorf("leases %v, %v, %v", mine, other, err)
	}
}

// Many replicas that store at once, the first list among them, never leave an older one behind.
func testCRLRace(t *testing.T, w *World) {
	ctx := context.Background()
	shared := w.Store.CRLs("0a0b")
	race(t, 16, func(err error) bool { return errors.Is(err, crlstore.ErrRolledBack) }, func(i int) error {
		return shared.Store(ctx, crlstore.Stored{Number: big.NewInt(int64(i + 1)), Raw: fmt.Appendf(nil, "list %d", i+1)})
	})
	if s, err := shared.Load(ctx); err != nil || string(s.Raw) != "list 16" {
		t.Errorf("kept %q, %v", s.Raw, err)
	}
}

// What fails leaves nothing behind: neither rows, nor jobs, nor audit.
func testRollback(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	a := w.Draft(t, person, phone)
	stop := errors.New("stop")
	err := w.update(func(tx *store.Tx) error {
		if err := tx.InsertApplication(a); err != nil {
			return err
		}
		if err := tx.Notice(person, ra.NoticeAbnormal, "application/1"); err != nil {
			return err
		}
		if err := tx.Audit(ra.Event{At: w.Clock.Now(), Act: "test"}); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("the cause is lost: %v", err)
	}
	for _, table := range []string{"applications", "notices", "audit_events", "river_job"} {
		if n := w.Count(t, table); n != 0 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
}
