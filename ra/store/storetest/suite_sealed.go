package storetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/store"
)

// secret is what names a person in texts, messages and certificates.
const secret = "陳小華 1234567890123456"

// full stores one of everything that names a person.
func (w *World) full(t testing.TB) (ra.Application, ra.Certificate) {
	t.Helper()
	person := w.Doctor(t, "陳小華", "1234567890123456")
	phone := w.Phone(t, Window, person)
	a := w.Draft(t, person, phone)
	a.State, a.Text, a.Consent, a.Proof, a.CSR = ra.AppSent, []byte("text "+secret), []byte("consent "+secret), []byte("proof "+secret), []byte("csr "+secret)
	w.Insert(t, a)
	w.Update(t, func(tx *store.Tx) error {
		r := exchange.Request{PreparedAt: w.Clock.Now(), Prepared: hca.Prepared{Adapter: "cmc", Kind: hca.Enrol, SenderNonce: []byte("n"), Bytes: []byte("request " + secret)}}
		if err := tx.InsertRequest(a.ID, r); err != nil {
			return err
		}
		r.Answer = []byte("answer " + secret)
		return tx.UpdateRequest(a.ID, r)
	})
	c := w.Issue(t, person, phone, 1, func(c *ra.Certificate) { c.DER, c.Chain = []byte("certificate "+secret), []byte("chain "+secret) })
	return a, c
}

// HCA-8.1.5: no cell of the database names a person, whatever was stored of an enrolment.
func testSealed(t *testing.T, w *World) {
	a, c := w.full(t)
	for _, column := range Columns(t, w.DB) {
		for _, cell := range w.cells(t, column) {
			for _, part := range strings.Fields(secret) {
				if strings.Contains(cell, part) || strings.Contains(strings.ToLower(cell), hex.EncodeToString([]byte(part))) {
					t.Errorf("%s.%s names the person", column.Table, column.Name)
				}
			}
		}
	}
	// Who has the key reads all of it.
	got, cert := w.Application(t, a.ID), w.Certificate(t, c.ID)
	same(t, "application", got, a)
	same(t, "certificate", cert, c)
	w.View(t, func(tx *store.Tx) error {
		r, _, err := tx.Request(a.ID)
		if string(r.Prepared.Bytes) != "request "+secret || string(r.Answer) != "answer "+secret {
			t.Errorf("the request came back as %q, %q", r.Prepared.Bytes, r.Answer)
		}
		return err
	})
}

// cells are the texts of a column, or its bytes in hex.
func (w *World) cells(t testing.TB, c Column) (cells []string) {
	t.Helper()
	value := fmt.Sprintf("CAST(%s AS TEXT)", c.Name)
	if c.Type == "bytes" {
		value = fmt.Sprintf("hex(%s)", c.Name)
		if w.DB.Pool != nil {
			value = fmt.Sprintf("encode(%s, 'hex')", c.Name)
		}
	}
	if err := w.DB.Gorm.Raw(fmt.Sprintf("SELECT coalesce(%s, '') FROM %s", value, c.Table)).Scan(&cells).Error; err != nil {
		t.Fatal(err)
	}
	return cells
}

// HCA-8.1.5, HCA-3.3: a value that somebody moved to another row, or another column, or changed, does not open: the record
// is refused, and never shown as another's.
func testMovedCells(t *testing.T, w *World) {
	a, c := w.full(t)
	other := w.Draft(t, a.PersonID, &Phone{ID: a.DeviceID})
	w.Insert(t, other)
	exec := func(q string, args ...any) {
		t.Helper()
		if err := w.DB.Gorm.Exec(q, args...).Error; err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, read func(tx *store.Tx) error) {
		t.Helper()
		if err := w.Store.View(context.Background(), read); err == nil || ra.AsError(err).Code != "sealed-column" {
			t.Errorf("%s: %v", what, err)
		}
	}
	exec("UPDATE applications SET consent = (SELECT consent FROM applications WHERE id = ?) WHERE id = ?", string(a.ID), string(other.ID))
	refused("another application's consent", func(tx *store.Tx) error { _, err := tx.Application("", other.ID); return err })
	exec("UPDATE applications SET text = consent WHERE id = ?", string(a.ID))
	refused("the consent as the text", func(tx *store.Tx) error { _, err := tx.Application("", a.ID); return err })
	exec("UPDATE certificates SET der = ? WHERE id = ?", []byte("forged"), string(c.ID))
	refused("a forged certificate", func(tx *store.Tx) error { _, err := tx.Certificate("", c.ID); return err })
	exec("UPDATE hca_requests SET answer = request")
	refused("the request as the answer", func(tx *store.Tx) error { _, _, err := tx.Request(a.ID); return err })
}

// HCA-8.1.6: signed checkpoints are kept in their order; one that is there is never replaced.
func testCheckpoints(t *testing.T, w *World) {
	ctx, log := context.Background(), store.AuditLog{Store: w.Store}
	if seq, hash, err := log.Head(ctx); seq != 0 || !bytes.Equal(hash, audit.Genesis) || err != nil {
		t.Errorf("the head of an empty log: %d, %x, %v", seq, hash, err)
	}
	if last, err := log.LastCheckpoint(ctx); last != nil || err != nil {
		t.Errorf("the last of none: %x, %v", last, err)
	}
	at := w.Clock.Now().Truncate(time.Second)
	for _, seq := range []int64{5, 10, 20, 10} {
		s := audit.Saved{Checkpoint: audit.Checkpoint{Seq: seq, Hash: []byte{byte(seq)}, At: at}, Signed: fmt.Appendf(nil, "signed %d", seq)}
		if w.Count(t, "audit_checkpoints WHERE seq = ?", seq) == 1 {
			s.Signed = []byte("another")
		}
		if err := log.SaveCheckpoint(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := log.LastCheckpoint(ctx); string(last) != "signed 20" || err != nil {
		t.Errorf("the last: %q, %v", last, err)
	}
	got, err := log.Checkpoints(ctx, 6, 20, 10)
	if err != nil || len(got) != 2 || got[0].Seq != 10 || string(got[0].Signed) != "signed 10" || got[1].Seq != 20 || !got[0].At.Equal(at) {
		t.Errorf("from 6 to 20: %+v, %v", got, err)
	}
	if page, err := log.Checkpoints(ctx, 0, 20, 1); err != nil || len(page) != 1 || page[0].Seq != 5 {
		t.Errorf("a page of one: %+v, %v", page, err)
	}
}

// HCA-8.1.6: no text from outside keeps an act from being logged, nor breaks the chain.
func testAuditHostile(t *testing.T, w *World) {
	for _, s := range []string{"a\x00b", "\xff\xfe", "\u2028\u202e", strings.Repeat("長", 10_000), `"}{"`, "'; DROP TABLE audit_events; --"} {
		e := w.event(0, 0)
		e.Object, e.Actor.RequestID, e.Details = s, s, map[string]string{s: s}
		if err := w.update(func(tx *store.Tx) error { return tx.Audit(e) }); err != nil {
			t.Errorf("%.20q was not logged: %v", s, err)
		}
	}
	if err := w.atHead(t, w.Audit(t)); err != nil {
		t.Error(err)
	}
}
