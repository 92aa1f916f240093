package policy

import "time"

const (
	// MaxIdle is how long a session may go without use (HCA-8.1.1).
	MaxIdle = 10 * time.Minute
	// MaxSession is how long a session may last however much it is used (HCA-8.1.1).
	MaxSession = 12 * time.Hour

	// clockSkew is how far the clocks of two replicas may lie apart before a session's times are not believed.
	clockSkew = time.Minute
)

// Session decides whether a session goes on (HCA-8.1.1: ten minutes without use end it). idle and longest
// are the window's own limits; they can only tighten the rule: zero, negative and longer values mean MaxIdle and
// MaxSession. A background
// poll is not a use, so it must not have moved lastUsed.
func Session(started, lastUsed, at time.Time, idle, longest time.Duration) Decision {
	if idle <= 0 || idle > MaxIdle {
		idle = MaxIdle
	}
	if longest <= 0 || longest > MaxSession {
		longest = MaxSession
	}
	soon := at.Add(clockSkew)
	switch {
	case started.After(soon) || lastUsed.After(soon) || lastUsed.Before(started):
		return Refuse("HCA-8.1.1", "session-times-invalid", "The session's times cannot be right, so it was ended; log in again.")
	case !at.Before(lastUsed.Add(idle)):
		return Refuse("HCA-8.1.1", "session-idle", "The session was not used for too long and has ended; log in again.")
	case !at.Before(started.Add(longest)):
		return Refuse("HCA-8.1.1", "session-too-long", "The session has lasted as long as one may and has ended; log in again.")
	}
	return Allow()
}
