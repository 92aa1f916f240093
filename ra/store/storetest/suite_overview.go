package storetest

import (
	"reflect"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/overview"
	"certwindow/ra/store"
	"certwindow/ra/sweep"
)

// What the home page counts is counted by Taipei's calendar, by institution, and only of what it says.
func testOverview(t *testing.T, w *World) {
	o := store.OverviewStore{Store: w.Store}
	now := w.Clock.Now()
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	revoked := now.Add(-time.Hour)
	issue := func(slot int, change func(*ra.Certificate)) ra.Certificate {
		w.Clock.Advance(time.Millisecond)
		return w.Issue(t, person, phone, slot, change)
	}
	issue(1, func(c *ra.Certificate) { c.CreatedAt, c.NotAfter = now, now.AddDate(0, 0, 6) })
	// Half past midnight in Taipei is still the day before by Greenwich.
	issue(2, func(c *ra.Certificate) {
		c.CreatedAt, c.NotAfter = time.Date(2026, 11, 20, 16, 30, 0, 0, time.UTC), time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC)
	})
	issue(3, func(c *ra.Certificate) {
		c.State, c.RevokedAt, c.CreatedAt = ra.CertRevoked, &revoked, now.AddDate(0, 0, -40)
	})
	issue(4, func(c *ra.Certificate) {
		c.Institution, c.KeyDesign, c.CreatedAt, c.NotAfter = Clinic, ra.KeyHSM, now, now.AddDate(3, 0, 0)
	})
	got, err := o.Tally(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	want := overview.Tally{At: now,
		Live:   []overview.Live{{Institution: Window, KeyDesign: ra.KeyApp, Count: 2}, {Institution: Clinic, KeyDesign: ra.KeyHSM, Count: 1}},
		Ending: []overview.Ending{{Institution: Window, Month: "2026-11", Count: 1}, {Institution: Window, Month: "2027-01", Count: 1}},
		Days: []overview.Day{{Institution: Window, Day: "2026-11-21", Enrolled: 1}, {Institution: Window, Day: "2026-11-22", Enrolled: 1, Revoked: 1},
			{Institution: Clinic, Day: "2026-11-22", Enrolled: 1}},
		Soon: []overview.Soon{{Institution: Window, Within: 60, Count: 1}, {Institution: Window, Within: 7, Count: 1}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if own := got.Of(Clinic); len(own.Live) != 1 || len(own.Ending) != 0 || len(own.Days) != 1 || len(own.Soon) != 0 {
		t.Errorf("the clinic sees %+v", own)
	}
	testStuck(t, w, o, person, phone)
	testHouse(t, w, o)
}

// An application is stuck once it has stood for long enough, oldest first, and for its own institution.
func testStuck(t *testing.T, w *World, o store.OverviewStore, person ra.PersonID, phone *Phone) {
	at := w.Clock.Now()
	put := func(state ra.ApplicationState, since time.Time, institution ra.InstitutionCode) ra.Application {
		a := w.Draft(t, person, phone)
		a.State, a.UpdatedAt, a.Institution = state, since, institution
		return w.Insert(t, a)
	}
	later := put(ra.AppSent, at.Add(-2*time.Hour), Window)
	first := put(ra.AppDisputed, at.Add(-3*time.Hour), Window)
	put(ra.AppSent, at, Window)
	put(ra.AppSent, at.Add(-2*time.Hour), Clinic)
	put(ra.AppAwaitingSignature, at.Add(-2*time.Hour), Window)
	before := map[ra.ApplicationState]time.Time{ra.AppDisputed: at, ra.AppSent: at.Add(-time.Hour)}
	got, err := o.Stuck(t.Context(), Window, before, 5)
	if err != nil || len(got) != 2 || got[0].ID != first.ID || got[1].ID != later.ID || got[0].PersonID != person {
		t.Errorf("%+v %v", got, err)
	}
	if all, err := o.Stuck(t.Context(), "", before, 2); err != nil || len(all) != 2 {
		t.Errorf("%+v %v", all, err)
	}
}

// HCA-3.4, HCA-3.6, HCA-8.1.6: the last inventory, notices that fail, and rows that no checkpoint covers.
func testHouse(t *testing.T, w *World, o store.OverviewStore) {
	ctx, now := t.Context(), w.Clock.Now()
	if r, err := o.LastSweep(ctx, ""); err != nil || r != nil {
		t.Errorf("before the first sweep: %+v %v", r, err)
	}
	var ids []ra.CertificateID
	if err := w.DB.Gorm.Model(&ra.Certificate{}).Where("institution = ?", Clinic).Pluck("id", &ids).Error; err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	run := sweep.Report{ID: w.ID(t), StartedAt: now.UTC(), FinishedAt: &now, Findings: []sweep.Finding{{Certificate: ids[0], What: "expired"}, {Certificate: "other", What: "expired"}}}
	w.Update(t, func(tx *store.Tx) error { return tx.SaveRun(run) })
	for scope, want := range map[ra.InstitutionCode]int{"": 2, Clinic: 1, Window: 0} {
		if r, err := o.LastSweep(ctx, scope); err != nil || r == nil || len(r.Findings) != want {
			t.Errorf("%q sees %+v %v", scope, r, err)
		}
	}
	w.Update(t, func(tx *store.Tx) error { return tx.Notice("p", "issued", "certificate/x") })
	if n, err := o.FailingNotices(ctx); err != nil || n.Failing != 0 {
		t.Errorf("a notice that was not tried yet failed: %+v %v", n, err)
	}
	var id string
	if err := w.DB.SQL.QueryRowContext(ctx, "SELECT id FROM notices WHERE state = 'queued' AND person_id = 'p'").Scan(&id); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.NoticeTried(ctx, id, now, "no route"); err != nil {
		t.Fatal(err)
	}
	if n, err := o.FailingNotices(ctx); err != nil || n.Failing != 1 || n.Oldest.IsZero() {
		t.Errorf("%+v %v", n, err)
	}
	if c, err := o.SignedUpTo(ctx); err != nil || !c.At.IsZero() {
		t.Errorf("%+v %v", c, err)
	}
}
