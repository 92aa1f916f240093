package store

import (
	"encoding/pem"
	"strings"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/approve"
)

// PersonRecords is what the registration authority holds about persons: applications, requests, certificates, keys,
// notices and what two persons decided (HCA-9).
type PersonRecords struct{ Sealer Sealer }

// LastRecord is when the last certificate or application ended. One that has not gives the day on which the
// certificate will, or a moment far away.
func (r PersonRecords) LastRecord(tx *gorm.DB, id ra.PersonID) (last time.Time, err error) {
	var certs []ra.Certificate
	if err := tx.Select("id", "state", "not_after", "revoked_at").Where("person_id = ?", id).Find(&certs).Error; err != nil {
		return last, mapError(err)
	}
	later := func(at time.Time) {
		if at.After(last) {
			last = at
		}
	}
	for _, c := range certs {
		if c.State == ra.CertRevoked && c.RevokedAt != nil && c.RevokedAt.Before(c.NotAfter) {
			later(*c.RevokedAt)
			continue
		}
		later(c.NotAfter)
	}
	var apps []ra.Application
	if err := tx.Select("id", "state", "updated_at").Where("person_id = ?", id).Find(&apps).Error; err != nil {
		return last, mapError(err)
	}
	for _, a := range apps {
		later(a.UpdatedAt)
		if a.State.Open() {
			later(a.UpdatedAt.AddDate(100, 0, 0))
		}
	}
	return last, nil
}

// erased is what stands in a sealed column whose value was erased.
var erased = []byte("erased")

// Erase overwrites texts, consents, proofs, requests, certificates and notes. Serial numbers, states, times and the
// audit log stay, so that what is left still adds up.
func (r PersonRecords) Erase(tx *gorm.DB, id ra.PersonID, at time.Time) error {
	s := &Store{sealer: r.Sealer}
	var apps []ra.ApplicationID
	if err := tx.Model(&ra.Application{}).Where("person_id = ?", id).Order("id").Pluck("id", &apps).Error; err != nil {
		return mapError(err)
	}
	for _, a := range apps {
		if err := s.eraseApplication(tx, a, at); err != nil {
			return err
		}
	}
	var certs []ra.CertificateID
	if err := tx.Model(&ra.Certificate{}).Where("person_id = ?", id).Order("id").Pluck("id", &certs).Error; err != nil {
		return mapError(err)
	}
	objects := []string{"person/" + string(id)}
	for _, c := range certs {
		objects = append(objects, "certificate/"+string(c))
		mark := ra.Certificate{ID: c, DER: erased, Chain: erased}
		if err := s.seal(certificateColumns(&mark)); err != nil {
			return err
		}
		if err := tx.Model(&ra.Certificate{}).Where("id = ?", c).Updates(map[string]any{"der": mark.DER, "chain": mark.Chain}).Error; err != nil {
			return mapError(err)
		}
	}
	if err := tx.Where("person_id = ?", id).Delete(&holderKey{}).Error; err != nil {
		return mapError(err)
	}
	if err := tx.Model(&notice{}).Where("person_id = ?", id).Update("last_error", "").Error; err != nil {
		return mapError(err)
	}
	if err := s.eraseSignatures(tx, id); err != nil {
		return err
	}
	return s.eraseProposals(tx, objects)
}

// eraseSignatures overwrites what the person was shown of each hash that was signed, and the activation data with it.
func (s *Store) eraseSignatures(tx *gorm.DB, id ra.PersonID) error {
	var asked []signatureAuthorisation
	if err := tx.Select("id").Where("person_id = ?", id).Find(&asked).Error; err != nil {
		return mapError(err)
	}
	for _, a := range asked {
		var hashes []signatureHash
		if err := tx.Where("authorisation_id = ?", a.ID).Find(&hashes).Error; err != nil {
			return mapError(err)
		}
		for _, h := range hashes {
			h.Label, h.Signature = erased, nil
			if err := s.seal(hashColumns(&h)); err != nil {
				return err
			}
			if err := tx.Model(&signatureHash{}).Where("authorisation_id = ? AND n = ?", h.AuthorisationID, h.N).
				Updates(map[string]any{"label": h.Label, "signature": nil, "hash": []byte{}}).Error; err != nil {
				return mapError(err)
			}
		}
		if err := tx.Model(&signatureAuthorisation{}).Where("id = ?", a.ID).Update("activation", "").Error; err != nil {
			return mapError(err)
		}
	}
	return nil
}

func (s *Store) eraseApplication(tx *gorm.DB, id ra.ApplicationID, at time.Time) error {
	var a ra.Application
	if err := tx.Where("id = ?", id).Take(&a).Error; err != nil {
		return mapError(err)
	}
	for _, c := range applicationColumns(&a) {
		if *c.value != nil {
			*c.value = erased
		}
	}
	if err := s.seal(applicationColumns(&a)); err != nil {
		return err
	}
	set := map[string]any{"text": a.Text, "consent": a.Consent, "proof": a.Proof, "csr": a.CSR, "note": "", "failure_detail": "", "erased_at": at.UTC()}
	if a.KeyProof != nil {
		set["key_proof"] = []byte("{}")
	}
	if err := tx.Model(&ra.Application{}).Where("id = ?", id).Updates(set).Error; err != nil {
		return mapError(err)
	}
	var requests []hcaRequest
	if err := tx.Where("transaction_id = ?", id).Find(&requests).Error; err != nil {
		return mapError(err)
	}
	for _, r := range requests {
		for _, c := range requestColumns(&r) {
			if *c.value != nil {
				*c.value = erased
			}
		}
		if err := s.seal(requestColumns(&r)); err != nil {
			return err
		}
		if err := tx.Model(&hcaRequest{}).Where("transaction_id = ?", id).Updates(map[string]any{"request": r.Request, "answer": r.Answer}).Error; err != nil {
			return mapError(err)
		}
	}
	return nil
}

// eraseProposals overwrites what was proposed about the person and his certificates. Who decided, when, and the hash of
// what was decided stay.
func (s *Store) eraseProposals(tx *gorm.DB, objects []string) error {
	var rows []approve.Proposal
	if err := tx.Where("object IN ?", objects).Find(&rows).Error; err != nil {
		return mapError(err)
	}
	for _, p := range rows {
		p.Payload = erased
		if err := s.seal(proposalColumns(&p)); err != nil {
			return err
		}
		if err := tx.Model(&approve.Proposal{}).Where("id = ?", p.ID).Updates(map[string]any{"payload": p.Payload, "reason": ""}).Error; err != nil {
			return mapError(err)
		}
	}
	return nil
}

// Held lists what a person's copy holds of it. Members of staff stand in it by their ids: their names are theirs.
func (r PersonRecords) Held(tx *gorm.DB, id ra.PersonID) ([]ra.Held, error) {
	s := &Store{sealer: r.Sealer}
	objects := []string{"person/" + string(id)}
	apps, err := s.heldApplications(tx, id, &objects)
	if err != nil {
		return nil, err
	}
	certs, err := s.heldCertificates(tx, id, &objects)
	if err != nil {
		return nil, err
	}
	var notices []notice
	if err := tx.Where("person_id = ?", id).Order("id").Find(&notices).Error; err != nil {
		return nil, mapError(err)
	}
	told := ra.Held{Kind: "notices"}
	for _, n := range notices {
		told.Rows = append(told.Rows, map[string]string{"at": stamp(n.CreatedAt), "kind": string(n.Kind), "about": n.Object, "state": string(n.State)})
	}
	log, err := heldLog(tx, objects)
	return []ra.Held{apps, certs, told, log}, err
}

func (s *Store) heldApplications(tx *gorm.DB, id ra.PersonID, objects *[]string) (out ra.Held, err error) {
	out.Kind = "applications"
	var apps []ra.Application
	if err := tx.Where("person_id = ?", id).Order("id").Find(&apps).Error; err != nil {
		return out, mapError(err)
	}
	if apps, err = openAll(s, apps, applicationColumns); err != nil {
		return out, err
	}
	for _, a := range apps {
		*objects = append(*objects, "application/"+string(a.ID))
		out.Rows = append(out.Rows, map[string]string{"application": string(a.ID), "kind": string(a.Kind), "state": string(a.State), "begun": stamp(a.CreatedAt),
			"changed": stamp(a.UpdatedAt), "institution": string(a.Institution), "device": string(a.DeviceID), "scope": strings.Join(a.Scope, ", "), "key": string(a.KeyDesign),
			"carrier": string(a.Carrier), "ground": a.Ground, "note": a.Note, "text": string(a.Text)})
	}
	return out, nil
}

func (s *Store) heldCertificates(tx *gorm.DB, id ra.PersonID, objects *[]string) (out ra.Held, err error) {
	out.Kind = "certificates"
	var certs []ra.Certificate
	if err := tx.Where("person_id = ?", id).Order("id").Find(&certs).Error; err != nil {
		return out, mapError(err)
	}
	if certs, err = openAll(s, certs, certificateColumns); err != nil {
		return out, err
	}
	for _, c := range certs {
		*objects = append(*objects, "certificate/"+string(c.ID))
		row := map[string]string{"certificate": string(c.ID), "serial": c.Serial, "state": string(c.State), "institution": string(c.Institution), "device": string(c.DeviceID),
			"from": stamp(c.NotBefore), "until": stamp(c.NotAfter), "scope": strings.Join(c.Scope, ", "), "reason": string(c.Reason),
			"pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER}))}
		if c.RevokedAt != nil {
			row["revoked"] = stamp(*c.RevokedAt)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// heldLog is what the audit log says of the person and his things. Addresses are those of the window's own staff.
func heldLog(tx *gorm.DB, objects []string) (ra.Held, error) {
	out := ra.Held{Kind: "log"}
	var rows []auditEvent
	if err := tx.Where("object IN ?", objects).Order("seq").Find(&rows).Error; err != nil {
		return out, mapError(err)
	}
	for _, r := range rows {
		out.Rows = append(out.Rows, map[string]string{"at": stamp(r.At), "act": r.Act, "about": r.Object, "outcome": string(r.Outcome), "rule": string(r.Clause),
			"by": string(r.ActorKind) + " " + r.Actor})
	}
	return out, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
