package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"certwindow/migrations"
	"certwindow/ra/store"
)

// Main runs a package's tests and ends the server that they started. A package that asks for PostgreSQL calls it from
// its TestMain and does nothing after it.
func Main(m *testing.M) { os.Exit(Tests(m)) }

// Tests is Main without the exit, for a package that has more to end. It gives the exit code.
func Tests(m *testing.M) int {
	defer stop()
	return m.Run()
}

// Each runs a test on a fresh, migrated database of each kind. Where there is no PostgreSQL server that half is skipped
// and says so; with CI set it fails.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, Postgres(t)) })
}

// What a test binary makes once: an empty migrated database of each kind, to copy from.
var (
	process struct {
		sync.Mutex
		server *server
		err    error
		asked  bool
	}
	sqliteOnce = sync.OnceValues(makeSQLite)
)

const template = "migrated"

// stop ends the server, if one was started.
func stop() {
	process.Lock()
	defer process.Unlock()
	if process.server != nil {
		process.server.stop()
	}
}

// shared starts the binary's server at the first call.
func shared(t testing.TB) *server {
	t.Helper()
	process.Lock()
	defer process.Unlock()
	if !process.asked {
		process.asked = true
		process.server, process.err = startServer(context.Background())
		if process.err == nil {
			process.err = prepare(process.server)
		}
	}
	switch {
	case process.err == nil:
	case errors.Is(process.err, errMissing) && os.Getenv("CI") == "":
		t.Skipf("skipped: %v", process.err)
	default:
		t.Fatal(process.err)
	}
	return process.server
}

func prepare(s *server) error {
	ctx := context.Background()
	if err := s.exec(ctx, "postgres", "CREATE DATABASE "+template); err != nil {
		return err
	}
	return migrate(ctx, s.address(template))
}

func migrate(ctx context.Context, address string) error {
	db, err := store.Open(ctx, address)
	if err != nil {
		return err
	}
	_, err = migrations.Up(ctx, db.SQL, db.Dialect)
	return errors.Join(err, db.Close())
}

// PostgresAddress gives a migrated PostgreSQL database that holds nothing, and tells where it is. After the test it is
// emptied and used again, which takes a tenth of the time that making one takes.
func PostgresAddress(t testing.TB) string {
	t.Helper()
	s := shared(t)
	name, err := s.take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.giveBack(name); err != nil {
			t.Error(err)
		}
	})
	return s.address(name)
}

// Postgres opens a fresh, migrated PostgreSQL database.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, PostgresAddress(t))
}

// makeSQLite makes the migrated file that others are copies of, and gives its content.
func makeSQLite() ([]byte, error) {
	dir, err := os.MkdirTemp("", "certwindow-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "migrated.db")
	// Closing the last connection moves the write-ahead log into the file.
	if err := migrate(context.Background(), "sqlite:"+path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// SQLiteAddress makes a fresh, migrated SQLite file and tells where it is.
func SQLiteAddress(t testing.TB) string {
	t.Helper()
	raw, err := sqliteOnce()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "window.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// SQLite opens a fresh, migrated SQLite file.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, SQLiteAddress(t))
}

// Open opens a database for the length of a test.
func Open(t testing.TB, address string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Clock is a clock that tests move. It runs in Taipei's zone, as a server's may: nothing may depend on the zone of
// the times that it gives.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock makes a clock that stands at a moment.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is the moment at which it stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.In(time.FixedZone("Asia/Taipei", 8*60*60))
}

// Advance moves it.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Set moves it to a moment.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}
