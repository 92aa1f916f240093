package migrations_test

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"certwindow/migrations"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// Both databases end with the same tables, columns and unique keys.
func TestSameShape(t *testing.T) {
	lite, post := storetest.SQLite(t), storetest.Postgres(t)
	a, b := storetest.Columns(t, lite), storetest.Columns(t, post)
	if len(a) < 200 {
		t.Fatalf("only %d columns were found", len(a))
	}
	difference(t, "column", a, b)
	difference(t, "unique key", storetest.Uniques(t, lite), storetest.Uniques(t, post))
}

func difference[T comparable](t *testing.T, what string, sqlite, postgres []T) {
	t.Helper()
	count := map[T]int{}
	for _, x := range sqlite {
		count[x]++
	}
	for _, x := range postgres {
		count[x]--
	}
	for x, n := range count {
		switch {
		case n > 0:
			t.Errorf("%s only on SQLite: %+v", what, x)
		case n < 0:
			t.Errorf("%s only on PostgreSQL: %+v", what, x)
		}
	}
}

// Steps are applied once, and a database says which it has.
func TestUpAndList(t *testing.T) {
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "new.db"))
	ctx := context.Background()
	before, err := migrations.List(ctx, db.SQL, db.Dialect)
	if err != nil || len(before) == 0 {
		t.Fatalf("%v, %v", before, err)
	}
	for _, s := range before {
		if s.Applied {
			t.Errorf("%s is applied to an empty database", s.Name)
		}
	}
	done, err := migrations.Up(ctx, db.SQL, db.Dialect)
	if err != nil {
		t.Fatal(err)
	}
	queue := 0
	for _, name := range done {
		if strings.HasPrefix(name, "queue/") {
			queue++
		}
	}
	if len(done)-queue != len(before) || queue == 0 {
		t.Errorf("applied %v of %d steps", done, len(before))
	}
	after, err := migrations.List(ctx, db.SQL, db.Dialect)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range after {
		if !s.Applied {
			t.Errorf("%s is not applied", s.Name)
		}
	}
	if again, err := migrations.Up(ctx, db.SQL, db.Dialect); len(again) != 0 || err != nil {
		t.Errorf("applied again: %v, %v", again, err)
	}
}

// A database that was moved up, used and opened again is as it was.
func TestSecondUpKeepsData(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		person := w.Doctor(t, "陳小華", "1001")
		c := w.Issue(t, person, w.Phone(t, storetest.Window, person), 1, nil)
		if _, err := migrations.Up(context.Background(), db.SQL, db.Dialect); err != nil {
			t.Fatal(err)
		}
		if got := w.Certificate(t, c.ID); !reflect.DeepEqual(got.DER, c.DER) {
			t.Error("the certificate is not what it was")
		}
	})
}
