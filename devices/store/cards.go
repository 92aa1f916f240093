package store

import (
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/ra"
)

// personCard is a row of the cards that persons sign with.
type personCard struct {
	ID           string `gorm:"primaryKey"`
	PersonID     ra.PersonID
	HolderHash   []byte
	HolderSealed []byte
	Document     string
	Digits       bool
	CheckedBy    string
	CheckedAt    time.Time
	Approval     string
	EndedAt      *time.Time
}

// cardReading is a row of what counters read; every text that names the holder is sealed.
type cardReading struct {
	ID           string `gorm:"primaryKey"`
	ReadBy       string
	ReadAt       time.Time
	ExpiresAt    time.Time
	Insertion    string
	HolderSealed []byte
	NameSealed   []byte
	DigitsSealed []byte
}

const (
	colCardHolder    = "person_cards.holder"
	colReadingHolder = "card_readings.holder"
	colReadingName   = "card_readings.name"
	colReadingDigits = "card_readings.digits"
)

func (t *tx) InsertReading(r devices.CardReading) error {
	row := cardReading{ID: r.ID, ReadBy: r.ReadBy, ReadAt: r.ReadAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(), Insertion: r.Insertion}
	for _, f := range []struct {
		column, value string
		to            *[]byte
	}{{colReadingHolder, r.Holder, &row.HolderSealed}, {colReadingName, r.Name, &row.NameSealed}, {colReadingDigits, r.Digits, &row.DigitsSealed}} {
		sealed, err := t.s.sealer.Seal(f.column+"/"+r.ID, []byte(f.value))
		if err != nil {
			return err
		}
		*f.to = sealed
	}
	// Readings that nobody may refer to any more go when the next one comes.
	if err := t.db.Where("expires_at <= ?", r.ReadAt.UTC()).Delete(&cardReading{}).Error; err != nil {
		return err
	}
	return t.db.Create(&row).Error
}

func (t *tx) Reading(id string) (devices.CardReading, error) {
	var row cardReading
	if err := mapError(t.db.Where("id = ?", id).Take(&row).Error); err != nil {
		return devices.CardReading{}, err
	}
	r := devices.CardReading{ID: row.ID, ReadBy: row.ReadBy, ReadAt: row.ReadAt, ExpiresAt: row.ExpiresAt, Insertion: row.Insertion}
	for _, f := range []struct {
		column string
		sealed []byte
		to     *string
	}{{colReadingHolder, row.HolderSealed, &r.Holder}, {colReadingName, row.NameSealed, &r.Name}, {colReadingDigits, row.DigitsSealed, &r.Digits}} {
		plain, err := t.s.sealer.Open(f.column+"/"+row.ID, f.sealed)
		if err != nil {
			return r, ra.Errorf(ra.KindInternal, "sealed-column", err, "What was read of a card does not open.")
		}
		*f.to = string(plain)
	}
	return r, nil
}

func (t *tx) CardOf(person ra.PersonID) (devices.CardLink, bool, error) {
	var row personCard
	err := t.db.Where("person_id = ? AND ended_at IS NULL", person).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return devices.CardLink{}, false, nil
	}
	if err != nil {
		return devices.CardLink{}, false, err
	}
	holder, err := t.s.sealer.Open(colCardHolder+"/"+row.ID, row.HolderSealed)
	if err != nil {
		return devices.CardLink{}, false, ra.Errorf(ra.KindInternal, "sealed-column", err, "A card's record does not open.")
	}
	return devices.CardLink{Person: row.PersonID, Holder: string(holder), Document: row.Document, Digits: row.Digits, CheckedBy: row.CheckedBy,
		CheckedAt: row.CheckedAt, Approval: row.Approval}, true, nil
}

func (t *tx) InsertCard(c devices.CardLink) error {
	id, err := ra.NewID(t.s.now(), t.s.rand)
	if err != nil {
		return err
	}
	sealed, err := t.s.sealer.Seal(colCardHolder+"/"+id, []byte(c.Holder))
	if err != nil {
		return err
	}
	return t.db.Create(&personCard{ID: id, PersonID: c.Person, HolderHash: t.s.sealer.Hash(colHolder, c.Holder), HolderSealed: sealed, Document: c.Document,
		Digits: c.Digits, CheckedBy: c.CheckedBy, CheckedAt: c.CheckedAt.UTC(), Approval: c.Approval}).Error
}

// EndCard closes the card that a person signed with, if there was one.
func (t *tx) EndCard(person ra.PersonID, at time.Time) error {
	return t.db.Model(&personCard{}).Where("person_id = ? AND ended_at IS NULL", person).Update("ended_at", at.UTC()).Error
}

// SetHolder registers another holder identifier for a person.
func (t *tx) SetHolder(id ra.PersonID, holder string) error {
	sealed, err := t.s.sealer.Seal(colHolder+"/"+string(id), []byte(holder))
	if err != nil {
		return err
	}
	return guarded(t.db.Model(&person{}).Where("id = ?", id).Updates(map[string]any{
		"holder_hash": t.s.sealer.Hash(colHolder, holder), "holder_sealed": sealed, "updated_at": t.s.now().UTC()}))
}

// cardChecked tells whether the card that is registered for a person was linked to him by somebody who checked.
func (t *tx) cardChecked(p devices.Person) (bool, error) {
	var count int64
	err := t.db.Model(&personCard{}).Where("person_id = ? AND holder_hash = ? AND ended_at IS NULL", p.ID, t.s.sealer.Hash(colHolder, p.Holder)).Count(&count).Error
	return count > 0, err
}
