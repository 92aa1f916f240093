package store_test

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/hsm"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-2.1, HCA-4.1: a device has a code that is unique in the window, a platform that is allowed, and users by person.
func TestRegisterDevice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.person(t, chen())
		if _, err := o.RegisterPerson(ctx, o.stranger, chen(), storetest.Clinic); err != nil {
			t.Fatal(err)
		}
		o.device(t, "ASSET-1", false, id)
		n := devices.NewDevice{Code: "ASSET-1", Institution: storetest.Clinic, Platform: ra.PlatformAndroid, Model: "Pixel", Users: []ra.PersonID{id}}
		_, err := o.RegisterDevice(ctx, o.stranger, n)
		refused(t, "the code of another institution's device", err, ra.KindRefused, "device-code-taken")
		if ra.AsError(err).Clause != "HCA-4.1" {
			t.Errorf("under %s", ra.AsError(err).Clause)
		}
		for name, change := range map[string]func(*devices.NewDevice){
			"Windows":             func(n *devices.NewDevice) { n.Platform = "windows" },
			"no platform":         func(n *devices.NewDevice) { n.Platform = "" },
			"no code":             func(n *devices.NewDevice) { n.Code = " " },
			"forged code":         func(n *devices.NewDevice) { n.Code = "A\nscope: X" },
			"two users, unshared": func(n *devices.NewDevice) { n.Users = []ra.PersonID{id, o.person(t, another(1))} },
			"unknown user":        func(n *devices.NewDevice) { n.Users = []ra.PersonID{"nobody"} },
			"no institution":      func(n *devices.NewDevice) { n.Institution = "9999999999" },
		} {
			n := devices.NewDevice{Code: "ASSET-2", Institution: storetest.Window, Platform: ra.PlatformIOS, Model: "iPhone"}
			change(&n)
			if _, err := o.RegisterDevice(ctx, o.admin, n); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		if n := o.Count(t, "devices"); n != 1 {
			t.Errorf("%d devices", n)
		}
		list, err := o.Devices(ctx, o.clerk, devices.DeviceQuery{Code: "ASS", User: id})
		if err != nil || len(list) != 1 {
			t.Errorf("by the code's beginning: %d, %v", len(list), err)
		}
	})
}

// HCA-4.2: users come and go, and the history stays; whoever is removed sets the sweep off.
func TestUsersHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		a, b := o.person(t, chen()), o.person(t, another(1))
		d := o.device(t, "ASSET-1", true, a)
		if err := o.AddUser(ctx, o.clerk, d, b); err != nil {
			t.Fatal(err)
		}
		refused(t, "added twice", o.AddUser(ctx, o.clerk, d, b), ra.KindConflict, "user-exists")
		o.Clock.Advance(time.Minute)
		if err := o.RemoveUser(ctx, o.clerk, d, a); err != nil || o.Jobs(t, "sweep") != 1 {
			t.Fatalf("%v, %d sweeps", err, o.Jobs(t, "sweep"))
		}
		refused(t, "removed twice", o.RemoveUser(ctx, o.clerk, d, a), ra.KindConflict, "")
		if f, err := o.register.DeviceFacts(db.Gorm, d, a); err != nil || f.IsUser {
			t.Errorf("still a user: %+v, %v", f, err)
		}
		o.Clock.Advance(time.Minute)
		if err := o.AddUser(ctx, o.clerk, d, a); err != nil {
			t.Fatal(err)
		}
		_, users, err := o.Device(ctx, o.clerk, d)
		if err != nil {
			t.Fatal(err)
		}
		var history []string
		for _, u := range users {
			word := "removed"
			if u.RemovedAt == nil {
				word = "now"
			}
			history = append(history, map[ra.PersonID]string{a: "a", b: "b"}[u.Person]+" "+word)
		}
		if want := []string{"a removed", "b now", "a now"}; !reflect.DeepEqual(history, want) && !reflect.DeepEqual(history, []string{"b now", "a removed", "a now"}) {
			t.Errorf("history %v, want %v", history, want)
		}
		if f, err := o.register.DeviceFacts(db.Gorm, d, a); err != nil || !f.IsUser {
			t.Errorf("not a user again: %+v, %v", f, err)
		}
	})
}

// HCA-4.1: a device that is not shared has one user, also when two counters add one at the same time.
func TestOneUserUnderConcurrency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		var persons []ra.PersonID
		for i := range 8 {
			persons = append(persons, o.person(t, another(i)))
		}
		for round := range 5 {
			d := o.device(t, "ASSET-"+string(rune('A'+round)), false)
			var won atomic.Int64
			var wg sync.WaitGroup
			for _, p := range persons {
				wg.Add(1)
				go func() {
					defer wg.Done()
					if err := o.AddUser(context.Background(), o.clerk, d, p); err == nil {
						won.Add(1)
					} else if ra.AsError(err).Code != "not-shared" {
						t.Error(err)
					}
				}()
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d users of a device that is not shared", won.Load())
			}
		}
	})
}

// HCA-6.0: a device that is bound anew voids what its old binding began, forgets its HSM keys, and sets the sweep off.
// What has left for the HCA goes on.
func TestBoundAnew(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		id := o.person(t, chen())
		d := o.device(t, "ASSET-1", false, id)
		first := o.bind(t, d)
		phone := &storetest.Phone{ID: d}
		other := &storetest.Phone{ID: o.device(t, "ASSET-2", false)}
		insert := func(p *storetest.Phone, s ra.ApplicationState, slot int) ra.ApplicationID {
			a := o.Draft(t, id, p)
			a.State = s
			if slot > 0 {
				a.Slot = &slot
			}
			o.Insert(t, a)
			o.Update(t, func(tx *rastore.Tx) error {
				return tx.SaveHolderKey(a, hsm.WrappedKey{Generation: 1, Blob: []byte{1}, SPKI: []byte{1}, MAC: []byte{1}}, o.Clock.Now())
			})
			return a.ID
		}
		states := map[ra.ApplicationID]ra.ApplicationState{
			insert(phone, ra.AppAwaitingSignature, 0): ra.AppVoided,
			insert(phone, ra.AppAwaitingKey, 1):       ra.AppVoided,
			insert(phone, ra.AppSent, 2):              ra.AppSent,
			insert(phone, ra.AppCompleted, 3):         ra.AppCompleted,
			insert(other, ra.AppAwaitingKey, 4):       ra.AppAwaitingKey,
		}
		sweeps := o.Jobs(t, "sweep")
		o.Clock.Advance(time.Minute)
		second := o.bind(t, d)
		for a, want := range states {
			if got := o.Application(t, a).State; got != want {
				t.Errorf("an application is %s, want %s", got, want)
			}
		}
		if got := o.Slots(t, id); !reflect.DeepEqual(got, []int{2, 3, 4}) {
			t.Errorf("places %v", got)
		}
		if n := o.Count(t, "holder_keys WHERE device_id = ?", string(d)); n != 0 {
			t.Errorf("%d HSM keys of the old binding are left", n)
		}
		if n := o.Count(t, "holder_keys"); n != 1 {
			t.Errorf("%d keys of the other device are left", n)
		}
		if o.Jobs(t, "sweep") < sweeps {
			t.Error("no sweep was started")
		}
		ctx := context.Background()
		got, err := o.DeviceByKey(ctx, ra.KeyHash(second))
		if err != nil || got.Generation != 2 || got.State != ra.DeviceBound {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = o.DeviceByKey(ctx, ra.KeyHash(first))
		refused(t, "the old key", err, ra.KindNotFound, "")
	})
}

// HCA-8.1.3, HCA-8.1.4: the QR's code is good once, for an hour, for one phone; both screens must show the same code.
func TestBinding(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		phone := ra.Actor{Kind: ra.ActorDevice}
		d := o.device(t, "ASSET-1", true)
		taken := o.bind(t, o.device(t, "ASSET-2", true))

		old, err := o.OfferBinding(ctx, o.clerk, d)
		if err != nil {
			t.Fatal(err)
		}
		o.Clock.Advance(time.Second)
		offer, err := o.OfferBinding(ctx, o.clerk, d)
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.PresentBinding(ctx, phone, old.Code, devices.WindowKeys{Pin: pin}, newKey(t), "{}", nil)
		refused(t, "a code that was taken back", err, ra.KindRefused, "binding-code-used")
		_, err = o.PresentBinding(ctx, phone, "no such code", devices.WindowKeys{Pin: pin}, newKey(t), "{}", nil)
		refused(t, "a guessed code", err, ra.KindNotFound, "")
		_, err = o.PresentBinding(ctx, phone, offer.Code, devices.WindowKeys{Pin: pin}, taken, "{}", nil)
		refused(t, "another device's key", err, ra.KindRefused, "key-bound-elsewhere")

		// Of two phones that read the same QR one is first, and the clerk sees whether it is the right one.
		keys := [][]byte{newKey(t), newKey(t)}
		bindings := make([]devices.Binding, 2)
		var won atomic.Int64
		var wg sync.WaitGroup
		for i, k := range keys {
			wg.Add(1)
			go func() {
				defer wg.Done()
				var err error
				if bindings[i], err = o.PresentBinding(ctx, phone, offer.Code, devices.WindowKeys{Pin: pin}, k, "{}", nil); err == nil {
					won.Add(int64(i + 1))
				} else if kind := ra.KindOf(err); kind != ra.KindRefused && kind != ra.KindConflict {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		if won.Load() != 1 && won.Load() != 2 {
			t.Fatalf("both phones, or none, presented a key (%d)", won.Load())
		}
		winner, loser := won.Load()-1, 2-won.Load()
		b := bindings[winner]
		refused(t, "the other phone's digits", o.ConfirmBinding(ctx, o.clerk, d, b.ID, devices.ShortCode(offer.Code, devices.WindowKeys{Pin: pin}, keys[loser])), ra.KindRefused, "short-code-differs")
		refused(t, "the digits of a phone that a forged QR led elsewhere", o.ConfirmBinding(ctx, o.clerk, d, b.ID, devices.ShortCode(offer.Code, devices.WindowKeys{Pin: "another server's pin"}, keys[winner])), ra.KindRefused, "short-code-differs")
		if err := o.ConfirmBinding(ctx, o.clerk, d, b.ID, b.ShortCode); err != nil {
			t.Fatal(err)
		}
		refused(t, "confirmed twice", o.ConfirmBinding(ctx, o.clerk, d, b.ID, b.ShortCode), ra.KindConflict, "")
		if n := o.Count(t, "device_bindings WHERE code_hash = ?", []byte(offer.Code)); n != 0 {
			t.Error("the code itself is in the database")
		}

		late, err := o.OfferBinding(ctx, o.clerk, d)
		if err != nil {
			t.Fatal(err)
		}
		o.Clock.Advance(devices.BindingLife)
		_, err = o.PresentBinding(ctx, phone, late.Code, devices.WindowKeys{Pin: pin}, newKey(t), "{}", nil)
		refused(t, "after an hour", err, ra.KindRefused, "binding-code-used")
	})
}

// HCA-7.2: what became of a device is recorded, its key is no longer trusted, and the sweep looks.
func TestReports(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		d := o.device(t, "ASSET-1", true)
		o.bind(t, d)
		for _, step := range []struct {
			event ra.DeviceEvent
			want  ra.DeviceState
		}{{ra.DeviceLose, ra.DeviceLost}, {ra.DeviceFind, ra.DeviceRegistered}, {ra.DeviceBreak, ra.DeviceBroken}, {ra.DeviceRepair, ra.DeviceRegistered},
			{ra.DeviceRetire, ra.DeviceRetired}} {
			if err := o.Report(ctx, o.clerk, d, step.event); err != nil {
				t.Fatal(err)
			}
			got, _, err := o.Device(ctx, o.clerk, d)
			if err != nil || got.State != step.want {
				t.Errorf("after %s: %s, %v", step.event, got.State, err)
			}
			if got.State == ra.DeviceRegistered && (got.KeySPKI != nil || got.KeyHash != "") {
				t.Errorf("after %s the old key is still there", step.event)
			}
		}
		refused(t, "retired is for good", o.Report(ctx, o.clerk, d, ra.DeviceFind), ra.KindConflict, "")
		refused(t, "no such report", o.Report(ctx, o.clerk, d, ra.DeviceBind), ra.KindMalformed, "")
		if o.Jobs(t, "sweep") == 0 {
			t.Error("no sweep was started")
		}
		if n := len(o.Audit(t)); n < 10 {
			t.Errorf("%d rows in the log", n)
		}
	})
}
