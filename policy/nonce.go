package policy

import "time"

// MaxMessageLife is the longest that a message to be signed stays good (HCA-8.1.4).
const MaxMessageLife = 5 * time.Minute

// MessageLife decides whether a message that came back signed is still within its own life (HCA-8.1.4: one-time
// values and times against replay). It is good from issued until, but not at, expires, and never for more than
// MaxMessageLife. That its nonce was not used before is for whoever keeps nonces to say.
func MessageLife(issued, expires, at time.Time) Decision {
	switch {
	case !issued.Before(expires) || expires.Sub(issued) > MaxMessageLife:
		return Refuse("HCA-8.1.4", "message-life-invalid",
			"The message's times are in the wrong order or too far apart; begin again with a new message.")
	case at.Before(issued):
		return Refuse("HCA-8.1.4", "message-not-yet-valid",
			"The message is dated in the future; have the clocks checked, then begin again.")
	case !at.Before(expires):
		return Refuse("HCA-8.1.4", "message-expired", "The time to sign the message has passed; begin again with a new message.")
	}
	return Allow()
}
