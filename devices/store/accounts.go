package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/ra"
)

var _ appcred.Store = (*Store)(nil)

type holderAccount struct {
	PersonID   ra.PersonID `gorm:"primaryKey"`
	Name       string
	Password   string
	PasswordAt time.Time
	MustChange bool
	Failures   int
	CodeFails  int
	TOTPSealed []byte `gorm:"column:totp_sealed"`
	TOTPStep   int64  `gorm:"column:totp_step"`
	HOTPSealed []byte `gorm:"column:hotp_sealed"`
	HOTPNext   int64  `gorm:"column:hotp_next"`
	StoppedAt  *time.Time
	CreatedAt  time.Time
}

// accountTx is a transaction on the holders' accounts.
type accountTx struct{ *tx }

// UpdateAccounts runs fn in one transaction.
func (s *Store) UpdateAccounts(ctx context.Context, fn func(appcred.Tx) error) error {
	return mapError(s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		t := &tx{db: db, s: s, writes: true}
		if err := fn(accountTx{t}); err != nil {
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

// ViewAccounts runs fn without changing anything.
func (s *Store) ViewAccounts(ctx context.Context, fn func(appcred.Tx) error) error {
	return mapError(fn(accountTx{&tx{db: s.prepared(ctx), s: s}}))
}

func (t accountTx) Person(id ra.PersonID) (ra.PersonFacts, error) { return t.s.PersonFacts(t.db, id) }

func (t accountTx) PersonOfCard(holder string) (ra.PersonFacts, bool, error) {
	found, err := t.Persons(devices.PersonQuery{Holder: holder, Limit: 2})
	if err != nil || len(found) != 1 {
		return ra.PersonFacts{}, false, err
	}
	p, err := t.Person(found[0].ID)
	return p, err == nil, err
}

func (t accountTx) DeviceFacts(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error) {
	return t.s.DeviceFacts(t.db, id, seenFrom)
}

func (t accountTx) UserFacts(id ra.DeviceID, person ra.PersonID) (ra.HolderFacts, error) {
	return t.s.UserFacts(t.db, id, person)
}

func (t accountTx) AcceptedBiometrics(code ra.InstitutionCode) ([]string, error) {
	var kinds string
	if err := t.one("SELECT biometrics FROM institutions WHERE code = $1", []any{string(code)}, &kinds); err != nil {
		return nil, mapError(err)
	}
	return listOf(kinds), nil
}

func (t accountTx) Contact(id ra.PersonID) (appcred.Contact, error) {
	p, err := t.tx.Person("", id)
	if err != nil && ra.KindOf(err) == ra.KindNotFound {
		_, _ = t.load([]person{{ID: id}}) // as much is read of nobody
	}
	return appcred.Contact{Person: id, Email: p.Email, Phone: p.Phone, Locale: p.Locale}, err
}

// Columns are named with the row's id when they are sealed.
func totpColumn(id ra.PersonID) string { return "holder_accounts.totp/" + string(id) }
func hotpColumn(id ra.PersonID) string { return "holder_accounts.hotp/" + string(id) }

const accountQuery = `SELECT person_id, name, password, password_at, must_change, failures, code_fails, totp_sealed, totp_step, hotp_sealed, hotp_next,
stopped_at, created_at FROM holder_accounts WHERE `

// account is locked until the end of a transaction that changes something: what is decided by it is decided in turn, at
// every replica. SQLite has one writer anyway.
func (t accountTx) account(where string, value any) (appcred.Account, bool, error) {
	var r holderAccount
	query := accountQuery + where
	if t.writes && t.db.Name() == "postgres" {
		query += " FOR UPDATE"
	}
	err := t.one(query, []any{value}, &r.PersonID, &r.Name, &r.Password, &r.PasswordAt, &r.MustChange, &r.Failures, &r.CodeFails, &r.TOTPSealed,
		&r.TOTPStep, &r.HOTPSealed, &r.HOTPNext, &r.StoppedAt, &r.CreatedAt)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return appcred.Account{}, false, err
	}
	a := appcred.Account{Person: r.PersonID, Name: r.Name, Password: r.Password, PasswordAt: r.PasswordAt, MustChange: r.MustChange, Failures: r.Failures,
		CodeFails: r.CodeFails, TOTPStep: r.TOTPStep, HOTPNext: r.HOTPNext, StoppedAt: r.StoppedAt, CreatedAt: r.CreatedAt}
	if a.TOTP, err = t.secret(totpColumn(r.PersonID), r.TOTPSealed); err != nil {
		return appcred.Account{}, false, err
	}
	a.HOTP, err = t.secret(hotpColumn(r.PersonID), r.HOTPSealed)
	return a, err == nil, err
}

func (t accountTx) secret(column string, sealed []byte) (appcred.Secret, error) {
	if sealed == nil {
		return "", nil
	}
	raw, err := t.s.sealer.Open(column, sealed)
	return appcred.Secret(raw), err
}

func (t accountTx) Account(person ra.PersonID) (appcred.Account, bool, error) {
	return t.account("person_id = $1", string(person))
}

func (t accountTx) AccountNamed(name string) (appcred.Account, bool, error) {
	return t.account("name = $1", name)
}

func (t accountTx) InsertAccount(a appcred.Account) error {
	err := t.db.Create(&holderAccount{PersonID: a.Person, Name: a.Name, Password: a.Password, PasswordAt: a.PasswordAt, MustChange: a.MustChange, CreatedAt: a.CreatedAt}).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ra.Errorf(ra.KindConflict, "account-taken", err, "This account name is taken. Nothing was changed; choose another.")
	}
	return err
}

func (t accountTx) updateAccount(person ra.PersonID, values map[string]any) error {
	return guarded(t.db.Model(&holderAccount{}).Where("person_id = ?", person).Updates(values))
}

func (t accountTx) SetPassword(person ra.PersonID, hash string, at time.Time, mustChange, reset bool) error {
	values := map[string]any{"password": hash, "password_at": at, "must_change": mustChange}
	if reset {
		values["failures"], values["code_fails"], values["stopped_at"] = 0, 0, nil
	}
	return t.updateAccount(person, values)
}

func (t accountTx) ForgetProofs(person ra.PersonID, at time.Time) error {
	err := t.db.Model(&holderBiometric{}).Where("person_id = ? AND removed_at IS NULL", person).Update("removed_at", at).Error
	if err != nil {
		return err
	}
	return t.updateAccount(person, map[string]any{"totp_sealed": nil, "hotp_sealed": nil})
}

func (t accountTx) StopAccount(person ra.PersonID, at time.Time) error {
	return t.updateAccount(person, map[string]any{"stopped_at": at})
}

// won tells whether a guarded update found its row.
func won(res *gorm.DB) (bool, error) { return res.RowsAffected == 1, res.Error }

func (t accountTx) CountFailure(person ra.PersonID, c appcred.Counter, n int) (bool, error) {
	return won(t.db.Model(&holderAccount{}).Where("person_id = ? AND "+string(c)+" = ?", person, n).Update(string(c), n+1))
}

func (t accountTx) ClearFailures(person ra.PersonID, c appcred.Counter) error {
	return t.updateAccount(person, map[string]any{string(c): 0})
}

func (t accountTx) UseTOTP(person ra.PersonID, step int64) (bool, error) {
	return won(t.db.Model(&holderAccount{}).Where("person_id = ? AND totp_step < ?", person, step).Update("totp_step", step))
}

func (t accountTx) UseHOTP(person ra.PersonID, counter int64) (bool, error) {
	return won(t.db.Model(&holderAccount{}).Where("person_id = ? AND hotp_next <= ?", person, counter).Update("hotp_next", counter+1))
}

func (t accountTx) SetTOTP(person ra.PersonID, secret appcred.Secret) error {
	sealed, err := t.s.sealer.Seal(totpColumn(person), []byte(secret.Reveal()))
	if err != nil {
		return err
	}
	return t.updateAccount(person, map[string]any{"totp_sealed": sealed, "totp_step": 0})
}

func (t accountTx) SetHOTP(person ra.PersonID, secret appcred.Secret) error {
	sealed, err := t.s.sealer.Seal(hotpColumn(person), []byte(secret.Reveal()))
	if err != nil {
		return err
	}
	return t.updateAccount(person, map[string]any{"hotp_sealed": sealed, "hotp_next": 0})
}
