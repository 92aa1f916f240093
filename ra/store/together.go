package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"gorm.io/gorm"

	"certwindow/migrations"
	"certwindow/ra"
)

// maxTogether bounds how many transactions are joined, and togetherTime how long the joined one may take.
const (
	maxTogether  = 64
	togetherTime = 10 * time.Second
)

// together joins the transactions of those who wait at the same time into one, so that what costs most of a small
// transaction, the wait for the disk and for the end of the audit chain, is paid once for all of them.
type together struct {
	turn  chan struct{} // held by whoever carries out
	mu    sync.Mutex
	queue []*joined
}

type joined struct {
	run  func(*Tx) error
	done chan error
}

// safely is update that makes a panic an error: it would otherwise end in the request of whoever carries out, and leave
// everybody else waiting for ever.
func (s *Store) safely(db *gorm.DB, fn func(*Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = ra.Errorf(ra.KindInternal, "panic", fmt.Errorf("panic: %v\n%s", r, debug.Stack()), "This could not be done. Nothing was changed.")
		}
	}()
	return s.update(db, fn)
}

func newTogether() *together { return &together{turn: make(chan struct{}, 1)} }

// Together is Update, perhaps in one transaction with others that wait at the same time. It returns after the commit,
// and each caller gets its own outcome: where one of them fails, all are carried out by themselves; a commit that nobody
// confirmed is KindUnavailable for all of them. fn may run more than once, each time from the beginning. A caller who
// gives up does not take the others along, so that the end of ctx ends nothing.
func (s *Store) Together(ctx context.Context, fn func(*Tx) error) error {
	g, mine := s.together, &joined{fn, make(chan error, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, mine)
	g.mu.Unlock()
	for {
		select {
		case err := <-mine.done:
			return err
		case g.turn <- struct{}{}:
			s.carryOut(context.WithoutCancel(ctx))
		}
	}
}

// prepared keeps the statements that are needed over and over, each prepared once for a connection.
func (s *Store) prepared(ctx context.Context) *gorm.DB {
	return s.db.Session(&gorm.Session{Context: ctx, PrepareStmt: true})
}

// carryOut takes those who wait, gives each its outcome, and gives the turn back.
func (s *Store) carryOut(ctx context.Context) {
	g := s.together
	defer func() { <-g.turn }()
	g.mu.Lock()
	n := min(len(g.queue), maxTogether)
	batch := g.queue[:n:n]
	g.queue = g.queue[n:]
	g.mu.Unlock()
	if n == 0 {
		return
	}
	if s.dialect == migrations.Postgres { // SQLite bounds its waiting by itself, and a deadline costs it a goroutine at each statement
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, togetherTime)
		defer stop()
	}
	db := s.db.Session(&gorm.Session{Context: ctx, NewDB: true})
	db.Statement.ConnPool = s.kept
	err := s.safely(db, func(tx *Tx) error {
		for _, b := range batch {
			if err := b.run(tx); err != nil {
				return err
			}
		}
		return nil
	})
	for _, b := range batch {
		if err != nil && n > 1 && !errors.Is(err, errUnconfirmed) { // what may have been done is not done again
			b.done <- s.safely(db, b.run)
			continue
		}
		b.done <- err
	}
}
