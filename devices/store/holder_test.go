package store_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-7.2, HCA-7.3, HCA-8.2.1: what is read for each signature by one statement is what the separate readings say, after
// every change that can stop a key.
func TestHolderFacts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(o.SaveScope(ctx, o.admin, devices.Scope{Code: "EMR-SIGN", Name: "x", Approved: true}))
		who, stranger := o.person(t, chen()), o.person(t, another(1))
		id := o.device(t, "ASSET-1", false, who)
		same := func(what string) (f ra.HolderFacts) {
			t.Helper()
			for _, person := range []ra.PersonID{stranger, who} {
				d, err := o.register.DeviceFacts(o.DB.Gorm, id, person)
				check(err)
				d.CarrierGone = nil
				p, err := o.register.PersonFacts(o.DB.Gorm, person)
				check(err)
				app, err := o.register.AppFacts(o.DB.Gorm, id)
				check(err)
				f, err = o.register.HolderFacts(o.DB.Gorm, id, person)
				check(err)
				app.At, f.App.At = app.At.UTC(), f.App.At.UTC()
				if !reflect.DeepEqual(f, ra.HolderFacts{Device: d, Active: p.Active, Institutions: p.Institutions, App: app}) {
					t.Errorf("%s: %+v, and one by one %+v, %v at %v, %+v", what, f, d, p.Active, p.Institutions, app)
				}
			}
			return f
		}
		if f := same("registered"); !f.Device.IsUser || !f.Active || len(f.Institutions) != 1 || f.App.Rule.Reported {
			t.Errorf("%+v", f)
		}
		o.bind(t, id)
		same("bound")
		d, _, err := o.Device(ctx, o.clerk, id)
		check(err)
		said := devices.CheckIn{OSVersion: "17.4", App: "tw.example.sign", AppVersion: "1.0.0", CarrierPresent: true}
		for _, c := range []devices.CheckIn{said, {OSVersion: "17.4", App: "tw.example.sign", AppVersion: "1.0.0", Integrity: devices.Integrity{Emulated: true}}, said} {
			_, err = o.CheckIn(ctx, ra.Actor{}, d, c)
			check(err)
			same("checked in")
		}
		app, err := o.AddApp(ctx, o.admin, o.app("1.0.0"))
		check(err)
		same("an app on file")
		a, err := o.App(ctx, app)
		check(err)
		check(o.approve(t, app, a.Facts()))
		if f := same("approved"); f.App.Rule.State != "approved" || len(f.App.Rule.Scopes) != 1 {
			t.Errorf("%+v", f.App)
		}
		check(o.WithdrawApp(ctx, o.admin, app, "vulnerable"))
		if f := same("withdrawn"); f.App.Rule.State != "withdrawn" {
			t.Errorf("%+v", f.App)
		}
		o.bind(t, id) // what was said under the earlier binding counts no more
		same("bound anew")
		_, err = o.RegisterPerson(ctx, o.stranger, chen(), storetest.Clinic)
		check(err)
		same("practises at two")
		o.Clock.Advance(time.Hour)
		check(o.Report(ctx, o.clerk, id, ra.DeviceLose))
		if f := same("lost"); f.Device.State != ra.DeviceLost {
			t.Errorf("%+v", f.Device)
		}
		if _, err := o.register.HolderFacts(o.DB.Gorm, id, "nobody"); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("of nobody: %v", err)
		}
		if _, err := o.register.HolderFacts(o.DB.Gorm, "none", who); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("of no device: %v", err)
		}
	})
}
