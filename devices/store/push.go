package store

import (
	"time"

	"gorm.io/gorm/clause"

	"certwindow/ra"
)

type devicePush struct {
	DeviceID     ra.DeviceID `gorm:"primaryKey"`
	Generation   int
	Service      string
	Token        []byte
	RegisteredAt time.Time
}

// TableName implements gorm's Tabler.
func (devicePush) TableName() string { return "device_pushes" }

func pushColumn(id ra.DeviceID) string { return "device_pushes.token/" + string(id) }

func (t *tx) SavePush(p ra.Push) error {
	sealed, err := t.s.sealer.Seal(pushColumn(p.Device), []byte(p.Token.Reveal()))
	if err != nil {
		return err
	}
	return t.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "device_id"}}, UpdateAll: true}).
		Create(&devicePush{DeviceID: p.Device, Generation: p.Generation, Service: p.Service, Token: sealed, RegisteredAt: t.s.now().UTC()}).Error
}

func (t *tx) DeletePush(id ra.DeviceID, token ra.PushToken) error {
	if token != "" {
		now, err := t.pushes("p.device_id = ?", id)
		if err != nil || len(now) == 0 || now[0].Token != token {
			return err
		}
	}
	return t.db.Where("device_id = ?", id).Delete(&devicePush{}).Error
}

// endPush forgets the token of an earlier binding.
func (t *tx) endPush(id ra.DeviceID, bound bool, generation int) error {
	q := t.db.Where("device_id = ?", id)
	if bound {
		q = q.Where("generation <> ?", generation)
	}
	return q.Delete(&devicePush{}).Error
}

func (t *tx) Pushes(id ra.DeviceID, person ra.PersonID) ([]ra.Push, error) {
	if person == "" {
		return t.pushes("p.device_id = ?", id)
	}
	return t.pushes("p.device_id IN (SELECT device_id FROM device_users WHERE person_id = ? AND removed_at IS NULL)", person)
}

// maxPushes bounds one reading: more phones than one person has.
const maxPushes = 50

func (t *tx) pushes(where string, arg any) (out []ra.Push, err error) {
	var rows []devicePush
	err = t.db.Table("device_pushes AS p").Select("p.*").Joins("JOIN devices d ON d.id = p.device_id AND d.generation = p.generation AND d.state = 'bound'").
		Where(where, arg).Order("p.device_id").Limit(maxPushes).Find(&rows).Error
	for _, r := range rows {
		raw, oerr := t.s.sealer.Open(pushColumn(r.DeviceID), r.Token)
		if oerr != nil {
			return nil, ra.Errorf(ra.KindInternal, "sealed-column", oerr, "A push token does not open.")
		}
		out = append(out, ra.Push{Device: r.DeviceID, Generation: r.Generation, Service: r.Service, Token: ra.PushToken(raw)})
	}
	return out, err
}
