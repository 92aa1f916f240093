package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/migrations"
	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/news"
)

// Registry reads what package devices knows, inside the caller's transaction.
type Registry interface {
	PersonFacts(tx *gorm.DB, id ra.PersonID) (ra.PersonFacts, error)
	DeviceFacts(tx *gorm.DB, id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	HolderFacts(tx *gorm.DB, id ra.DeviceID, person ra.PersonID) (ra.HolderFacts, error)
	InstitutionFacts(tx *gorm.DB, code ra.InstitutionCode) (ra.InstitutionFacts, error)
	ApprovedScopes(tx *gorm.DB) ([]Scope, error)
	AppFacts(tx *gorm.DB, id ra.DeviceID) (ra.AppFacts, error)
	AppDigests(tx *gorm.DB, id ra.DeviceID, app string) ([]string, error)
}

// Enqueuer inserts a job in the caller's transaction.
type Enqueuer func(tx *gorm.DB, j jobs.Args) error

// Store is the registration authority's tables.
type Store struct {
	db       *gorm.DB
	dialect  migrations.Dialect
	registry Registry
	enqueue  Enqueuer
	sealer   Sealer
	now      func() time.Time
	rand     io.Reader
	together *together
	commits  *commits
	kept     *kept
	calls    bool // see CallPhones
}

// New makes a store over an open database.
func New(db *DB, registry Registry, enqueue Enqueuer, sealer Sealer, now func() time.Time, rand io.Reader) *Store {
	return &Store{db: db.Gorm, dialect: db.Dialect, registry: registry, enqueue: enqueue, sealer: sealer, now: now, rand: rand, together: newTogether(), commits: newCommits(),
		kept: newKept(db.SQL)}
}

func (s *Store) newID() (string, error) { return ra.NewID(s.now(), s.rand) }

// Tx is one transaction. Its audit rows are written at its end, so that the chain's head is held as short as
// can be.
type Tx struct {
	db     *gorm.DB
	s      *Store
	events []ra.Event
	topics []news.Topic // that phones wait on
	calls  []jobs.Wake  // for apps that do not
	reads  bool         // a View: nothing is written
}

// Update runs fn in one transaction: all of it is stored, or nothing. On SQLite there is one writer at a time;
// on PostgreSQL conflicting work is kept apart by row locks, guarded updates and unique keys.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.update(s.db.WithContext(ctx), fn)
}

func (s *Store) update(db *gorm.DB, fn func(*Tx) error) error {
	stirred, ended := false, false
	err := db.Transaction(func(db *gorm.DB) error {
		tx := &Tx{db: db, s: s}
		if err := fn(tx); err != nil {
			return err
		}
		if err := appendEvents(db, tx.events); err != nil {
			return err
		}
		for _, j := range tx.calls {
			if err := s.enqueue(db, j); err != nil {
				return err
			}
		}
		topics := append(tx.topics, topicsOf(tx.events)...)
		stirred = len(topics) > 0
		err := markTopics(db, topics)
		ended = err == nil
		return err
	})
	switch {
	case err == nil && stirred:
		s.commits.tell()
	case err != nil && ended && !errors.Is(err, pgx.ErrTxCommitRollback):
		return ra.Errorf(ra.KindUnavailable, "database", errors.Join(errUnconfirmed, err), "The database did not say whether this was done. Look whether it was, or try again.")
	}
	return mapError(err)
}

// errUnconfirmed is a commit whose answer did not come: it may have been carried out.
var errUnconfirmed = errors.New("store: the commit was not confirmed")

// View runs fn outside any transaction: each of its statements sees the database at its own moment. What is
// decided by it is judged again in the Update that acts on it.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return mapError(fn(&Tx{db: s.prepared(ctx), s: s, reads: true}))
}

// Audit adds a row to this transaction (HCA-8.1.6).
func (tx *Tx) Audit(e ra.Event) error {
	if tx.reads {
		return errors.New("store: an audit row is written in a transaction")
	}
	tx.events = append(tx.events, e)
	return nil
}

// one asks for one row by a statement of its own, and reads it; where there is none it is sql.ErrNoRows. What every
// signature needs is read and written so, without the reflection of a model, which costs more than the reading.
func (tx *Tx) one(query string, args []any, into ...any) error {
	rows, err := tx.db.Statement.ConnPool.QueryContext(tx.db.Statement.Context, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return errors.Join(rows.Scan(into...), rows.Close())
}

// write carries out a statement that changes something, and tells how many rows it changed.
func (tx *Tx) write(query string, args ...any) (int64, error) {
	res, err := tx.db.Statement.ConnPool.ExecContext(tx.db.Statement.Context, query, args...)
	if err != nil {
		return 0, translated(tx.db, err)
	}
	return res.RowsAffected()
}

// translated gives an error of the driver gorm's name for it.
func translated(db *gorm.DB, err error) error {
	if t, ok := db.Dialector.(gorm.ErrorTranslator); ok {
		return t.Translate(err)
	}
	return err
}

// DB is the transaction itself, for the other rooms whose tables are in the same database: what they write is
// committed with it, or not at all.
func (tx *Tx) DB() *gorm.DB { return tx.db }

// Enqueue inserts a job that runs when, and only when, this transaction is committed.
func (tx *Tx) Enqueue(j jobs.Args) error { return tx.s.enqueue(tx.db, j) }

// Person is what the use cases know of a person.
func (tx *Tx) Person(id ra.PersonID) (ra.PersonFacts, error) {
	return tx.s.registry.PersonFacts(tx.db, id)
}

// Device is what the use cases know of a device, seen from one person.
func (tx *Tx) Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error) {
	return tx.s.registry.DeviceFacts(tx.db, id, seenFrom)
}

// Holder is what the use of a key rests on in the register.
func (tx *Tx) Holder(id ra.DeviceID, person ra.PersonID) (ra.HolderFacts, error) {
	return tx.s.registry.HolderFacts(tx.db, id, person)
}

// Institution is what the use cases know of an institution.
func (tx *Tx) Institution(code ra.InstitutionCode) (ra.InstitutionFacts, error) {
	return tx.s.registry.InstitutionFacts(tx.db, code)
}

// Scopes are the approved applications of HCA-5.1.2.
func (tx *Tx) Scopes() ([]Scope, error) { return tx.s.registry.ApprovedScopes(tx.db) }

// AppFacts is which app a device last said to run (HCA-8.2.1).
func (tx *Tx) AppFacts(id ra.DeviceID) (ra.AppFacts, error) { return tx.s.registry.AppFacts(tx.db, id) }

// AppDigests are what the approved versions of an app are known by (HCA-6.1).
func (tx *Tx) AppDigests(id ra.DeviceID, app string) ([]string, error) {
	return tx.s.registry.AppDigests(tx.db, id, app)
}

// forUpdate locks the rows that a query reads until the transaction ends. SQLite has one writer anyway.
func (tx *Tx) forUpdate() *gorm.DB {
	if tx.s.dialect == migrations.Postgres {
		return tx.db.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	return tx.db
}

// mapError gives the database's own refusals the words of the domain.
func mapError(err error) error {
	var e *ra.Error
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return ra.Errorf(ra.KindNotFound, "not-found", err, "There is none, or none that you may see.")
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return ra.Errorf(ra.KindConflict, "exists", err, "This exists already. Nothing was changed.")
	}
	return ra.Errorf(ra.KindUnavailable, "database", err, "The database did not answer. Nothing was changed; try again.")
}

// guarded turns an update of no row into a conflict.
func guarded(res *gorm.DB) error {
	if res.Error != nil {
		return res.Error
	}
	if res.RowsAffected != 1 {
		return ra.Errorf(ra.KindConflict, "moved-on", nil, "Somebody else was faster. Nothing was changed; load the page again.")
	}
	return nil
}
