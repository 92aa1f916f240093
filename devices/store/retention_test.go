package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/store"
	"certwindow/hsm/seal"
	"certwindow/policy"
	"certwindow/ra"
	rastore "certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// withRecords is an office whose register reaches the registration authority's records.
func withRecords(t testing.TB, db *rastore.DB) *office {
	t.Helper()
	o := newOffice(t, db)
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o.register = store.New(db.Gorm, sealer, store.Hooks{Audit: rastore.AppendEvent, DeviceBound: rastore.VoidForDevice, DeviceReplaced: rastore.VoidForReplaced, StartSweep: func(*gorm.DB) error { return nil },
		Records: []store.Records{rastore.PersonRecords{Sealer: sealer}}}, o.Clock.Now, rand.Reader)
	o.Service = devices.New(o.register, o.Clock.Now, rand.Reader)
	return o
}

// life is a doctor with a device, a certificate and a look at his data, and a colleague on the same device.
func (o *office) life(t testing.TB) (id, other ra.PersonID) {
	t.Helper()
	ctx := context.Background()
	colleague := another(1)
	colleague.Email, colleague.Phone = "wang@example.org", "0987654321"
	id, other = o.person(t, chen()), o.person(t, colleague)
	device := o.device(t, "ASSET-1", true, id, other)
	phone := o.World.Phone(t, storetest.Window, id)
	phone.ID = device
	for _, who := range []ra.PersonID{id, other} {
		c := o.Issue(t, who, phone, 1, func(c *ra.Certificate) { c.DER = []byte("CN=" + o.nameOf(t, who)) })
		if err := o.DB.Gorm.Exec("UPDATE applications SET note = ?, failure_detail = ? WHERE id = ?", o.nameOf(t, who), o.nameOf(t, who), string(c.ApplicationID)).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := o.register.UpdateAccounts(ctx, func(tx appcred.Tx) error {
		now := o.Clock.Now().UTC()
		if err := tx.InsertAccount(appcred.Account{Person: id, Name: "chen.xiaohua", Password: "x", PasswordAt: now, CreatedAt: now}); err != nil {
			return err
		}
		return tx.InsertLogin([]byte("token"), appcred.Login{Person: id, Account: "chen.xiaohua", Device: device, StartedAt: now, LastUsed: now})
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Unmask(ctx, o.clerk, id, "contact", "去電通知"+chen().Name+"本人"); err != nil {
		t.Fatal(err)
	}
	return id, other
}

func (o *office) nameOf(t testing.TB, id ra.PersonID) string {
	t.Helper()
	p, err := o.Person(context.Background(), o.admin, id)
	if err != nil {
		t.Fatal(err)
	}
	return p.Name
}

// HCA-9: thirty days after it was announced, and not before, nothing that tells of a person is in any column of any
// table, with every seal opened; a colleague's data is untouched.
func TestRetention(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *rastore.DB) {
		o := withRecords(t, db)
		ctx := context.Background()
		job := ra.Actor{Kind: ra.ActorSystem, ID: "retention"}
		id, other := o.life(t)
		retain := func(wantListed, wantErased int) {
			t.Helper()
			if listed, erased, err := o.Retain(ctx, job, 7); err != nil || listed != wantListed || erased != wantErased {
				t.Fatalf("%d listed, %d erased, %v; want %d, %d", listed, erased, err, wantListed, wantErased)
			}
		}
		o.Clock.Advance(20 * 366 * 24 * time.Hour)
		retain(0, 0) // still a member
		if err := o.EndMembership(ctx, o.clerk, id, storetest.Window, "left"); err != nil {
			t.Fatal(err)
		}
		retain(0, 0)
		end := o.Clock.Now().AddDate(7, 0, 0)
		o.Clock.Set(end.Add(-policy.ErasureNotice - time.Hour))
		retain(0, 0)
		o.Clock.Set(end.Add(-policy.ErasureNotice))
		retain(1, 0)
		due, err := o.Erasures(ctx, "", 50, 7)
		if err != nil || len(due) != 1 || due[0].Person != id || due[0].DueAt.Before(end.Add(-time.Millisecond)) {
			t.Errorf("%+v, %v", due, err)
		}
		retain(0, 0)
		o.Clock.Set(end.Add(-time.Second))
		retain(0, 0)
		mine := []string{chen().Name, chen().NationalID, chen().Email, chen().Phone, chen().Holder, "chen.xiaohua"}
		if found := o.search(t, mine); len(found) < 8 {
			t.Fatalf("the search itself finds only %v", found)
		}
		o.Clock.Set(end.Add(time.Second))
		retain(0, 1)
		retain(0, 0)
		if found := o.search(t, mine); len(found) != 0 {
			t.Errorf("left: %v", found)
		}
		for name, q := range map[string]devices.PersonQuery{"name": {Name: chen().Name}, "id": {NationalID: chen().NationalID}, "card": {Holder: chen().Holder}} {
			if list, err := o.Persons(ctx, o.admin, q); err != nil || len(list) != 0 {
				t.Errorf("found by %s: %v, %v", name, list, err)
			}
		}
		p, err := o.Person(ctx, o.admin, id)
		if err != nil || p.ErasedAt == nil || p.Name != "" || p.Active {
			t.Errorf("%+v, %v", p, err)
		}
		_, err = o.Unmask(ctx, o.admin, id, "identify", why)
		refused(t, "unmasked afterwards", err, ra.KindConflict, "person-erased")
		if n := o.Count(t, "certificates WHERE person_id = ? AND serial <> ''", string(id)); n != 1 {
			t.Errorf("%d serial numbers left", n)
		}
		if found := o.search(t, []string{another(1).Name}); len(found) == 0 || o.nameOf(t, other) != another(1).Name {
			t.Error("a colleague's data is gone")
		}
		if n := o.Count(t, "audit_events WHERE act IN ('person.erasure-list', 'person.erase') AND object = ?", "person/"+string(id)); n != 2 {
			t.Errorf("%d rows in the log", n)
		}
		if again := o.person(t, chen()); again == id {
			t.Error("who comes back is a new person")
		}
	})
}

// HCA-9: who comes back while he is on the list is taken off it.
func TestRetentionEndsWhenSomebodyComesBack(t *testing.T) {
	o := withRecords(t, storetest.SQLite(t))
	ctx := context.Background()
	job := ra.Actor{Kind: ra.ActorSystem, ID: "retention"}
	id := o.person(t, chen())
	if err := o.EndMembership(ctx, o.clerk, id, storetest.Window, "left"); err != nil {
		t.Fatal(err)
	}
	o.Clock.Set(o.Clock.Now().AddDate(7, 0, 0))
	if listed, _, err := o.Retain(ctx, job, 7); err != nil || listed != 1 {
		t.Fatal(listed, err)
	}
	o.person(t, chen())
	o.Clock.Advance(40 * 24 * time.Hour)
	if _, erased, err := o.Retain(ctx, job, 7); err != nil || erased != 0 {
		t.Fatal(erased, err)
	}
	if p, err := o.Person(ctx, o.admin, id); err != nil || p.ErasureListedAt != nil || p.Name != chen().Name {
		t.Errorf("%+v, %v", p, err)
	}
}

// search looks for texts in every column of every table, sealed ones opened, and names where it found them.
func (o *office) search(t testing.TB, texts []string) (found []string) {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]bool{}
	for _, c := range storetest.Columns(t, o.DB) {
		tables[c.Table] = true
	}
	for table := range tables {
		for _, row := range o.rows(t, table) {
			id := fmt.Sprint(row["id"])
			for _, key := range []string{"application_id", "transaction_id"} {
				if v, ok := row[key]; ok && table != "certificates" {
					id = fmt.Sprint(v)
				}
			}
			for column, v := range row {
				text := fmt.Sprint(v)
				if raw, ok := v.([]byte); ok {
					text = string(raw)
					if plain, err := sealer.Open(table+"."+strings.TrimSuffix(column, "_sealed")+"/"+id, raw); err == nil {
						text = string(plain)
					} else if sealed(table, column) {
						t.Errorf("%s.%s of %s does not open", table, column, id)
					}
				}
				if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(text, s) }) {
					found = append(found, table+"."+column)
				}
			}
		}
	}
	return found
}

// rows reads a table as it is.
func (o *office) rows(t testing.TB, table string) (out []map[string]any) {
	t.Helper()
	rows, err := o.DB.SQL.Query("SELECT * FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		row := map[string]any{}
		for i, c := range columns {
			row[c] = values[i]
		}
		out = append(out, row)
	}
	return out
}

// sealed tells whether a column's bytes must open.
func sealed(table, column string) bool {
	return strings.HasSuffix(column, "_sealed") || slices.Contains([]string{"applications.text", "certificates.der", "certificates.chain", "unmaskings.note", "unmasked_lists.purpose"}, table+"."+column)
}
