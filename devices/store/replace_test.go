package store_test

import (
	"context"
	"testing"

	"certwindow/devices"
	"certwindow/hsm"
	"certwindow/ra"
	"certwindow/ra/enrol"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-4.1, HCA-5.2.2, HCA-6.3.5: a new phone takes the place of an old one in one step: the old one is out of use, what was
// begun for it is void and its HSM keys are gone, the sweep looks, and the new one is registered for the same users.
func TestReplace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		doctor, colleague, left := o.person(t, chen()), o.person(t, another(1)), o.person(t, another(2))
		old := o.device(t, "TABLET-1", true, doctor, colleague, left)
		if err := o.RemoveUser(ctx, o.clerk, old, left); err != nil {
			t.Fatal(err)
		}
		o.bind(t, old)
		a := o.Draft(t, doctor, &storetest.Phone{ID: old})
		slot := 1
		a.State, a.Slot = ra.AppAwaitingKey, &slot
		o.Insert(t, a)
		o.Update(t, func(tx *rastore.Tx) error {
			return tx.SaveHolderKey(a, hsm.WrappedKey{Generation: 1, Blob: []byte{1}, SPKI: []byte{1}, MAC: []byte{1}}, o.Clock.Now())
		})

		next := devices.Replacement{Code: "TABLET-2", Platform: ra.PlatformAndroid, Model: "Pixel Tablet", Event: ra.DeviceRetire}
		change := func(f func(*devices.Replacement)) devices.Replacement {
			c := next
			f(&c)
			return c
		}
		for what, c := range map[string]struct {
			actor ra.Actor
			r     devices.Replacement
			kind  ra.Kind
			code  string
		}{
			"no word of the old one":    {o.clerk, change(func(r *devices.Replacement) { r.Event = "" }), ra.KindRefused, "replacement-reason"},
			"found again":               {o.clerk, change(func(r *devices.Replacement) { r.Event = ra.DeviceFind }), ra.KindRefused, "replacement-reason"},
			"a code that is taken":      {o.clerk, change(func(r *devices.Replacement) { r.Code = "TABLET-1" }), ra.KindRefused, "device-code-taken"},
			"another platform":          {o.clerk, change(func(r *devices.Replacement) { r.Platform = "windows" }), ra.KindRefused, "platform-not-allowed"},
			"another institution's":     {o.stranger, next, ra.KindNotFound, ""},
			"a model that says nothing": {o.clerk, change(func(r *devices.Replacement) { r.Model = " " }), ra.KindMalformed, "model"},
		} {
			_, err := o.Replace(ctx, c.actor, old, c.r)
			refused(t, what, err, c.kind, c.code)
		}
		if d, _, _ := o.Device(ctx, o.clerk, old); d.State != ra.DeviceBound || o.Count(t, "holder_keys") != 1 {
			t.Fatalf("a refusal changed something: %s", d.State)
		}

		id, err := o.Replace(ctx, o.clerk, old, next)
		if err != nil {
			t.Fatal(err)
		}
		d, users, err := o.Device(ctx, o.clerk, id)
		if err != nil || d.State != ra.DeviceRegistered || d.Replaces != old || !d.Shared || len(users) != 2 {
			t.Errorf("%+v %+v %v", d, users, err)
		}
		if by, found, err := o.ReplacedBy(ctx, o.clerk, old); err != nil || !found || by.ID != id {
			t.Errorf("replaced by %s %v %v", by.ID, found, err)
		}
		if d, _, _ := o.Device(ctx, o.clerk, old); d.State != ra.DeviceRetired {
			t.Errorf("the old one is %s", d.State)
		}
		kept := o.Application(t, a.ID)
		if kept.State != ra.AppVoided || kept.Slot != nil || kept.FailureCode != enrol.CodeReplaced || o.Count(t, "holder_keys") != 0 || o.Jobs(t, "sweep") == 0 {
			t.Errorf("the application is %s, its place %v; %d keys", kept.State, kept.Slot, o.Count(t, "holder_keys"))
		}
		_, err = o.Replace(ctx, o.clerk, old, change(func(r *devices.Replacement) { r.Code = "TABLET-3" }))
		refused(t, "twice", err, ra.KindConflict, "device-replaced")
		acts := map[string]int{}
		for _, r := range o.Audit(t) {
			acts[r.Act]++
		}
		if acts["device.replace"] == 0 || acts["key.forget"] != 1 || acts["application.void"] != 1 {
			t.Errorf("rows: %v", acts)
		}
	})
}

// A phone that was reported lost already is replaced as it is.
func TestReplaceLost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		old := o.device(t, "PHONE-1", false, o.person(t, chen()))
		if err := o.Report(ctx, o.clerk, old, ra.DeviceLose); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Replace(ctx, o.clerk, old, devices.Replacement{Code: "PHONE-2", Platform: ra.PlatformIOS, Model: "iPhone 17"}); err != nil {
			t.Fatal(err)
		}
		if d, _, _ := o.Device(ctx, o.clerk, old); d.State != ra.DeviceLost {
			t.Errorf("the old one is %s", d.State)
		}
	})
}
