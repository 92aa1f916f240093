package exchange_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/exchange"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// court is a gate with two persons of the whole window, and what the HCA's list says of what they ask.
type court struct {
	*gate
	*exchange.Service
	two           *approve.Service
	first, second ra.Actor
	listed        func() (bool, error)
}

func newCourt(t *testing.T, db *store.DB, sim *hcatest.Window) *court {
	g := newGate(t, db, sim)
	c := &court{gate: g, Service: g.service(store.ExchangeStore{Store: g.Store}, g.adapter), listed: func() (bool, error) { return false, nil },
		first: ra.Actor{Kind: ra.ActorStaff, ID: "first"}, second: ra.Actor{Kind: ra.ActorStaff, ID: "second"}}
	acts := c.Acts(func(ra.Certificate) (bool, error) { return c.listed() })
	c.two = approve.New(store.ApproveStore{Store: g.Store}, g.revoke, acts, policy.Always(72*time.Hour), g.Clock.Now, rand.Reader)
	return c
}

// disputed is an application whose answer does not fit in this way.
func (c *court) disputed(t *testing.T, fault hcasim.FaultKind) (ra.ApplicationID, exchange.Dispute) {
	t.Helper()
	a := c.requested(t)
	c.fault(t, fault, 1)
	if _, err := c.run(a.ID); err != nil {
		t.Fatal(err)
	}
	d, err := c.Dispute(context.Background(), c.first, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	return a.ID, d
}

func (c *court) propose(actor ra.Actor, id ra.ApplicationID, facts approve.Facts) (approve.Proposal, error) {
	return c.two.Propose(context.Background(), actor, approve.SettleDispute, "application/"+string(id), "", facts)
}

var (
	again  = exchange.Settlement{Choice: exchange.AskAgain, Note: "the HCA mended it"}
	closed = exchange.Settlement{Choice: exchange.Close, Note: "the HCA wrote", Letter: "115-7", LetterSum: strings.Repeat("ab", 32)}
)

// HCA-3.3: what is wrong with an answer is told as it was judged.
func TestWhatIsWrongWithAnAnswer(t *testing.T) {
	c := newCourt(t, storetest.SQLite(t), hcatest.NewWindow(t))
	for fault, wrong := range map[hcasim.FaultKind]string{hcasim.FaultWrongKey: "key", hcasim.FaultWrongPerson: "holder", hcasim.FaultWrongIssuer: "issuer"} {
		c.freeAll(t)
		_, d := c.disputed(t, fault)
		x := d.Certificate
		if d.Wrong != wrong || len(d.Sum) != 64 || x == nil || x.Serial == "" || x.KeyEqual == (wrong == "key") || x.Pinned == (wrong == "issuer") || x.Name == "" || x.Holder == "" {
			t.Errorf("%s: %q, %+v", fault, d.Wrong, x)
		}
	}
}

// HCA-3.3, HCA-8.1.6: two persons have the HCA asked again, and what it answers then is judged as ever.
func TestAskedAgainByTwo(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, ctx := newCourt(t, db, sim), context.Background()
		id, d := c.disputed(t, hcasim.FaultWrongKey)
		p, err := c.propose(c.first, id, d.Facts(again))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.two.Approve(ctx, c.first, p.ID, p.Hash); ra.AsError(err).Code != "approval-own" {
			t.Errorf("by one alone: %v", err)
		}
		jobs := c.Jobs(t, "exchange")
		if err := c.two.Approve(ctx, c.second, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		a := c.Application(t, id)
		if a.State != ra.AppSent || a.Slot == nil || a.CertificateID != nil || a.FailureCode != "" || c.Jobs(t, "exchange") != jobs+1 {
			t.Errorf("%s, place %v, %q, %d jobs", a.State, a.Slot, a.FailureCode, c.Jobs(t, "exchange"))
		}
		if n := c.Count(t, "audit_events WHERE act = 'dispute.ask-again' AND outcome = 'done' AND actor = 'second' AND object = ?", "application/"+string(id)); n != 1 {
			t.Errorf("%d rows", n)
		}
		if _, err := c.run(id); err != nil {
			t.Fatal(err)
		}
		c.once(t, a)
	})
}

// HCA-7.5, HCA-8.1.6: on the HCA's letter an enrolment ends and its place is free, but not while a certificate of it may be valid.
func TestClosedByTwo(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, ctx := newCourt(t, db, sim), context.Background()
		id, d := c.disputed(t, hcasim.FaultWrongPerson)
		refused := func(when, code string, actor ra.Actor, facts approve.Facts) {
			t.Helper()
			if _, err := c.propose(actor, id, facts); ra.AsError(err).Code != code {
				t.Errorf("%s: %v", when, err)
			}
		}
		with := func(change func(x *exchange.Settlement)) approve.Facts {
			x := closed
			change(&x)
			return d.Facts(x)
		}
		refused("not on the list", "dispute-not-revoked", c.first, d.Facts(closed))
		c.listed = func() (bool, error) { return false, errors.New("stale") }
		refused("without a list", "dispute-list", c.first, d.Facts(closed))
		c.listed = func() (bool, error) { return true, nil }
		refused("by an institution", "not-yours", ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: storetest.Window}, d.Facts(closed))
		refused("without a letter", "dispute-letter", c.first, with(func(x *exchange.Settlement) { x.Letter = " " }))
		refused("without its hash", "dispute-letter-sha256", c.first, with(func(x *exchange.Settlement) { x.LetterSum = "ab" }))
		refused("without a note", "note", c.first, with(func(x *exchange.Settlement) { x.Note = "" }))
		refused("nothing chosen", "dispute-choice", c.first, with(func(x *exchange.Settlement) { x.Choice = "" }))
		other := d.Facts(closed)
		other["dispute-answer"] = strings.Repeat("00", 32)
		refused("of another answer", "approval-object-changed", c.first, other)
		p, err := c.propose(c.first, id, d.Facts(closed))
		if err != nil {
			t.Fatal(err)
		}
		c.listed = func() (bool, error) { return false, nil }
		if err := c.two.Approve(ctx, c.second, p.ID, p.Hash); ra.AsError(err).Code != "dispute-not-revoked" {
			t.Errorf("not on the list when it is approved: %v", err)
		}
		if a := c.Application(t, id); a.State != ra.AppDisputed || a.Slot == nil {
			t.Errorf("it is %s, place %v", a.State, a.Slot)
		}
		c.listed = func() (bool, error) { return true, nil }
		if err := c.two.Approve(ctx, c.second, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		if a := c.Application(t, id); a.State != ra.AppRefused || a.Slot != nil || a.FailureCode != "dispute-closed" || a.CertificateID != nil {
			t.Errorf("it is %s, place %v, %q", a.State, a.Slot, a.FailureCode)
		}
		if n := c.Count(t, "certificates WHERE application_id = ?", string(id)); n != 0 {
			t.Errorf("%d certificates", n)
		}
		refused("settled", "not-disputed", c.first, d.Facts(again))
	})
}

// HCA-7.5: what no pinned CA signed can never be seen revoked, so that it does not free the place.
func TestStrangersCertificateIsNotClosed(t *testing.T) {
	c := newCourt(t, storetest.SQLite(t), hcatest.NewWindow(t))
	c.listed = func() (bool, error) { return true, nil }
	id, d := c.disputed(t, hcasim.FaultWrongIssuer)
	if _, err := c.propose(c.first, id, d.Facts(closed)); ra.AsError(err).Code != "dispute-issuer" {
		t.Error(err)
	}
}

// HCA-8.1.6: what settled itself between the proposal and its approval voids it; each download leaves its row.
func TestSettlementOfWhatChanged(t *testing.T) {
	c, ctx := newCourt(t, storetest.SQLite(t), hcatest.NewWindow(t)), context.Background()
	id, d := c.disputed(t, hcasim.FaultWrongKey)
	raw, err := c.Export(ctx, c.first, id, exchange.PartAnswer)
	if err != nil || len(raw) == 0 || c.Count(t, "audit_events WHERE act = 'dispute.export' AND outcome = 'done'") != 1 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	if _, err := c.Export(ctx, c.first, id, "key"); ra.KindOf(err) != ra.KindNotFound {
		t.Error(err)
	}
	p, err := c.propose(c.first, id, d.Facts(again))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DB.Gorm.Exec("UPDATE applications SET state = 'sent' WHERE id = ?", string(id)).Error; err != nil {
		t.Fatal(err)
	}
	if err := c.two.Approve(ctx, c.second, p.ID, p.Hash); ra.AsError(err).Code != "not-disputed" {
		t.Error(err)
	}
}
