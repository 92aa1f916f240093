package policy

import "time"

// RenewalTime is how long before a certificate's end its holder is reminded to apply for the next one: by card, at the
// counter, for a new key. The two may overlap, and both count among the five (HCA-7.5).
const RenewalTime = 60 * 24 * time.Hour

// RenewBy is until when the next certificate should be there, and whether it is time to see to it. Of an expired
// certificate it is too late (HCA-7.2): then there is nothing to renew.
func RenewBy(notAfter, at time.Time) (by time.Time, due bool) {
	return notAfter.UTC(), at.Before(notAfter) && !at.Before(notAfter.Add(-RenewalTime))
}
