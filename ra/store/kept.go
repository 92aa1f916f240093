package store

import (
	"context"
	"database/sql"
	"slices"
	"sync"

	"gorm.io/gorm"
)

// kept is a connection pool of gorm's whose transactions use statements that stay prepared on their connections. gorm's
// own (PrepareStmt) prepares in a transaction every statement anew, which costs SQLite more than to carry it out.
type kept struct {
	*sql.DB
	mu     sync.Mutex
	stmts  map[string]*sql.Stmt
	missed []string
}

// maxKept bounds how many statements are kept; those of the program are far fewer.
const maxKept = 256

func newKept(db *sql.DB) *kept { return &kept{DB: db, stmts: map[string]*sql.Stmt{}} }

// BeginTx implements gorm.ConnPoolBeginner. What transactions missed before is prepared now, since that takes a connection
// which those in a transaction must not wait for.
func (k *kept) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	k.mu.Lock()
	missed := k.missed
	k.missed = nil
	k.mu.Unlock()
	for _, query := range missed {
		if stmt, err := k.PrepareContext(ctx, query); err == nil { // else it is carried out as it is
			k.keep(query, stmt)
		}
	}
	tx, err := k.DB.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &keptTx{tx, k}, nil
}

func (k *kept) keep(query string, stmt *sql.Stmt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.stmts[query]; there { // another transaction was faster
		stmt.Close()
		return
	}
	k.stmts[query] = stmt
}

// find is a statement that is kept; nil where it is not yet.
func (k *kept) find(query string) *sql.Stmt {
	k.mu.Lock()
	defer k.mu.Unlock()
	stmt := k.stmts[query]
	if stmt == nil && len(k.stmts)+len(k.missed) < maxKept && !slices.Contains(k.missed, query) {
		k.missed = append(k.missed, query)
	}
	return stmt
}

// keptTx is one transaction of it.
type keptTx struct {
	*sql.Tx
	pool *kept
}

// Plain is the transaction itself, for the job queue.
func (t *keptTx) Plain() *sql.Tx { return t.Tx }

// ExecContext implements gorm.ConnPool.
func (t *keptTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if stmt := t.pool.find(query); stmt != nil {
		return t.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

// QueryContext implements gorm.ConnPool.
func (t *keptTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt := t.pool.find(query); stmt != nil {
		return t.StmtContext(ctx, stmt).QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, query, args...)
}

// QueryRowContext implements gorm.ConnPool.
func (t *keptTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt := t.pool.find(query); stmt != nil {
		return t.StmtContext(ctx, stmt).QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, query, args...)
}
