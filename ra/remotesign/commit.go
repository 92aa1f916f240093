package remotesign

import (
	"context"
	"sync"
	"time"
)

// maxTogether bounds how many commits are joined, and commitTime how long the joined transaction may take.
const (
	maxTogether = 64
	commitTime  = 10 * time.Second
)

// committer joins the transactions of those who wait at the same time into one, so that what costs most of a small
// transaction, the wait for the disk and for the end of the audit chain, is paid once for all of them. Each caller gets
// its own outcome: where one of them fails, all are carried out by themselves.
type committer struct {
	store Store
	turn  chan struct{} // held by whoever carries out
	mu    sync.Mutex
	queue []*commit
}

type commit struct {
	run  func(Tx) error // may run more than once; each time from the beginning
	done chan error
}

func newCommitter(s Store) *committer { return &committer{store: s, turn: make(chan struct{}, 1)} }

// Update carries fn out in a transaction, perhaps with others'. It returns after the commit. A caller who gives up
// waiting does not take the others with it, so that ctx ends nothing that was begun.
func (c *committer) Update(ctx context.Context, fn func(Tx) error) error {
	mine := &commit{fn, make(chan error, 1)}
	c.mu.Lock()
	c.queue = append(c.queue, mine)
	c.mu.Unlock()
	for {
		select {
		case err := <-mine.done:
			return err
		case c.turn <- struct{}{}:
			c.carryOut(context.WithoutCancel(ctx))
			<-c.turn
		}
	}
}

// carryOut takes those who wait, and gives each its outcome.
func (c *committer) carryOut(ctx context.Context) {
	c.mu.Lock()
	n := min(len(c.queue), maxTogether)
	batch := c.queue[:n:n]
	c.queue = c.queue[n:]
	c.mu.Unlock()
	if n == 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, commitTime)
	defer stop()
	err := c.store.Update(ctx, func(tx Tx) error {
		for _, b := range batch {
			if err := b.run(tx); err != nil {
				return err
			}
		}
		return nil
	})
	for _, b := range batch {
		if err != nil && n > 1 {
			b.done <- c.store.Update(ctx, b.run)
			continue
		}
		b.done <- err
	}
}
