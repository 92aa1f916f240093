package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
)

// same compares two values field by field. Times are the same when they are the same moment to the microsecond, which
// is what both databases keep.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	g, v := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		name := g.Type().Field(i).Name
		a, b := g.Field(i).Interface(), v.Field(i).Interface()
		if x, ok := a.(time.Time); ok {
			if d := x.Sub(b.(time.Time)).Abs(); d >= time.Microsecond {
				t.Errorf("%s: %s is %v, want %v", what, name, a, b)
			}
			continue
		}
		if x, ok := a.(*time.Time); ok && x != nil && b.(*time.Time) != nil {
			if x.Sub(*b.(*time.Time)).Abs() >= time.Microsecond {
				t.Errorf("%s: %s is %v, want %v", what, name, x, b)
			}
			continue
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s is %v, want %v", what, name, a, b)
		}
	}
}

// An application comes back as it was stored, at each step, and its times mean the same moment whatever the zone.
func testApplications(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	a := w.Insert(t, w.Draft(t, person, phone))
	same(t, "draft", w.Application(t, a.ID), a)

	slot, cert := 3, ra.CertificateID(w.ID(t))
	b := a
	b.State, b.Slot, b.CertificateID = ra.AppAwaitingKey, &slot, &cert
	b.Consent, b.ConsentBare, b.Proof, b.Insertion = []byte{0x30, 0x82, 0}, true, []byte(`{"path":[]}`), "insertion 7"
	b.CSR, b.KeyProof, b.FailureCode, b.FailureDetail = []byte{0x30}, []byte(`{}`), "code", "detail"
	b.Note, b.Ground, b.Reason, b.Deadline, b.UpdatedAt = "note", "ground", ra.ReasonSuperseded, w.Clock.Now().Add(time.Hour), w.Clock.Now().Add(time.Minute)
	w.Update(t, func(tx *store.Tx) error { return tx.UpdateApplication(b, ra.AppAwaitingSignature) })
	same(t, "signed", w.Application(t, a.ID), b)

	c := b
	c.Slot, c.FailureCode, c.FailureDetail = nil, "", ""
	c.CreatedBy, c.CreatedAt = "somebody else", Noon.AddDate(1, 0, 0) // who made it, and when, cannot be changed
	w.Update(t, func(tx *store.Tx) error { return tx.UpdateApplication(c, ra.AppAwaitingKey) })
	c.CreatedBy, c.CreatedAt = b.CreatedBy, b.CreatedAt
	same(t, "freed", w.Application(t, a.ID), c)

	w.Clock.Advance(time.Second)
	other := w.Insert(t, w.Draft(t, w.Doctor(t, "王美麗", "1002"), phone))
	pages := map[string]struct {
		q    enrol.Query
		want []ra.ApplicationID
	}{
		"all":         {enrol.Query{}, []ra.ApplicationID{other.ID, a.ID}},
		"person":      {enrol.Query{Person: person}, []ra.ApplicationID{a.ID}},
		"device":      {enrol.Query{Device: phone.ID}, []ra.ApplicationID{other.ID, a.ID}},
		"state":       {enrol.Query{State: ra.AppAwaitingSignature}, []ra.ApplicationID{other.ID}},
		"kind":        {enrol.Query{Kind: ra.Revocation}, nil},
		"certificate": {enrol.Query{Certificate: cert}, []ra.ApplicationID{a.ID}},
		"next page":   {enrol.Query{Before: string(other.ID)}, []ra.ApplicationID{a.ID}},
		"elsewhere":   {enrol.Query{Institution: Clinic}, nil},
		"quoted":      {enrol.Query{Person: ra.PersonID(person + "' OR '1'='1")}, nil},
	}
	for name, p := range pages {
		p.q.Limit = 10
		w.View(t, func(tx *store.Tx) error {
			got, err := tx.Applications(p.q)
			var ids []ra.ApplicationID
			for _, a := range got {
				ids = append(ids, a.ID)
			}
			if !reflect.DeepEqual(ids, p.want) {
				t.Errorf("%s: %v, want %v", name, ids, p.want)
			}
			return err
		})
	}
}

// HCA-3.7: another institution's application is not found, as if there were none.
func testApplicationScope(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	a := w.Insert(t, w.Draft(t, person, phone))
	c := w.Issue(t, person, phone, 1, nil)
	for _, read := range []func(tx *store.Tx, scope ra.InstitutionCode) error{
		func(tx *store.Tx, scope ra.InstitutionCode) error { _, err := tx.Application(scope, a.ID); return err },
		func(tx *store.Tx, scope ra.InstitutionCode) error { _, err := tx.Certificate(scope, c.ID); return err },
	} {
		w.View(t, func(tx *store.Tx) error {
			if err := read(tx, Clinic); ra.KindOf(err) != ra.KindNotFound {
				t.Errorf("from another institution: %v", err)
			}
			if err := read(tx, Window); err != nil {
				t.Errorf("from its own: %v", err)
			}
			return nil
		})
	}
	w.View(t, func(tx *store.Tx) error {
		certs, err := tx.Certificates(revoke.Query{Institution: Clinic, Limit: 10})
		if len(certs) != 0 {
			t.Errorf("%d certificates seen from another institution", len(certs))
		}
		return err
	})
}

// Deadlines are compared as moments, with fractions of a second and whatever the zone they were given in.
func testOverdue(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	at := w.Clock.Now().Truncate(time.Second)
	var want []ra.ApplicationID
	for i, d := range []time.Duration{-2 * time.Hour, -time.Second, -500 * time.Millisecond, 0, 400 * time.Millisecond, time.Second, 9 * time.Hour} {
		a := w.Draft(t, person, phone)
		a.Deadline = at.Add(d)
		if i%2 == 0 {
			a.Deadline = a.Deadline.UTC()
		}
		w.Insert(t, a)
		if d <= 0 {
			want = append(want, a.ID)
		}
	}
	gone := w.Draft(t, person, phone)
	gone.State, gone.Deadline = ra.AppSent, at.Add(-time.Hour)
	w.Insert(t, gone)
	w.View(t, func(tx *store.Tx) error {
		late, err := tx.Overdue(at, 10)
		var got []ra.ApplicationID
		for _, a := range late {
			got = append(got, a.ID)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("overdue: %v, want %v", got, want)
		}
		return err
	})
}

func testCertificates(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	phone := w.Phone(t, Window, person)
	c := w.Issue(t, person, phone, 1, nil)
	same(t, "issued", w.Certificate(t, c.ID), c)

	now := w.Clock.Now()
	d := c
	d.State, d.StateNote, d.Reason, d.RevokedAt, d.DeliveredAt, d.UpdatedAt = ra.CertRevoked, "note", ra.ReasonKeyCompromise, &now, &now, now.Add(time.Minute)
	d.Serial, d.DER, d.PersonID, d.NotAfter = "00", []byte("another"), "another", now // what was issued cannot be changed
	w.Update(t, func(tx *store.Tx) error { return tx.UpdateCertificate(d, ra.CertLive) })
	d.Serial, d.DER, d.PersonID, d.NotAfter = c.Serial, c.DER, c.PersonID, c.NotAfter
	same(t, "revoked", w.Certificate(t, c.ID), d)

	w.View(t, func(tx *store.Tx) error {
		got, found, err := tx.CertificateBySerial(c.IssuerKey, c.Serial)
		if !found || got.ID != c.ID {
			t.Errorf("by serial: %v %v", got.ID, found)
		}
		if _, found, _ := tx.CertificateBySerial("ff", c.Serial); found {
			t.Error("a serial number of another issuer was found")
		}
		return err
	})
	// HCA-5.1.1: a certificate of this register does not stand in for a card.
	if mobile, err := w.Store.IsMobile(t.Context(), c.IssuerKey, c.Serial); err != nil || !mobile {
		t.Errorf("mobile: %v, %v", mobile, err)
	}
	// One certificate, one application: neither a serial number nor an application comes twice.
	for name, change := range map[string]func(*ra.Certificate){
		"serial":      func(x *ra.Certificate) { x.ApplicationID = w.Insert(t, w.Draft(t, person, phone)).ID },
		"application": func(x *ra.Certificate) { x.Serial = "abcd" },
	} {
		x := c
		x.ID = ra.CertificateID(w.ID(t))
		change(&x)
		if err := w.update(func(tx *store.Tx) error { return tx.InsertCertificate(x) }); !conflict(err) {
			t.Errorf("the same %s twice: %v", name, err)
		}
	}
}

// HCA-6.3.5: a wrapped key comes back whole, once for an application, and can be forgotten.
func testHolderKeys(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	a := w.Insert(t, w.Draft(t, person, w.Phone(t, Window, person)))
	k := hsm.WrappedKey{Generation: 2, Algorithm: hsm.P256, Blob: bytes.Repeat([]byte{0, 1}, 40), SPKI: []byte{0x30, 1}, MAC: bytes.Repeat([]byte{7}, 32)}
	w.Update(t, func(tx *store.Tx) error { return tx.SaveHolderKey(a, k, w.Clock.Now()) })
	w.View(t, func(tx *store.Tx) error {
		got, err := tx.HolderKey(a.ID)
		if !reflect.DeepEqual(got, k) {
			t.Errorf("%+v, want %+v", got, k)
		}
		return err
	})
	if err := w.update(func(tx *store.Tx) error { return tx.SaveHolderKey(a, k, w.Clock.Now()) }); !conflict(err) {
		t.Errorf("a second key for one application: %v", err)
	}
	w.Update(t, func(tx *store.Tx) error { return tx.DeleteHolderKey(a.ID) })
	w.View(t, func(tx *store.Tx) error {
		if _, err := tx.HolderKey(a.ID); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("a forgotten key: %v", err)
		}
		return nil
	})
}

// HCA-3.3: the bytes of a request never change once they are committed, whoever prepares another.
func testRequests(t *testing.T, w *World) {
	person := w.Doctor(t, "陳小華", "1001")
	a := w.Insert(t, w.Draft(t, person, w.Phone(t, Window, person)))
	prepared := func(i int) exchange.Request {
		return exchange.Request{PreparedAt: w.Clock.Now(), Prepared: hca.Prepared{Adapter: "cmc", Kind: hca.Enrol, TransactionID: string(a.ID),
			SenderNonce: fmt.Appendf(nil, "nonce %d", i), Bytes: fmt.Appendf(nil, "request %d", i)}}
	}
	race(t, 8, conflict, func(i int) error {
		return w.update(func(tx *store.Tx) error { return tx.InsertRequest(a.ID, prepared(i)) })
	})
	if n := w.Count(t, "hca_requests"); n != 1 {
		t.Fatalf("%d requests for one application", n)
	}
	var first exchange.Request
	read := func() (r exchange.Request) {
		w.View(t, func(tx *store.Tx) (err error) {
			var found bool
			if r, found, err = tx.Request(a.ID); !found {
				t.Error("no request is found")
			}
			return err
		})
		return r
	}
	first = read()
	now := w.Clock.Now()
	next := prepared(99)
	next.Attempts, next.SentAt, next.Answer, next.AnsweredAt, next.Prepared.Token = 2, &now, []byte("answer"), &now, []byte("token")
	w.Update(t, func(tx *store.Tx) error { return tx.UpdateRequest(a.ID, next) })
	next.Prepared.Bytes, next.Prepared.SenderNonce, next.PreparedAt = first.Prepared.Bytes, first.Prepared.SenderNonce, first.PreparedAt
	same(t, "answered", read(), next)
}
