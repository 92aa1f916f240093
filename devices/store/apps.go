package store

import (
	"encoding/json"
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
)

type appVersion struct {
	ID             string `gorm:"primaryKey"`
	Platform       ra.Platform
	Package        string
	Version        string
	Name           string
	Permissions    string
	Download       string
	Digest         string
	MinOS          string `gorm:"column:min_os"`
	Scopes         string
	Evidence       string
	EvidenceSHA256 string `gorm:"column:evidence_sha256"`
	Reviewer       string
	ReviewedOn     time.Time
	State          devices.AppState
	AddedBy        string
	CreatedAt      time.Time
	ApprovedAt     *time.Time
	WithdrawnAt    *time.Time
	Withdrawal     string
}

func (r appVersion) domain() (devices.App, error) {
	a := devices.App{ID: r.ID, Platform: r.Platform, Package: r.Package, Name: r.Name, Version: r.Version, Download: r.Download, Digest: r.Digest, MinOS: r.MinOS,
		Evidence: r.Evidence, EvidenceSum: r.EvidenceSHA256, Reviewer: r.Reviewer, ReviewedOn: r.ReviewedOn, State: r.State, AddedBy: r.AddedBy,
		CreatedAt: r.CreatedAt, ApprovedAt: r.ApprovedAt, WithdrawnAt: r.WithdrawnAt, Withdrawal: r.Withdrawal}
	return a, errors.Join(json.Unmarshal([]byte(r.Permissions), &a.Permissions), json.Unmarshal([]byte(r.Scopes), &a.Scopes))
}

func texts(list []string) string {
	if list == nil {
		list = []string{}
	}
	raw, _ := json.Marshal(list) // of texts it cannot fail
	return string(raw)
}

// listOf reads what texts wrote. What cannot be read is nothing: it allows nothing.
func listOf(raw string) (out []string) {
	if json.Unmarshal([]byte(raw), &out) != nil {
		return nil
	}
	return out
}

func (t *tx) App(id string) (devices.App, error) {
	var r appVersion
	if err := mapError(t.db.Where("id = ?", id).Take(&r).Error); err != nil {
		return devices.App{}, err
	}
	return r.domain()
}

func (t *tx) Apps(f devices.AppQuery) (out []devices.App, err error) {
	q := t.db.Order("id DESC").Limit(f.Limit)
	if f.Platform != "" {
		q = q.Where("platform = ?", f.Platform)
	}
	if f.Package != "" {
		q = q.Where("package = ?", f.Package)
	}
	if f.State != "" {
		q = q.Where("state = ?", f.State)
	}
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	var rows []appVersion
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		a, err := r.domain()
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (t *tx) InsertApp(a devices.App) error {
	err := t.db.Create(&appVersion{ID: a.ID, Platform: a.Platform, Package: a.Package, Version: a.Version, Name: a.Name, Permissions: texts(a.Permissions),
		Download: a.Download, Digest: a.Digest, MinOS: a.MinOS, Scopes: texts(a.Scopes), Evidence: a.Evidence, EvidenceSHA256: a.EvidenceSum, Reviewer: a.Reviewer,
		ReviewedOn: a.ReviewedOn.UTC(), State: a.State, AddedBy: a.AddedBy, CreatedAt: a.CreatedAt.UTC()}).Error
	return appExists(err)
}

func (t *tx) UpdateApp(a devices.App, from devices.AppState) error {
	res := t.db.Model(&appVersion{}).Where("id = ? AND state = ?", a.ID, from).Updates(map[string]any{"state": a.State, "approved_at": utc(a.ApprovedAt),
		"withdrawn_at": utc(a.WithdrawnAt), "withdrawal": a.Withdrawal})
	if res.Error != nil {
		return appExists(res.Error)
	}
	return guarded(res)
}

// appExists says of a duplicate what it is of.
func appExists(err error) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ra.Errorf(ra.KindConflict, "app-exists", err, "This version of the app is on file already. Nothing was changed; withdraw that one first.")
	}
	return err
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

type deviceCheckin struct {
	DeviceID       ra.DeviceID `gorm:"primaryKey"`
	Seq            int         `gorm:"primaryKey;autoIncrement:false"`
	Generation     int
	FirstAt        time.Time
	LastAt         time.Time
	OSVersion      string `gorm:"column:os_version"`
	App            string
	AppVersion     string
	CarrierPresent bool
	Rooted         bool
	Debugged       bool
	Emulated       bool
	ScreenLock     bool
}

func (r deviceCheckin) domain() devices.CheckIn {
	return devices.CheckIn{Generation: r.Generation, OSVersion: r.OSVersion, App: r.App, AppVersion: r.AppVersion, CarrierPresent: r.CarrierPresent, FirstAt: r.FirstAt,
		LastAt: r.LastAt, Integrity: devices.Integrity{Rooted: r.Rooted, Debugged: r.Debugged, Emulated: r.Emulated, ScreenLock: r.ScreenLock}}
}

func (t *tx) CheckIns(id ra.DeviceID, limit int) ([]devices.CheckIn, error) {
	rows, err := t.checkIns(id, limit)
	return each(rows, deviceCheckin.domain), err
}

func (t *tx) checkIns(id ra.DeviceID, limit int) (rows []deviceCheckin, err error) {
	err = t.db.Where("device_id = ?", id).Order("seq DESC").Limit(limit).Find(&rows).Error
	return rows, mapError(err)
}

func (t *tx) ChangesSince(id ra.DeviceID, since time.Time) (int, error) {
	var n int64
	err := t.db.Model(&deviceCheckin{}).Where("device_id = ? AND first_at > ?", id, since.UTC()).Count(&n).Error
	return int(n), err
}

func (t *tx) InsertCheckIn(id ra.DeviceID, c devices.CheckIn) error {
	last, err := t.checkIns(id, 1)
	if err != nil {
		return err
	}
	seq := 1
	if len(last) == 1 {
		seq = last[0].Seq + 1
	}
	return t.db.Create(&deviceCheckin{DeviceID: id, Seq: seq, Generation: c.Generation, FirstAt: c.FirstAt.UTC(), LastAt: c.LastAt.UTC(), OSVersion: c.OSVersion, App: c.App,
		AppVersion: c.AppVersion, CarrierPresent: c.CarrierPresent, Rooted: c.Integrity.Rooted, Debugged: c.Integrity.Debugged, Emulated: c.Integrity.Emulated,
		ScreenLock: c.Integrity.ScreenLock}).Error
}

func (t *tx) RepeatCheckIn(id ra.DeviceID, at time.Time) error {
	last, err := t.checkIns(id, 1)
	if err != nil || len(last) == 0 {
		return err
	}
	return guarded(t.db.Model(&deviceCheckin{}).Where("device_id = ? AND seq = ?", id, last[0].Seq).Update("last_at", at.UTC()))
}

func (t *tx) AppDigests(id ra.DeviceID, app string) ([]string, error) {
	return t.s.AppDigests(t.db, id, app)
}

func (t *tx) AppFacts(id ra.DeviceID) (ra.AppFacts, error) { return t.s.AppFacts(t.db, id) }

// AppFacts is which app a device last said to run under its present binding, and what the window knows of that version
// (HCA-8.2.1). Before its first check-in a phone has said it when it presented its key.
func (s *Store) AppFacts(db *gorm.DB, id ra.DeviceID) (f ra.AppFacts, err error) {
	t := &tx{db: db, s: s}
	var d device
	if err := mapError(db.Select("id", "platform", "generation").Where("id = ?", id).Take(&d).Error); err != nil {
		return f, err
	}
	rows, err := t.checkIns(id, 1)
	if err != nil {
		return f, err
	}
	if len(rows) == 1 && rows[0].Generation == d.Generation {
		c := rows[0].domain()
		f = ra.AppFacts{App: c.App, Version: c.AppVersion, At: c.LastAt, Rule: policy.App{Reported: true, OSVersion: c.OSVersion, CarrierPresent: c.CarrierPresent,
			Tampered: c.Integrity.Tampered()}}
	} else if b, found, err := t.LatestConfirmed(id); err != nil {
		return f, err
	} else if found {
		f.App, f.Version, f.Rule.OSVersion = b.Reported()
		f.At, f.Rule.Reported, f.Rule.CarrierPresent = b.OfferedAt, f.App != "", true
	}
	if !f.Rule.Reported {
		return f, nil
	}
	var known []appVersion
	err = db.Where("platform = ? AND package = ? AND version = ?", d.Platform, f.App, f.Version).Order("state, id DESC").Limit(1).Find(&known).Error
	if err != nil || len(known) == 0 { // "approved" comes first among the states, and of one not withdrawn there is one
		return f, mapError(err)
	}
	a, err := known[0].domain()
	f.Rule.State, f.Rule.MinOS, f.Rule.Scopes = string(a.State), a.MinOS, a.Scopes
	return f, err
}

// AppDigests are what the approved versions of an app for the device's platform are known by (HCA-6.1).
func (s *Store) AppDigests(db *gorm.DB, id ra.DeviceID, app string) (out []string, err error) {
	var d device
	if err := mapError(db.Select("platform").Where("id = ?", id).Take(&d).Error); err != nil {
		return nil, err
	}
	err = db.Model(&appVersion{}).Where("platform = ? AND package = ? AND state = ?", d.Platform, app, devices.AppApproved).Distinct().Order("digest").Limit(maxDigests).Pluck("digest", &out).Error
	return out, mapError(err)
}

// maxDigests is how many signing certificates of one app are tried: it has one, and for a while two.
const maxDigests = 8

// LatestConfirmed is the binding that holds.
func (t *tx) LatestConfirmed(id ra.DeviceID) (devices.Binding, bool, error) {
	var rows []deviceBinding
	if err := t.db.Where("device_id = ? AND state = ?", id, devices.BindingConfirmed).Order("id DESC").Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return devices.Binding{}, false, mapError(err)
	}
	return rows[0].domain(), true, nil
}

// carrierGone is since when a device has said, without a break, that the certificates' carrier is not in it (HCA-7.1).
func (t *tx) carrierGone(d devices.Device) (*time.Time, error) {
	var gone []deviceCheckin
	err := t.db.Where(`device_id = ? AND generation = ? AND NOT carrier_present AND seq > (SELECT COALESCE(MAX(seq), 0) FROM device_checkins
		WHERE device_id = ? AND generation = ? AND carrier_present)`, d.ID, d.Generation, d.ID, d.Generation).Order("seq").Limit(1).Find(&gone).Error
	if err != nil || len(gone) == 0 {
		return nil, mapError(err)
	}
	return &gone[0].FirstAt, nil
}
