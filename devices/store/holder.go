package store

import (
	"database/sql"
	"encoding/json"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
)

// A device and a person on it, a row for each institution at which the person practises.
const (
	userColumns = `d.id, d.code, d.institution, d.platform, d.state, d.generation, d.key_spki, d.shared, u.id, p.active, m.institution`
	userTables  = `
FROM devices d
LEFT JOIN persons p ON p.id = $1
LEFT JOIN device_users u ON u.device_id = d.id AND u.person_id = p.id AND u.removed_at IS NULL
LEFT JOIN memberships m ON m.person_id = p.id AND m.until IS NULL`
	ofDevice = `
WHERE d.id = $2
ORDER BY m.since`
	userQuery = `SELECT ` + userColumns + userTables + ofDevice
)

// holderQuery reads in one statement what HolderFacts says. A device that has not checked in, or whose app is not on file,
// has NULLs in their place.
const holderQuery = `SELECT ` + userColumns + `, c.generation, c.last_at, c.os_version, c.app, c.app_version, c.carrier_present, c.rooted, c.debugged, c.emulated,
	a.state, a.min_os, a.scopes` + userTables + `
LEFT JOIN device_checkins c ON c.device_id = d.id AND c.seq = (SELECT MAX(seq) FROM device_checkins WHERE device_id = d.id)
LEFT JOIN app_versions a ON a.id = (SELECT id FROM app_versions WHERE platform = d.platform AND package = c.app AND version = c.app_version
	ORDER BY state, id DESC LIMIT 1)` + ofDevice

// holderRow is one row of it.
type holderRow struct {
	device                   ra.DeviceFacts
	userID, at               sql.NullString
	active                   sql.NullBool
	generation               sql.NullInt64
	seen                     sql.NullTime
	system, appName, version sql.NullString
	carrier                  sql.NullBool
	rooted, debugged, emul   sql.NullBool
	state, minSystem, scopes sql.NullString
}

// user and app are where its columns go.
func (r *holderRow) user() []any {
	d := &r.device
	return []any{&d.ID, &d.Code, &d.Institution, &d.Platform, &d.State, &d.Generation, &d.KeySPKI, &d.Shared, &r.userID, &r.active, &r.at}
}

func (r *holderRow) app() []any {
	return []any{&r.generation, &r.seen, &r.system, &r.appName, &r.version, &r.carrier, &r.rooted, &r.debugged, &r.emul, &r.state, &r.minSystem, &r.scopes}
}

// HolderFacts are what the use of a key rests on, as they stand in one moment: a device, a person on it, and its app.
// Whoever has to know them for every signature has them by one statement.
func (s *Store) HolderFacts(db *gorm.DB, id ra.DeviceID, person ra.PersonID) (f ra.HolderFacts, err error) {
	var r holderRow
	if f, err = userFacts(db, holderQuery, &r, append(r.user(), r.app()...), id, person); err != nil {
		return f, err
	}
	if !r.generation.Valid || int(r.generation.Int64) != r.device.Generation {
		f.App, err = s.AppFacts(db, id) // it has not checked in under this binding
		return f, err
	}
	f.App, err = r.appFacts()
	return f, err
}

// UserFacts are HolderFacts without the app, for every request of a phone.
func (s *Store) UserFacts(db *gorm.DB, id ra.DeviceID, person ra.PersonID) (ra.HolderFacts, error) {
	var r holderRow
	return userFacts(db, userQuery, &r, r.user(), id, person)
}

func userFacts(db *gorm.DB, query string, r *holderRow, into []any, id ra.DeviceID, person ra.PersonID) (f ra.HolderFacts, err error) {
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, query, string(person), string(id))
	if err != nil {
		return f, mapError(err)
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return f, mapError(err)
		}
		found = true
		if r.at.Valid {
			f.Institutions = append(f.Institutions, ra.InstitutionCode(r.at.String))
		}
	}
	if err := rows.Err(); err != nil {
		return f, mapError(err)
	}
	if !found || !r.active.Valid {
		return f, mapError(gorm.ErrRecordNotFound)
	}
	f.Device, f.Active = r.device, r.active.Bool
	f.Device.IsUser = r.userID.Valid
	return f, nil
}

func (r *holderRow) appFacts() (f ra.AppFacts, err error) {
	i := devices.Integrity{Rooted: r.rooted.Bool, Debugged: r.debugged.Bool, Emulated: r.emul.Bool}
	f = ra.AppFacts{App: r.appName.String, Version: r.version.String, At: r.seen.Time, Rule: policy.App{Reported: true, OSVersion: r.system.String,
		CarrierPresent: r.carrier.Bool, Tampered: i.Tampered(), State: r.state.String, MinOS: r.minSystem.String}}
	if r.scopes.Valid {
		err = json.Unmarshal([]byte(r.scopes.String), &f.Rule.Scopes) // one that cannot be read must not read as "every scope"
	}
	return f, err
}
