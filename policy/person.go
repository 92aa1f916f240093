package policy

// Applicant is what is known of the person who applies, beside the card that signed.
type Applicant struct {
	Active     bool // not left, suspended, ceased or dead everywhere (HCA-3.7)
	Member     bool // practises at the institution that applies, now
	SameHolder bool // the card certificate's holder identifier is the registered person's
	SameName   bool // so is its name
}

// Person decides whether an applicant may apply: with their own card (HCA-5.1.1), as the registered person
// (HCA-7.3), and while practising at the institution (HCA-3.7: accounts of those who changed, left, suspended,
// ceased or died stop at once).
func Person(a Applicant) Decision {
	switch {
	case !a.SameHolder:
		return Refuse("HCA-5.1.1", "holder-differs",
			"The card is not that of the registered person; the person must sign with their own card.")
	case !a.SameName:
		return Refuse("HCA-7.3", "name-differs",
			"The name on the card is not the registered name; correct the registration or renew the card first.")
	case !a.Active:
		return Refuse("HCA-3.7", "person-inactive",
			"The person's account was stopped because they no longer practise; the institution must report them active again first.")
	case !a.Member:
		return Refuse("HCA-3.7", "not-a-member",
			"The person does not practise at this institution now; the institution must report the person first.")
	}
	return Allow()
}
