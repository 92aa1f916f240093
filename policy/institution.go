package policy

import "time"

// Institution is what is known of a medical institution (HCA-2.3).
type Institution struct {
	Active     bool // licence in force, business not suspended, not dissolved
	IsWindow   bool // it runs this window itself, so it needs no agreement
	Agreement  bool // a written agreement with the window is on file
	AgreedFrom time.Time
	AgreedTo   time.Time // the first moment at which it no longer holds; zero: until ended
}

// InstitutionMayEnrol decides whether certificates may be applied for at an institution (HCA-2.3, HCA-3.7: one
// without a window of its own needs a written agreement, and one that suspended, dissolved or lost its licence
// is stopped at once). It is asked for enrolments alone: to revoke, and to ask for a status, stays possible for
// every institution, whatever became of it.
func InstitutionMayEnrol(i Institution, at time.Time) Decision {
	switch {
	case !i.Active:
		return Refuse("HCA-3.7", "institution-inactive",
			"The institution is suspended, dissolved or without a licence, so it can enrol nobody; revocation still works.")
	case i.IsWindow:
		return Allow()
	case !i.Agreement || i.AgreedFrom.IsZero():
		return Refuse("HCA-3.7", "agreement-missing",
			"No written agreement with its dates is on file for the institution; record it first.")
	case at.Before(i.AgreedFrom):
		return Refuse("HCA-3.7", "agreement-not-begun", "The institution's agreement has not begun yet; wait until it does.")
	case !i.AgreedTo.IsZero() && !at.Before(i.AgreedTo):
		return Refuse("HCA-3.7", "agreement-ended", "The institution's agreement has ended; record a new one first.")
	}
	return Allow()
}
