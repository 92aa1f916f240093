package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Check is one thing that must work before this replica can serve: the database, the HSM, the queue.
type Check struct {
	Name string // shown to whoever asks; no insides
	Run  func(context.Context) error
}

// How long an answer is believed, and how long a check may take.
const (
	readyFor     = 2 * time.Second
	checkTimeout = 3 * time.Second
)

// readiness runs the checks for whoever asks, at most once in a while, so that asking cannot become a load.
type readiness struct {
	checks []Check
	now    func() time.Time
	log    *slog.Logger

	mu     sync.Mutex
	at     time.Time
	ran    bool
	failed []string
}

func newReadiness(checks []Check, now func() time.Time, log *slog.Logger) *readiness {
	return &readiness{checks: checks, now: now, log: log}
}

// answer says which checks fail, and nothing of why; the log says that.
func (r *readiness) answer(c echo.Context) error {
	failed := r.run()
	if len(failed) > 0 {
		return c.JSON(http.StatusServiceUnavailable, map[string]any{"status": "not ready", "failing": failed})
	}
	return c.JSON(http.StatusOK, map[string]any{"status": "ready"})
}

func (r *readiness) run() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if age := now.Sub(r.at); r.ran && age >= 0 && age < readyFor {
		return r.failed
	}
	// Not the request's own context: one who hangs up must not make the answer for others.
	ctx, stop := context.WithTimeout(context.Background(), checkTimeout)
	defer stop()
	errs := make([]error, len(r.checks))
	var wg sync.WaitGroup
	for i, c := range r.checks {
		wg.Go(func() { errs[i] = runCheck(ctx, c) })
	}
	wg.Wait()
	r.failed = nil
	for i, err := range errs {
		if err != nil {
			r.failed = append(r.failed, r.checks[i].Name)
			r.log.Warn("not ready", "check", r.checks[i].Name, "cause", err.Error())
		}
	}
	r.at, r.ran = now, true
	return r.failed
}

// runCheck gives up on a check that does not keep to its context.
func runCheck(ctx context.Context, c Check) error {
	if c.Run == nil {
		return errors.New("the check has no function")
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
