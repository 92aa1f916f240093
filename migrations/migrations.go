// Package migrations holds the database's shape as numbered SQL, once for SQLite and once for PostgreSQL,
// and applies it.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Dialect names a database that the window runs on.
type Dialect string

const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Status is one numbered step and whether the database has it.
type Status struct {
	Version int64
	Name    string
	Applied bool
}

// Up applies every step that is missing, the job queue's own included, and returns the names of those it applied.
func Up(ctx context.Context, db *sql.DB, d Dialect) ([]string, error) {
	p, err := provider(db, d)
	if err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var done []string
	for _, r := range results {
		done = append(done, r.Source.Path)
	}
	queue, err := migrateQueue(ctx, db, d)
	return append(done, queue...), err
}

// List tells which steps the database has.
func List(ctx context.Context, db *sql.DB, d Dialect) ([]Status, error) {
	p, err := provider(db, d)
	if err != nil {
		return nil, err
	}
	all, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var out []Status
	for _, s := range all {
		out = append(out, Status{Version: s.Source.Version, Name: s.Source.Path, Applied: s.State == goose.StateApplied})
	}
	return out, nil
}

func provider(db *sql.DB, d Dialect) (*goose.Provider, error) {
	sub, err := fs.Sub(files, string(d))
	if err != nil {
		return nil, err
	}
	dialect := database.DialectSQLite3
	if d == Postgres {
		dialect = database.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, db, sub)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// migrateQueue applies the job queue's own steps, which its library brings.
func migrateQueue(ctx context.Context, db *sql.DB, d Dialect) ([]string, error) {
	var m *rivermigrate.Migrator[*sql.Tx]
	var err error
	if d == Postgres {
		m, err = rivermigrate.New(riverdatabasesql.New(db), nil)
	} else {
		m, err = rivermigrate.New(riversqlite.New(db), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("migrations: job queue: %w", err)
	}
	res, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return nil, fmt.Errorf("migrations: job queue: %w", err)
	}
	var done []string
	for _, v := range res.Versions {
		done = append(done, fmt.Sprintf("queue/%03d_%s", v.Version, v.Name))
	}
	return done, nil
}
