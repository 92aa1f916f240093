package custody_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/custody"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	ctx      = context.Background()
	one, two = ra.Actor{Kind: ra.ActorStaff, ID: "one"}, ra.Actor{Kind: ra.ActorStaff, ID: "two"}
	operator = ra.Actor{Kind: ra.ActorCommand, ID: "ceremony"}
)

// vault is a window whose master key is in the care of two units.
type vault struct {
	*storetest.World
	*custody.Service
	office *approve.Service
}

func newVault(t *testing.T, db *store.DB) *vault {
	v := &vault{World: storetest.NewWorld(t, db)}
	v.Service = custody.New(store.CustodyStore{Store: v.Store}, v.Clock.Now)
	v.office = approve.New(store.ApproveStore{Store: v.Store}, nil, v.Acts(), policy.Always(time.Hour), v.Clock.Now, rand.Reader)
	return v
}

func (v *vault) propose(p custody.Plan) (approve.Proposal, error) {
	return v.office.Propose(ctx, one, approve.HoldCeremony, p.Object(), "", p.Facts())
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return ra.AsError(err).Code
}

// HCA-6.3.2, HCA-8.1.6: a ceremony is held once, for what two persons agreed on and within its time.
func TestCeremonyNeedsTwoPersons(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		v := newVault(t, db)
		plan := custody.Plan{Kind: custody.Create, Generation: 2, Custodians: []string{"audit office", "legal office"}, Note: "generation 1 ends in March"}
		p, err := v.propose(plan)
		if err != nil {
			t.Fatal(err)
		}
		begin := func(approval string, kind custody.Kind, generation int) string {
			return code(v.Begin(ctx, operator, approval, kind, generation))
		}
		if got := begin(p.ID, custody.Create, 2); got != "ceremony-not-approved" {
			t.Errorf("before the approval: %s", got)
		}
		if got := code(v.office.Approve(ctx, one, p.ID, p.Hash)); got != "approval-own" {
			t.Errorf("his own: %s", got)
		}
		if err := v.office.Approve(ctx, two, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]string{"another kind": begin(p.ID, custody.Retire, 2), "another generation": begin(p.ID, custody.Create, 3),
			"another approval": begin("x", custody.Create, 2), "none": begin("", custody.Create, 2), "finished before it began": code(v.Finish(ctx, operator, p.ID, nil))} {
			if got != "ceremony-not-approved" {
				t.Errorf("%s: %q", name, got)
			}
		}
		for range 2 { // the second time after an interruption
			if got := begin(p.ID, custody.Create, 2); got != "" {
				t.Fatal(got)
			}
		}
		if err := v.Finish(ctx, operator, p.ID, []byte("record")); err != nil {
			t.Fatal(err)
		}
		if got := begin(p.ID, custody.Create, 2); got != "ceremony-not-approved" {
			t.Errorf("a second ceremony on one approval: %q", got)
		}
		list, _, err := v.Ceremonies(ctx)
		if err != nil || len(list) != 1 || string(list[0].Record) != "record" || list[0].FinishedAt == nil || list[0].ApprovedBy != "two" {
			t.Errorf("%+v, %v", list, err)
		}
		plan.Generation = 3
		late, err := v.propose(plan)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.office.Approve(ctx, two, late.ID, late.Hash); err != nil {
			t.Fatal(err)
		}
		v.Clock.Advance(custody.Life)
		if got := begin(late.ID, custody.Create, 3); got != "ceremony-not-approved" {
			t.Errorf("after its time: %q", got)
		}
		if n := v.Count(t, "audit_events WHERE act = 'ceremony.begin' AND outcome = 'refused'"); n != 7 {
			t.Errorf("%d refusals left a row", n)
		}
	})
}

// HCA-6.3.2, HCA-6.3.4: what is no ceremony is not proposed, and no generation is retired that keys are under still.
func TestCeremoniesThatAreNotHeld(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		v := newVault(t, db)
		two := []string{"audit office", "legal office"}
		for name, c := range map[string]struct {
			p    custody.Plan
			code string
		}{
			"no kind":             {custody.Plan{Kind: "melt", Generation: 1, Custodians: two, Note: "x"}, "ceremony-unknown"},
			"no generation":       {custody.Plan{Kind: custody.Create, Generation: 0, Custodians: two, Note: "x"}, "ceremony-generation"},
			"one custodian":       {custody.Plan{Kind: custody.Create, Generation: 1, Custodians: two[:1], Note: "x"}, "ceremony-custodians"},
			"the same custodian":  {custody.Plan{Kind: custody.Rollover, Generation: 1, Custodians: []string{"A", " a"}, Note: "x"}, "ceremony-custodians"},
			"a nameless one":      {custody.Plan{Kind: custody.Export, Generation: 1, Custodians: []string{"A", ""}, Note: "x"}, "ceremony-custodians"},
			"no reason":           {custody.Plan{Kind: custody.Retire, Generation: 1}, "note"},
			"keys are left in it": {custody.Plan{Kind: custody.Retire, Generation: 7, Note: "x"}, "ceremony-keys-left"},
		} {
			if name == "keys are left in it" {
				doctor := v.Doctor(t, "陳小華", "1001")
				cert := v.Issue(t, doctor, v.Phone(t, storetest.Window, doctor), 1, nil)
				if err := db.Gorm.Exec("INSERT INTO holder_keys (application_id, person_id, device_id, generation, algorithm, blob, spki, mac, created_at) VALUES (?, ?, ?, 7, 'P-256', ?, ?, ?, ?)",
					string(cert.ApplicationID), string(doctor), string(cert.DeviceID), []byte{1}, []byte{1}, []byte{1}, v.Clock.Now()).Error; err != nil {
					t.Fatal(err)
				}
			}
			if _, err := v.propose(c.p); code(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, keys, err := v.Ceremonies(ctx)
		if err != nil || keys[7] != 1 {
			t.Errorf("%v, %v", keys, err)
		}
	})
}
