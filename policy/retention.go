package policy

import "time"

const (
	// MaxRetention is for how many years a person's data is kept at most, counted from the end of the last
	// certificate, application and membership (HCA-9). The window may keep it for a shorter time, not for longer.
	MaxRetention = 7
	// ErasureNotice is for how long a person stands on the list of those to be erased before it is done.
	ErasureNotice = 30 * 24 * time.Hour
)

// Retention is for how many years the window keeps a person's data: its setting, where that is shorter than the rule.
func Retention(years int) int {
	if years < 1 || years > MaxRetention {
		return MaxRetention
	}
	return years
}

// Erasure decides whether a person's data is erased now (HCA-9): the retention that began at last has ended, and it was
// listed thirty days ago. A person whose last record is not known is kept.
func Erasure(last time.Time, listed *time.Time, years int, at time.Time) Decision {
	switch {
	case last.IsZero() || at.Before(last.AddDate(Retention(years), 0, 0)):
		return Refuse("HCA-9", "retention-runs", "The time for which the person's data must be kept has not ended.")
	case listed == nil || at.Before(listed.Add(ErasureNotice)):
		return Refuse("HCA-9", "erasure-not-announced", "The person has not stood on the list of those to be erased for thirty days.")
	}
	return Allow()
}
