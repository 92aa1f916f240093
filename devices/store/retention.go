package store

import (
	"io"
	"strconv"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/ra"
)

// Records is what another room of the house holds about persons, reached in the register's own transaction (HCA-9).
type Records interface {
	// LastRecord is when the last of it ended; what has not ended yet gives a moment to come, nothing the zero time.
	LastRecord(tx *gorm.DB, id ra.PersonID) (time.Time, error)
	// Held lists it for the person's copy.
	Held(tx *gorm.DB, id ra.PersonID) ([]ra.Held, error)
	// Erase overwrites whatever tells of the person.
	Erase(tx *gorm.DB, id ra.PersonID, at time.Time) error
}

func (t *tx) Retired(since time.Time, after ra.PersonID, limit int) (out []ra.PersonID, err error) {
	err = t.db.Model(&person{}).Where(`id > ? AND erased_at IS NULL AND created_at <= ? AND NOT EXISTS
		(SELECT 1 FROM memberships m WHERE m.person_id = persons.id AND (m.until IS NULL OR m.until > ?))`, after, since.UTC(), since.UTC()).
		Order("id").Limit(limit).Pluck("id", &out).Error
	return out, err
}

// far is a moment to come for whatever has not ended.
func (t *tx) far() time.Time { return t.s.now().AddDate(100, 0, 0) }

func (t *tx) LastRecord(id ra.PersonID) (last time.Time, err error) {
	var p person
	if err := mapError(t.db.Select("id", "created_at").Where("id = ?", id).Take(&p).Error); err != nil {
		return last, err
	}
	last = p.CreatedAt
	later := func(at time.Time) {
		if at.After(last) {
			last = at
		}
	}
	var ms []membership
	if err := t.db.Where("person_id = ?", id).Find(&ms).Error; err != nil {
		return last, err
	}
	for _, m := range ms {
		if m.Until == nil {
			return t.far(), nil
		}
		later(*m.Until)
	}
	for _, r := range t.s.hooks.Records {
		at, err := r.LastRecord(t.db, id)
		if err != nil {
			return last, err
		}
		later(at)
	}
	return last, nil
}

func (t *tx) Listed(after ra.PersonID, limit int) ([]devices.Erasure, error) {
	var rows []person
	err := t.db.Select("id", "erasure_listed_at").Where("id > ? AND erasure_listed_at IS NOT NULL AND erased_at IS NULL", after).Order("id").Limit(limit).Find(&rows).Error
	return each(rows, func(r person) devices.Erasure { return devices.Erasure{Person: r.ID, ListedAt: *r.ErasureListedAt} }), err
}

func (t *tx) List(id ra.PersonID, at *time.Time) error {
	return guarded(t.db.Model(&person{}).Where("id = ? AND erased_at IS NULL", id).Update("erasure_listed_at", utc(at)))
}

// erased is what stands in a sealed column whose value was erased.
const erased = "erased"

// Erase overwrites the person's own row, so that neither its texts nor a search by them is left, and has the other
// rooms overwrite theirs. What tells only that there was somebody stays: ids, codes of institutions, times.
func (t *tx) Erase(id ra.PersonID, at time.Time) error {
	set := map[string]any{"email_sealed": nil, "phone_sealed": nil, "active": false, "erased_at": at.UTC(), "updated_at": at.UTC()}
	for _, column := range []string{colNationalID, colName, colHolder} {
		sealed, err := t.seal(column, string(id), erased)
		if err != nil {
			return err
		}
		hash := make([]byte, 32) // no value has it
		if _, err := io.ReadFull(t.s.rand, hash); err != nil {
			return err
		}
		name := column[len("persons."):]
		set[name+"_sealed"], set[name+"_hash"] = sealed, hash
	}
	if err := guarded(t.db.Model(&person{}).Where("id = ? AND erased_at IS NULL", id).Updates(set)); err != nil {
		return err
	}
	for _, erase := range []func(ra.PersonID) error{t.eraseNotes, t.eraseAccount, t.eraseCards} {
		if err := erase(id); err != nil {
			return err
		}
	}
	for _, r := range t.s.hooks.Records {
		if err := r.Erase(t.db, id, at); err != nil {
			return err
		}
	}
	return nil
}

// eraseNotes overwrites what was written when somebody looked at the person's data.
func (t *tx) eraseNotes(id ra.PersonID) error {
	var rows []unmasking
	if err := t.db.Select("id").Where("person_id = ?", id).Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		note, err := t.seal(colUnmaskNote, r.ID, erased)
		if err != nil {
			return err
		}
		if err := t.db.Model(&unmasking{}).Where("id = ?", r.ID).Update("note", note).Error; err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Held(id ra.PersonID) (out []ra.Held, err error) {
	used, read := ra.Held{Kind: "use"}, ra.Held{Kind: "read-notices"}
	var users []deviceUser
	if err := t.db.Where("person_id = ?", id).Order("id").Find(&users).Error; err != nil {
		return nil, err
	}
	for _, u := range users {
		row := map[string]string{"device": string(u.DeviceID), "from": stamp(u.AddedAt)}
		if u.RemovedAt != nil {
			row["until"] = stamp(*u.RemovedAt)
		}
		used.Rows = append(used.Rows, row)
	}
	var acks []noticeAcknowledgement
	if err := t.db.Where("person_id = ?", id).Order("version, device_id").Find(&acks).Error; err != nil {
		return nil, err
	}
	for _, a := range acks {
		read.Rows = append(read.Rows, map[string]string{"version": strconv.Itoa(a.Version), "device": string(a.DeviceID), "first": stamp(a.FirstAt), "last": stamp(a.LastAt)})
	}
	own, err := t.heldAccount(id)
	if err != nil {
		return nil, err
	}
	out = append(append(out, used, read), own...)
	for _, r := range t.s.hooks.Records {
		held, err := r.Held(t.db, id)
		if err != nil {
			return nil, err
		}
		out = append(out, held...)
	}
	return out, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
