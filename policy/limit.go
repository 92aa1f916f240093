package policy

import (
	"fmt"
	"time"
)

// MaxValidCertificates is how many valid mobile certificates of this window one person may hold (HCA-7.5).
const MaxValidCertificates = 5

// Exemption is HCA's written leave for one person to hold more than five (HCA-7.5).
type Exemption struct {
	Limit int       // how many in place of five
	Until time.Time // the first moment at which it no longer holds
	Reply string    // number of HCA's reply; without it there is no exemption
}

// LimitAt is how many valid certificates the person may hold at that moment: as many as the window lets everybody
// hold, which is five or fewer (HCA-9), or the exemption's number while it runs. An exemption never lowers the limit.
func LimitAt(most int, e *Exemption, at time.Time) int {
	most = min(most, MaxValidCertificates)
	if !ExemptAt(e, at) {
		return most
	}
	return max(e.Limit, most)
}

// ExemptAt tells whether an exemption holds at that moment.
func ExemptAt(e *Exemption, at time.Time) bool {
	return e != nil && e.Reply != "" && at.Before(e.Until)
}

// Limit decides whether one more certificate may be begun for a person (HCA-7.5: five valid ones at once, more
// only on HCA's written reply). held counts the person's valid certificates in the whole window, the requests
// in flight and those whose outcome is unknown. When an exemption ended it is above five, and nothing new is
// issued until it is below again.
func Limit(held, most int, e *Exemption, at time.Time) Decision {
	limit := LimitAt(most, e, at)
	if held < 0 || held >= limit {
		return Refuse("HCA-7.5", "limit-reached", fmt.Sprintf(
			"The person already holds, or is being issued, all of the %d mobile certificates allowed; revoke one first, or record HCA's written exemption.", limit))
	}
	return Allow()
}
