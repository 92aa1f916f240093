package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"certwindow/hsm"
	"certwindow/migrations"
	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/news"
	"certwindow/ra/remotesign"
)

// signatureAuthorisation is what a holder releases for signature (HCA-6.3.5).
type signatureAuthorisation struct {
	ID            remotesign.AuthorisationID `gorm:"primaryKey"`
	CertificateID ra.CertificateID
	PersonID      ra.PersonID
	DeviceID      ra.DeviceID
	Institution   ra.InstitutionCode
	Client        remotesign.ClientID
	Scope         string
	HashAlgorithm string
	HashCount     int
	Challenge     []byte
	State         remotesign.State
	HandleHash    []byte
	SADHash       []byte `gorm:"column:sad_hash"`
	ActivationID  []byte
	Activation    string
	CreatedAt     time.Time
	ExpiresAt     time.Time
	DecidedAt     *time.Time
}

// signatureHash is one hash of it. Label and signature are sealed.
type signatureHash struct {
	AuthorisationID remotesign.AuthorisationID `gorm:"primaryKey"`
	N               int                        `gorm:"primaryKey;autoIncrement:false"`
	Hash            []byte
	Label           []byte
	State           remotesign.HashState
	Signature       []byte
}

// label is what a holder is shown of a hash.
type label struct {
	Title    string `json:"title"`
	Patients int    `json:"patients"`
	Source   string `json:"source"`
}

func hashColumns(h *signatureHash) []sealed {
	row := fmt.Sprintf("%s/%d", h.AuthorisationID, h.N)
	return []sealed{{"signature_hashes.label/" + row, &h.Label}, {"signature_hashes.signature/" + row, &h.Signature}}
}

const (
	insertAuthorisation = `INSERT INTO signature_authorisations (id, certificate_id, person_id, device_id, institution, client, scope, hash_algorithm, hash_count,
	challenge, state, handle_hash, sad_hash, activation_id, activation, created_at, expires_at, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`
	insertHash = `INSERT INTO signature_hashes (authorisation_id, n, hash, label, state, signature) VALUES ($1, $2, $3, $4, $5, $6)`
)

// InsertAuthorisation stores a new authorisation with its items. Activation data that was used before is refused.
func (tx *Tx) InsertAuthorisation(a remotesign.Authorisation, activation []byte) error {
	if _, err := tx.write(insertAuthorisation, string(a.ID), string(a.Certificate), string(a.Person), string(a.Device), string(a.Institution), string(a.Client),
		a.Scope, a.HashAlgorithm, len(a.Items), a.Challenge, string(a.State), a.HandleHash, a.SADHash, activation, a.Activation, a.CreatedAt.UTC(), a.ExpiresAt.UTC(),
		utc(a.DecidedAt)); err != nil {
		return usedBefore(err)
	}
	for i, x := range a.Items {
		raw, err := json.Marshal(label{x.Title, x.Patients, x.Source})
		if err != nil {
			return err
		}
		h := signatureHash{AuthorisationID: a.ID, N: i, Hash: x.Hash, Label: raw, State: x.State}
		if err := tx.s.seal(hashColumns(&h)); err != nil {
			return err
		}
		if _, err := tx.write(insertHash, string(h.AuthorisationID), h.N, h.Hash, h.Label, string(h.State), h.Signature); err != nil {
			return err
		}
	}
	if a.State == remotesign.Pending {
		tx.stir(news.OfDevice(a.Device))
		tx.call(jobs.Wake{Device: a.Device})
	}
	return nil
}

// usedBefore gives the unique key of activation data its own words.
func usedBefore(err error) error {
	if e := ra.AsError(mapError(err)); err != nil && e.Code == "exists" {
		return ra.Refuse("HCA-6.3.5", "activation-used", "This activation data was used before. Nothing was signed again; ask the holder anew.", err)
	}
	return err
}

// Authorisation is one of them, with its items.
func (tx *Tx) Authorisation(id remotesign.AuthorisationID) (remotesign.Authorisation, error) {
	return tx.authorisation("id = ?", id)
}

// AuthorisationByHandle is the one that a client asked for under a handle.
func (tx *Tx) AuthorisationByHandle(hash []byte) (remotesign.Authorisation, error) {
	return tx.authorisation("handle_hash = ?", hash)
}

// AuthorisationBySAD is the one whose signatures a client collects.
func (tx *Tx) AuthorisationBySAD(hash []byte) (remotesign.Authorisation, error) {
	return tx.authorisation("sad_hash = ?", hash)
}

func (tx *Tx) authorisation(where string, arg any) (remotesign.Authorisation, error) {
	var row signatureAuthorisation
	if err := mapError(tx.db.Where(where, arg).Take(&row).Error); err != nil {
		return remotesign.Authorisation{}, err
	}
	return tx.withItems(row)
}

func (tx *Tx) withItems(row signatureAuthorisation) (remotesign.Authorisation, error) {
	a := remotesign.Authorisation{ID: row.ID, Certificate: row.CertificateID, Person: row.PersonID, Device: row.DeviceID, Institution: row.Institution,
		Client: row.Client, Scope: row.Scope, HashAlgorithm: row.HashAlgorithm, Challenge: row.Challenge, Count: row.HashCount, State: row.State,
		HandleHash: row.HandleHash, SADHash: row.SADHash, Activation: row.Activation, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, DecidedAt: row.DecidedAt}
	var rows []signatureHash
	if err := tx.db.Where("authorisation_id = ?", row.ID).Order("n").Find(&rows).Error; err != nil {
		return a, err
	}
	for _, h := range rows {
		if err := tx.s.open(hashColumns(&h)); err != nil {
			return a, err
		}
		var l label
		if err := json.Unmarshal(h.Label, &l); err != nil {
			return a, err
		}
		a.Items = append(a.Items, remotesign.Item{Hash: h.Hash, Title: l.Title, Patients: l.Patients, Source: l.Source, State: h.State, Signature: h.Signature})
	}
	return a, nil
}

// inTurn are what waits for a person on a device: the oldest of each system, then the second of each, and so on, so that a
// system which asks without end hides no other's.
const inTurn = `SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY client ORDER BY id) AS turn FROM signature_authorisations
	WHERE device_id = @device AND person_id = @person AND state = 'pending' AND expires_at > @now) AS waiting ORDER BY turn, id LIMIT @limit`

// PendingOf are a person's authorisations on a device that wait for a decision, oldest first. Of more than limit every system
// has its share.
func (tx *Tx) PendingOf(device ra.DeviceID, person ra.PersonID, at time.Time, limit int) ([]remotesign.Authorisation, error) {
	var ids []string
	err := tx.db.Raw(inTurn, sql.Named("device", string(device)), sql.Named("person", string(person)), sql.Named("now", at.UTC()), sql.Named("limit", limit)).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return tx.authorisations(tx.db.Where("id IN ?", ids).Order("id"))
}

func (tx *Tx) authorisations(q *gorm.DB) (out []remotesign.Authorisation, err error) {
	var rows []signatureAuthorisation
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, row := range rows {
		a, err := tx.withItems(row)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// Decide moves a pending authorisation to the state that it is given in. Of two who decide at once one is refused.
func (tx *Tx) Decide(a remotesign.Authorisation, activation []byte) error {
	row := signatureAuthorisation{State: a.State, ActivationID: activation, Activation: a.Activation, DecidedAt: utc(a.DecidedAt), ExpiresAt: a.ExpiresAt.UTC()}
	tx.stir(news.OfDevice(a.Device))
	return usedBefore(guarded(tx.db.Model(&signatureAuthorisation{}).Where("id = ? AND state = ?", a.ID, remotesign.Pending).
		Select("state", "activation_id", "activation", "decided_at", "expires_at").Updates(&row)))
}

// SaveSignatures stores the signatures of the items from one on, each of which must wait for it.
func (tx *Tx) SaveSignatures(id remotesign.AuthorisationID, from int, signatures [][]byte) error {
	for i, sig := range signatures {
		row := signatureHash{AuthorisationID: id, N: from + i, Signature: sig}
		if err := tx.s.seal(hashColumns(&row)); err != nil {
			return err
		}
		if err := guarded(tx.db.Model(&signatureHash{}).Where("authorisation_id = ? AND n = ? AND state = ?", id, from+i, remotesign.HashWaiting).
			UpdateColumns(map[string]any{"state": remotesign.HashSigned, "signature": row.Signature})); err != nil {
			return err
		}
	}
	return nil
}

// RefuseWaiting stops the items that wait.
func (tx *Tx) RefuseWaiting(id remotesign.AuthorisationID) error {
	return tx.db.Model(&signatureHash{}).Where("authorisation_id = ? AND state = ?", id, remotesign.HashWaiting).
		UpdateColumn("state", remotesign.HashRefused).Error
}

// TakeSignature hands a signature out and forgets it; false where it is not there, or somebody else was faster.
func (tx *Tx) TakeSignature(id remotesign.AuthorisationID, n int) ([]byte, bool, error) {
	var rows []signatureHash
	err := tx.db.Where("authorisation_id = ? AND n = ? AND state = ?", id, n, remotesign.HashSigned).Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	if err := tx.s.open(hashColumns(&rows[0])); err != nil {
		return nil, false, err
	}
	res := tx.db.Model(&signatureHash{}).Where("authorisation_id = ? AND n = ? AND state = ?", id, n, remotesign.HashSigned).
		UpdateColumns(map[string]any{"state": remotesign.HashCollected, "signature": nil})
	return rows[0].Signature, res.RowsAffected == 1, res.Error
}

// OverdueAuthorisations are those that nobody decided, or whose signatures were not collected, in time.
func (tx *Tx) OverdueAuthorisations(at time.Time, limit int) ([]remotesign.Authorisation, error) {
	return tx.authorisations(tx.db.Where("expires_at <= ? AND (state = ? OR state = ? AND client <> ?)", at.UTC(), remotesign.Pending, remotesign.Released,
		remotesign.DeviceClient).Order("expires_at, id").Limit(limit))
}

// EndAuthorisation closes one whose time is over, and deletes what was not collected.
func (tx *Tx) EndAuthorisation(a remotesign.Authorisation) error {
	next := remotesign.Expired
	if a.State == remotesign.Released {
		next = remotesign.Closed
	} else {
		tx.stir(news.OfDevice(a.Device))
	}
	if err := guarded(tx.db.Model(&signatureAuthorisation{}).Where("id = ? AND state = ?", a.ID, a.State).UpdateColumn("state", next)); err != nil {
		return err
	}
	return tx.db.Model(&signatureHash{}).Where("authorisation_id = ? AND state IN ?", a.ID, []remotesign.HashState{remotesign.HashWaiting, remotesign.HashSigned}).
		UpdateColumns(map[string]any{"state": remotesign.HashExpired, "signature": nil}).Error
}

// CertificateState is where a certificate stands; no state is no certificate that may be used. It stands there until the
// transaction ends: who revokes it at another replica waits for what rests on it, so that no signature's row comes after
// the revocation's.
func (tx *Tx) CertificateState(id ra.CertificateID) (s ra.CertificateState, err error) {
	query := "SELECT state FROM certificates WHERE id = $1"
	if tx.s.dialect == migrations.Postgres && !tx.reads {
		query += " FOR SHARE"
	}
	err = tx.one(query, []any{string(id)}, &s)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, err
}

// MoveHolderKey replaces a key that is still under the master key of a generation (HCA-6.3.4). A key that another
// replica moved meanwhile is left as it is.
func (tx *Tx) MoveHolderKey(id ra.ApplicationID, from int, k hsm.WrappedKey) error {
	return tx.db.Model(&holderKey{}).Where("application_id = ? AND generation = ?", id, from).
		UpdateColumns(map[string]any{"generation": k.Generation, "blob": k.Blob, "mac": k.MAC}).Error
}

// HSMCertificates are an institution's certificates with keys in the HSM: a person's, or the one that is named; newest
// first. Where neither is named there are none.
func (tx *Tx) HSMCertificates(at ra.InstitutionCode, person ra.PersonID, id ra.CertificateID, limit int) (out []ra.Certificate, err error) {
	q := tx.db.Where("institution = ? AND key_design = ?", at, ra.KeyHSM).Order("id DESC").Limit(limit)
	switch {
	case id != "" && person != "":
		q = q.Where("id = ? AND person_id = ?", id, person)
	case id != "":
		q = q.Where("id = ?", id)
	case person != "":
		q = q.Where("person_id = ?", person)
	default:
		return nil, nil
	}
	if err := q.Find(&out).Error; err != nil {
		return nil, err
	}
	return openAll(tx.s, out, certificateColumns)
}
