package exchange_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-3.3, HCA-7.5: an answer that does not come, or cannot be believed, leaves the outcome unknown: nothing is stored of
// it but its bytes, the place is held, the reason is shown and logged, and the truth is learnt at the next asking.
func TestAnswersThatSayNothing(t *testing.T) {
	sim := hcatest.NewWindow(t)
	g := newGate(t, storetest.SQLite(t), sim)
	for fault, code := range map[hcasim.FaultKind]string{
		hcasim.FaultDown:             "hca-unavailable",
		hcasim.FaultBusy:             "hca-unavailable",
		hcasim.FaultClosed:           "hca-network",
		hcasim.FaultLoseAnswer:       "hca-network",
		hcasim.FaultAnswerTwice:      "hca-undecodable",
		hcasim.FaultGarbage:          "hca-undecodable",
		hcasim.FaultNoCertificate:    "hca-undecodable",
		hcasim.FaultUnsigned:         "hca-unsigned",
		hcasim.FaultTampered:         "hca-bad-signature",
		hcasim.FaultOtherSigner:      "hca-untrusted-signer",
		hcasim.FaultCardSigner:       "hca-untrusted-signer",
		hcasim.FaultWrongTransaction: "hca-wrong-transaction",
		hcasim.FaultWrongNonce:       "hca-wrong-nonce",
	} {
		t.Run(string(fault), func(t *testing.T) {
			g.freeAll(t)
			a := g.requested(t)
			g.fault(t, fault, 2)
			for range 2 { // the first sends, the second asks
				if _, err := g.run(a.ID); ra.KindOf(err) != ra.KindUnavailable || ra.AsError(err).Code != code {
					t.Errorf("%v, want %s", err, code)
				}
				got := g.Application(t, a.ID)
				if got.State != ra.AppSent || got.FailureCode != code || got.FailureDetail == "" || got.Slot == nil || got.CertificateID != nil {
					t.Errorf("the application is %s, %q %q, place %v", got.State, got.FailureCode, got.FailureDetail, got.Slot)
				}
			}
			if n := g.Count(t, "certificates WHERE application_id = ?", string(a.ID)); n != 0 {
				t.Errorf("%d certificates were stored", n)
			}
			if n := g.Count(t, "audit_events WHERE act = 'hca.wait' AND outcome = 'failed' AND code = ? AND object = ?", code, "application/"+string(a.ID)); n != 1 {
				t.Errorf("%d rows in the log, want one however often it is tried", n)
			}
			if _, err := g.run(a.ID); err != nil {
				t.Fatal(err)
			}
			g.once(t, a)
		})
	}
}

// HCA-3.3: a certificate that is not the one that was asked for is not taken. The application waits for a person, holds
// its place, and the holder is told that something is wrong (HCA-3.4).
func TestWrongCertificates(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		for _, fault := range []hcasim.FaultKind{hcasim.FaultWrongKey, hcasim.FaultWrongPerson, hcasim.FaultWrongIssuer, hcasim.FaultWrongProfile} {
			t.Run(string(fault), func(t *testing.T) {
				a := g.requested(t)
				g.fault(t, fault, 1)
				for range 2 { // trying again does not change it
					if _, err := g.run(a.ID); err != nil {
						t.Error(err)
					}
				}
				got := g.Application(t, a.ID)
				if got.State != ra.AppDisputed || got.FailureCode != "hca-mismatch" || got.Slot == nil || got.CertificateID != nil {
					t.Errorf("the application is %s, %q, place %v", got.State, got.FailureCode, got.Slot)
				}
				if n := g.Count(t, "certificates WHERE application_id = ?", string(a.ID)); n != 0 {
					t.Errorf("%d certificates were stored", n)
				}
				object := "application/" + string(a.ID)
				if n := g.Count(t, "audit_events WHERE act = 'hca.mismatch' AND outcome = 'failed' AND clause = 'HCA-3.3' AND object = ?", object); n != 1 {
					t.Errorf("%d rows in the log", n)
				}
				if n := g.Count(t, "notices WHERE kind = 'abnormal' AND object = ?", object); n != 1 {
					t.Errorf("%d notices", n)
				}
				if n := g.Count(t, "hca_requests WHERE transaction_id = ? AND answer IS NOT NULL", string(a.ID)); n != 1 {
					t.Error("the answer is not kept as evidence")
				}
			})
		}
	})
}

// HCA-7.5: the HCA's definite no ends the application and frees its place at once.
func TestRefusedByHCA(t *testing.T) {
	g := newGate(t, storetest.SQLite(t), hcatest.NewWindow(t))
	a := g.requested(t)
	g.fault(t, hcasim.FaultRefuse, 1)
	for range 2 {
		if _, err := g.run(a.ID); err != nil {
			t.Fatal(err)
		}
	}
	got := g.Application(t, a.ID)
	if got.State != ra.AppRefused || got.FailureCode != "hca-refused" || got.Slot != nil {
		t.Errorf("the application is %s, %q, place %v", got.State, got.FailureCode, got.Slot)
	}
	if n := g.Count(t, "audit_events WHERE act = 'hca.refused' AND outcome = 'refused'"); n != 1 {
		t.Errorf("%d rows in the log", n)
	}
	if n := g.Count(t, "notices WHERE kind = 'abnormal'"); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// What the HCA has not decided is asked for again, by what it gave to ask by.
func TestPending(t *testing.T) {
	g := newGate(t, storetest.SQLite(t), hcatest.NewWindow(t))
	a := g.requested(t)
	g.fault(t, hcasim.FaultPending, 2)
	for range 2 {
		again, err := g.run(a.ID)
		if err != nil || again <= 0 || again > time.Hour {
			t.Fatalf("again after %s, %v", again, err)
		}
		if got := g.Application(t, a.ID); got.State != ra.AppSent || got.Slot == nil {
			t.Errorf("the application is %s, place %v", got.State, got.Slot)
		}
	}
	if again, err := g.run(a.ID); err != nil || again != 0 {
		t.Fatalf("again after %s, %v", again, err)
	}
	g.once(t, a)
}

// A slow HCA: what comes in time is taken; what does not is asked for.
func TestSlow(t *testing.T) {
	sim := hcatest.NewWindow(t)
	g := newGate(t, storetest.SQLite(t), sim)
	slow := func(d time.Duration) {
		sim.Server.ClearFaults()
		if err := sim.Server.SetFault(hcasim.Fault{Kind: hcasim.FaultSlow, Count: 1, Delay: d}); err != nil {
			t.Fatal(err)
		}
	}
	patient := g.requested(t)
	slow(100 * time.Millisecond)
	if _, err := g.run(patient.ID); err != nil {
		t.Fatal(err)
	}
	g.once(t, patient)

	a := g.requested(t)
	slow(10 * time.Second)
	hasty := newAdapter(t, sim.Server.CMCURL, sim.Server.TLSRoots(), sim.Server.Root().Raw, sim.Signer, 100*time.Millisecond)
	if _, err := g.service(store.ExchangeStore{Store: g.Store}, hasty).Run(context.Background(), a.ID); ra.AsError(err).Code != "hca-network" {
		t.Errorf("%v", err)
	}
	if got := g.Application(t, a.ID); got.State != ra.AppSent || got.Slot == nil {
		t.Errorf("the application is %s, place %v", got.State, got.Slot)
	}
	if _, err := g.run(a.ID); err != nil {
		t.Fatal(err)
	}
	g.once(t, a)
}

// Several workers at once on one application, as after a job was rescued too early, still make one certificate.
func TestManyWorkers(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		a := g.requested(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if _, err := g.run(a.ID); err != nil && ra.KindOf(err) != ra.KindConflict {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		if _, err := g.run(a.ID); err != nil {
			t.Fatal(err)
		}
		g.once(t, a)
	})
}

// HCA-3.1, HCA-3.8: without standing nothing leaves; what waits says why, once, and goes on when it may.
func TestNothingLeavesWithoutStanding(t *testing.T) {
	g := newGate(t, storetest.SQLite(t), hcatest.NewWindow(t))
	c := g.enrolled(t)
	a := g.requested(t)
	for code, change := range map[string]func(*policy.WindowStanding){
		"window-suspended":           func(s *policy.WindowStanding) { s.Suspended = true },
		"dedicated-status-unknown":   func(s *policy.WindowStanding) { s.RevocationKnown = false },
		"dedicated-revoked":          func(s *policy.WindowStanding) { s.Revoked = true },
		"dedicated-expired":          func(s *policy.WindowStanding) { s.NotAfter = g.Clock.Now().Add(-time.Second) },
		"dedicated-not-acknowledged": func(s *policy.WindowStanding) { s.Acknowledged = false },
	} {
		poor := func(ctx context.Context) policy.WindowStanding {
			s := storetest.Good(ctx)
			change(&s)
			return s
		}
		for range 2 {
			if again, err := g.standing(poor).Run(context.Background(), a.ID); err != nil || again <= 0 {
				t.Errorf("%s: again after %s, %v", code, again, err)
			}
		}
		if got := g.Application(t, a.ID); got.State != ra.AppRequested || got.FailureCode != code {
			t.Errorf("%s: the application is %s, %q", code, got.State, got.FailureCode)
		}
		if n := g.Count(t, "audit_events WHERE act = 'hca.wait' AND code = ?", code); n != 1 {
			t.Errorf("%s: %d rows in the log", code, n)
		}
	}
	if n := g.Count(t, "hca_requests WHERE transaction_id = ?", string(a.ID)); n != 0 {
		t.Error("a request was prepared")
	}
	// A suspended window still revokes.
	r := g.revocation(t, c)
	suspended := func(ctx context.Context) policy.WindowStanding {
		s := storetest.Good(ctx)
		s.Suspended = true
		return s
	}
	if _, err := g.standing(suspended).Run(context.Background(), r.ID); err != nil || g.Certificate(t, c.ID).State != ra.CertRevoked {
		t.Errorf("a revocation by a suspended window: %v", err)
	}
	if _, err := g.run(a.ID); err != nil {
		t.Fatal(err)
	}
	g.once(t, a)
}
