package store

import (
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/devices"
	"certwindow/ra"
)

type safetyNotice struct {
	Version     int    `gorm:"primaryKey;autoIncrement:false"`
	RiskZH      string `gorm:"column:risk_zh"`
	RiskEN      string `gorm:"column:risk_en"`
	AntivirusZH string `gorm:"column:antivirus_zh"`
	AntivirusEN string `gorm:"column:antivirus_en"`
	WrittenBy   string
	CreatedAt   time.Time
}

func (t *tx) SafetyNotices(limit int) ([]devices.SafetyNotice, error) {
	var rows []safetyNotice
	err := t.db.Order("version DESC").Limit(limit).Find(&rows).Error
	return each(rows, func(r safetyNotice) devices.SafetyNotice { return devices.SafetyNotice(r) }), err
}

func (t *tx) InsertSafetyNotice(n devices.SafetyNotice) error {
	n.CreatedAt = n.CreatedAt.UTC()
	row := safetyNotice(n)
	err := t.db.Create(&row).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ra.Errorf(ra.KindConflict, "moved-on", err, "Somebody else was faster. Nothing was changed; load the page again.")
	}
	return err
}

type noticeAcknowledgement struct {
	DeviceID   ra.DeviceID `gorm:"primaryKey"`
	PersonID   ra.PersonID `gorm:"primaryKey"`
	Version    int         `gorm:"primaryKey;autoIncrement:false"`
	AppVersion string
	FirstAt    time.Time
	LastAt     time.Time
	Starts     int
}

func (r noticeAcknowledgement) domain() devices.Acknowledgement {
	return devices.Acknowledgement{Version: r.Version, Device: r.DeviceID, Person: r.PersonID, AppVersion: r.AppVersion, FirstAt: r.FirstAt, LastAt: r.LastAt, Starts: r.Starts}
}

func (t *tx) Acknowledge(a devices.Acknowledgement) (devices.Acknowledgement, error) {
	row := noticeAcknowledgement{DeviceID: a.Device, PersonID: a.Person, Version: a.Version, AppVersion: a.AppVersion, FirstAt: a.FirstAt.UTC(), LastAt: a.LastAt.UTC(), Starts: 1}
	again := clause.OnConflict{Columns: []clause.Column{{Name: "device_id"}, {Name: "person_id"}, {Name: "version"}},
		DoUpdates: clause.Assignments(map[string]any{"last_at": row.LastAt, "app_version": row.AppVersion, "starts": gorm.Expr("notice_acknowledgements.starts + 1")})}
	if err := t.db.Clauses(again).Create(&row).Error; err != nil {
		return a, err
	}
	var now noticeAcknowledgement
	err := t.db.Where("device_id = ? AND person_id = ? AND version = ?", a.Device, a.Person, a.Version).Take(&now).Error
	return now.domain(), err
}

func (t *tx) Acknowledgements(id ra.DeviceID, limit int) ([]devices.Acknowledgement, error) {
	var rows []noticeAcknowledgement
	err := t.db.Where("device_id = ?", id).Order("version DESC, last_at DESC").Limit(limit).Find(&rows).Error
	return each(rows, noticeAcknowledgement.domain), err
}

func (t *tx) CountAcknowledgements(version int) (int, error) {
	var n int64
	err := t.db.Model(&noticeAcknowledgement{}).Where("version = ?", version).Distinct("device_id").Count(&n).Error
	return int(n), err
}
