package exchange_test

import (
	"context"
	"math/big"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// revocation is a revocation that the holder's card signed, ready to be sent.
func (g *gate) revocation(t testing.TB, c ra.Certificate) ra.Application {
	t.Helper()
	a, err := g.revoke.Begin(context.Background(), g.clerk, c.ID, ra.ReasonKeyCompromise, "")
	if err != nil {
		t.Fatal(err)
	}
	if a, err = g.revoke.Sign(context.Background(), g.clerk, a.ID, enrol.Signature{CMS: g.sign(t, a.Text)}); err != nil {
		t.Fatal(err)
	}
	return a
}

// HCA-5.2.1, HCA-7.2, HCA-7.5: from the signature on the certificate is not usable, its place stays held until the HCA
// has confirmed, and then it is free; wherever a process dies on the way.
func TestRevocation(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		for n := 1; ; n++ {
			c := g.enrolled(t)
			a := g.revocation(t, c)
			if got := g.Certificate(t, c.ID); got.State != ra.CertRevoking || len(g.Slots(t, g.doctor)) != 1 {
				t.Fatalf("before the HCA's answer: %s, places %v", got.State, g.Slots(t, g.doctor))
			}
			died := dies(func() {
				d := &dying{ExchangeStore: store.ExchangeStore{Store: g.Store}, left: n, commit: n%2 == 0}
				if _, err := g.service(d, g.adapter).Run(context.Background(), a.ID); err != nil {
					t.Error(err)
				}
			})
			if _, err := g.run(a.ID); err != nil {
				t.Fatal(err)
			}
			g.isRevoked(t, c, a)
			if !died {
				break
			}
		}
	})
}

// isRevoked fails the test unless the certificate is revoked here, its place is free, its holder told once.
func (g *gate) isRevoked(t testing.TB, c ra.Certificate, a ra.Application) {
	t.Helper()
	if got := g.Certificate(t, c.ID); got.State != ra.CertRevoked || got.RevokedAt == nil {
		t.Errorf("the certificate is %s, revoked at %v", got.State, got.RevokedAt)
	}
	if got := g.Application(t, a.ID); got.State != ra.AppCompleted {
		t.Errorf("the revocation is %s, %q", got.State, got.FailureCode)
	}
	if slots := g.Slots(t, g.doctor); len(slots) != 0 {
		t.Errorf("places %v are still held", slots)
	}
	if n := g.Count(t, "notices WHERE kind = 'revoked' AND object = ?", "certificate/"+string(c.ID)); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// HCA-3.6: where the sweep saw the revocation on the HCA's list before the answer was stored, or the certificate
// expired meanwhile, the revocation still comes to its end.
func TestRevocationOvertaken(t *testing.T) {
	sim := hcatest.NewWindow(t)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGate(t, db, sim)
		t.Run("by the list", func(t *testing.T) {
			c := g.enrolled(t)
			a := g.revocation(t, c)
			g.fault(t, hcasim.FaultLoseAnswer, 1)
			if _, err := g.run(a.ID); err == nil {
				t.Fatal("the answer was not lost")
			}
			err := store.ExchangeStore{Store: g.Store}.Update(context.Background(), func(tx exchange.Tx) error {
				return exchange.Confirm(tx, c.ID, g.Clock.Now())
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.run(a.ID); err != nil {
				t.Fatal(err)
			}
			g.isRevoked(t, c, a)
		})
		t.Run("by its end", func(t *testing.T) {
			c := g.enrolled(t)
			a := g.revocation(t, c)
			g.Update(t, func(tx *store.Tx) error {
				c := c
				c.State = ra.CertExpired
				return tx.UpdateCertificate(c, ra.CertRevoking)
			})
			if _, err := g.run(a.ID); err != nil {
				t.Fatal(err)
			}
			if got := g.Application(t, a.ID); got.State != ra.AppCompleted {
				t.Errorf("the revocation is %s", got.State)
			}
			if got := g.Certificate(t, c.ID); got.State != ra.CertExpired {
				t.Errorf("the certificate is %s", got.State)
			}
		})
	})
}

// A revocation that the HCA refuses leaves the certificate unusable and a person to look; nothing is given free.
func TestRevocationRefused(t *testing.T) {
	g := newGate(t, storetest.SQLite(t), hcatest.NewWindow(t))
	c := g.enrolled(t)
	a := g.revocation(t, c)
	g.fault(t, hcasim.FaultRefuse, 1)
	if _, err := g.run(a.ID); err != nil {
		t.Fatal(err)
	}
	if got := g.Application(t, a.ID); got.State != ra.AppDisputed || got.FailureCode != "hca-refused" {
		t.Errorf("the revocation is %s, %q", got.State, got.FailureCode)
	}
	if got := g.Certificate(t, c.ID); got.State != ra.CertRevoking || len(g.Slots(t, g.doctor)) != 1 {
		t.Errorf("the certificate is %s, places %v", got.State, g.Slots(t, g.doctor))
	}
}

// The HCA really holds it revoked, under the reason that was given.
func TestRevokedAtHCA(t *testing.T) {
	sim := hcatest.NewWindow(t)
	g := newGate(t, storetest.SQLite(t), sim)
	c := g.enrolled(t)
	a := g.revocation(t, c)
	g.Clock.Advance(time.Second)
	if _, err := g.run(a.ID); err != nil {
		t.Fatal(err)
	}
	serial, ok := new(big.Int).SetString(c.Serial, 16)
	if !ok {
		t.Fatal(c.Serial)
	}
	if err := sim.Server.Revoke(serial, 1); err != hcasim.ErrAlreadyRevoked {
		t.Errorf("at the HCA: %v", err)
	}
}
