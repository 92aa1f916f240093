package bench

import (
	"context"
	"database/sql"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm/logger"

	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// statements keeps what a test's database is asked.
type statements struct {
	logger.Interface
	seen map[string]bool
}

func (s *statements) LogMode(logger.LogLevel) logger.Interface { return s }

func (s *statements) Trace(_ context.Context, _ time.Time, f func() (string, int64), _ error) {
	q, _ := f()
	s.seen[q] = true
}

var (
	wholeTable = regexp.MustCompile(`Seq Scan on (certificates|applications|persons|devices|audit_events)`)
	removed    = regexp.MustCompile(`Rows Removed by Filter: (\d+)`)
)

// Every statement of every list and search finds its rows by an index, in a database where the planner may choose: it
// reads no table whole, and throws away no more than a few rows for each that it gives.
func TestListsReadIndexes(t *testing.T) {
	db := storetest.Postgres(t)
	c := Crowd{Institutions: 100, Persons: 4000, Devices: 5000, Certificates: 20_000, Events: 20_000}
	if err := c.Fill(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	said := &statements{Interface: logger.Discard, seen: map[string]bool{}}
	db.Gorm.Logger = said
	for _, q := range newLibrary(db, c).questions() {
		clear(said.seen)
		if _, err := q.ask(t.Context(), 3); err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		if len(said.seen) == 0 {
			t.Fatalf("%s asks nothing", q.name)
		}
		for s := range said.seen {
			plan := explain(t, db.SQL, s)
			if m := wholeTable.FindString(plan); m != "" {
				t.Errorf("%s: %s\n%s\n%s", q.name, m, s, plan)
			}
			for _, m := range removed.FindAllStringSubmatch(plan, -1) {
				most := 1000
				if q.name == "audit log of a day" {
					most = 10_000 // rows about the ends of the day, which are not quite in the order of their times
				}
				if n, err := strconv.Atoi(m[1]); err != nil || n > most {
					t.Errorf("%s throws %d rows away\n%s\n%s", q.name, n, s, plan)
				}
			}
		}
	}
}

// explain is what the database did for a statement. Tables of a test are small enough to be read whole at no cost, so
// that the planner is told to do that only where no index serves.
func explain(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.QueryContext(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF) "+statement)
	if err != nil {
		t.Fatalf("%v\n%s", err, statement)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
