package api

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"certwindow/ra"
)

// How many requests a second are looked at in the long run, and how many at once. A doctor who signs two hundred
// records asks twice for each. Behind one address may be a whole hospital, but phones are bound one by one.
const (
	deviceRate, deviceBurst   = 20, 100
	addressRate, addressBurst = 2, 60
	maxBuckets                = 10_000
)

// limiter is a token bucket for each key, in memory: each replica counts for itself. Of more keys than
// maxBuckets the one that was quiet longest is forgotten.
type limiter struct {
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

func newLimiter(rate, burst float64) *limiter {
	return &limiter{rate: rate, burst: burst, buckets: make(map[string]*list.Element), recent: list.New()}
}

// take takes one token, or tells that there is none.
func (l *limiter) take(key string, now time.Time) bool {
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

// network is what one visitor commands: an IPv4 address, or an IPv6 network of 64 bits.
func network(address string) string {
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

func tooMany() error {
	return ra.Errorf(ra.KindTooMany, "too-many", nil, "Too many requests. Nothing was done; wait a moment and try again.")
}
