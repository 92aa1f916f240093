package overview

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra"
)

// slow is a store whose count takes until it is let go. Nothing else is asked of it.
type slow struct {
	Store
	counts atomic.Int32
	letGo  chan error
}

func (s *slow) Tally(_ context.Context, at time.Time) (Tally, error) {
	s.counts.Add(1)
	err := <-s.letGo
	return Tally{At: at, Live: []Live{{Institution: "own", Count: 1}, {Institution: "other", Count: 2}}}, err
}

// A page never waits for a long count: it shows the last one, however many ask, and the count is made once.
func TestPagesDoNotWaitForCounting(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	store := &slow{letGo: make(chan error)}
	s := New(Config{Store: store, Now: func() time.Time { return now }})
	begun := time.Now()
	if _, ok := s.Tally(t.Context(), ra.Actor{}); ok {
		t.Fatal("there are numbers before anything was counted")
	}
	if _, ok := s.Tally(t.Context(), ra.Actor{}); ok || store.counts.Load() != 1 {
		t.Fatalf("%d counts run for two that ask", store.counts.Load())
	}
	if waited := time.Since(begun); waited > 3*time.Second {
		t.Errorf("two pages waited %s", waited)
	}
	store.letGo <- nil
	first := now
	until(t, func() bool { _, ok := s.Tally(t.Context(), ra.Actor{}); return ok })
	if own, _ := s.Tally(t.Context(), ra.Actor{Institution: "own"}); len(own.Live) != 1 || own.Live[0].Count != 1 {
		t.Errorf("an institution sees %+v", own)
	}

	// After a failure the last numbers stay, with the time at which they were counted.
	now = now.Add(time.Hour)
	go func() { store.letGo <- errors.New("the database went away") }()
	got, ok := s.Tally(t.Context(), ra.Actor{})
	if !ok || !got.At.Equal(first) {
		t.Errorf("%+v %v", got, ok)
	}
	go func() { store.letGo <- nil }()
	until(t, func() bool { got, _ := s.Tally(t.Context(), ra.Actor{}); return got.At.Equal(now) })
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatal("it did not happen in time")
}

// A part of the house that does not answer has failed, and does not keep the others' answers back.
func TestAPartThatHangs(t *testing.T) {
	s := New(Config{Now: time.Now, Checks: []Check{{"hsm", func(context.Context) error { return nil }},
		{"hca", func(ctx context.Context) error { <-ctx.Done(); return nil }}}})
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	got, err := s.ask(ctx)
	if err != nil || len(got) != 2 || !got[0].OK || got[1].Name != "hca" {
		t.Errorf("%+v %v", got, err)
	}
	if got[1].OK {
		t.Error("a check that hung until its time was over counts as answered")
	}
}
