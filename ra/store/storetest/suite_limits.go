package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/store"
)

// Of many that move the same thing at once, one wins and the others learn that they came late.
func testGuarded(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	a := w.Insert(t, w.Draft(t, person, phone))
	c := w.Issue(t, person, phone, 1, nil)
	won := race(t, 20, conflict, func(i int) error {
		return w.update(func(tx *store.Tx) error {
			b, err := tx.Application("", a.ID)
			if err != nil {
				return err
			}
			if b.State != ra.AppAwaitingSignature {
				return ra.Errorf(ra.KindConflict, "late", nil, "late")
			}
			b.State, b.Note = ra.AppVoided, fmt.Sprint(i)
			return tx.UpdateApplication(b, ra.AppAwaitingSignature)
		})
	})
	if won != 1 {
		t.Errorf("%d of 20 moved the application", won)
	}
	won = race(t, 20, conflict, func(i int) error {
		next := c
		next.State, next.StateNote = ra.CertSuspended, fmt.Sprint(i)
		return w.update(func(tx *store.Tx) error { return tx.UpdateCertificate(next, ra.CertLive) })
	})
	if won != 1 {
		t.Errorf("%d of 20 moved the certificate", won)
	}
	stale := a
	stale.State = ra.AppAwaitingKey
	if err := w.update(func(tx *store.Tx) error { return tx.UpdateApplication(stale, ra.AppAwaitingSignature) }); !conflict(err) {
		t.Errorf("a change of what has moved on: %v", err)
	}
}

// HCA-7.5: the database itself refuses two applications in one of a person's places, however they get there.
func testSlots(t *testing.T, w *World) {
	person, other := w.Doctor(t, "陳小華", "1001"), w.Doctor(t, "王美麗", "1002")
	phone := w.Phone(t, Window, person, other)
	w.Issue(t, person, phone, 1, nil)
	w.Issue(t, other, phone, 1, nil) // another person's places are others
	slot := 1
	second := w.Draft(t, person, phone)
	second.Slot = &slot
	if err := w.update(func(tx *store.Tx) error { return tx.InsertApplication(second) }); !conflict(err) {
		t.Errorf("inserted into a taken place: %v", err)
	}
	second.Slot = nil
	w.Insert(t, second)
	second.Slot = &slot
	if err := w.update(func(tx *store.Tx) error { return tx.UpdateApplication(second, second.State) }); !conflict(err) {
		t.Errorf("moved into a taken place: %v", err)
	}
	// Not even around the code above.
	for _, n := range []int{1, 0, -1} {
		if err := w.DB.Gorm.Exec("UPDATE applications SET slot = ? WHERE id = ?", n, string(second.ID)).Error; err == nil {
			t.Errorf("SQL put a second application into place %d", n)
		}
	}
	if got := w.Slots(t, person); !reflect.DeepEqual(got, []int{1}) {
		t.Errorf("places %v", got)
	}
}

// HCA-7.5: an expired certificate is not a valid one, so its place is free from the first moment after its end, and
// no sooner. One whose certificate lives, or whose outcome is unknown, keeps its own.
func testExpiredSlots(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	end := w.Clock.Now().Add(time.Hour).Truncate(time.Second)
	w.Issue(t, person, phone, 1, func(c *ra.Certificate) { c.NotAfter = end })
	w.Issue(t, person, phone, 2, nil)
	slot := 3
	sent := w.Draft(t, person, phone)
	sent.State, sent.Slot = ra.AppSent, &slot
	w.Insert(t, sent)
	taken := func(at time.Time) (slots []int) {
		w.Update(t, func(tx *store.Tx) (err error) {
			slots, err = tx.TakenSlots(person, at)
			return err
		})
		return slots
	}
	if got := taken(end); !reflect.DeepEqual(got, []int{1, 2, 3}) {
		t.Errorf("at the last valid moment: %v", got)
	}
	if got := taken(end.Add(time.Microsecond)); !reflect.DeepEqual(got, []int{2, 3}) {
		t.Errorf("right after it: %v", got)
	}
	if got := w.Slots(t, person); !reflect.DeepEqual(got, []int{2, 3}) {
		t.Errorf("stored: %v", got)
	}
}

// HCA-7.5: while one transaction counts a person's certificates, no other does.
func testHolderLock(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	var mu sync.Mutex
	inside, most := 0, 0
	won := race(t, 16, func(error) bool { return false }, func(int) error {
		return w.update(func(tx *store.Tx) error {
			if _, err := tx.LockHolder(person); err != nil {
				return err
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			if _, err := tx.TakenSlots(person, w.Clock.Now()); err != nil { // something for another to come in between
				return err
			}
			mu.Lock()
			inside--
			mu.Unlock()
			return nil
		})
	})
	if won != 16 || most != 1 {
		t.Errorf("%d of 16 had the lock, %d of them at one time", won, most)
	}

	exemption := func() (e *policy.Exemption) {
		w.Update(t, func(tx *store.Tx) (err error) {
			e, err = tx.LockHolder(person)
			return err
		})
		return e
	}
	if e := exemption(); e != nil {
		t.Errorf("an exemption that nobody gave: %+v", e)
	}
	until := w.Clock.Now().AddDate(0, 1, 0).Truncate(time.Second)
	w.Exempt(t, person, 8, until)
	if e := exemption(); e == nil || e.Limit != 8 || e.Reply == "" || !e.Until.Equal(until) {
		t.Errorf("exemption %+v", e)
	}
}

// Exempt records HCA's written leave for a person to hold more than five (HCA-7.5).
func (w *World) Exempt(t testing.TB, person ra.PersonID, limit int, until time.Time) {
	t.Helper()
	w.Update(t, func(tx *store.Tx) error { _, err := tx.LockHolder(person); return err })
	err := w.DB.Gorm.Exec("UPDATE holders SET exempt_limit = ?, exempt_until = ?, exempt_reply = ? WHERE person_id = ?", limit, until.UTC(),
		"衛部醫字第1151660000號", string(person)).Error
	if err != nil {
		t.Fatal(err)
	}
}

func (w *World) nonce(t testing.TB) ra.Nonce {
	t.Helper()
	a := w.Draft(t, "person", &Phone{ID: "device"})
	n := ra.Nonce{Value: a.Nonce, Purpose: ra.NonceEnrol, Person: "person", Device: "device", Session: "session", ExpiresAt: w.Clock.Now().Add(5 * time.Minute)}
	w.Update(t, func(tx *store.Tx) error { return tx.IssueNonce(n) })
	return n
}

// HCA-8.1.4: of fifty that redeem one nonce at once, one does.
func testNonceOnce(t *testing.T, w *World) {
	n := w.nonce(t)
	used := func() (yes bool) {
		w.View(t, func(tx *store.Tx) (err error) {
			yes, err = tx.NonceUsed(n.Value)
			return err
		})
		return yes
	}
	if used() {
		t.Error("used before it was redeemed")
	}
	won := race(t, 50, refusedUnder("HCA-8.1.4"), func(int) error {
		return w.update(func(tx *store.Tx) error { return tx.RedeemNonce(n, w.Clock.Now()) })
	})
	if won != 1 {
		t.Errorf("%d of 50 redeemed it", won)
	}
	if !used() {
		t.Error("not used after it was redeemed")
	}
	if err := w.update(func(tx *store.Tx) error { return tx.IssueNonce(n) }); !conflict(err) {
		t.Errorf("issued a second time: %v", err)
	}
	if n := w.Count(t, "nonces WHERE hash = ?", []byte(n.Value)); n != 0 {
		t.Error("the nonce itself is in the database")
	}
}

// HCA-8.1.4: bound to purpose, person, device and session; dies with its time. A wrong try does not use it up.
func testNonceBound(t *testing.T, w *World) {
	n := w.nonce(t)
	for name, change := range map[string]func(*ra.Nonce){
		"value":   func(x *ra.Nonce) { x.Value += "A" },
		"purpose": func(x *ra.Nonce) { x.Purpose = ra.NonceRevoke },
		"person":  func(x *ra.Nonce) { x.Person = "another" },
		"device":  func(x *ra.Nonce) { x.Device = "another" },
		"session": func(x *ra.Nonce) { x.Session = "another" },
	} {
		wrong := n
		change(&wrong)
		if err := w.update(func(tx *store.Tx) error { return tx.RedeemNonce(wrong, w.Clock.Now()) }); err == nil || !refusedUnder("HCA-8.1.4")(err) {
			t.Errorf("redeemed with another %s: %v", name, err)
		}
	}
	end := w.Clock.Now().Add(5 * time.Minute)
	if err := w.update(func(tx *store.Tx) error { return tx.RedeemNonce(n, end) }); err == nil || !refusedUnder("HCA-8.1.4")(err) {
		t.Errorf("redeemed at its end: %v", err)
	}
	if err := w.update(func(tx *store.Tx) error { return tx.RedeemNonce(n, end.Add(-time.Millisecond)) }); err != nil {
		t.Errorf("just before its end: %v", err)
	}
}
