package store

import (
	"time"

	"gorm.io/gorm/clause"

	"certwindow/devices"
	"certwindow/ra"
)

type deviceContinuity struct {
	DeviceID   ra.DeviceID `gorm:"primaryKey"`
	Generation int
	Presented  []byte
	Issued     []byte
	At         time.Time
}

// TableName implements gorm's Tabler.
func (deviceContinuity) TableName() string { return "device_continuity" }

func (t *tx) Continuity(id ra.DeviceID) (devices.Continuity, bool, error) {
	var rows []deviceContinuity
	if err := t.db.Where("device_id = ?", id).Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return devices.Continuity{}, false, mapError(err)
	}
	r := rows[0]
	return devices.Continuity{Generation: r.Generation, Presented: r.Presented, Issued: r.Issued, At: r.At}, true, nil
}

func (t *tx) SaveContinuity(id ra.DeviceID, c devices.Continuity) error {
	return t.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "device_id"}}, UpdateAll: true}).
		Create(&deviceContinuity{DeviceID: id, Generation: c.Generation, Presented: c.Presented, Issued: c.Issued, At: c.At.UTC()}).Error
}

func (t *tx) Notice(person ra.PersonID, kind ra.NoticeKind, object string) error {
	return t.s.hooks.Notice(t.db, person, kind, object)
}
