package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/oauth"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// One caller's panic is that caller's error: those who came with it get their own outcome, and whoever comes later is
// served.
func TestTogetherOutlivesAPanic(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		done := make(chan struct{})
		go func() {
			defer close(done)
			var all sync.WaitGroup
			for i := range 16 {
				all.Go(func() {
					defer func() {
						if r := recover(); r != nil {
							t.Errorf("the panic came out at caller %d: %v", i, r)
						}
					}()
					err := w.Store.Together(ctx, func(*store.Tx) error {
						if i == 7 {
							panic("seven")
						}
						return nil
					})
					if (err != nil) != (i == 7) || i == 7 && ra.KindOf(err) != ra.KindInternal {
						t.Errorf("caller %d: %v", i, err)
					}
				})
			}
			all.Wait()
		}()
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatal("somebody waits for ever")
		}
	})
}

// What panics at the end of a joined transaction, after every caller's own part, leaves nobody waiting either.
func TestTogetherOutlivesAPanicAtItsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		s := store.New(db, w.Register, func(*gorm.DB, jobs.Args) error { panic("the queue") }, storetest.Sealer(), w.Clock.Now, rand.Reader)
		s.CallPhones()
		var all sync.WaitGroup
		for i := range 16 {
			id := w.ID(t)
			all.Go(func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("the panic came out at caller %d: %v", i, r)
					}
				}()
				err := s.Together(t.Context(), func(tx *store.Tx) error {
					if i != 7 {
						return nil
					}
					return tx.InsertAccessRequest(oauth.Request{ID: id, BrowserHash: []byte(id), Person: "doctor", Standing: oauth.Pending, CreatedAt: w.Clock.Now(), ExpiresAt: w.Clock.Now()})
				})
				if (err != nil) != (i == 7) || i == 7 && ra.KindOf(err) != ra.KindInternal {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		done := make(chan struct{})
		go func() { defer close(done); all.Wait() }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("somebody waits for ever")
		}
		if n := w.Count(t, "access_requests"); n != 0 {
			t.Errorf("%d were stored", n)
		}
	})
}

// HCA-6.3.5, HCA-8.1.5: an answer that is kept for a repetition, signatures among them, is not read out of the database.
func TestKeptAnswersAreSealed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := storetest.NewWorld(t, db)
		a, _, err := begin(t, w, oneRequest)
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(`{"signatures":["c2lnbmF0dXJl"]}`)
		if err := w.Store.EndAttempt(t.Context(), a, store.Answer{Status: 200, Type: "application/json", Body: body}, w.Clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		var kept [][]byte
		if err := db.Gorm.Raw("SELECT answer FROM idempotency_keys").Scan(&kept).Error; err != nil || len(kept) != 1 {
			t.Fatal(len(kept), err)
		}
		if bytes.Contains(kept[0], []byte("signature")) || bytes.Contains(kept[0], []byte("c2lnb")) {
			t.Error("the answer lies in the database in clear")
		}
		if _, got, err := begin(t, w, oneRequest); err != nil || got == nil || !bytes.Equal(got.Body, body) {
			t.Errorf("asked again: %+v, %v", got, err)
		}
	})
}
