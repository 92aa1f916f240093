package card

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errNotRun says that a job was never started: the library is busy with another one.
var errNotRun = errors.New("the card library is busy")

// errHung says that a job was started and has not come back in time.
var errHung = errors.New("the card library does not answer")

// closePatience is how long a job may take to end when the server is closed.
const closePatience = 3 * time.Second

// owner serialises the use of a module: one goroutine makes every call. When the library hangs, that
// goroutine hangs with it and callers are turned away until it comes back.
type owner struct {
	mod     Module
	now     func() time.Time
	timeout time.Duration
	jobs    chan func()
	done    chan struct{} // closed to end the goroutine
	ended   chan struct{} // closed by it
	since   atomic.Int64  // Unix nanoseconds at which the running job began; 0 when idle
}

func newOwner(mod Module, now func() time.Time, timeout time.Duration) *owner {
	o := &owner{mod: mod, now: now, timeout: timeout, jobs: make(chan func()),
		done: make(chan struct{}), ended: make(chan struct{})}
	go o.run()
	return o
}

func (o *owner) run() {
	defer close(o.ended)
	for {
		select {
		case job := <-o.jobs:
			o.since.Store(o.now().UnixNano())
			job()
			o.since.Store(0)
		case <-o.done:
			return
		}
	}
}

// close ends the goroutine after the job that it is at. After errHung that job is still going on.
func (o *owner) close() error {
	close(o.done)
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-o.ended:
		return nil
	case <-timer.C:
		return errHung
	}
}

// do runs job in the owner's goroutine. errNotRun means that it never ran; after errHung it may still be
// running, so whatever job uses belongs to job. The context that job gets ends with the time allowed:
// job looks at it between calls that cannot be taken back.
func (o *owner) do(ctx context.Context, job func(context.Context, Module) error) error {
	if since := o.since.Load(); since != 0 && o.now().UnixNano()-since > int64(o.timeout) {
		return fail(CodeTimeout, errNotRun)
	}
	jctx, cancel := context.WithTimeout(ctx, o.timeout)
	result := make(chan error, 1)
	run := func() {
		defer cancel()
		result <- job(jctx, o.mod)
	}
	select {
	case o.jobs <- run:
	case <-jctx.Done():
		cancel()
		return fail(CodeTimeout, errNotRun)
	case <-o.done:
		cancel()
		return fail(CodeTimeout, errNotRun)
	}
	select {
	case err := <-result:
		return err
	case <-jctx.Done():
		select { // both may be ready; an answer counts
		case err := <-result:
			return err
		default:
		}
		if ctx.Err() != nil {
			return fail(CodeTimeout, context.Cause(ctx))
		}
		return fail(CodeTimeout, errHung)
	}
}
