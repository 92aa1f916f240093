package consent

import (
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// Reader is what Awaiting reads.
type Reader interface {
	Application(scope ra.InstitutionCode, id ra.ApplicationID) (ra.Application, error)
	Person(id ra.PersonID) (ra.PersonFacts, error)
	// NonceUsed tells whether a nonce was redeemed before.
	NonceUsed(value string) (bool, error)
}

// Awaiting loads an application of the kind that waits for its card, and the person it is for. A message that
// comes a second time is a replay (HCA-8.1.4), and so is one that comes too late.
func Awaiting(r Reader, kind ra.ApplicationKind, scope ra.InstitutionCode, id ra.ApplicationID, now time.Time) (a ra.Application, p ra.PersonFacts, err error) {
	if a, err = r.Application(scope, id); err != nil {
		return a, p, err
	}
	if a.Kind != kind {
		return a, p, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such %s.", kind)
	}
	used, err := r.NonceUsed(a.Nonce)
	if err != nil {
		return a, p, err
	}
	if used {
		return a, p, ra.Refuse("HCA-8.1.4", "nonce-used", "This message was used already. Nothing was changed.", nil)
	}
	if _, err := ra.NextApplication(a.Kind, a.State, ra.AppConsented, a.Deadline, now); err != nil {
		return a, p, err
	}
	p, err = r.Person(a.PersonID)
	return a, p, err
}

// Insertions tells of the cards that signed.
type Insertions interface {
	// InsertionOfAnother tells whether another person's card signed in this insertion of a card (HCA-8.1.2).
	InsertionOfAnother(insertion string, person ra.PersonID) (bool, error)
}

// Taker is what Take reads and writes.
type Taker interface {
	Insertions
	Application(scope ra.InstitutionCode, id ra.ApplicationID) (ra.Application, error)
	// RedeemNonce uses a nonce up; it fails under HCA-8.1.4 when it was used, is too old or was issued for something else.
	RedeemNonce(n ra.Nonce, at time.Time) error
}

// Take moves an application on by a verified signature and redeems its nonce, in the transaction that decides the
// rest. It returns the application as it is to be written, and the state that it was in. nonce is the one that was
// issued for it, to this session.
func Take(t Taker, actor ra.Actor, id ra.ApplicationID, nonce func(ra.Application) ra.Nonce, s Signature, v Verified, now time.Time) (a ra.Application, from ra.ApplicationState, err error) {
	if a, err = t.Application(actor.Institution, id); err != nil {
		return a, "", err
	}
	from = a.State
	next, err := ra.NextApplication(a.Kind, from, ra.AppConsented, a.Deadline, now)
	if err != nil {
		return a, from, err
	}
	if err := t.RedeemNonce(nonce(a), now); err != nil {
		return a, from, err
	}
	if err := ra.Refused(policy.MessageLife(a.CreatedAt, a.Deadline, now)); err != nil {
		return a, from, err
	}
	if a.Insertion != "" && s.Insertion != a.Insertion {
		return a, from, ra.Refuse("HCA-8.1.2", "card-taken-out", "The card was taken out since this was begun. Nothing was changed; begin anew with the card in the reader.", nil)
	}
	if err := FreshInsertion(t, s.Insertion, a.PersonID); err != nil {
		return a, from, err
	}
	a.State, a.UpdatedAt = next, now
	a.Consent, a.ConsentBare, a.Proof, a.Insertion = s.CMS, v.Bare, v.Proof, s.Insertion
	return a, from, nil
}

// FreshInsertion refuses a card insertion in which another person's card has signed already: between two holders
// at one counter the card is taken out and another put in (HCA-8.1.2). The component asserts the insertion; one
// that asserts none is not judged by it.
func FreshInsertion(t Insertions, insertion string, person ra.PersonID) error {
	if insertion == "" {
		return nil
	}
	used, err := t.InsertionOfAnother(insertion, person)
	if err != nil {
		return err
	}
	if used {
		return ra.Refuse("HCA-8.1.2", "card-not-changed", "Another person's card signed in this insertion. Nothing was changed; take the card out and put the holder's own in.", nil)
	}
	return nil
}
