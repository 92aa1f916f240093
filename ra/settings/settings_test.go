package settings_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/settings"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var one, two = ra.Actor{Kind: ra.ActorStaff, ID: "one"}, ra.Actor{Kind: ra.ActorStaff, ID: "two"}

// HCA-9, HCA-8.1.6: what two persons decide holds at every replica; of two who decide from the same value one wins.
func TestEveryReplicaHoldsToWhatTwoDecided(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, w := context.Background(), storetest.NewWorld(t, db)
		start := policy.Settings{policy.KeyLife: 7200}
		here, there := settings.New(store.SettingsStore{Store: w.Store}, start, w.Clock.Now), settings.New(store.SettingsStore{Store: w.Store}, start, w.Clock.Now)
		if here.Now().Life(policy.KeyLife) != 2*time.Hour {
			t.Error("the configuration's start value does not hold")
		}
		office := approve.New(store.ApproveStore{Store: w.Store}, nil, here.Acts(), policy.Always(time.Hour), w.Clock.Now, rand.Reader)
		propose := func(value string) (approve.Proposal, error) {
			return office.Propose(ctx, one, approve.ChangeSetting, settings.Object(policy.KeyLife), "", here.Facts(policy.KeyLife, value))
		}
		for value, code := range map[string]string{"200h": "setting-out-of-bounds", "2h": "change-nothing", "?": "setting-malformed"} {
			if _, err := propose(value); ra.AsError(err).Code != code {
				t.Errorf("%s: %v", value, err)
			}
		}
		p, err := propose("1h")
		if err != nil {
			t.Fatal(err)
		}
		if err := office.Approve(ctx, one, p.ID, p.Hash); ra.AsError(err).Code != "approval-own" {
			t.Errorf("his own: %v", err)
		}
		if err := office.Approve(ctx, two, p.ID, p.Hash); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*settings.Service{here, there} {
			if err := s.Refresh(ctx); err != nil || s.Life(policy.KeyLife)() != time.Hour {
				t.Errorf("%s, %v", s.Now().Life(policy.KeyLife), err)
			}
		}
		lines, err := there.Lines(ctx)
		if err != nil || len(lines) != len(policy.AllSettings()) {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		for _, l := range lines {
			if (l.Decided != nil) != (l.Name == policy.KeyLife) || l.Decided != nil && (l.Decided.Approval != p.ID || l.Decided.SetBy != "two" || l.Value != "1h") {
				t.Errorf("%+v %+v", l, l.Decided)
			}
		}
		forged := here.Facts(policy.KeyLife, "30m")
		forged["bounds"] = "0s – 9999h"
		if _, err := office.Propose(ctx, one, approve.ChangeSetting, settings.Object(policy.KeyLife), "", forged); ra.AsError(err).Code != "approval-object-changed" {
			t.Errorf("facts that are not so: %v", err)
		}
		if _, err := office.Propose(ctx, one, approve.ChangeSetting, settings.Object(policy.Idle), "", here.Facts(policy.KeyLife, "30m")); ra.AsError(err).Code != "setting-unknown" {
			t.Errorf("another object: %v", err)
		}
	})
}

// HCA-3.8: of many who suspend the window at once one does it, each attempt leaves its row, and nobody of one
// institution may.
func TestSuspend(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, w := context.Background(), storetest.NewWorld(t, db)
		s := settings.New(store.SettingsStore{Store: w.Store}, nil, w.Clock.Now)
		inside := one
		inside.Institution = storetest.Window
		for _, by := range []ra.Actor{inside, {Kind: ra.ActorDevice, ID: "x"}, {Kind: ra.ActorStaff}} {
			if err := s.Suspend(ctx, by, "letter"); ra.KindOf(err) != ra.KindForbidden {
				t.Errorf("%+v: %v", by, err)
			}
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _ = s.Suspend(ctx, one, "letter") })
		}
		wg.Wait()
		if !s.Mark(policy.WindowSuspended)() {
			t.Error("it is not suspended")
		}
		if n := w.Count(t, "audit_events WHERE act = 'window.suspend' AND outcome = 'done'"); n < 1 {
			t.Error("it left no row")
		}
	})
}
