package exchange_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/file"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// carrier is a gate whose requests a person carries.
func carrier(t *testing.T, g *gate) *exchange.Service {
	t.Helper()
	root, err := certpath.ParseCertificate(g.hca.Server.Root().Raw)
	if err != nil {
		t.Fatal(err)
	}
	if g.adapter, err = file.New(cmc.Trust{Anchors: []*certpath.Certificate{root}, Signer: g.hca.Signer, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	return g.service(store.ExchangeStore{Store: g.Store}, g.adapter)
}

// carried brings one request to the HCA and its answer back.
func (g *gate) carried(t *testing.T, p hca.Prepared) []byte {
	t.Helper()
	answer, err := g.hca.Server.Answer(p.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

var porter = ra.Actor{Kind: ra.ActorStaff, ID: "porter"}

// HCA-3.3, HCA-3.1: a whole enrolment and its revocation by hand. Until a person fetches it a request has not left, from
// then on its outcome is unknown, and its answer is judged like any other.
func TestEnrolmentAndRevocationByHand(t *testing.T) {
	sim := hcatest.NewWindow(t)
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		s := carrier(t, g)
		fetch := func(a ra.Application) hca.Prepared {
			t.Helper()
			if again, err := s.Run(ctx, a.ID); err != nil || again < time.Minute {
				t.Fatalf("comes again in %s, %v", again, err)
			}
			if got := g.Application(t, a.ID); got.State != ra.AppRequested {
				t.Fatalf("nobody fetched it and it is %s", got.State)
			}
			out, err := s.Fetch(ctx, porter, false, "")
			if err != nil || len(out) != 1 || out[0].TransactionID != string(a.ID) {
				t.Fatalf("fetched %d, %v", len(out), err)
			}
			if got := g.Application(t, a.ID); got.State != ra.AppSent {
				t.Fatalf("fetched and still %s", got.State)
			}
			again, err := s.Fetch(ctx, porter, true, "")
			if err != nil || len(again) != 1 || !bytes.Equal(again[0].Bytes, out[0].Bytes) {
				t.Fatalf("once more: %d, %v", len(again), err)
			}
			return out[0]
		}
		a := g.requested(t)
		answer := g.carried(t, fetch(a))
		if got, err := s.TakeIn(ctx, porter, answer); err != nil || got.State != ra.AppCompleted {
			t.Fatalf("%s, %v", got.State, err)
		}
		g.once(t, a)
		if _, err := s.TakeIn(ctx, porter, answer); ra.AsError(err).Code != "answer-known" {
			t.Errorf("the same answer twice: %v", err)
		}
		g.once(t, a)

		c := g.Certificate(t, *g.Application(t, a.ID).CertificateID)
		r := g.revocation(t, c)
		if got, err := s.TakeIn(ctx, porter, g.carried(t, fetch(r))); err != nil || got.State != ra.AppCompleted {
			t.Fatalf("%s, %v", got.State, err)
		}
		g.isRevoked(t, c, r)
		for act, want := range map[string]int{"hca.fetch": 4, "hca.take-in": 2} {
			if n := g.Count(t, "audit_events WHERE act = ? AND actor = 'porter' AND outcome = 'done'", act); n != want {
				t.Errorf("%d rows of %s, want %d", n, act, want)
			}
		}
	})
}

// HCA-3.3, HCA-7.5: what is no answer of the HCA's to a request that left is refused with a row, and changes nothing; a
// certificate that is not what was asked for stops the application as over the network.
func TestAnswersByHandAreJudged(t *testing.T) {
	sim := hcatest.NewWindow(t)
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		s := carrier(t, g)
		a := g.requested(t)
		if _, err := s.Run(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
		refused := func(answer []byte, code string, state ra.ApplicationState) {
			t.Helper()
			before := g.Count(t, "audit_events WHERE act = 'hca.take-in' AND outcome = 'refused'")
			if _, err := s.TakeIn(ctx, porter, answer); ra.AsError(err).Code != code {
				t.Errorf("%v, want %s", err, code)
			}
			if got := g.Application(t, a.ID); got.State != state || got.CertificateID != nil || len(g.Slots(t, g.doctor)) != 1 {
				t.Errorf("%s: the application is %s", code, got.State)
			}
			if n := g.Count(t, "audit_events WHERE act = 'hca.take-in' AND outcome = 'refused'"); n != before+1 {
				t.Errorf("%s: %d rows", code, n-before)
			}
		}
		var request hca.Prepared
		g.View(t, func(tx *store.Tx) error {
			r, _, err := tx.Request(a.ID)
			request = r.Prepared
			return err
		})
		foreign, err := g.adapter.Prepare(ctx, sim.Enrolment(t, hcatest.NewKey(t), sim.Card.Certificate.Subject))
		if err != nil {
			t.Fatal(err)
		}
		refused([]byte("no answer"), "answer-unreadable", ra.AppRequested)
		refused(g.carried(t, foreign), "answer-unknown", ra.AppRequested)
		g.fault(t, hcasim.FaultOtherSigner, 1)
		refused(g.carried(t, request), "answer-early", ra.AppRequested)
		if _, err := s.Fetch(ctx, porter, false, ""); err != nil {
			t.Fatal(err)
		}
		for fault, code := range map[hcasim.FaultKind]string{hcasim.FaultOtherSigner: "answer-signature", hcasim.FaultTampered: "answer-signature",
			hcasim.FaultUnsigned: "answer-signature", hcasim.FaultWrongNonce: "answer-of-another", hcasim.FaultBusy: "answer-later"} {
			g.fault(t, fault, 1)
			refused(g.carried(t, request), code, ra.AppSent)
		}
		g.fault(t, hcasim.FaultWrongPerson, 1)
		if got, err := s.TakeIn(ctx, porter, g.carried(t, request)); err != nil || got.State != ra.AppDisputed || got.CertificateID != nil {
			t.Fatalf("another person's certificate: %s, %v", got.State, err)
		}
	})
}

// HCA-3.1, HCA-3.8: nothing is given out while the window may send nothing; HCA-8.1.6: nor to one institution's staff.
func TestNothingIsFetchedWithoutStanding(t *testing.T) {
	sim := hcatest.NewWindow(t)
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		s := carrier(t, g)
		a := g.requested(t)
		if _, err := s.Run(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Fetch(ctx, ra.Actor{Kind: ra.ActorStaff, ID: "porter", Institution: storetest.Window}, false, ""); ra.KindOf(err) != ra.KindRefused {
			t.Errorf("one institution's staff: %v", err)
		}
		suspended := g.standing(func(context.Context) policy.WindowStanding { return policy.WindowStanding{Suspended: true} })
		if out, err := suspended.Fetch(ctx, porter, false, ""); err == nil || len(out) != 0 {
			t.Errorf("a suspended window gave out %d, %v", len(out), err)
		}
		if got := g.Application(t, a.ID); got.State != ra.AppRequested || got.FailureCode == "" {
			t.Errorf("%s %q", got.State, got.FailureCode)
		}
	})
}
