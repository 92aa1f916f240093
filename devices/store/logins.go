package store

import (
	"time"

	"gorm.io/gorm/clause"

	"certwindow/devices/appcred"
	"certwindow/ra"
)

type holderCode struct {
	ID        string `gorm:"primaryKey"`
	PersonID  ra.PersonID
	DeviceID  ra.DeviceID
	App       string
	Purpose   appcred.Purpose
	Channel   appcred.Channel
	Hash      []byte
	SentAt    time.Time
	ExpiresAt time.Time
	UsedAt    *time.Time
}

type holderBiometric struct {
	ID         string `gorm:"primaryKey"`
	PersonID   ra.PersonID
	DeviceID   ra.DeviceID
	Generation int
	Kind       string
	SPKI       []byte `gorm:"column:spki"`
	AddedAt    time.Time
	RemovedAt  *time.Time
}

type holderLogin struct {
	Hash       []byte `gorm:"primaryKey"`
	PersonID   ra.PersonID
	Account    string
	DeviceID   ra.DeviceID
	Generation int
	Thumbprint string
	Kinds      string
	MustChange bool
	Remind     bool
	StartedAt  time.Time
	LastUsed   time.Time
}

func (t accountTx) InsertCode(c appcred.Code) error {
	return t.db.Create(&holderCode{ID: c.ID, PersonID: c.Person, DeviceID: c.Device, App: c.App, Purpose: c.Purpose, Channel: c.Channel, Hash: c.Hash,
		SentAt: c.SentAt, ExpiresAt: c.ExpiresAt}).Error
}

func (t accountTx) Codes(person ra.PersonID, device ra.DeviceID, purpose appcred.Purpose, sent bool, limit int) ([]appcred.Code, error) {
	q := t.db.Where("person_id = ? AND device_id = ? AND purpose = ? AND used_at IS NULL", person, device, purpose).Order("id DESC").Limit(limit)
	if sent {
		q = q.Where("channel <> ''")
	} else {
		q = q.Where("channel = ''")
	}
	var rows []holderCode
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return each(rows, func(r holderCode) appcred.Code {
		return appcred.Code{ID: r.ID, Person: r.PersonID, Device: r.DeviceID, App: r.App, Purpose: r.Purpose, Channel: r.Channel, Hash: r.Hash, SentAt: r.SentAt, ExpiresAt: r.ExpiresAt}
	}), nil
}

func (t accountTx) UseCode(id string, at time.Time) (bool, error) {
	return won(t.db.Model(&holderCode{}).Where("id = ? AND used_at IS NULL", id).Update("used_at", at))
}

func (t accountTx) CodesSince(person ra.PersonID, since time.Time, most int) (int, error) {
	var ids []string
	err := t.db.Model(&holderCode{}).Where("person_id = ? AND channel <> '' AND sent_at >= ?", person, since).Limit(most).Pluck("id", &ids).Error
	return len(ids), err
}

// feigned is the row that is written where nothing is to be counted. Sweeping forgets it with the codes.
const feigned = "feigned"

func (t accountTx) FeignFailure() error {
	now := t.s.now().UTC()
	return t.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"sent_at", "expires_at"})}).
		Create(&holderCode{ID: feigned, Hash: []byte{}, SentAt: now, ExpiresAt: now, UsedAt: &now}).Error
}

func (t accountTx) InsertBiometric(b appcred.Biometric) error {
	return t.db.Create(&holderBiometric{ID: b.ID, PersonID: b.Person, DeviceID: b.Device, Generation: b.Generation, Kind: b.Kind, SPKI: b.SPKI, AddedAt: b.AddedAt}).Error
}

const biometricsQuery = `SELECT id, person_id, device_id, generation, kind, spki, added_at FROM holder_biometrics
WHERE person_id = $1 AND device_id = $2 AND removed_at IS NULL`

func (t accountTx) Biometrics(person ra.PersonID, device ra.DeviceID) (out []appcred.Biometric, err error) {
	rows, err := t.rows(biometricsQuery, string(person), string(device))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var b appcred.Biometric
		if err := rows.Scan(&b.ID, &b.Person, &b.Device, &b.Generation, &b.Kind, &b.SPKI, &b.AddedAt); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

func (t accountTx) RemoveBiometrics(person ra.PersonID, device ra.DeviceID, at time.Time) error {
	return t.db.Model(&holderBiometric{}).Where("person_id = ? AND device_id = ? AND removed_at IS NULL", person, device).Update("removed_at", at).Error
}

func (t accountTx) InsertLogin(hash []byte, l appcred.Login) error {
	return t.db.Create(&holderLogin{Hash: hash, PersonID: l.Person, Account: l.Account, DeviceID: l.Device, Generation: l.Generation, Thumbprint: l.Thumbprint,
		Kinds: texts(l.Kinds), MustChange: l.MustChange, Remind: l.Remind, StartedAt: l.StartedAt, LastUsed: l.LastUsed}).Error
}

const loginQuery = `SELECT person_id, account, device_id, generation, thumbprint, kinds, must_change, remind, started_at, last_used
FROM holder_logins WHERE hash = $1`

func (t accountTx) Login(hash []byte) (l appcred.Login, err error) {
	var kinds string
	err = t.one(loginQuery, []any{hash}, &l.Person, &l.Account, &l.Device, &l.Generation, &l.Thumbprint, &kinds, &l.MustChange, &l.Remind, &l.StartedAt, &l.LastUsed)
	if err != nil {
		return appcred.Login{}, mapError(err)
	}
	l.Kinds = listOf(kinds)
	return l, nil
}

func (t accountTx) UseLogin(hash []byte, at time.Time) error {
	return t.db.Model(&holderLogin{}).Where("hash = ?", hash).Update("last_used", at).Error
}

func (t accountTx) EndLogin(hash []byte) error {
	return guarded(t.db.Where("hash = ?", hash).Delete(&holderLogin{}))
}

func (t accountTx) EndLogins(person ra.PersonID) error {
	return t.db.Where("person_id = ?", person).Delete(&holderLogin{}).Error
}

func (t accountTx) ForgetOld(used, expired time.Time) error {
	if err := t.db.Where("last_used < ?", used).Delete(&holderLogin{}).Error; err != nil {
		return err
	}
	return t.db.Where("expires_at < ?", expired).Delete(&holderCode{}).Error
}
