// Package store is the only SQL of the register of institutions, persons and devices (gorm). Personal data is
// sealed in its columns and found by keyed hashes (HCA-8.1.5).
package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
)

// Sealer seals columns and makes their searchable hashes, under a key that only the HSM can derive.
type Sealer interface {
	Seal(column string, plaintext []byte) ([]byte, error)
	Open(column string, sealed []byte) ([]byte, error)
	Hash(column, value string) []byte
}

// Hooks are what a change of the register sets off on the registration authority's side, in the same transaction.
type Hooks struct {
	Audit       func(tx *gorm.DB, e ra.Event) error
	DeviceBound func(tx *gorm.DB, id ra.DeviceID, at time.Time) error
	// DeviceReplaced voids what was begun for a device that another takes the place of; ra/store.VoidForReplaced is one.
	DeviceReplaced func(tx *gorm.DB, id ra.DeviceID, at time.Time) error
	StartSweep     func(tx *gorm.DB) error
	Notice         func(tx *gorm.DB, person ra.PersonID, kind ra.NoticeKind, object string) error // store.Store.Tell is one
	Records        []Records                                                                      // what else is held about persons; none: nothing
}

// Store is the register's tables.
type Store struct {
	db     *gorm.DB
	sealer Sealer
	hooks  Hooks
	now    func() time.Time
	rand   io.Reader
}

// New makes a store over an open database.
func New(db *gorm.DB, sealer Sealer, hooks Hooks, now func() time.Time, rand io.Reader) *Store {
	return &Store{db: db, sealer: sealer, hooks: hooks, now: now, rand: rand}
}

type tx struct {
	db     *gorm.DB
	s      *Store
	writes bool // it can change something, so that what it reads to decide by is locked
	events []ra.Event
}

// Update runs fn in one transaction; its audit rows are written at its end.
func (s *Store) Update(ctx context.Context, fn func(devices.Tx) error) error {
	return mapError(s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		t := &tx{db: db, s: s, writes: true}
		if err := fn(t); err != nil {
			return err
		}
		for _, e := range t.events {
			if err := s.hooks.Audit(db, e); err != nil {
				return err
			}
		}
		return nil
	}))
}

// View runs fn without changing anything.
func (s *Store) View(ctx context.Context, fn func(devices.Tx) error) error {
	return mapError(fn(&tx{db: s.prepared(ctx), s: s}))
}

// prepared keeps the statements of readings, each prepared once for a connection.
func (s *Store) prepared(ctx context.Context) *gorm.DB {
	return s.db.Session(&gorm.Session{Context: ctx, PrepareStmt: true})
}

// one asks for one row by a statement of its own, and reads it; where there is none it is sql.ErrNoRows. What every
// request of a phone needs is read so, without the reflection of a model, which costs more than the reading.
func (t *tx) one(query string, args []any, into ...any) error {
	rows, err := t.rows(query, args...)
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

func (t *tx) rows(query string, args ...any) (*sql.Rows, error) {
	return t.db.Statement.ConnPool.QueryContext(t.db.Statement.Context, query, args...)
}

// In is the register inside a transaction of the registration authority's. Its Audit does nothing: whoever opened the
// transaction writes the row.
func (s *Store) In(db *gorm.DB) devices.Tx { return &tx{db: db, s: s, writes: true} }

func (t *tx) Audit(e ra.Event) error {
	t.events = append(t.events, e)
	return nil
}

func (t *tx) DeviceReplaced(id ra.DeviceID, at time.Time) error {
	return t.s.hooks.DeviceReplaced(t.db, id, at)
}

func (t *tx) DeviceBound(id ra.DeviceID, at time.Time) error {
	return t.s.hooks.DeviceBound(t.db, id, at)
}
func (t *tx) StartSweep() error { return t.s.hooks.StartSweep(t.db) }

type institution struct {
	Code       ra.InstitutionCode `gorm:"primaryKey"`
	Name       string
	IsWindow   bool
	Active     bool
	Agreement  string
	AgreedFrom *time.Time
	AgreedTo   *time.Time
	Biometrics string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

func (r institution) domain() devices.Institution {
	return devices.Institution{Code: r.Code, Name: r.Name, IsWindow: r.IsWindow, Active: r.Active, Agreement: r.Agreement,
		AgreedFrom: orZero(r.AgreedFrom), AgreedTo: orZero(r.AgreedTo), Biometrics: listOf(r.Biometrics), CreatedAt: r.CreatedAt}
}

func (t *tx) Institution(code ra.InstitutionCode) (devices.Institution, error) {
	var r institution
	err := mapError(t.db.Where("code = ?", code).Take(&r).Error)
	return r.domain(), err
}

func (t *tx) Institutions(scope ra.InstitutionCode) ([]devices.Institution, error) {
	q := t.db.Order("code")
	if scope != "" {
		q = q.Where("code = ?", scope)
	}
	var rows []institution
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return each(rows, institution.domain), nil
}

func (t *tx) SaveInstitution(i devices.Institution) error {
	return t.db.Save(&institution{Code: i.Code, Name: i.Name, IsWindow: i.IsWindow, Active: i.Active, Agreement: i.Agreement,
		AgreedFrom: orNil(i.AgreedFrom), AgreedTo: orNil(i.AgreedTo), Biometrics: texts(i.Biometrics), CreatedAt: i.CreatedAt.UTC(), UpdatedAt: t.s.now().UTC()}).Error
}

func (t *tx) SetBiometrics(code ra.InstitutionCode, kinds []string) error {
	return guarded(t.db.Model(&institution{}).Where("code = ?", code).Updates(map[string]any{"biometrics": texts(kinds), "updated_at": t.s.now().UTC()}))
}

type scope struct {
	Code      string `gorm:"primaryKey"`
	Name      string
	Approved  bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

type scopeInstitution struct {
	Scope       string             `gorm:"primaryKey"`
	Institution ra.InstitutionCode `gorm:"primaryKey"`
}

const scopesQuery = `SELECT s.code, s.name, s.approved, COALESCE(i.institution, '') FROM scopes s
LEFT JOIN scope_institutions i ON i.scope = s.code ORDER BY s.code, i.institution`

func (t *tx) Scopes() (out []devices.Scope, err error) {
	rows, err := t.rows(scopesQuery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			s    devices.Scope
			only ra.InstitutionCode
		)
		if err := rows.Scan(&s.Code, &s.Name, &s.Approved, &only); err != nil {
			return nil, err
		}
		if n := len(out); n == 0 || out[n-1].Code != s.Code {
			out = append(out, s)
		}
		if last := &out[len(out)-1]; only != "" {
			last.Institutions = append(last.Institutions, only)
		}
	}
	return out, rows.Err()
}

func (t *tx) SaveScope(s devices.Scope) error {
	now := t.s.now().UTC()
	row := scope{Code: s.Code, Name: s.Name, Approved: s.Approved, CreatedAt: now, UpdatedAt: now}
	keep := clause.OnConflict{Columns: []clause.Column{{Name: "code"}}, DoUpdates: clause.AssignmentColumns([]string{"name", "approved", "updated_at"})}
	if err := t.db.Clauses(keep).Create(&row).Error; err != nil {
		return err
	}
	if err := t.db.Where("scope = ?", s.Code).Delete(&scopeInstitution{}).Error; err != nil {
		return err
	}
	for _, i := range s.Institutions {
		if err := t.db.Create(&scopeInstitution{Scope: s.Code, Institution: i}).Error; err != nil {
			return err
		}
	}
	return nil
}

// InstitutionFacts is what the registration authority's use cases know of an institution.
func (s *Store) InstitutionFacts(db *gorm.DB, code ra.InstitutionCode) (ra.InstitutionFacts, error) {
	i, err := (&tx{db: db, s: s}).Institution(code)
	return ra.InstitutionFacts{Code: i.Code, Name: i.Name, IsWindow: i.IsWindow, Active: i.Active, Agreement: i.Agreement != "",
		AgreedFrom: i.AgreedFrom, AgreedTo: i.AgreedTo}, err
}

// ApprovedScopes are the scopes that certificates may be applied for (HCA-5.1.2).
func (s *Store) ApprovedScopes(db *gorm.DB) ([]policy.ApprovedScope, error) {
	all, err := (&tx{db: db, s: s}).Scopes()
	if err != nil {
		return nil, err
	}
	var out []policy.ApprovedScope
	for _, sc := range all {
		if sc.Approved {
			out = append(out, policy.ApprovedScope{Code: sc.Code, Institutions: each(sc.Institutions, func(c ra.InstitutionCode) string { return string(c) })})
		}
	}
	return out, nil
}

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
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
