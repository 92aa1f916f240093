package checker_test

import (
	"context"
	"crypto/rand"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/certwindow/checker"
	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/custody"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/settings"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
	"certwindow/web/session"
)

// office is a window with its staff: an administrator, the first approver, and a clerk whom both made.
type office struct {
	*house
	accounts        *session.Service
	settings        *settings.Service
	custody         *custody.Service
	two             *approve.Service
	admin, approver ra.Actor
	clerkID         string
}

func newOffice(t *testing.T, db *store.DB, sim *hcatest.Window) *office {
	t.Helper()
	o := &office{house: newHouse(t, db, sim)}
	var err error
	o.accounts, err = session.New(db.Gorm, session.Deps{Sealer: storetest.Sealer(), Now: o.Clock.Now, Rand: rand.Reader, Audit: store.AppendEvent,
		Idle: policy.Always(10 * time.Minute), Longest: policy.Always(time.Hour), Cost: factor.PasswordCost{Time: 1, Memory: 64, Threads: 1},
		Pepper:      func(_ context.Context, data []byte) ([]byte, error) { return data, nil },
		Institution: func(context.Context, ra.InstitutionCode) (bool, error) { return true, nil }})
	o.ok(t, err)
	o.settings = settings.New(store.SettingsStore{Store: o.Store}, nil, o.Clock.Now)
	o.custody = custody.New(store.CustodyStore{Store: o.Store}, o.Clock.Now)
	acts := o.accounts.Acts()
	maps.Copy(acts, o.settings.Acts())
	maps.Copy(acts, o.custody.Acts())
	o.two = approve.New(store.ApproveStore{Store: o.Store}, o.revoke, acts, policy.Always(72*time.Hour), o.Clock.Now, rand.Reader)
	cred, err := o.accounts.CreateFirstAdmin(t.Context(), ra.Actor{Kind: ra.ActorCommand, ID: "operator"}, "admin", "林主任")
	o.ok(t, err)
	o.admin = ra.Actor{Kind: ra.ActorStaff, ID: string(cred.ID)}
	id, err := o.accounts.CreateFirstApprover(t.Context(), o.admin, "approver")
	o.ok(t, err)
	o.approver = ra.Actor{Kind: ra.ActorStaff, ID: string(id)}
	clerk, err := o.accounts.NewID()
	o.ok(t, err)
	o.clerkID = string(clerk)
	o.agree(t, approve.CreateStaff, "staff/"+o.clerkID, session.NewStaff{Account: "clerk", Role: session.Clerk, Institution: storetest.Window}.Facts())
	o.agree(t, approve.ChangeSetting, settings.Object(policy.KeyLife), o.settings.Facts(policy.KeyLife, "1h"))
	plan := custody.Plan{Kind: custody.Create, Generation: 2, Custodians: []string{"a", "b"}, Note: "x"}
	o.agree(t, approve.HoldCeremony, plan.Object(), plan.Facts())
	return o
}

// agree has the administrator propose and the approver approve.
func (o *office) agree(t *testing.T, act approve.Act, object string, facts approve.Facts) {
	t.Helper()
	p, err := o.two.Propose(t.Context(), o.admin, act, object, "", facts)
	o.ok(t, err)
	o.ok(t, o.two.Approve(t.Context(), o.approver, p.ID, p.Hash))
}

// HCA-8.1.6, HCA-3.2, HCA-9: whatever two persons have to agree on and did not is found, however it came about.
func TestWhatNobodyApprovedIsFound(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t), hcatest.NewWindow(t))
	ctx := t.Context()
	p, err := o.two.ProposeRevocation(ctx, o.admin, o.live.ID, "device-lost", "a colleague telephoned")
	o.ok(t, err)
	o.ok(t, o.two.Approve(ctx, o.approver, p.ID, p.Hash))
	p, err = o.two.ProposeExemption(ctx, o.admin, o.doctor, policy.Exemption{Limit: 7, Until: o.Clock.Now().Add(time.Hour), Reply: "115-1"})
	o.ok(t, err)
	o.ok(t, o.two.Approve(ctx, o.approver, p.ID, p.Hash))
	o.ok(t, o.settings.Suspend(ctx, o.admin, "HCA's letter"))
	o.ok(t, o.accounts.Stop(ctx, o.admin, ra.StaffID(o.clerkID)))
	for _, f := range o.check(t) {
		t.Errorf("nothing is wrong yet: %+v", f)
	}
	original := o.config.DB
	clerk, admin := "staff/"+o.clerkID, "staff/"+o.admin.ID
	for name, c := range map[string]corruption{
		"a role that grew":               {do: "UPDATE staff SET role = 'approver' WHERE account = 'clerk'", object: clerk, says: "not what two persons agreed on"},
		"another institution":            {do: "UPDATE staff SET institution = '' WHERE account = 'clerk'", object: clerk, says: "not what two persons agreed on"},
		"an administrator who approves":  {do: "UPDATE staff SET role = 'approver' WHERE account = 'admin'", object: admin, says: "without an approval"},
		"a contractor who approves":      {do: "UPDATE staff SET contractor = TRUE WHERE account = 'approver'", object: "staff/", says: "a contractor's account"},
		"resumed by one":                 {do: "UPDATE staff SET active = TRUE WHERE account = 'clerk'", object: clerk, says: "was stopped"},
		"an account out of nowhere":      {do: "INSERT INTO staff SELECT 'X', 'x', name_sealed, institution, role, contractor, active, password, password_at, must_change, failures, totp_sealed, totp_step, totp_failures, created_at, updated_at FROM staff WHERE account = 'approver'", object: "staff/X", says: "nobody approved"},
		"a looser limit":                 {do: "UPDATE settings SET value = '24h' WHERE name = 'key-life'", object: "setting/key-life", says: "not what two persons"},
		"a limit set by one":             {do: "INSERT INTO settings VALUES ('idle', '5m', '', 'x', '2026-11-22')", object: "setting/idle", says: "not what two persons"},
		"resumed enrolment":              {do: "UPDATE settings SET value = 'no' WHERE name = 'window-suspended'", object: "setting/window-suspended", says: "not what two persons"},
		"a larger exemption":             {do: "UPDATE holders SET exempt_limit = 20", object: "person/", says: "the exemption to 20"},
		"a longer exemption":             {do: "UPDATE holders SET exempt_until = '2099-01-01 00:00:00+00:00'", object: "person/", says: "exemption"},
		"an approval that vanished":      {do: "DELETE FROM proposals WHERE act = 'revoke-certificate'", object: "application/", says: "without the approval"},
		"an approval by the proposer":    {do: "PRAGMA ignore_check_constraints = ON; UPDATE proposals SET decided_by = proposed_by WHERE act = 'change-setting'", object: "approval/", says: "second person"},
		"an approval too late":           {do: "UPDATE proposals SET decided_at = expires_at WHERE act = 'change-setting'", object: "approval/", says: "in its time"},
		"another's content":              {do: "UPDATE proposals SET payload = (SELECT payload FROM proposals WHERE act = 'exemption') WHERE act = 'change-setting'", object: "approval/", says: "changed or moved"},
		"another hash":                   {do: "UPDATE proposals SET hash = 'ab' WHERE act = 'change-setting'", object: "approval/", says: "not what was hashed"},
		"another act":                    {do: "UPDATE proposals SET act = 'change-staff' WHERE act = 'change-setting'", object: "approval/", says: "something else"},
		"a ceremony of another kind":     {do: "UPDATE ceremonies SET kind = 'retire'", object: "ceremony/", says: "two persons"},
		"a ceremony that nobody allowed": {do: "UPDATE ceremonies SET approval = 'x'", object: "ceremony/x", says: "two persons"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.db")
			if _, err := original.Exec("VACUUM INTO ?", path); err != nil {
				t.Fatal(err)
			}
			db := storetest.Open(t, "sqlite:"+path)
			o.ok(t, corrupt(db, c))
			o.config.DB = db.SQL
			for _, f := range o.check(t) {
				if f.Check == checker.Approval && strings.HasPrefix(f.Object, c.object) && strings.Contains(f.Detail, c.says) && f.Clause != "" {
					return
				}
			}
			t.Errorf("not found; instead: %+v", o.findings)
		})
	}
}

// HCA-8.1.6: of an office that kept to the rule nothing is found, on both databases.
func TestOfficeOfTwoIsClean(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db, sim)
		for _, f := range o.check(t) {
			t.Errorf("%+v", f)
		}
	})
}
