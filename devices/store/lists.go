package store

import (
	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/ra"
)

// What the lists can be sorted by; an index holds each with the id behind it.
var (
	personOrders = map[string]ra.Column{"id": {Name: "id"}}
	deviceOrders = map[string]ra.Column{"id": {Name: "id"}, "code": {Name: "code"},
		"seen": {Name: "COALESCE(last_seen_at, created_at)", Time: true}}
)

// count counts rows as far as ra.CountUpTo and one more, so that it costs no more on a large table than on a small one.
func count(db, q *gorm.DB) (int, error) {
	var n int64
	err := db.Session(&gorm.Session{NewDB: true}).Table("(?) AS counted", q.Select("1").Limit(ra.CountUpTo+1)).Count(&n).Error
	return int(n), err
}

// paged puts an order and the place of the page on a query.
func paged(q *gorm.DB, o ra.Order, columns map[string]ra.Column, id string, limit int) (*gorm.DB, error) {
	order, where, args, err := o.Keyset(columns, id)
	if err != nil {
		return nil, err
	}
	if where != "" {
		q = q.Where(where, args...)
	}
	return q.Order(order).Limit(limit), nil
}

func (t *tx) deviceFilter(f devices.DeviceQuery) *gorm.DB {
	q := t.db.Model(&device{})
	if f.Institution != "" {
		q = q.Where("institution = ?", f.Institution)
	}
	if f.Code != "" {
		q = q.Where("code >= ? AND code < ?", f.Code, f.Code+"\U0010FFFF")
	}
	if f.CodeIs != "" {
		q = q.Where("code = ?", f.CodeIs)
	}
	if f.State != "" {
		q = q.Where("state = ?", f.State)
	}
	if f.Platform != "" {
		q = q.Where("platform = ?", f.Platform)
	}
	if !f.SilentSince.IsZero() {
		q = q.Where("state = 'bound' AND COALESCE(last_seen_at, created_at) < ?", f.SilentSince.UTC()) // as the index says it
	}
	if f.Copied {
		q = q.Where("copied_at IS NOT NULL AND state = ?", ra.DeviceRegistered)
	}
	if f.Replaces != "" {
		q = q.Where("replaces = ?", f.Replaces)
	}
	if f.User != "" {
		q = q.Where("id IN (SELECT device_id FROM device_users WHERE person_id = ? AND removed_at IS NULL)", f.User)
	}
	return q
}

func (t *tx) Devices(f devices.DeviceQuery) ([]devices.Device, error) {
	o := f.Order
	if o.By == "" {
		if o.By = "id"; f.After != "" {
			o.After = &ra.Mark{ID: f.After}
		}
	}
	q, err := paged(t.deviceFilter(f), o, deviceOrders, "id", f.Limit)
	if err != nil {
		return nil, err
	}
	var rows []device
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return each(rows, device.domain), nil
}

func (t *tx) CountDevices(f devices.DeviceQuery) (int, error) { return count(t.db, t.deviceFilter(f)) }

// personFilter selects persons; at an institution it begins with the institution's own list of members, those who
// left it included, so that a page of a small one does not read the persons of all the others.
func (t *tx) personFilter(f devices.PersonQuery) (q *gorm.DB, id string) {
	q, id = t.db.Model(&person{}), "id"
	if f.Institution != "" {
		q, id = t.db.Table("memberships").Select("persons.*").Joins("JOIN persons ON persons.id = memberships.person_id").
			Where("memberships.institution = ?", f.Institution), "memberships.person_id"
	}
	for column, v := range map[string]string{colName: f.Name, colNationalID: f.NationalID, colHolder: f.Holder} {
		if v != "" {
			q = q.Where(column+"_hash = ?", t.s.sealer.Hash(column, v))
		}
	}
	if f.IDs != nil {
		q = q.Where("persons.id IN ?", f.IDs)
	}
	return q, id
}

func (t *tx) Persons(f devices.PersonQuery) ([]devices.Person, error) {
	o := f.Order
	if o.By == "" {
		if o.By = "id"; f.After != "" {
			o.After = &ra.Mark{ID: f.After}
		}
	}
	q, id := t.personFilter(f)
	orders := personOrders
	if id != "id" {
		orders = map[string]ra.Column{"id": {Name: id}}
	}
	q, err := paged(q, o, orders, id, f.Limit)
	if err != nil {
		return nil, err
	}
	var rows []person
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	return t.load(rows)
}

func (t *tx) CountPersons(f devices.PersonQuery) (int, error) {
	q, _ := t.personFilter(f)
	return count(t.db, q)
}
