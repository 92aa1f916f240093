package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// outage is a window whose database fails.
type outage struct{ *storetest.World }

// signed takes a request and writes its row, as a signature does.
func (w outage) signed(t testing.TB, n int64) error {
	now := w.Clock.Now()
	r := store.Sent{KeyHash: "k", Nonce: fmt.Sprint(n), NonceUntil: now.Add(time.Hour), Principal: "p", Key: fmt.Sprint(n), Until: now.Add(time.Hour)}
	return w.Store.Together(t.Context(), func(tx *store.Tx) error {
		if err := tx.Taken(r, store.Answer{Status: 200, Type: "application/json", Body: []byte("{}")}, now); err != nil {
			return err
		}
		return tx.Audit(ra.Event{At: now, Actor: ra.Actor{Kind: ra.ActorSystem}, Act: "test.sign", Object: fmt.Sprint(n), Outcome: ra.OutcomeDone})
	})
}

// HCA-8.1.6: connections that break under load cost those who were on them an error and nobody anything else. What was
// acknowledged is there, once, in a chain that holds, and the window goes on by itself.
func TestBrokenConnections(t *testing.T) {
	address := storetest.PostgresAddress(t)
	w := outage{storetest.NewWorld(t, storetest.Open(t, address))}
	other := storetest.Open(t, address)
	done := make(map[string]bool)
	var mu sync.Mutex
	var n, failed atomic.Int64
	var all sync.WaitGroup
	over := time.Now().Add(time.Second)
	for range 24 {
		all.Go(func() {
			for time.Now().Before(over) {
				i := n.Add(1)
				if err := w.signed(t, i); err != nil {
					failed.Add(1)
					continue
				}
				mu.Lock()
				done[fmt.Sprint(i)] = true
				mu.Unlock()
			}
		})
	}
	for time.Now().Before(over) {
		time.Sleep(50 * time.Millisecond) // between two outages
		if err := other.Gorm.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Error; err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	last := w.signed(t, n.Add(1))
	for range 4 { // the connections that were idle
		if last != nil {
			last = w.signed(t, n.Add(1))
		}
	}
	if last != nil {
		t.Errorf("after the outage: %v", last)
	}
	t.Logf("%d done, %d failed", len(done), failed.Load())
	w.has(t, done)
}

// has holds the log against what was acknowledged.
func (w outage) has(t *testing.T, done map[string]bool) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range w.Audit(t) { // which verifies the chain
		if r.Act == "test.sign" {
			if seen[r.Object] {
				t.Errorf("%s twice", r.Object)
			}
			seen[r.Object] = true
		}
	}
	for i := range done {
		if !seen[i] {
			t.Errorf("%s was acknowledged and is not there", i)
		}
	}
}

// One connection is enough: who is in a transaction, or joins one, waits for no other connection.
func TestOneConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		db.SQL.SetMaxOpenConns(1)
		w := outage{storetest.NewWorld(t, db)}
		var all sync.WaitGroup
		var n atomic.Int64
		for range 16 {
			all.Go(func() {
				for range 20 {
					if err := w.signed(t, n.Add(1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}
