package store

import (
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/news"
)

// Scope is an approved scope as the rules see it.
type Scope = policy.ApprovedScope

// InsertApplication stores a new application.
func (tx *Tx) InsertApplication(a ra.Application) error {
	a = inUTC(a)
	if err := tx.s.seal(applicationColumns(&a)); err != nil {
		return err
	}
	return tx.db.Create(&a).Error
}

// inUTC gives an application's times the zone that every stored time has: SQLite compares them as texts.
func inUTC(a ra.Application) ra.Application {
	a.Deadline, a.CreatedAt, a.UpdatedAt = a.Deadline.UTC(), a.CreatedAt.UTC(), a.UpdatedAt.UTC()
	return a
}

// Application is one application of the institution, or of any when scope is empty.
func (tx *Tx) Application(scope ra.InstitutionCode, id ra.ApplicationID) (a ra.Application, err error) {
	q := tx.db.Where("id = ?", id)
	if scope != "" {
		q = q.Where("institution = ?", scope)
	}
	if err := mapError(q.Take(&a).Error); err != nil {
		return ra.Application{}, err
	}
	return a, tx.s.open(applicationColumns(&a))
}

// UpdateApplication writes an application that is still in the state from. A slot that somebody else took
// meanwhile is refused by the database's unique key (HCA-7.5).
func (tx *Tx) UpdateApplication(a ra.Application, from ra.ApplicationState) error {
	a = inUTC(a)
	if err := tx.s.seal(applicationColumns(&a)); err != nil {
		return err
	}
	if a.State != from && (a.State == ra.AppAwaitingKey || from == ra.AppAwaitingKey) {
		tx.stir(news.OfDevice(a.DeviceID))
	}
	if a.State != from && a.State == ra.AppAwaitingKey {
		tx.call(jobs.Wake{Device: a.DeviceID})
	}
	return guarded(tx.db.Model(&ra.Application{}).Where("id = ? AND state = ?", a.ID, from).
		Select("*").Omit("id", "created_at", "created_by").UpdateColumns(&a)) // not Updates, which would write its own clock's time
}

// Overdue lists open applications whose deadline passed and that have not left the window.
func (tx *Tx) Overdue(at time.Time, limit int) (out []ra.Application, err error) {
	states := []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppAwaitingKey}
	if err := tx.db.Where("state IN ? AND deadline <= ?", states, at.UTC()).Order("deadline").Limit(limit).Find(&out).Error; err != nil {
		return nil, err
	}
	return openAll(tx.s, out, applicationColumns)
}

// holder is the lock row of a person, and an exemption from the five (HCA-7.5).
type holder struct {
	PersonID    ra.PersonID `gorm:"primaryKey"`
	ExemptLimit int
	ExemptUntil *time.Time
	ExemptReply string
}

// LockHolder keeps every other transaction from counting the person's certificates until this one ends.
func (tx *Tx) LockHolder(id ra.PersonID) (*policy.Exemption, error) {
	if err := tx.db.Exec("INSERT INTO holders (person_id) VALUES (?) ON CONFLICT DO NOTHING", id).Error; err != nil {
		return nil, err
	}
	var h holder
	if err := tx.forUpdate().Where("person_id = ?", id).Take(&h).Error; err != nil {
		return nil, err
	}
	return h.exemption(), nil
}

// TakenSlots are the person's places that are held now. Those of certificates that ran out are freed first:
// an expired certificate is not a valid one (HCA-7.5).
func (tx *Tx) TakenSlots(id ra.PersonID, at time.Time) (slots []int, err error) {
	err = tx.db.Exec(`UPDATE applications SET slot = NULL, updated_at = ? WHERE person_id = ? AND slot IS NOT NULL AND state = ? AND id IN
		(SELECT application_id FROM certificates WHERE person_id = ? AND not_after < ?)`,
		at.UTC(), id, ra.AppCompleted, id, at.UTC()).Error
	if err != nil {
		return nil, err
	}
	err = tx.db.Model(&ra.Application{}).Where("person_id = ? AND slot IS NOT NULL", id).Order("slot").Pluck("slot", &slots).Error
	return slots, err
}

// nonce is the row of one issued nonce (HCA-8.1.4).
type nonce struct {
	Hash       []byte `gorm:"primaryKey"`
	Purpose    ra.NoncePurpose
	PersonID   ra.PersonID
	DeviceID   ra.DeviceID
	Session    string
	ExpiresAt  time.Time
	RedeemedAt *time.Time
}

// IssueNonce stores a nonce's hash and what it is good for.
func (tx *Tx) IssueNonce(n ra.Nonce) error {
	return tx.db.Create(&nonce{Hash: ra.NonceHash(n.Value), Purpose: n.Purpose, PersonID: n.Person, DeviceID: n.Device,
		Session: n.Session, ExpiresAt: n.ExpiresAt.UTC()}).Error
}

// RedeemNonce uses a nonce up, in one guarded update, so that of two that try only one succeeds.
func (tx *Tx) RedeemNonce(n ra.Nonce, at time.Time) error {
	res := tx.db.Model(&nonce{}).Where("hash = ? AND purpose = ? AND person_id = ? AND device_id = ? AND session = ? AND redeemed_at IS NULL AND expires_at > ?",
		ra.NonceHash(n.Value), n.Purpose, n.Person, n.Device, n.Session, at.UTC()).Update("redeemed_at", at.UTC())
	if res.Error != nil {
		return res.Error
	}
	if res.RowsAffected == 1 {
		return nil
	}
	// Why it was refused helps the clerk, and nobody else: the nonce is known only to who was shown the text.
	var kept nonce
	if err := tx.db.Where("hash = ?", ra.NonceHash(n.Value)).Take(&kept).Error; err == nil && kept.RedeemedAt == nil && kept.ExpiresAt.After(at) {
		return ra.Refuse("HCA-8.1.4", "nonce-elsewhere", "The text was made in another session, or for something else. Nothing was changed; make a new text.", nil)
	}
	return ra.Refuse("HCA-8.1.4", "nonce-used", "The one-time number in this message was used already, or is too old. Nothing was changed.", nil)
}

// InsertionOfAnother tells whether another person's card signed in this insertion of a card (HCA-8.1.2).
func (tx *Tx) InsertionOfAnother(insertion string, person ra.PersonID) (bool, error) {
	var count int64
	err := tx.db.Model(&ra.Application{}).Where("insertion = ? AND person_id <> ?", insertion, person).Limit(1).Count(&count).Error
	return count > 0, err
}

// NonceUsed tells whether a nonce was redeemed before.
func (tx *Tx) NonceUsed(value string) (bool, error) {
	var count int64
	err := tx.db.Model(&nonce{}).Where("hash = ? AND redeemed_at IS NOT NULL", ra.NonceHash(value)).Count(&count).Error
	return count > 0, err
}
