package work_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/jobs/work"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// calls notes what the use cases were asked to do.
type calls struct {
	mu   sync.Mutex
	seen map[string]int
	came chan struct{}
}

func newCalls() *calls { return &calls{seen: map[string]int{}, came: make(chan struct{}, 1000)} }

// call counts one, and tells which it was.
func (c *calls) call(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what]++
	c.came <- struct{}{}
	return c.seen[what]
}

func (c *calls) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[what]
}

// wait returns when a use case was called so often.
func (c *calls) wait(t *testing.T, what string, n int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for c.count(what) < n {
		select {
		case <-c.came:
		case <-deadline:
			t.Fatalf("%s was called %d times, want %d", what, c.count(what), n)
		}
	}
}

// useCases are those that note each call; exchange says what an exchange does at its nth call.
func (c *calls) useCases(exchange func(n int) (time.Duration, error)) work.UseCases {
	return work.UseCases{
		Exchange: func(_ context.Context, j jobs.Exchange) (time.Duration, error) {
			return exchange(c.call("exchange " + string(j.Application)))
		},
		Notice:     func(_ context.Context, j jobs.Notice) error { c.call("notice " + j.Notice); return nil },
		Sweep:      func(context.Context, jobs.Sweep) (time.Duration, error) { c.call("sweep"); return 0, nil },
		Lapse:      func(context.Context, jobs.Lapse) error { c.call("lapse"); return nil },
		Checkpoint: func(context.Context, jobs.Checkpoint) error { c.call("checkpoint"); return nil },
	}
}

func start(t *testing.T, db *store.DB, u work.UseCases) *work.Queue {
	t.Helper()
	q, err := work.NewInserter(db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Work(db, u, work.Config{Workers: 4, SweepEvery: time.Hour, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return q
}

// A job of a transaction that was rolled back never runs; one of a committed transaction does, once, even when it was
// inserted before anybody worked. One that fails is tried again, one that puts itself off comes back.
func TestJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCalls()
		first, err := work.NewInserter(db, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		stop := errors.New("stop")
		insert := func(q *work.Queue, fail error, js ...jobs.Args) {
			t.Helper()
			err := db.Gorm.Transaction(func(tx *gorm.DB) error {
				for _, j := range js {
					if err := q.Enqueue(tx, j); err != nil {
						return err
					}
				}
				return fail
			})
			if !errors.Is(err, fail) {
				t.Fatal(err)
			}
		}
		insert(first, stop, jobs.Exchange{Application: "rolled back"}, jobs.Notice{Notice: "rolled back"})
		insert(first, nil, jobs.Exchange{Application: "early"})
		q := start(t, db, c.useCases(func(n int) (time.Duration, error) {
			switch n {
			case 1:
				return 0, ra.Errorf(ra.KindUnavailable, "hca-network", nil, "The HCA does not answer.")
			case 2:
				return 50 * time.Millisecond, nil
			}
			return 0, nil
		}))
		insert(q, nil, jobs.Notice{Notice: "N"})
		c.wait(t, "notice N", 1)
		c.wait(t, "exchange early", 3)
		c.wait(t, "checkpoint", 1) // it runs by itself, at the start too
		if n := c.count("exchange rolled back") + c.count("notice rolled back"); n != 0 {
			t.Errorf("%d jobs of a rolled back transaction ran", n)
		}
		if c.count("notice N") != 1 || c.count("exchange early") != 3 {
			t.Errorf("calls: %v", c.seen)
		}
	})
}

// HCA-3.4: the first attempt comes within a second or two of the commit, and the second soon after a failure.
func TestLatency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCalls()
		q := start(t, db, c.useCases(func(int) (time.Duration, error) { return 0, nil }))
		begun := time.Now()
		if err := db.Gorm.Transaction(func(tx *gorm.DB) error { return q.Enqueue(tx, jobs.Notice{Notice: "N"}) }); err != nil {
			t.Fatal(err)
		}
		c.wait(t, "notice N", 1)
		if d := time.Since(begun); d > 5*time.Second {
			t.Errorf("the notice left after %s", d)
		}
	})
}

// HCA-3.6: many changes within the same moments set off one sweep, and it comes after all of them.
func TestSweepsGather(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		q, err := work.NewInserter(db, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for range 20 {
			if err := db.Gorm.Transaction(func(tx *gorm.DB) error { return q.Enqueue(tx, jobs.Sweep{}) }); err != nil {
				t.Fatal(err)
			}
		}
		var n int
		var soonest time.Time
		if err := db.Gorm.Raw("SELECT count(*) FROM river_job WHERE kind = 'sweep'").Scan(&n).Error; err != nil {
			t.Fatal(err)
		}
		if n < 1 || n > 2 { // two when the moments lie on either side of a boundary
			t.Errorf("%d sweeps for twenty changes", n)
		}
		if err := db.Gorm.Raw("SELECT scheduled_at FROM river_job WHERE kind = 'sweep' ORDER BY scheduled_at LIMIT 1").Scan(&soonest).Error; err != nil {
			t.Fatal(err)
		}
		if d := soonest.Sub(begun); d < 0 || d > 2*time.Minute {
			t.Errorf("the sweep comes after %s", d)
		}
	})
}

// A transaction that others join inserts jobs as well, and none where it fails.
func TestJobsOfJoinedTransactions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		q, err := work.NewInserter(db, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		s := store.New(db, nil, q.Enqueue, nil, time.Now, rand.Reader)
		fail := errors.New("not done")
		for n, end := range []error{nil, fail, nil} { // the second and third by statements that are kept
			err := s.Together(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.Enqueue(jobs.Notice{Notice: fmt.Sprint(n)}), end) })
			if !errors.Is(err, end) {
				t.Fatal(err)
			}
		}
		var there []string
		if err := db.Gorm.Raw("SELECT args FROM river_job ORDER BY id").Scan(&there).Error; err != nil {
			t.Fatal(err)
		}
		if len(there) != 2 || !strings.Contains(there[0], `"0"`) || !strings.Contains(there[1], `"2"`) {
			t.Errorf("jobs: %q", there)
		}
	})
}

// A job is inserted in the transaction of its change, or not at all.
func TestOutsideOfATransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		q, err := work.NewInserter(db, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Enqueue(db.Gorm.WithContext(context.Background()), jobs.Sweep{}); err == nil {
			t.Error("it was inserted")
		}
	})
}
