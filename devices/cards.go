package devices

import (
	"context"
	"slices"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// ReadingLife is how long a counter may refer to a card that it read: longer than a proposal to change a person's card
// waits for its approval.
const ReadingLife = 96 * time.Hour

// CardReading is a card's certificate as the component at a counter gave it. Nothing is trusted by it: it finds the
// person, and is compared with the registration when the card is first used.
type CardReading struct {
	ID        string
	Holder    string
	Name      string
	Digits    string // the end of the national id, where the card carries it
	Insertion string // the card's stay in the reader, as the component asserts it (HCA-8.1.2)
	ReadBy    string
	ReadAt    time.Time
	ExpiresAt time.Time
}

// CardLink says that a card is a person's, and who found so by which identity document.
type CardLink struct {
	Person    ra.PersonID
	Holder    string
	Document  string // one of Documents
	Digits    bool   // the card carries the end of the national id, and it was compared
	CheckedBy string
	CheckedAt time.Time
	Approval  string // of a change: the proposal
}

// Documents are the identity documents that a clerk may have checked.
var Documents = []string{"national-id-card", "health-insurance-card", "passport", "residence-certificate"}

// ReadCard keeps what a counter read of a card, for the one who read it.
func (s *Service) ReadCard(ctx context.Context, actor ra.Actor, r CardReading) (string, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return "", err
	}
	r.ID, r.ReadBy, r.ReadAt, r.ExpiresAt = id, actor.ID, s.now(), s.now().Add(ReadingLife)
	err = s.act(ctx, actor, "card.read", "card/"+id, actor.Institution, nil, func(tx Tx) error {
		if err := checkText("holder", r.Holder, 64); err != nil {
			return err
		}
		if err := checkText("name", r.Name, 100); err != nil {
			return err
		}
		return tx.InsertReading(r)
	})
	return id, err
}

// Reading is a card that this actor read and that may still be referred to.
func (s *Service) Reading(ctx context.Context, actor ra.Actor, id string) (r CardReading, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		r, err = s.reading(tx, id)
		if err == nil && r.ReadBy != actor.ID {
			err = errNoReading
		}
		return err
	})
	return r, err
}

var errNoReading = ra.Errorf(ra.KindNotFound, "card-reading", nil, "This card is not in the reader any more, or was read long ago. Nothing was changed; insert the card again.")

func (s *Service) reading(tx Tx, id string) (CardReading, error) {
	r, err := tx.Reading(id)
	if ra.KindOf(err) == ra.KindNotFound || err == nil && !s.now().Before(r.ExpiresAt) {
		return CardReading{}, errNoReading
	}
	return r, err
}

// CardOf is the card that a person signs with; false while none was ever checked.
func (s *Service) CardOf(ctx context.Context, actor ra.Actor, person ra.PersonID) (c CardLink, ok bool, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Person(actor.Institution, person); err != nil {
			return err
		}
		c, ok, err = tx.CardOf(person)
		return err
	})
	return c, ok, err
}

// ConfirmCard links a card to the person whose it is registered as, at its first use: the clerk says which identity
// document was checked, and name and last digits must agree (HCA-5.1.1, HCA-7.3).
func (s *Service) ConfirmCard(ctx context.Context, actor ra.Actor, person ra.PersonID, reading, document string) error {
	return s.act(ctx, actor, "card.link", "person/"+string(person), actor.Institution, map[string]string{"document": document}, func(tx Tx) error {
		p, err := tx.Person(actor.Institution, person)
		if err != nil {
			return err
		}
		r, err := s.reading(tx, reading)
		if err != nil {
			return err
		}
		if _, linked, err := tx.CardOf(person); err != nil || linked {
			if linked {
				err = ra.Errorf(ra.KindConflict, "card-linked", nil, "This person's card was checked already. Nothing was changed.")
			}
			return err
		}
		if err := ra.Refused(policy.CardLink(claim(p, r, document))); err != nil {
			return err
		}
		return tx.InsertCard(CardLink{Person: person, Holder: r.Holder, Document: document, Digits: r.Digits != "", CheckedBy: actor.ID, CheckedAt: s.now()})
	})
}

// claim compares a reading with a registration.
func claim(p Person, r CardReading, document string) policy.CardClaim {
	return policy.CardClaim{SameHolder: r.Holder == p.Holder, SameName: r.Name == p.Name, Digits: r.Digits, NationalID: p.NationalID,
		DocumentChecked: slices.Contains(Documents, document)}
}

// CardChange is the wish to give a person another card; who proposes it has read the card and seen the document.
type CardChange struct {
	Person   ra.PersonID
	Reading  string
	Document string
}

// CheckCardChange judges a change of card as things stand (HCA-7.3): everything agrees but the holder identifier, and
// the card is nobody else's. It gives both holder identifiers.
func (s *Service) CheckCardChange(tx Tx, scope ra.InstitutionCode, c CardChange) (old, next string, err error) {
	p, err := tx.Person(scope, c.Person)
	if err != nil {
		return "", "", err
	}
	r, err := s.reading(tx, c.Reading)
	if err != nil {
		return "", "", err
	}
	if r.Holder == p.Holder {
		return "", "", ra.Errorf(ra.KindConflict, "card-same", nil, "This is the card that is registered for the person. Nothing was changed.")
	}
	others, err := tx.Persons(PersonQuery{Holder: r.Holder, Limit: 1})
	if err != nil {
		return "", "", err
	}
	if len(others) > 0 {
		return "", "", ra.Refuse("HCA-7.3", "card-of-another", "This card is registered for another person. Nothing was changed.", nil)
	}
	facts := claim(p, r, c.Document)
	facts.SameHolder = true // that it differs is what is approved
	return p.Holder, r.Holder, ra.Refused(policy.CardLink(facts))
}

// ChangeCard gives a person another card, in the transaction of its approval. The old card signs nothing any more,
// and what was begun with it cannot be signed.
func (s *Service) ChangeCard(tx Tx, c CardChange, proposedBy, approval string) error {
	r, err := s.reading(tx, c.Reading)
	if err != nil {
		return err
	}
	if err := tx.EndCard(c.Person, s.now()); err != nil {
		return err
	}
	if err := tx.SetHolder(c.Person, r.Holder); err != nil {
		return err
	}
	return tx.InsertCard(CardLink{Person: c.Person, Holder: r.Holder, Document: c.Document, Digits: r.Digits != "", CheckedBy: proposedBy, CheckedAt: s.now(), Approval: approval})
}
