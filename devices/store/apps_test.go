package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// app is an app version with everything that is on file of one.
func (o *office) app(version string) devices.App {
	return devices.App{Platform: ra.PlatformIOS, Package: "tw.example.sign", Name: "簽章", Version: version, Permissions: []string{"NSCameraUsageDescription", "NSFaceIDUsageDescription"},
		Download: "https://apps.example.tw/sign", Digest: "ABCDE12345.tw.example.sign", MinOS: "17", Scopes: []string{"EMR-SIGN"}, Evidence: "檢測報告 2026-07",
		EvidenceSum: hash64, Reviewer: "資訊室", ReviewedOn: o.Clock.Now().AddDate(0, -1, 0)}
}

// approve carries out what two persons agreed on, as the window's wiring does.
func (o *office) approve(t testing.TB, id string, facts map[string]string) error {
	t.Helper()
	return o.DB.Gorm.Transaction(func(db *gorm.DB) error {
		tx := o.register.In(db)
		if err := devices.CheckApproval(tx, id, facts); err != nil {
			return err
		}
		return devices.ApproveApp(tx, id, o.Clock.Now())
	})
}

func (o *office) verdict(t testing.TB, id ra.DeviceID) policy.Decision {
	t.Helper()
	f, err := o.register.AppFacts(o.DB.Gorm, id)
	if err != nil {
		t.Fatal(err)
	}
	return policy.AppVersion(f.Rule, []string{"EMR-SIGN"})
}

// HCA-2.6, HCA-8.2.1: an app version is used once two approved exactly what is on file, and no more from the moment that
// one withdraws it; the same version is on file once.
func TestAppsLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		for _, code := range []string{"EMR-SIGN"} {
			if err := o.SaveScope(ctx, o.admin, devices.Scope{Code: code, Name: "x", Approved: true}); err != nil {
				t.Fatal(err)
			}
		}
		device := o.device(t, "ASSET-1", false, o.person(t, chen()))
		o.bind(t, device)
		if d := o.verdict(t, device); d.Code != "app-not-reported" || d.Clause != "HCA-8.2.1" {
			t.Errorf("before it said anything: %+v", d)
		}
		checkIn := func(c devices.CheckIn) {
			t.Helper()
			d, _, err := o.Device(ctx, o.clerk, device)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.CheckIn(ctx, ra.Actor{Kind: ra.ActorDevice, ID: string(device)}, d, c); err != nil {
				t.Fatal(err)
			}
		}
		said := devices.CheckIn{OSVersion: "17.4", App: "tw.example.sign", AppVersion: "2.1.0", CarrierPresent: true}
		checkIn(said)
		if d := o.verdict(t, device); d.Code != "app-not-approved" {
			t.Errorf("not on file: %+v", d)
		}
		id, err := o.AddApp(ctx, o.admin, o.app("2.1.0"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.AddApp(ctx, o.admin, o.app("2.1.0"))
		refused(t, "the same version again", err, ra.KindConflict, "app-exists")
		_, err = o.AddApp(ctx, o.clerk, o.app("2.2.0"))
		refused(t, "an institution's clerk", err, ra.KindRefused, "not-yours")
		a, err := o.App(ctx, id)
		if err != nil || a.State != devices.AppProposed || o.verdict(t, device).Code != "app-not-approved" {
			t.Fatalf("%+v, %v, %+v", a, err, o.verdict(t, device))
		}
		other := a.Facts()
		other["app-digest"] = "ZZZZE12345.tw.example.sign"
		refused(t, "what was not shown", o.approve(t, id, other), ra.KindRefused, "approval-object-changed")
		more := a.Facts()
		more["app-extra"] = "x"
		refused(t, "more than was shown", o.approve(t, id, more), ra.KindRefused, "approval-object-changed")
		if err := o.approve(t, id, a.Facts()); err != nil {
			t.Fatal(err)
		}
		if d := o.verdict(t, device); !d.Allowed {
			t.Errorf("approved: %+v", d)
		}
		refused(t, "approved twice", o.approve(t, id, a.Facts()), ra.KindConflict, "app-approved-already")
		refused(t, "withdrawn without a reason", o.WithdrawApp(ctx, o.admin, id, ""), ra.KindMalformed, "withdrawal-reason")
		refused(t, "withdrawn by a clerk", o.WithdrawApp(ctx, o.clerk, id, "vulnerable"), ra.KindRefused, "not-yours")
		if err := o.WithdrawApp(ctx, o.admin, id, "vulnerable"); err != nil {
			t.Fatal(err)
		}
		if d := o.verdict(t, device); d.Code != "app-withdrawn" {
			t.Errorf("withdrawn: %+v", d)
		}
		if _, err := o.AddApp(ctx, o.admin, o.app("2.1.0")); err != nil {
			t.Errorf("put on file anew: %v", err)
		}
		a, _ = o.App(ctx, id)
		refused(t, "approved although there is another", o.approve(t, id, a.Facts()), ra.KindConflict, "app-exists")
		list, err := o.Apps(ctx, devices.AppQuery{State: devices.AppWithdrawn})
		if err != nil || len(list) != 1 || list[0].Withdrawal != "vulnerable" || list[0].WithdrawnAt == nil {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// HCA-2.6, HCA-6.1, HCA-8.2.1, HCA-8.2.2: what cannot be an app version is refused, and nothing is stored.
func TestAppsRefused(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	if err := o.SaveScope(context.Background(), o.admin, devices.Scope{Code: "EMR-SIGN", Name: "x", Approved: true}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*devices.App){
		"platform":       func(a *devices.App) { a.Platform = "windows" },
		"package":        func(a *devices.App) { a.Package = "sign" },
		"version":        func(a *devices.App) { a.Version = "two" },
		"min os":         func(a *devices.App) { a.MinOS = "" },
		"plain http":     func(a *devices.App) { a.Download = "http://apps.example.tw/" },
		"script":         func(a *devices.App) { a.Download = "javascript:alert(1)" },
		"password in it": func(a *devices.App) { a.Download = "https://u:p@apps.example.tw/" },
		"permission":     func(a *devices.App) { a.Permissions = []string{"two words"} },
		"many permissions": func(a *devices.App) {
			a.Permissions = strings.Fields(strings.Repeat("p ", 1))
			a.Permissions[0] = strings.Repeat("p", 129)
		},
		"another bundle": func(a *devices.App) { a.Digest = "ABCDE12345.tw.example.other" },
		"android digest": func(a *devices.App) { a.Platform = ra.PlatformAndroid },
		"evidence":       func(a *devices.App) { a.Evidence = "" },
		"evidence's sum": func(a *devices.App) { a.EvidenceSum = "abcd" },
		"reviewer":       func(a *devices.App) { a.Reviewer = "" },
		"review to come": func(a *devices.App) { a.ReviewedOn = o.Clock.Now().AddDate(0, 0, 1) },
		"unknown scope":  func(a *devices.App) { a.Scopes = []string{"NONE"} },
		"forged name":    func(a *devices.App) { a.Name = "a\nb" },
	} {
		a := o.app("1.0.0")
		change(&a)
		if _, err := o.AddApp(context.Background(), o.admin, a); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if n := o.Count(t, "app_versions"); n != 0 {
		t.Errorf("%d stored", n)
	}
}

// HCA-7.1, HCA-6.1: what a device says of itself is kept by change, holds for its present binding alone, and a carrier
// that stays away is known since when.
func TestCheckIns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		person := o.person(t, chen())
		id := o.device(t, "ASSET-1", false, person)
		o.bind(t, id)
		phone := ra.Actor{Kind: ra.ActorDevice, ID: string(id)}
		said := devices.CheckIn{OSVersion: "17.4", App: "tw.example.sign", AppVersion: "2.1.0", CarrierPresent: true}
		checkIn := func(c devices.CheckIn) error {
			t.Helper()
			d, _, err := o.Device(ctx, o.clerk, id)
			if err != nil {
				t.Fatal(err)
			}
			_, err = o.CheckIn(ctx, phone, d, c)
			return err
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(checkIn(said))
		o.Clock.Advance(time.Hour)
		must(checkIn(said))
		out := said
		out.CarrierPresent = false
		must(checkIn(out))
		since := o.Clock.Now().Truncate(time.Microsecond)
		o.Clock.Advance(2 * time.Hour)
		out.OSVersion = "17.5"
		must(checkIn(out))
		list, facts, err := o.CheckIns(ctx, o.clerk, id)
		if err != nil || len(list) != 3 || !list[2].LastAt.Equal(list[2].FirstAt.Add(time.Hour)) || facts.Rule.CarrierPresent || facts.Rule.OSVersion != "17.5" {
			t.Errorf("%+v, %+v, %v", list, facts, err)
		}
		if _, _, err := o.CheckIns(ctx, o.stranger, id); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("another institution's: %v", err)
		}
		d, err := o.register.DeviceFacts(db.Gorm, id, person)
		if err != nil || d.CarrierGone == nil || !d.CarrierGone.Truncate(time.Microsecond).Equal(since) {
			t.Errorf("gone since %v, %v", d.CarrierGone, err)
		}
		must(checkIn(said))
		if d, err = o.register.DeviceFacts(db.Gorm, id, person); err != nil || d.CarrierGone != nil {
			t.Errorf("back, and gone since %v, %v", d.CarrierGone, err)
		}
		if n := o.Count(t, "audit_events WHERE act = 'device.check-in'"); n != 4 {
			t.Errorf("%d rows for four changes", n)
		}
		o.bind(t, id)
		if f, err := o.register.AppFacts(db.Gorm, id); err != nil || f.Rule.Reported {
			t.Errorf("of the binding before: %+v, %v", f, err)
		}
		for i := range 60 {
			c := said
			c.Integrity.Rooted = i%2 == 0
			if err = checkIn(c); err != nil {
				break
			}
		}
		refused(t, "a device that changes all day", err, ra.KindTooMany, "check-in-changes")
	})
}
