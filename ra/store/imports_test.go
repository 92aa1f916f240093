package store_test

import (
	"bytes"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/intake"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-4.1, HCA-8.1.5: a table's lines come back as they were brought, are sealed while they wait and forgotten when they are
// done; a line is settled once, an import moves from the state that it is in, and another institution sees none of it.
func TestImports(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		now := w.Clock.Now()
		i := intake.Import{ID: w.ID(t), Kind: intake.Persons, State: intake.Previewed, Institution: storetest.Window, SHA256: "ab", Encoding: "UTF-8", Fresh: 1, Wrong: 1,
			CreatedBy: "clerk", CreatedAt: now}
		lines := []intake.Line{{Import: i.ID, Line: 2, Verdict: intake.Fresh, Cells: map[string]string{"name": "王大明"}},
			{Import: i.ID, Line: 3, Verdict: intake.Wrong, Field: "name", Code: "name", Detail: "why"}}
		w.Update(t, func(tx *store.Tx) error { return tx.InsertImport(i, lines) })
		w.View(t, func(tx *store.Tx) error {
			got, err := tx.ImportLines(i.ID, intake.LineQuery{Limit: 10})
			if err != nil || len(got) != 2 || got[0].Cells["name"] != "王大明" || got[1].Code != "name" || got[1].Field != "name" {
				t.Errorf("%+v, %v", got, err)
			}
			if _, err := tx.Import(storetest.Clinic, i.ID); ra.KindOf(err) != ra.KindNotFound {
				t.Errorf("another institution's: %v", err)
			}
			return nil
		})
		var cells []byte
		if err := db.Gorm.Raw("SELECT cells FROM import_lines WHERE line = 2").Row().Scan(&cells); err != nil || len(cells) == 0 || bytes.Contains(cells, []byte("王大明")) {
			t.Errorf("stored in the clear: %q, %v", cells, err)
		}
		started := now.Add(time.Second)
		i.State, i.StartedAt = intake.Running, &started
		w.Update(t, func(tx *store.Tx) error { return tx.UpdateImport(i, intake.Previewed) })
		err := w.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateImport(i, intake.Previewed) })
		if ra.KindOf(err) != ra.KindConflict {
			t.Errorf("started twice: %v", err)
		}
		settle := func(tx *store.Tx) error {
			if err := tx.SettleLine(intake.Line{Import: i.ID, Line: 2, Verdict: intake.Done, Object: "person/x"}); err != nil {
				return err
			}
			return tx.CountLine(i.ID, 1, 0)
		}
		w.Update(t, settle)
		if err := w.Store.Update(t.Context(), settle); ra.KindOf(err) != ra.KindConflict {
			t.Errorf("settled twice: %v", err)
		}
		w.View(t, func(tx *store.Tx) error {
			got, err := tx.Import(storetest.Window, i.ID)
			if err != nil || got.Done != 1 || got.State != intake.Running || got.StartedAt == nil || got.StartedAt.Sub(started).Abs() > time.Millisecond {
				t.Errorf("%+v, %v", got, err)
			}
			return nil
		})
		if n := w.Count(t, "import_lines WHERE cells IS NOT NULL AND verdict = 'done'"); n != 0 {
			t.Errorf("%d done lines still name people", n)
		}
		forgotten := intake.Import{ID: w.ID(t), Kind: intake.Devices, State: intake.Previewed, Institution: storetest.Window, CreatedBy: "clerk", CreatedAt: now}
		w.Update(t, func(tx *store.Tx) error {
			return tx.InsertImport(forgotten, []intake.Line{{Import: forgotten.ID, Line: 2, Verdict: intake.Fresh, Cells: map[string]string{"code": "P-1"}}})
		})
		w.Update(t, func(tx *store.Tx) error { return tx.ForgetImports(now.Add(time.Minute)) })
		if w.Count(t, "imports") != 1 || w.Count(t, "import_lines WHERE import_id = ?", forgotten.ID) != 0 {
			t.Error("what nobody started was not forgotten")
		}
	})
}
