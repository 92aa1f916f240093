package policy

import "time"

// RenewalTime is how long before a certificate's end its holder is reminded to apply for the next one: by card, at the
// counter, for a new key. The two may overlap, and both count among the five (HCA-7.5).
const RenewalTime = 60 * 24 * time.Hour

// reminders are how many days before a certificate's end its holder is told, and told again; the first is RenewalTime.
var reminders = [...]int{60, 30, 14, 7, 1}

// RenewBy is until when the next certificate should be there, and whether it is time to see to it. Of an expired
// certificate it is too late (HCA-7.2): then there is nothing to renew.
func RenewBy(notAfter, at time.Time) (by time.Time, due bool) {
	return notAfter.UTC(), at.Before(notAfter) && !at.Before(notAfter.Add(-RenewalTime))
}

// Reminders are how many days before its end a certificate's holder is told of it (HCA-3.4), the last first.
func Reminders() []int {
	out := make([]int, 0, len(reminders))
	for i := len(reminders) - 1; i >= 0; i-- {
		out = append(out, reminders[i])
	}
	return out
}

// RenewalFacts are what is known of a certificate and of the application that is to renew it.
type RenewalFacts struct {
	Live       bool      // not suspended, revoked or being revoked
	NotAfter   time.Time // the end of its validity
	SamePerson bool      // it is the applicant's own
	SameDevice bool      // it was issued for this device, under its present binding
	Begun      bool      // another application renews it already, and has not come to nothing
}

// Renewal decides whether an application may stand as the renewal of a certificate: of the same person's, on the same
// device (HCA-7.3), in its last 60 days and while it is usable (HCA-7.2), and once, since both count among the five
// until the older one ends (HCA-7.5). One that may not is an application like any other.
func Renewal(f RenewalFacts, at time.Time) Decision {
	_, due := RenewBy(f.NotAfter, at)
	switch {
	case !f.SamePerson || !f.SameDevice:
		return Refuse("HCA-7.3", "renewal-of-another",
			"The certificate is another person's, or of another device or an earlier binding of this one; apply for a new certificate in place of a renewal.")
	case !f.Live || !at.Before(f.NotAfter):
		return Refuse("HCA-7.2", "renewal-of-ended",
			"The certificate is not in use any more, so there is nothing to renew; apply for a new certificate.")
	case !due:
		return Refuse("HCA-7.5", "renewal-too-early",
			"The certificate has more than 60 days left, and a renewal would hold a second place of the five for so long; renew it later.")
	case f.Begun:
		return Refuse("HCA-7.5", "renewal-begun",
			"The certificate is renewed already, or is being renewed; go on with that application.")
	}
	return Allow()
}
