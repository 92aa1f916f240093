package store

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm/clause"

	"certwindow/hsm"
	"certwindow/ra"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/news"
)

// InsertCertificate stores a certificate that came from the HCA and was held against its request.
func (tx *Tx) InsertCertificate(c ra.Certificate) error {
	c.NotBefore, c.NotAfter, c.CreatedAt, c.UpdatedAt = c.NotBefore.UTC(), c.NotAfter.UTC(), c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	c.RevokedAt, c.DeliveredAt = utc(c.RevokedAt), utc(c.DeliveredAt)
	if err := tx.s.seal(certificateColumns(&c)); err != nil {
		return err
	}
	tx.stir(news.OfDevice(c.DeviceID))
	return tx.db.Create(&c).Error
}

// Certificate is one certificate of the institution, or of any when scope is empty.
func (tx *Tx) Certificate(scope ra.InstitutionCode, id ra.CertificateID) (c ra.Certificate, err error) {
	q := tx.db.Where("id = ?", id)
	if scope != "" {
		q = q.Where("institution = ?", scope)
	}
	if err := mapError(q.Take(&c).Error); err != nil {
		return ra.Certificate{}, err
	}
	return c, tx.s.open(certificateColumns(&c))
}

const certificateUseQuery = `SELECT id, application_id, person_id, device_id, generation, institution, scope, key_design, serial, issuer_key,
	not_before, not_after, state FROM certificates WHERE id = $1`

// CertificateUse is what the use of a certificate's key is judged by: without the certificate itself, which is sealed,
// and without what became of it.
func (tx *Tx) CertificateUse(id ra.CertificateID) (c ra.Certificate, err error) {
	var scope []byte
	err = tx.one(certificateUseQuery, []any{string(id)}, &c.ID, &c.ApplicationID, &c.PersonID, &c.DeviceID, &c.Generation, &c.Institution, &scope, &c.KeyDesign,
		&c.Serial, &c.IssuerKey, &c.NotBefore, &c.NotAfter, &c.State)
	if err == nil {
		err = json.Unmarshal(scope, &c.Scope)
	}
	if err != nil {
		return ra.Certificate{}, mapError(err)
	}
	return c, nil
}

// UpdateCertificate writes a certificate that is still in the state from.
func (tx *Tx) UpdateCertificate(c ra.Certificate, from ra.CertificateState) error {
	c.RevokedAt, c.DeliveredAt, c.UpdatedAt = utc(c.RevokedAt), utc(c.DeliveredAt), c.UpdatedAt.UTC()
	if c.State != from {
		tx.stir(news.OfDevice(c.DeviceID))
	}
	return guarded(tx.db.Model(&ra.Certificate{}).Where("id = ? AND state = ?", c.ID, from).
		Select("state", "state_note", "reason", "revoked_at", "delivered_at", "updated_at").UpdateColumns(&c))
}

// utc is inUTC for a time that may be missing.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// CertificateBySerial finds a certificate by what a card message or a CRL names it by; false when this window
// did not have it issued.
func (tx *Tx) CertificateBySerial(issuerKey, serial string) (ra.Certificate, bool, error) {
	var found []ra.Certificate
	err := tx.db.Where("issuer_key = ? AND serial = ?", issuerKey, serial).Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return ra.Certificate{}, false, err
	}
	return found[0], true, tx.s.open(certificateColumns(&found[0]))
}

// holderKey is a holder's private key, wrapped (HCA-6.3.5).
type holderKey struct {
	ApplicationID ra.ApplicationID `gorm:"primaryKey"`
	PersonID      ra.PersonID
	DeviceID      ra.DeviceID
	Generation    int
	Algorithm     string
	Blob          []byte
	SPKI          []byte `gorm:"column:spki"`
	MAC           []byte `gorm:"column:mac"`
	CreatedAt     time.Time
}

// SaveHolderKey stores the key that was made for an application.
func (tx *Tx) SaveHolderKey(a ra.Application, k hsm.WrappedKey, at time.Time) error {
	return tx.db.Create(&holderKey{ApplicationID: a.ID, PersonID: a.PersonID, DeviceID: a.DeviceID, Generation: k.Generation,
		Algorithm: string(k.Algorithm), Blob: k.Blob, SPKI: k.SPKI, MAC: k.MAC, CreatedAt: at.UTC()}).Error
}

// HolderKey is the wrapped key of an application.
func (tx *Tx) HolderKey(id ra.ApplicationID) (k hsm.WrappedKey, err error) {
	err = tx.one("SELECT generation, algorithm, blob, spki, mac FROM holder_keys WHERE application_id = $1", []any{string(id)},
		&k.Generation, &k.Algorithm, &k.Blob, &k.SPKI, &k.MAC)
	return k, mapError(err)
}

// DeleteHolderKey forgets the key of an application that came to nothing, or whose certificate is revoked.
func (tx *Tx) DeleteHolderKey(id ra.ApplicationID) error {
	return tx.db.Where("application_id = ?", id).Delete(&holderKey{}).Error
}

// hcaRequest is what left for the HCA and what came back.
type hcaRequest struct {
	TransactionID ra.ApplicationID `gorm:"primaryKey"`
	Adapter       string
	Kind          hca.Kind
	SenderNonce   []byte
	Request       []byte
	Token         []byte
	PreparedAt    time.Time
	Attempts      int
	SentAt        *time.Time
	Answer        []byte
	AnsweredAt    *time.Time
}

func rowOf(id ra.ApplicationID, r exchange.Request) hcaRequest {
	return hcaRequest{TransactionID: id, Adapter: r.Prepared.Adapter, Kind: r.Prepared.Kind, SenderNonce: r.Prepared.SenderNonce,
		Request: r.Prepared.Bytes, Token: r.Prepared.Token, PreparedAt: r.PreparedAt.UTC(), Attempts: r.Attempts, SentAt: utc(r.SentAt),
		Answer: r.Answer, AnsweredAt: utc(r.AnsweredAt)}
}

// Request is the committed request of an application.
func (tx *Tx) Request(id ra.ApplicationID) (exchange.Request, bool, error) {
	var rows []hcaRequest
	if err := tx.db.Where("transaction_id = ?", id).Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return exchange.Request{}, false, err
	}
	r := rows[0]
	if err := tx.s.open(requestColumns(&r)); err != nil {
		return exchange.Request{}, false, err
	}
	return exchange.Request{PreparedAt: r.PreparedAt, Attempts: r.Attempts, SentAt: r.SentAt, Answer: r.Answer, AnsweredAt: r.AnsweredAt,
		Prepared: hca.Prepared{Adapter: r.Adapter, Kind: r.Kind, TransactionID: string(id), SenderNonce: r.SenderNonce, Bytes: r.Request, Token: r.Token}}, true, nil
}

// InsertRequest commits a prepared request, unless one is there already: then that one is the request.
func (tx *Tx) InsertRequest(id ra.ApplicationID, r exchange.Request) error {
	row := rowOf(id, r)
	if err := tx.s.seal(requestColumns(&row)); err != nil {
		return err
	}
	return tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
}

// UpdateRequest writes attempts and answer; the request's own bytes never change.
func (tx *Tx) UpdateRequest(id ra.ApplicationID, r exchange.Request) error {
	row := rowOf(id, r)
	if err := tx.s.seal(requestColumns(&row)); err != nil {
		return err
	}
	return guarded(tx.db.Model(&hcaRequest{}).Where("transaction_id = ?", id).
		Select("token", "attempts", "sent_at", "answer", "answered_at").Updates(&row))
}

// Carried is a page of the open requests that an adapter prepared and a person carries to the HCA.
func (tx *Tx) Carried(adapter string, fetched bool, after ra.ApplicationID, limit int) (out []exchange.Carried, err error) {
	state := ra.AppRequested
	if fetched {
		state = ra.AppSent
	}
	err = tx.db.Table("hca_requests AS r").Joins("JOIN applications AS a ON a.id = r.transaction_id").
		Select("a.id AS application, r.kind, a.state, a.institution, r.prepared_at, r.sent_at AS fetched_at, r.attempts AS times, LENGTH(r.request) AS size").
		Where("r.adapter = ? AND a.state = ? AND a.id > ?", adapter, state, after).Order("a.id").Limit(limit).Scan(&out).Error
	return out, err
}

// IsMobile tells whether a certificate is one that this window had issued: such a one cannot stand in for a card
// (HCA-5.1.1).
func (s *Store) IsMobile(ctx context.Context, issuerKey, serial string) (found bool, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		_, found, err = tx.CertificateBySerial(issuerKey, serial)
		return err
	})
	return found, err
}
