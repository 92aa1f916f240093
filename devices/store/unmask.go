package store

import (
	"encoding/json"
	"time"

	"gorm.io/gorm/clause"

	"certwindow/devices"
	"certwindow/ra"
)

type unmasking struct {
	ID          string `gorm:"primaryKey"`
	PersonID    ra.PersonID
	StaffID     string
	Institution ra.InstitutionCode
	Kind        string
	Reason      string
	Note        []byte
	At          time.Time
}

type unmasker struct {
	StaffID string `gorm:"primaryKey"`
	LastAt  time.Time
}

type unmaskedList struct {
	ID          string `gorm:"primaryKey"`
	Approval    string
	Institution ra.InstitutionCode
	StaffID     string
	Purpose     []byte
	People      string
	ApprovedAt  time.Time
	ExpiresAt   time.Time
	FetchedAt   *time.Time
}

const (
	colUnmaskNote    = "unmaskings.note"
	colUnmaskPurpose = "unmasked_lists.purpose"
)

func (t *tx) seal(column, id, text string) ([]byte, error) {
	return t.s.sealer.Seal(column+"/"+id, []byte(text))
}

func (t *tx) open(column, id string, sealed []byte) (string, error) {
	plain, err := t.s.sealer.Open(column+"/"+id, sealed)
	if err != nil {
		return "", ra.Errorf(ra.KindInternal, "sealed", err, "A sealed text does not open.")
	}
	return string(plain), nil
}

// CountUnmaskings writes the one row of the member of staff first: whoever counts for him at the same time waits there.
func (t *tx) CountUnmaskings(staff string, since, at time.Time) (int, error) {
	row := unmasker{StaffID: staff, LastAt: at.UTC()}
	if err := t.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "staff_id"}}, DoUpdates: clause.AssignmentColumns([]string{"last_at"})}).Create(&row).Error; err != nil {
		return 0, err
	}
	var n int64
	err := t.db.Model(&unmasking{}).Where("staff_id = ? AND at > ? AND kind = 'record'", staff, since.UTC()).Count(&n).Error
	return int(n), err
}

func (t *tx) InsertUnmasking(u devices.Unmasking) error {
	note, err := t.seal(colUnmaskNote, u.ID, u.Note)
	if err != nil {
		return err
	}
	return t.db.Create(&unmasking{ID: u.ID, PersonID: u.Person, StaffID: u.Staff, Institution: u.Institution, Kind: u.Kind, Reason: u.Reason, Note: note, At: u.At.UTC()}).Error
}

func (t *tx) Unmaskings(id ra.PersonID, limit int) (out []devices.Unmasking, err error) {
	var rows []unmasking
	if err := t.db.Where("person_id = ?", id).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		note, err := t.open(colUnmaskNote, r.ID, r.Note)
		if err != nil {
			return nil, err
		}
		out = append(out, devices.Unmasking{ID: r.ID, Person: r.PersonID, Staff: r.StaffID, Institution: r.Institution, Kind: r.Kind, Reason: r.Reason, Note: note, At: r.At})
	}
	return out, nil
}

func (t *tx) InsertUnmaskedList(l devices.UnmaskedList) error {
	purpose, err := t.seal(colUnmaskPurpose, l.ID, l.Purpose)
	if err != nil {
		return err
	}
	people, err := json.Marshal(l.People)
	if err != nil {
		return err
	}
	return t.db.Create(&unmaskedList{ID: l.ID, Approval: l.Approval, Institution: l.Institution, StaffID: l.Staff, Purpose: purpose, People: string(people),
		ApprovedAt: l.ApprovedAt.UTC(), ExpiresAt: l.ExpiresAt.UTC()}).Error
}

func (t *tx) list(r unmaskedList) (devices.UnmaskedList, error) {
	l := devices.UnmaskedList{ID: r.ID, Approval: r.Approval, Institution: r.Institution, Staff: r.StaffID, ApprovedAt: r.ApprovedAt, ExpiresAt: r.ExpiresAt, FetchedAt: r.FetchedAt}
	err := json.Unmarshal([]byte(r.People), &l.People)
	if err == nil {
		l.Purpose, err = t.open(colUnmaskPurpose, r.ID, r.Purpose)
	}
	return l, err
}

func (t *tx) UnmaskedList(id string) (devices.UnmaskedList, error) {
	var r unmaskedList
	if err := mapError(t.db.Where("id = ?", id).Take(&r).Error); err != nil {
		return devices.UnmaskedList{}, err
	}
	return t.list(r)
}

func (t *tx) UnmaskedLists(staff string, limit int) (out []devices.UnmaskedList, err error) {
	var rows []unmaskedList
	if err := t.db.Where("staff_id = ?", staff).Order("id DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		l, err := t.list(r)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (t *tx) FetchUnmaskedList(id string, at time.Time) error {
	res := t.db.Model(&unmaskedList{}).Where("id = ? AND fetched_at IS NULL", id).Update("fetched_at", at.UTC())
	if res.Error == nil && res.RowsAffected != 1 {
		return ra.Errorf(ra.KindConflict, "unmask-list-fetched", nil, "This list was fetched already. Nothing was shown; propose it anew.")
	}
	return res.Error
}
