package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

const oneKey = "0123456789abcdef"

var (
	oneRequest   = sha256.Sum256([]byte("POST /x {}"))
	otherRequest = sha256.Sum256([]byte("POST /x {1}"))
)

func begin(t *testing.T, w *storetest.World, request [32]byte) (store.Attempt, *store.Answer, error) {
	t.Helper()
	now := w.Clock.Now()
	return w.Store.BeginAttempt(t.Context(), "device-1", oneKey, request, now, now.Add(2*time.Minute))
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return ra.AsError(err).Code
}

// HCA-8.1.4: of all replicas that receive a request, one takes it.
func TestRequestNonceOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		now := w.Clock.Now()
		var taken, refused atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				err := w.Store.UseRequestNonce(context.Background(), "sha256:a", oneKey, now, now.Add(3*time.Minute))
				switch {
				case err == nil:
					taken.Add(1)
				case ra.AsError(err).Clause == "HCA-8.1.4":
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 || refused.Load() != 15 {
			t.Errorf("taken %d times, refused %d times", taken.Load(), refused.Load())
		}
		if err := w.Store.UseRequestNonce(t.Context(), "sha256:b", oneKey, now, now.Add(time.Minute)); err != nil {
			t.Errorf("another key's nonce: %v", err)
		}
		if err := w.Store.ForgetRequests(t.Context(), now.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.UseRequestNonce(t.Context(), "sha256:a", oneKey, now, now.Add(time.Minute)); code(err) != "nonce-used" {
			t.Errorf("forgotten before its time: %v", err)
		}
		if err := w.Store.UseRequestNonce(t.Context(), "sha256:b", oneKey, now, now.Add(time.Minute)); err != nil {
			t.Errorf("not forgotten after its time: %v", err)
		}
	})
}

// Of many that bring the same request at once, one carries it out and the others are told to wait.
func TestAttemptRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		race := func() {
			t.Helper()
			var began, waits atomic.Int64
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					now := w.Clock.Now()
					_, answer, err := w.Store.BeginAttempt(context.Background(), "device-1", oneKey, oneRequest, now, now.Add(2*time.Minute))
					switch {
					case err == nil && answer == nil:
						began.Add(1)
					case code(err) == "under-way":
						waits.Add(1)
					default:
						t.Errorf("%+v, %v", answer, err)
					}
				})
			}
			wg.Wait()
			if began.Load() != 1 || waits.Load() != 15 {
				t.Errorf("begun %d times, told to wait %d times", began.Load(), waits.Load())
			}
		}
		race()
		w.Clock.Advance(2 * time.Minute) // the one that began it has crashed
		race()
	})
}

// The same key gives the same answer for as long as it is kept; another request under it is a conflict.
func TestAttemptAnswers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		a, _, err := begin(t, w, oneRequest)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := begin(t, w, otherRequest); code(err) != "idempotency-key-reused" {
			t.Errorf("another request while it is under way: %v", err)
		}
		want := store.Answer{Status: 202, Type: "application/json", Body: []byte(`{"a":1}`)}
		if err := w.Store.EndAttempt(t.Context(), a, want, w.Clock.Now().Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(24*time.Hour - time.Second)
		if err := w.Store.ForgetRequests(t.Context(), w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		_, got, err := begin(t, w, oneRequest)
		if err != nil || got == nil || got.Status != want.Status || got.Type != want.Type || !bytes.Equal(got.Body, want.Body) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, _, err := begin(t, w, otherRequest); code(err) != "idempotency-key-reused" {
			t.Errorf("another request: %v", err)
		}
		now := w.Clock.Now()
		if _, got, err := w.Store.BeginAttempt(t.Context(), "device-2", oneKey, otherRequest, now, now.Add(time.Minute)); err != nil || got != nil {
			t.Errorf("another device's key: %+v, %v", got, err)
		}
		w.Clock.Advance(time.Second)
		if _, got, err := begin(t, w, otherRequest); err != nil || got != nil {
			t.Errorf("a day later: %+v, %v", got, err)
		}
	})
}

// An attempt that was given back, or that lost its right to another, leaves nothing behind.
func TestAttemptEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		first, _, err := begin(t, w, oneRequest)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DropAttempt(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		slow, got, err := begin(t, w, otherRequest)
		if err != nil || got != nil {
			t.Fatalf("after it was given back: %+v, %v", got, err)
		}
		w.Clock.Advance(2 * time.Minute)
		fast, got, err := begin(t, w, otherRequest)
		if err != nil || got != nil {
			t.Fatalf("after its time: %+v, %v", got, err)
		}
		if err := w.Store.DropAttempt(t.Context(), slow); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.EndAttempt(t.Context(), slow, store.Answer{Status: 500, Type: "slow"}, w.Clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.EndAttempt(t.Context(), fast, store.Answer{Status: 200, Type: "fast"}, w.Clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := begin(t, w, otherRequest); err != nil || got == nil || got.Type != "fast" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
