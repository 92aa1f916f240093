package store_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-8.1.4, HCA-8.1.5: a request that is taken together with what it does is taken once, by its nonce and by its
// idempotency key, at whichever replica; its answer is kept, sealed, for the very same request.
func TestTakenWithItsAct(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		other := store.New(db, w.Register, w.Queue.Enqueue, storetest.Sealer(), w.Clock.Now, bytes.NewReader(nil)) // another replica
		now := w.Clock.Now()
		sent := func(nonce string, request [32]byte) store.Sent {
			return store.Sent{KeyHash: "sha256:a", Nonce: nonce, NonceUntil: now.Add(3 * time.Minute), Principal: "device-1", Key: oneKey, Request: request, Until: now.Add(time.Hour)}
		}
		body := []byte(`{"signatures":["c2lnbmF0dXJl"]}`)
		var done, raced atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				s := []*store.Store{w.Store, other}[i%2]
				err := s.Keep(t.Context(), sent(string(rune('a'+i)), oneRequest), store.Answer{Status: 200, Type: "application/json", Body: body}, now)
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, store.ErrRaced):
					raced.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done.Load() != 1 || raced.Load() != 7 {
			t.Fatalf("taken %d times, %d were slower", done.Load(), raced.Load())
		}
		if n := w.Count(t, "nonces"); n != 1 {
			t.Errorf("%d nonces: those who were slower left theirs behind", n)
		}
		got, err := other.Before(t.Context(), sent("z", oneRequest), now)
		if err != nil || got == nil || got.Status != 200 || !bytes.Equal(got.Body, body) {
			t.Errorf("asked again: %+v, %v", got, err)
		}
		if _, err := w.Store.Before(t.Context(), sent("z", otherRequest), now); code(err) != "idempotency-key-reused" {
			t.Errorf("another request under the same key: %v", err)
		}
		var kept [][]byte
		if err := db.Gorm.Raw("SELECT answer FROM idempotency_keys").Scan(&kept).Error; err != nil || len(kept) != 1 || bytes.Contains(kept[0], []byte("c2lnb")) {
			t.Errorf("%d answers, in clear: %v", len(kept), err)
		}
		late := now.Add(2 * time.Hour)
		if got, err := w.Store.Before(t.Context(), sent("y", otherRequest), late); err != nil || got != nil {
			t.Errorf("when its time is over: %+v, %v", got, err)
		}
		again := sent("y", otherRequest)
		again.Until = late.Add(time.Hour)
		if err := w.Store.Keep(t.Context(), again, store.Answer{Status: 422}, late); err != nil {
			t.Errorf("the key is free again: %v", err)
		}
		if _, err := other.Before(t.Context(), sent("y", otherRequest), late); code(err) != "nonce-used" {
			t.Errorf("the same nonce: %v", err)
		}
		if err := other.Keep(t.Context(), again, store.Answer{Status: 200}, late); code(err) != "nonce-used" {
			t.Errorf("the same nonce, taken: %v", err)
		}
	})
}
