package session

import (
	"sync"

	"certwindow/ra"
)

// How many attempts to sign in are under way at a time in one process. What one visitor commands gets a share of them,
// so that he alone keeps nobody else out.
const (
	maxUnderWay      = 256
	maxUnderWayOfOne = 16
)

// door counts the attempts that are under way. It stands before the database and the hasher: what does not fit costs
// nothing but its refusal.
type door struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by prefixOf the address; only those that are in
}

// enter lets an attempt in, or turns it away. The caller calls leave when the attempt is over.
func (d *door) enter(address string) (leave func(), err error) {
	who := prefixOf(address)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= maxUnderWay || d.of[who] >= maxUnderWayOfOne {
		return nil, ra.Errorf(ra.KindTooMany, "logins-busy", nil, "Too many people are signing in at once. Try again in a moment.")
	}
	if d.of == nil {
		d.of = map[string]int{}
	}
	d.all++
	d.of[who]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all--
		if d.of[who]--; d.of[who] == 0 {
			delete(d.of, who)
		}
	}, nil
}
