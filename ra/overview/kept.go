package overview

import (
	"context"
	"sync"
	"time"
)

// share is how little of the time may go into counting: a count that takes a second is made every hundred.
const share = 100

// kept is a value that is made anew beside those who ask for it.
type kept[T any] struct {
	fill        func(context.Context) (T, error)
	now         func() time.Time
	least, most time.Duration // how long it stays fresh, by what it cost
	timeout     time.Duration

	mu    sync.Mutex
	value T
	have  bool
	at    time.Time
	fresh time.Duration
	busy  chan struct{} // closed when the filling that is under way has ended; nil: none is
}

// get gives the newest value. Where that is stale, it waits a moment for a fresh one, and then gives what there is.
func (k *kept[T]) get(ctx context.Context) (T, bool) {
	k.mu.Lock()
	age := k.now().Sub(k.at)
	if k.have && age >= 0 && age < k.fresh {
		defer k.mu.Unlock()
		return k.value, true
	}
	if k.busy == nil {
		k.busy = make(chan struct{})
		// Not the request's own context: one who leaves must not make the others wait.
		go k.refill(context.WithoutCancel(ctx), k.busy)
	}
	busy := k.busy
	k.mu.Unlock()
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-busy:
	case <-wait.C:
	case <-ctx.Done():
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.have
}

// refill makes the value. After a failure the last one stays, and the next who asks tries again.
func (k *kept[T]) refill(ctx context.Context, done chan struct{}) {
	ctx, stop := context.WithTimeout(ctx, k.timeout)
	defer stop()
	begun := time.Now()
	v, err := k.fill(ctx)
	cost := time.Since(begun)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.value, k.have, k.at, k.fresh = v, true, k.now(), min(max(cost*share, k.least), k.most)
	}
	k.busy = nil
	close(done)
}
