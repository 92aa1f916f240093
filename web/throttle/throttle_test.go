package throttle

import (
	"fmt"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	l := New(2, 3)
	for i, want := range []bool{true, true, true, false} {
		if got := l.Take("a", now); got != want {
			t.Errorf("take %d: %v", i, got)
		}
	}
	if !l.Take("b", now) {
		t.Error("another key is held back")
	}
	if l.Take("a", now.Add(-time.Hour)) {
		t.Error("a clock that runs backwards gives tokens")
	}
	if !l.Take("a", now.Add(500*time.Millisecond)) || l.Take("a", now.Add(500*time.Millisecond)) {
		t.Error("half a second gives one token")
	}
	for i := range 2 * maxBuckets {
		l.Take(fmt.Sprint(i), now)
	}
	if len(l.buckets) != maxBuckets || l.recent.Len() != maxBuckets {
		t.Errorf("%d buckets are kept", len(l.buckets))
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "unknown", "x": "unknown"} {
		if got := Network(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// A body is not built from before it is known how deep it goes.
