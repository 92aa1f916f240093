package policy

import "strings"

// CardClaim is what a card's certificate says of its holder, beside what is registered of the person and what the
// clerk saw.
type CardClaim struct {
	SameHolder      bool   // the certificate's holder identifier is the registered person's
	SameName        bool   // so is its name
	Digits          string // the end of the national id, where the card carries it
	NationalID      string // as registered
	DocumentChecked bool   // the clerk compared the person with an identity document
}

// CardLink decides whether a card becomes a person's: at its first use the identity document is checked, and name and
// last digits agree with the registration (HCA-5.1.1: one's own card; HCA-7.3: applicant and registered person are one).
func CardLink(c CardClaim) Decision {
	switch {
	case !c.SameHolder:
		return Refuse("HCA-5.1.1", "card-another-persons", "The card is not the one registered for this person; have a change of card approved first.")
	case !c.SameName:
		return Refuse("HCA-7.3", "card-name-differs", "The name on the card is not the registered name; check the identity document and correct the registration first.")
	case c.Digits != "" && !strings.HasSuffix(c.NationalID, c.Digits):
		return Refuse("HCA-7.3", "card-digits-differ", "The last digits on the card are not those of the registered national id; the card is another person's, or the registration is wrong.")
	case !c.DocumentChecked:
		return Refuse("HCA-7.3", "document-not-checked", "The person's identity document must be checked before the card's first use.")
	}
	return Allow()
}

// CardChecked decides whether a person may apply with the registered card: it was linked to the person by somebody who
// saw an identity document (HCA-7.3).
func CardChecked(checked bool) Decision {
	if !checked {
		return Refuse("HCA-7.3", "card-not-checked", "This card was not used here before; confirm at the counter that the person's identity document was checked first.")
	}
	return Allow()
}
