package store

import (
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/devices"
	"certwindow/ra"
)

type device struct {
	ID          ra.DeviceID `gorm:"primaryKey"`
	Code        string
	Institution ra.InstitutionCode
	Platform    ra.Platform
	Model       string
	Shared      bool
	State       ra.DeviceState
	Generation  int
	KeySPKI     []byte `gorm:"column:key_spki"`
	KeyHash     string
	LastSeenAt  *time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Replaces    ra.DeviceID
	CopiedAt    *time.Time
}

type deviceUser struct {
	ID        string `gorm:"primaryKey"`
	DeviceID  ra.DeviceID
	PersonID  ra.PersonID
	AddedAt   time.Time
	AddedBy   string
	RemovedAt *time.Time
	RemovedBy string
}

type deviceBinding struct {
	ID          string `gorm:"primaryKey"`
	DeviceID    ra.DeviceID
	CodeHash    []byte
	State       devices.BindingState
	KeySPKI     []byte `gorm:"column:key_spki"`
	ShortCode   string
	Client      string
	Attestation string
	OfferedBy   string
	OfferedAt   time.Time
	ExpiresAt   time.Time
	PresentedAt *time.Time
	DecidedAt   *time.Time
	DecidedBy   string
}

func (r device) domain() devices.Device {
	return devices.Device{ID: r.ID, Code: r.Code, Institution: r.Institution, Platform: r.Platform, Model: r.Model, Shared: r.Shared, State: r.State,
		Generation: r.Generation, KeySPKI: r.KeySPKI, KeyHash: r.KeyHash, LastSeenAt: r.LastSeenAt, CreatedAt: r.CreatedAt,
		Replaces: r.Replaces, CopiedAt: r.CopiedAt}
}

// Device locks the row in a transaction that writes, so that two that change a device, its users or its binding go one
// after the other. SQLite has one writer anyway, and leaves the lock out.
func (t *tx) Device(scope ra.InstitutionCode, id ra.DeviceID) (devices.Device, error) {
	q := t.db.Where("id = ?", id)
	if t.writes {
		q = q.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	if scope != "" {
		q = q.Where("institution = ?", scope)
	}
	var r device
	err := mapError(q.Take(&r).Error)
	return r.domain(), err
}

const deviceByKeyQuery = `SELECT id, code, institution, platform, model, shared, state, generation, key_spki, key_hash, last_seen_at, created_at
FROM devices WHERE key_hash = $1 AND key_hash <> ''`

// DeviceByKey is asked at every request of a phone.
func (t *tx) DeviceByKey(hash string) (devices.Device, error) {
	var r device
	err := t.one(deviceByKeyQuery, []any{hash}, &r.ID, &r.Code, &r.Institution, &r.Platform, &r.Model, &r.Shared, &r.State, &r.Generation, &r.KeySPKI, &r.KeyHash,
		&r.LastSeenAt, &r.CreatedAt)
	return r.domain(), mapError(err)
}

func (t *tx) InsertDevice(d devices.Device) error {
	err := t.db.Create(&device{ID: d.ID, Code: d.Code, Institution: d.Institution, Platform: d.Platform, Model: d.Model, Shared: d.Shared,
		State: d.State, CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.CreatedAt.UTC(), Replaces: d.Replaces}).Error
	if ra.KindOf(mapError(err)) == ra.KindConflict && err != nil {
		return ra.Refuse("HCA-4.1", "device-code-taken", "A device with this code is registered already. Nothing was registered.", nil)
	}
	return err
}

func (t *tx) UpdateDevice(d devices.Device, from ra.DeviceState) error {
	copied := d.CopiedAt
	if copied != nil {
		at := copied.UTC()
		copied = &at
	}
	if err := t.endPush(d.ID, d.State == ra.DeviceBound, d.Generation); err != nil {
		return err
	}
	return guarded(t.db.Model(&device{}).Where("id = ? AND state = ?", d.ID, from).
		Select("state", "generation", "key_spki", "key_hash", "updated_at", "copied_at").
		Updates(&device{State: d.State, Generation: d.Generation, KeySPKI: d.KeySPKI, KeyHash: d.KeyHash, CopiedAt: copied, UpdatedAt: t.s.now().UTC()}))
}

func (t *tx) Seen(id ra.DeviceID, when time.Time) error {
	return t.db.Model(&device{}).Where("id = ?", id).Update("last_seen_at", when.UTC()).Error
}

func (t *tx) Users(id ra.DeviceID) ([]devices.User, error) {
	var rows []deviceUser
	if err := t.db.Where("device_id = ?", id).Order("added_at, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return each(rows, func(r deviceUser) devices.User {
		return devices.User{Person: r.PersonID, AddedAt: r.AddedAt, AddedBy: r.AddedBy, RemovedAt: r.RemovedAt, RemovedBy: r.RemovedBy}
	}), nil
}

func (t *tx) AddUser(id ra.DeviceID, u devices.User) error {
	uid, err := ra.NewID(u.AddedAt, t.s.rand)
	if err != nil {
		return err
	}
	return t.db.Create(&deviceUser{ID: uid, DeviceID: id, PersonID: u.Person, AddedAt: u.AddedAt.UTC(), AddedBy: u.AddedBy}).Error
}

func (t *tx) RemoveUser(id ra.DeviceID, p ra.PersonID, by string, when time.Time) error {
	return guarded(t.db.Model(&deviceUser{}).Where("device_id = ? AND person_id = ? AND removed_at IS NULL", id, p).
		Updates(map[string]any{"removed_at": when.UTC(), "removed_by": by}))
}

// DeviceFacts is what the registration authority's use cases know of a device, seen from one person.
func (s *Store) DeviceFacts(db *gorm.DB, id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error) {
	t := &tx{db: db, s: s}
	d, err := t.Device("", id)
	if err != nil {
		return ra.DeviceFacts{}, err
	}
	var n int64
	err = db.Model(&deviceUser{}).Where("device_id = ? AND person_id = ? AND removed_at IS NULL", id, seenFrom).Count(&n).Error
	if err != nil {
		return ra.DeviceFacts{}, mapError(err)
	}
	gone, err := t.carrierGone(d)
	return ra.DeviceFacts{ID: d.ID, Code: d.Code, Institution: d.Institution, Platform: d.Platform, State: d.State, Generation: d.Generation,
		KeySPKI: d.KeySPKI, Shared: d.Shared, IsUser: n > 0, CarrierGone: gone}, err
}

func (r deviceBinding) domain() devices.Binding {
	return devices.Binding{ID: r.ID, Device: r.DeviceID, State: r.State, KeySPKI: r.KeySPKI, ShortCode: r.ShortCode, Client: r.Client, Attestation: r.Attestation,
		OfferedAt: r.OfferedAt, ExpiresAt: r.ExpiresAt, PresentedAt: r.PresentedAt}
}

func (t *tx) InsertBinding(b devices.Binding, codeHash []byte, by string) error {
	return t.db.Create(&deviceBinding{ID: b.ID, DeviceID: b.Device, CodeHash: codeHash, State: b.State, OfferedBy: by,
		OfferedAt: b.OfferedAt.UTC(), ExpiresAt: b.ExpiresAt.UTC()}).Error
}

func (t *tx) BindingByCode(codeHash []byte) (devices.Binding, error) {
	var r deviceBinding
	err := mapError(t.db.Where("code_hash = ?", codeHash).Take(&r).Error)
	return r.domain(), err
}

func (t *tx) Binding(id string) (devices.Binding, error) {
	var r deviceBinding
	err := mapError(t.db.Where("id = ?", id).Take(&r).Error)
	return r.domain(), err
}

func (t *tx) LatestBinding(id ra.DeviceID) (devices.Binding, bool, error) {
	var rows []deviceBinding
	if err := t.db.Where("device_id = ?", id).Order("id DESC").Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return devices.Binding{}, false, err
	}
	return rows[0].domain(), true, nil
}

func (t *tx) UpdateBinding(b devices.Binding, from devices.BindingState, by string, when time.Time) error {
	row := deviceBinding{State: b.State, KeySPKI: b.KeySPKI, ShortCode: b.ShortCode, Client: b.Client, Attestation: b.Attestation, PresentedAt: b.PresentedAt, DecidedBy: by}
	columns := []string{"state", "key_spki", "short_code", "client", "attestation", "presented_at"}
	if b.State == devices.BindingConfirmed || b.State == devices.BindingRejected {
		when = when.UTC()
		row.DecidedAt = &when
		columns = append(columns, "decided_at", "decided_by")
	}
	return guarded(t.db.Model(&deviceBinding{}).Where("id = ? AND state = ?", b.ID, from).Select(columns).Updates(&row))
}
