package policy

import (
	"testing"
	"time"
)

// HCA-7.2: the holder is reminded in the last 60 days, and not of what has ended.
func TestRenewBy(t *testing.T) {
	end := noon.Add(RenewalTime)
	for at, want := range map[time.Time]bool{noon.Add(-time.Second): false, noon: true, end.Add(-time.Second): true, end: false} {
		if by, due := RenewBy(end, at); due != want || !by.Equal(end) {
			t.Errorf("%s: %v", at, due)
		}
	}
}
