package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

const why = "來電要求更改電話，回撥核對"

// HCA-8.1.5: one record is shown for a reason, to its own institution alone, and the log says so without the note.
func TestUnmask(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.person(t, chen())
		p, err := o.Unmask(ctx, o.clerk, id, "identify", why)
		if err != nil || p.Name != chen().Name || p.NationalID != chen().NationalID || p.Phone != chen().Phone {
			t.Fatalf("%+v, %v", p, err)
		}
		for name, try := range map[string]func() (devices.Person, error){
			"another institution": func() (devices.Person, error) { return o.Unmask(ctx, o.stranger, id, "identify", why) },
			"no reason":           func() (devices.Person, error) { return o.Unmask(ctx, o.clerk, id, "", why) },
			"no note":             func() (devices.Person, error) { return o.Unmask(ctx, o.clerk, id, "identify", " ") },
		} {
			if p, err := try(); err == nil || p.Name != "" {
				t.Errorf("%s saw %+v, %v", name, p, err)
			}
		}
		if n := o.Count(t, "audit_events WHERE act = 'person.unmask' AND outcome = 'refused'"); n != 3 {
			t.Errorf("%d refusals in the log", n)
		}
		if n := o.Count(t, "audit_events WHERE act = 'person.unmask' AND outcome = 'done' AND details LIKE '%identify%'"); n != 1 {
			t.Errorf("%d rows in the log", n)
		}
		if n := o.Count(t, "audit_events WHERE details LIKE '%來電%'"); n != 0 {
			t.Error("the note is in the log")
		}
		seen, err := o.Unmaskings(ctx, o.clerk, id)
		if err != nil || len(seen) != 1 || seen[0].Staff != "clerk" || seen[0].Note != why {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

// HCA-8.1.5: twenty records an hour and no more, however many are asked for at the same time.
func TestUnmaskRate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		id := o.person(t, chen())
		var shown atomic.Int64
		var wg sync.WaitGroup
		for range policy.MaxUnmaskings + 10 {
			wg.Go(func() {
				if _, err := o.Unmask(ctx, o.clerk, id, "contact", why); err == nil {
					shown.Add(1)
				}
			})
		}
		wg.Wait()
		if shown.Load() != policy.MaxUnmaskings {
			t.Errorf("%d shown", shown.Load())
		}
		_, err := o.Unmask(ctx, o.clerk, id, "contact", why)
		refused(t, "one more", err, ra.KindRefused, "unmask-too-many")
		if _, err := o.Unmask(ctx, o.admin, id, "contact", why); err != nil {
			t.Errorf("a colleague: %v", err)
		}
		o.Clock.Advance(policy.UnmaskWindow + time.Second)
		if _, err := o.Unmask(ctx, o.clerk, id, "contact", why); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// HCA-8.1.5, HCA-8.1.6: a list is unmasked by two, exactly as it was shown, once, within the hour, for the one who asked.
func TestUnmaskMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		ids := []ra.PersonID{o.person(t, chen()), o.person(t, another(1))}
		facts, err := o.UnmaskFacts(ctx, o.clerk, storetest.Window, why)
		if err != nil || facts["unmask-count"] != "2" {
			t.Fatalf("%v, %v", facts, err)
		}
		_, err = o.UnmaskFacts(ctx, o.clerk, storetest.Clinic, why)
		refused(t, "another institution's", err, ra.KindRefused, "not-yours")
		_, err = o.UnmaskFacts(ctx, o.admin, storetest.Clinic, why)
		refused(t, "nobody", err, ra.KindConflict, "unmask-list-empty")
		approve := func(id string, facts map[string]string) error {
			return db.Gorm.Transaction(func(tx *gorm.DB) error {
				return devices.ApproveUnmaskMany(o.register.In(tx), id, "approval-"+id, "clerk", facts, o.Clock.Now())
			})
		}
		late := o.person(t, another(2))
		refused(t, "one more than was shown", approve("L1", facts), ra.KindRefused, "approval-object-changed")
		facts, _ = o.UnmaskFacts(ctx, o.clerk, storetest.Window, why)
		if err := approve("L1", facts); err != nil {
			t.Fatal(err)
		}
		second := o.clerk
		second.ID = "second"
		_, err = o.FetchUnmaskedList(ctx, second, "L1")
		refused(t, "the approver", err, ra.KindNotFound, "not-found")
		people, err := o.FetchUnmaskedList(ctx, o.clerk, "L1")
		if err != nil || len(people) != 3 || people[0].Name == "" {
			t.Fatalf("%+v, %v", people, err)
		}
		for _, id := range append(ids, late) {
			if n := o.Count(t, "audit_events WHERE act = 'person.unmask' AND object = ? AND details LIKE '%approval-L1%'", "person/"+string(id)); n != 1 {
				t.Errorf("%d rows for %s", n, id)
			}
		}
		_, err = o.FetchUnmaskedList(ctx, o.clerk, "L1")
		refused(t, "again", err, ra.KindConflict, "unmask-list-fetched")
		if err := approve("L2", facts); err != nil {
			t.Fatal(err)
		}
		o.Clock.Advance(policy.UnmaskedListLife)
		_, err = o.FetchUnmaskedList(ctx, o.clerk, "L2")
		refused(t, "after the hour", err, ra.KindRefused, "unmask-list-expired")
	})
}

// HCA-9: the copy holds everything about the person, and nothing of anybody else.
func TestCopy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := withRecords(t, db)
		ctx := context.Background()
		id, other := o.life(t)
		c, err := o.CopyFor(ctx, o.clerk, id, "出示身分證正本")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, mine := range []string{chen().Name, chen().NationalID, chen().Email, "ASSET-1", "醫事人員行動憑證申辦", "BEGIN CERTIFICATE", "person.register", "contact"} {
			if !bytes.Contains(raw, []byte(mine)) {
				t.Errorf("%s is not in the copy", mine)
			}
		}
		for _, notMine := range []string{another(1).Name, another(1).NationalID, string(other)} {
			if bytes.Contains(raw, []byte(notMine)) {
				t.Errorf("%s is in the copy", notMine)
			}
		}
		_, err = o.CopyFor(ctx, o.clerk, id, "x")
		refused(t, "without a note", err, ra.KindRefused, "copy-note")
		_, err = o.CopyFor(ctx, o.stranger, id, "出示身分證正本")
		refused(t, "at another institution", err, ra.KindNotFound, "")
		if n := o.Count(t, "audit_events WHERE act = 'person.copy' AND outcome = 'done'"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// HCA-8.2.3, HCA-8.2.4: a notice is written anew, never changed; its acknowledgement counts starts, for the person where
// that is known, and of the latest version alone.
func TestNotices(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := newOffice(t, db)
		ctx := context.Background()
		texts := devices.SafetyNotice{RiskZH: "風險", RiskEN: "risks", AntivirusZH: "防毒", AntivirusEN: "antivirus"}
		if v, err := o.WriteNotices(ctx, o.admin, texts, 0); err != nil || v != 1 {
			t.Fatal(v, err)
		}
		_, err := o.WriteNotices(ctx, o.admin, texts, 0)
		refused(t, "two at once", err, ra.KindConflict, "moved-on")
		_, err = o.WriteNotices(ctx, o.clerk, texts, 1)
		refused(t, "an institution's clerk", err, ra.KindRefused, "not-yours")
		_, err = o.WriteNotices(ctx, o.admin, devices.SafetyNotice{RiskZH: "風險"}, 1)
		refused(t, "one language", err, ra.KindMalformed, "risk-en")
		id := o.person(t, chen())
		one, shared := o.device(t, "ASSET-1", false, id), o.device(t, "ASSET-2", true, id)
		read := func(id ra.DeviceID, version int, who ra.PersonID) (devices.Acknowledgement, error) {
			d, _, err := o.Device(ctx, o.clerk, id)
			if err != nil {
				t.Fatal(err)
			}
			return o.Acknowledge(ctx, ra.Actor{Kind: ra.ActorDevice, ID: string(d.ID)}, d, version, who, "2.1.0")
		}
		if a, err := read(one, 1, ""); err != nil || a.Person != id || a.Starts != 1 {
			t.Errorf("%+v, %v", a, err)
		}
		o.Clock.Advance(time.Hour)
		if a, err := read(one, 1, ""); err != nil || a.Starts != 2 || !a.LastAt.After(a.FirstAt) {
			t.Errorf("%+v, %v", a, err)
		}
		if a, err := read(shared, 1, ""); err != nil || a.Person != "" {
			t.Errorf("on a shared device: %+v, %v", a, err)
		}
		if a, err := read(shared, 1, id); err != nil || a.Person != id {
			t.Errorf("for a user of it: %+v, %v", a, err)
		}
		_, err = read(one, 1, "somebody")
		refused(t, "for a stranger", err, ra.KindRefused, "not-a-user")
		_, err = read(one, 2, "")
		refused(t, "of a version to come", err, ra.KindConflict, "notice-replaced")
		if list, n, err := o.SafetyNotices(ctx); err != nil || len(list) != 1 || n != 2 {
			t.Errorf("%v, %d, %v", list, n, err)
		}
		if n := o.Count(t, "audit_events WHERE act = 'notice.acknowledge'"); n != 3 {
			t.Errorf("%d rows for three first times", n)
		}
	})
}
