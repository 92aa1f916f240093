package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/store"
)

// Update runs one transaction that must succeed.
func (w *World) Update(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.Store.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// View reads what must be there.
func (w *World) View(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.Store.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// Draft is an enrolment that waits for a signature, with every field that it has then.
func (w *World) Draft(t testing.TB, person ra.PersonID, phone *Phone) ra.Application {
	t.Helper()
	now := w.Clock.Now()
	nonce, err := ra.NewNonceValue(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return ra.Application{ID: ra.ApplicationID(w.ID(t)), Kind: ra.Enrolment, State: ra.AppAwaitingSignature, PersonID: person, DeviceID: phone.ID,
		Generation: 1, DeviceKey: "sha256:" + nonce, Institution: Window, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice,
		Algorithm: "P-256", Text: []byte("醫事人員行動憑證申辦\n"), Nonce: nonce, Challenge: []byte(nonce), Deadline: now.Add(5 * time.Minute),
		CreatedBy: "clerk", CreatedAt: now, UpdatedAt: now}
}

// Insert stores an application.
func (w *World) Insert(t testing.TB, a ra.Application) ra.Application {
	t.Helper()
	w.Update(t, func(tx *store.Tx) error { return tx.InsertApplication(a) })
	return a
}

// Issue stores a completed enrolment in a slot of the person's, and its certificate, live for a year. change may alter
// the certificate first.
func (w *World) Issue(t testing.TB, person ra.PersonID, phone *Phone, slot int, change func(*ra.Certificate)) ra.Certificate {
	t.Helper()
	a := w.Draft(t, person, phone)
	serial := sha256.Sum256([]byte(a.ID))
	now := w.Clock.Now()
	c := ra.Certificate{ID: ra.CertificateID(w.ID(t)), ApplicationID: a.ID, PersonID: person, DeviceID: phone.ID, Generation: 1, Institution: Window,
		Scope: a.Scope, KeyDesign: a.KeyDesign, Serial: hex.EncodeToString(serial[:16]), IssuerKey: "0a0b", DER: []byte{0x30, 0}, Chain: []byte("PEM"),
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), State: ra.CertLive, CreatedAt: now, UpdatedAt: now}
	if change != nil {
		change(&c)
	}
	a.State, a.Slot, a.CertificateID, a.Institution = ra.AppCompleted, &slot, &c.ID, c.Institution
	w.Update(t, func(tx *store.Tx) error {
		if err := tx.InsertApplication(a); err != nil {
			return err
		}
		return tx.InsertCertificate(c)
	})
	return c
}

// Application reads one application.
func (w *World) Application(t testing.TB, id ra.ApplicationID) (a ra.Application) {
	t.Helper()
	w.View(t, func(tx *store.Tx) (err error) {
		a, err = tx.Application("", id)
		return err
	})
	return a
}

// Certificate reads one certificate.
func (w *World) Certificate(t testing.TB, id ra.CertificateID) (c ra.Certificate) {
	t.Helper()
	w.View(t, func(tx *store.Tx) (err error) {
		c, err = tx.Certificate("", id)
		return err
	})
	return c
}

// Slots are the places that a person holds.
func (w *World) Slots(t testing.TB, person ra.PersonID) (slots []int) {
	t.Helper()
	err := w.DB.Gorm.Raw("SELECT slot FROM applications WHERE person_id = ? AND slot IS NOT NULL ORDER BY slot", string(person)).Scan(&slots).Error
	if err != nil {
		t.Fatal(err)
	}
	return slots
}
