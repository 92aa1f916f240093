// Package store is the only SQL of the registration authority (gorm), on SQLite and on PostgreSQL.
package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"certwindow/migrations"
)

// DB is an open database: gorm for the stores, database/sql for migrations and the job queue, and on PostgreSQL
// the pool that both share.
type DB struct {
	Gorm    *gorm.DB
	SQL     *sql.DB
	Pool    *pgxpool.Pool // nil on SQLite
	Dialect migrations.Dialect
}

// sqliteOptions: one writer at a time that takes its lock at the beginning of a transaction, so that two that
// read first never dead-lock; every commit is on disk before it is acknowledged.
const sqliteOptions = "_journal_mode=WAL&_busy_timeout=10000&_synchronous=FULL&_foreign_keys=on&_txlock=immediate"

// sqliteConnections bounds the readers beside the one writer.
const sqliteConnections = 8

// postgresConnections are shared by the pages, the API and the jobs, unless the address says otherwise.
const postgresConnections = 16

// Open connects to "sqlite:PATH" or to a "postgres://…" address. It changes nothing in the database.
func Open(ctx context.Context, address string) (*DB, error) {
	cfg := &gorm.Config{
		Logger:                 logger.Discard, // SQL can hold personal data; errors come back as values
		SkipDefaultTransaction: true,
		NowFunc:                func() time.Time { return time.Now().UTC() },
		TranslateError:         true,
	}
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		return openSQLite(ctx, path, cfg)
	}
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		return openPostgres(ctx, address, cfg)
	}
	return nil, fmt.Errorf("store: the database is sqlite:PATH or postgres://…")
}

func openSQLite(ctx context.Context, path string, cfg *gorm.Config) (*DB, error) {
	g, err := gorm.Open(sqlite.Open("file:"+(&url.URL{Path: path}).EscapedPath()+"?"+sqliteOptions), cfg)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db, err := g.DB()
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &DB{Gorm: g, SQL: db, Dialect: migrations.SQLite}, nil
}

func openPostgres(ctx context.Context, address string, cfg *gorm.Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("store: the PostgreSQL address cannot be read") // the cause may quote a password
	}
	pc.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if !strings.Contains(address, "pool_max_conns") {
		pc.MaxConns = postgresConnections
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: db}), cfg)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("store: %w", err)
	}
	return &DB{Gorm: g, SQL: db, Pool: pool, Dialect: migrations.Postgres}, nil
}

// Close ends every connection.
func (d *DB) Close() error {
	err := d.SQL.Close()
	if d.Pool != nil {
		d.Pool.Close()
	}
	return err
}
