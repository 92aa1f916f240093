// Package throttle bounds how often one asker is answered, by token buckets in memory.
package throttle

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// maxBuckets is of how many keys a limiter remembers at most.
const maxBuckets = 10_000

// Limiter is a token bucket for each key, in memory: each replica counts for itself. Of more keys than
// maxBuckets the one that was quiet longest is forgotten.
type Limiter struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[string]*list.Element
	recent  *list.List // of *bucket, the last used in front
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time
}

// New makes a limiter of so many takes a second in the long run, and so many at once.
func New(rate, burst float64) *Limiter {
	return &Limiter{rate: rate, burst: burst, buckets: make(map[string]*list.Element), recent: list.New()}
}

// Take takes one token, or tells that there is none.
func (l *Limiter) Take(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.buckets[key]
	if !ok {
		if l.recent.Len() >= maxBuckets {
			delete(l.buckets, l.recent.Remove(l.recent.Back()).(*bucket).key)
		}
		e = l.recent.PushFront(&bucket{key: key, tokens: l.burst, at: now})
		l.buckets[key] = e
	}
	l.recent.MoveToFront(e)
	b := e.Value.(*bucket)
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(l.burst, b.tokens+passed.Seconds()*l.rate)
		b.at = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Network is what one visitor commands: an IPv4 address, or an IPv6 network of 64 bits.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
