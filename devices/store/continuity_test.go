package store_test

import (
	"context"
	"testing"

	"certwindow/devices"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-7.3, HCA-3.4: two copies of one device cannot both go on. Lost answers are forgiven, as often as they get lost; the
// second copy unbinds the device, whichever it is, with a row, a sweep and a notice to its holder.
func TestCopiedDevice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.device(t, "ASSET-1", false, o.person(t, chen()))
		phone := ra.Actor{Kind: ra.ActorDevice, ID: string(id)}
		now := func() devices.Device {
			t.Helper()
			d, _, err := o.Device(ctx, o.clerk, id)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		next := func(brought string) string {
			t.Helper()
			got, err := o.Continue(ctx, phone, now(), brought)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		copied := func(what, brought string) {
			t.Helper()
			notices := o.Jobs(t, "notice")
			_, err := o.Continue(ctx, phone, now(), brought)
			refused(t, what, err, ra.KindRefused, "device-copied")
			if d := now(); d.State != ra.DeviceRegistered || d.KeySPKI != nil {
				t.Errorf("%s: it is %s still", what, d.State)
			}
			if o.Jobs(t, "sweep") == 0 || o.Jobs(t, "notice") != notices+1 || o.Count(t, "notices WHERE kind = ?", ra.NoticeDevice) == 0 {
				t.Errorf("%s: nobody was told", what)
			}
			rows := o.Audit(t)
			if last := rows[len(rows)-1]; last.Act != "device.copied" || last.Clause != "HCA-7.3" {
				t.Errorf("%s: the last row is %s %s", what, last.Act, last.Clause)
			}
			o.bind(t, id)
		}

		o.bind(t, id)
		next("")
		first := next("") // the first answer was lost
		next(first)       // lost, and lost again
		next(first)
		third := next(next(first))
		copied("a copy that stayed behind", first)

		next("")
		copied("what the window gave to nobody", third) // of the binding before

		first = next("")
		second := next(first)
		other := next(first) // a copy made at the same moment
		if other == second {
			t.Fatal("the same value for both")
		}
		copied("the other copy goes on", second)

		first = next("")
		next(first)
		copied("a copy of the key alone, without its value", "")
	})
}

// HCA-7.3, HCA-6.3.6: a device's next certificate is handed out to who goes on from where the device was, and to nobody who
// has its key alone. Check-ins and certificates hand on the same value.
func TestCertificateGoesOnFromTheLastCheckIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.device(t, "ASSET-1", false, o.person(t, chen()))
		o.bind(t, id)
		phone := ra.Actor{Kind: ra.ActorDevice, ID: string(id)}
		certify := func(brought string) (string, error) {
			d, _, err := o.Device(ctx, o.clerk, id)
			if err != nil {
				t.Fatal(err)
			}
			der, next, err := o.Certify(ctx, phone, d, brought, func(ra.DeviceID, int, []byte) ([]byte, error) { return []byte("certificate"), nil })
			if (err == nil) != (der != nil) {
				t.Errorf("%d bytes, %v", len(der), err)
			}
			return next, err
		}
		must := func(next string, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return next
		}
		first := must(certify(""))
		d, _, _ := o.Device(ctx, o.clerk, id)
		second := must(o.Continue(ctx, phone, d, first))
		must(certify(second))
		must(certify(must(certify(second)))) // the first answer was lost
		_, err := certify("")
		refused(t, "the key alone", err, ra.KindRefused, "device-copied")
		if d, _, _ := o.Device(ctx, o.clerk, id); d.State != ra.DeviceRegistered || d.CopiedAt == nil {
			t.Errorf("it is %s, copied %v", d.State, d.CopiedAt)
		}
		if list, err := o.Devices(ctx, o.clerk, devices.DeviceQuery{Copied: true}); err != nil || len(list) != 1 {
			t.Errorf("copied devices: %v, %v", list, err)
		}
		o.bind(t, id)
		if list, err := o.Devices(ctx, o.clerk, devices.DeviceQuery{Copied: true}); err != nil || len(list) != 0 {
			t.Errorf("copied devices after it was bound anew: %v, %v", list, err)
		}
	})
}
