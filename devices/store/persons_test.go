package store_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/devices/store"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// Each column of the register is one that its store knows, on both databases.
func TestModels(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) { storetest.Models(t, db, nil, store.Models()...) })
}

// HCA-8.1.5: a copy of the database shows nobody's name, national id, card, mail or phone; neither does the log.
func TestSealed(t *testing.T) {
	secrets := []string{"A123456789", "陳小華", "1234567890123456", "chen@example.org", "0912345678"}
	t.Run("SQLite", func(t *testing.T) {
		address := storetest.SQLiteAddress(t)
		o := newOffice(t, storetest.Open(t, address))
		o.lifetime(t)
		path := strings.TrimPrefix(address, "sqlite:")
		for _, suffix := range []string{"", "-wal"} {
			raw, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range secrets {
				if bytes.Contains(raw, []byte(s)) {
					t.Errorf("%q is in the file%s", s, suffix)
				}
			}
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		db := storetest.Postgres(t)
		newOffice(t, db).lifetime(t)
		for _, c := range storetest.Columns(t, db) {
			var cells []string
			query := fmt.Sprintf("SELECT coalesce(%s::text, '') FROM %s", c.Name, c.Table)
			if c.Type == "bytes" {
				query = fmt.Sprintf("SELECT encode(%s, 'hex') FROM %s WHERE %s IS NOT NULL", c.Name, c.Table, c.Name)
			}
			if err := db.Gorm.Raw(query).Scan(&cells).Error; err != nil {
				t.Fatal(err)
			}
			for _, s := range secrets {
				if all := strings.Join(cells, "\n"); strings.Contains(all, s) || strings.Contains(all, hex.EncodeToString([]byte(s))) {
					t.Errorf("%q is in %s.%s", s, c.Table, c.Name)
				}
			}
		}
	})
}

// lifetime does everything to a person that a register does.
func (o *office) lifetime(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	id := o.person(t, chen())
	d := o.device(t, "ASSET-1", true, id)
	o.bind(t, d)
	if _, err := o.RegisterPerson(ctx, o.clerk, chen(), storetest.Window); err == nil {
		t.Fatal("registered twice")
	}
	if _, err := o.Persons(ctx, o.clerk, devices.PersonQuery{NationalID: "A123456789"}); err != nil {
		t.Fatal(err)
	}
	if err := o.RemoveUser(ctx, o.clerk, d, id); err != nil {
		t.Fatal(err)
	}
	if err := o.EndMembership(ctx, o.clerk, id, storetest.Window, "left"); err != nil {
		t.Fatal(err)
	}
}

// HCA-8.1.5: a sealed value that is moved to another person's row does not open there.
func TestMovedCells(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	a, b := o.person(t, chen()), o.person(t, another(1))
	if err := o.DB.Gorm.Exec("UPDATE persons SET email_sealed = (SELECT email_sealed FROM persons WHERE id = ?) WHERE id = ?", string(a), string(b)).Error; err != nil {
		t.Fatal(err)
	}
	if p, err := o.Person(context.Background(), o.clerk, b); err == nil {
		t.Errorf("opened: %+v", p)
	}
}

// HCA-7.5, HCA-3.7: one person is one record, whatever the institution, found by what is sealed.
func TestOnePerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.person(t, chen())
		lower := chen()
		lower.NationalID = " a123456789 "
		again, err := o.RegisterPerson(ctx, o.stranger, lower, storetest.Clinic)
		if err != nil || again != id {
			t.Fatalf("at another institution: %s, %v; want %s", again, err, id)
		}
		_, err = o.RegisterPerson(ctx, o.clerk, chen(), storetest.Window)
		refused(t, "a second time", err, ra.KindConflict, "member-exists")
		renamed := chen()
		renamed.Name = "陳大華"
		_, err = o.RegisterPerson(ctx, o.stranger, renamed, storetest.Clinic)
		refused(t, "under another name", err, ra.KindConflict, "person-differs")
		card := another(1)
		card.Holder = chen().Holder
		_, err = o.RegisterPerson(ctx, o.clerk, card, storetest.Window)
		refused(t, "another person with the same card", err, ra.KindConflict, "")
		for name, q := range map[string]devices.PersonQuery{"national id": {NationalID: "a123456789"}, "name": {Name: "陳小華"}, "card": {Holder: chen().Holder}} {
			found, err := o.Persons(ctx, o.clerk, q)
			if err != nil || len(found) != 1 || found[0].ID != id || found[0].Email != "chen@example.org" || found[0].Phone != "0912345678" {
				t.Errorf("by %s: %+v, %v", name, found, err)
			}
		}
		if found, _ := o.Persons(ctx, o.clerk, devices.PersonQuery{Name: "陳"}); len(found) != 0 {
			t.Error("found by a part of the name")
		}
	})
}

// HCA-7.5: twenty counters that register one person at once make one record.
func TestOnePersonUnderConcurrency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		var wg sync.WaitGroup
		for i := range 20 {
			actor := []ra.Actor{o.clerk, o.stranger}[i%2]
			wg.Add(1)
			go func() {
				defer wg.Done()
				if _, err := o.RegisterPerson(context.Background(), actor, chen(), actor.Institution); err != nil && ra.KindOf(err) != ra.KindConflict {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		if n := o.Count(t, "persons"); n != 1 {
			t.Errorf("%d records of one person", n)
		}
	})
}

// HCA-3.7: an institution sees its own persons and devices, and learns nothing of others'.
func TestInstitutionsApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.person(t, chen())
		d := o.device(t, "ASSET-1", true, id)
		_, person := o.Person(ctx, o.stranger, id)
		_, _, dev := o.Device(ctx, o.stranger, d)
		_, offer := o.OfferBinding(ctx, o.stranger, d)
		_, _, binding := o.Binding(ctx, o.stranger, d)
		for what, err := range map[string]error{"person": person, "device": dev, "offer": offer, "binding": binding,
			"add user": o.AddUser(ctx, o.stranger, d, id), "remove user": o.RemoveUser(ctx, o.stranger, d, id),
			"report": o.Report(ctx, o.stranger, d, ra.DeviceLose)} {
			refused(t, what, err, ra.KindNotFound, "")
		}
		_, register := o.RegisterPerson(ctx, o.stranger, another(1), storetest.Window)
		_, device := o.RegisterDevice(ctx, o.stranger, devices.NewDevice{Code: "X", Institution: storetest.Window, Platform: ra.PlatformIOS, Model: "m"})
		for what, err := range map[string]error{"register person": register, "register device": device,
			"end membership":  o.EndMembership(ctx, o.stranger, id, storetest.Window, "left"),
			"add institution": o.AddInstitution(ctx, o.clerk, devices.Institution{Code: "0000000001", Name: "x", IsWindow: true}),
			"save scope":      o.SaveScope(ctx, o.clerk, devices.Scope{Code: "EMR-SIGN", Name: "x", Approved: true})} {
			refused(t, what, err, ra.KindRefused, "not-yours")
		}
		persons, err := o.Persons(ctx, o.stranger, devices.PersonQuery{Institution: storetest.Window, NationalID: "A123456789"})
		list, err2 := o.Devices(ctx, o.stranger, devices.DeviceQuery{Institution: storetest.Window})
		places, err3 := o.Institutions(ctx, o.stranger)
		if err != nil || err2 != nil || err3 != nil || len(persons) != 0 || len(list) != 0 || len(places) != 1 {
			t.Errorf("%d persons, %d devices, %d institutions are seen", len(persons), len(list), len(places))
		}
		// A user of a device is a person of its institution.
		other, err := o.RegisterPerson(ctx, o.stranger, another(2), storetest.Clinic)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "a user from elsewhere", o.AddUser(ctx, o.clerk, d, other), ra.KindNotFound, "")
	})
}

// HCA-3.7: who leaves is no member from then on, and the sweep looks; who comes back is one again.
func TestMembership(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.person(t, chen())
		member := func() bool {
			f, err := o.register.PersonFacts(db.Gorm, id)
			if err != nil || f.Holder != chen().Holder || f.Name != chen().Name {
				t.Fatalf("%+v, %v", f, err)
			}
			return f.MemberOf(storetest.Window)
		}
		if !member() {
			t.Error("not a member after registration")
		}
		refused(t, "no such reason", o.EndMembership(ctx, o.clerk, id, storetest.Window, "bored"), ra.KindMalformed, "leave-reason")
		if err := o.EndMembership(ctx, o.clerk, id, storetest.Window, "left"); err != nil || member() || o.Jobs(t, "sweep") != 1 {
			t.Errorf("%v, %d sweeps", err, o.Jobs(t, "sweep"))
		}
		refused(t, "left twice", o.EndMembership(ctx, o.clerk, id, storetest.Window, "left"), ra.KindConflict, "")
		if p, err := o.Person(ctx, o.clerk, id); err != nil || p.Memberships[0].Until == nil || p.Memberships[0].Reason != "left" {
			t.Errorf("history: %+v, %v", p.Memberships, err)
		}
		o.Clock.Advance(time.Hour)
		if o.person(t, chen()); !member() {
			t.Error("not a member after coming back")
		}
	})
}
