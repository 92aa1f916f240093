package devices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"certwindow/policy"
	"certwindow/ra"
)

// Unmasking is one look of a member of staff at a person's data (HCA-8.1.5).
type Unmasking struct {
	ID          string
	Person      ra.PersonID
	Staff       string
	Institution ra.InstitutionCode // of the member of staff; empty: the whole window's
	Kind        string             // "record", "list" or "copy"
	Reason      string             // a word of policy.UnmaskReasons, or the approval of a list
	Note        string             // sealed: people write names into it
	At          time.Time
}

// UnmaskedList is a list of persons that two members of staff agreed to unmask.
type UnmaskedList struct {
	ID          string
	Approval    string
	Institution ra.InstitutionCode // whose persons they are
	Staff       string             // who proposed it, and alone may fetch it
	Purpose     string
	People      []ra.PersonID
	ApprovedAt  time.Time
	ExpiresAt   time.Time
	FetchedAt   *time.Time
}

// UnmaskTx is what a transaction on the register reads and writes of unmaskings.
type UnmaskTx interface {
	// CountUnmaskings counts what a member of staff has seen since; two who count for the same one go one after the other.
	CountUnmaskings(staff string, since, at time.Time) (int, error)
	InsertUnmasking(u Unmasking) error
	Unmaskings(person ra.PersonID, limit int) ([]Unmasking, error)

	InsertUnmaskedList(l UnmaskedList) error
	UnmaskedList(id string) (UnmaskedList, error)
	UnmaskedLists(staff string, limit int) ([]UnmaskedList, error)
	// FetchUnmaskedList marks a list as fetched; it fails with a conflict when it was.
	FetchUnmaskedList(id string, at time.Time) error
}

// Unmask shows one record's values, for a reason (HCA-8.1.5). Refusals are audited too; the note, which may name
// somebody, is in no audit row.
func (s *Service) Unmask(ctx context.Context, actor ra.Actor, id ra.PersonID, reason, note string) (p Person, err error) {
	uid, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return Person{}, err
	}
	now := s.now()
	e := ra.Event{Actor: actor, Act: "person.unmask", Object: "person/" + string(id), Institution: actor.Institution, Clause: "HCA-8.1.5",
		Details: map[string]string{"reason": known(reason), "unmasking": uid}}
	err = ra.Act[Tx](ctx, s.store, now, e, func(tx Tx, _ *ra.Event) error {
		if p, err = tx.Person(actor.Institution, id); err != nil {
			return err
		}
		if err := present(p); err != nil {
			return err
		}
		before, err := tx.CountUnmaskings(actor.ID, now.Add(-policy.UnmaskWindow), now)
		if err != nil {
			return err
		}
		if err := ra.Refused(policy.Unmask(reason, note, before)); err != nil {
			return err
		}
		return tx.InsertUnmasking(Unmasking{ID: uid, Person: id, Staff: actor.ID, Institution: actor.Institution, Kind: "record", Reason: reason,
			Note: strings.TrimSpace(note), At: now})
	})
	if err != nil {
		return Person{}, err
	}
	return p, nil
}

// known keeps what a stranger to the list wrote out of the log.
func known(reason string) string {
	if slices.Contains(policy.UnmaskReasons, reason) {
		return reason
	}
	return ""
}

// Unmaskings are who has looked at a person's data, newest first.
func (s *Service) Unmaskings(ctx context.Context, actor ra.Actor, id ra.PersonID) (out []Unmasking, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Person(actor.Institution, id); err != nil {
			return err
		}
		out, err = tx.Unmaskings(id, 50)
		return err
	})
	return out, err
}

// UnmaskFacts is what two persons agree on when a list is unmasked: whose persons, how many, which exactly (by the hash
// of their ids), and what for.
func (s *Service) UnmaskFacts(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, purpose string) (facts map[string]string, err error) {
	purpose = strings.TrimSpace(purpose)
	if n := utf8.RuneCountInString(purpose); n < policy.MinUnmaskNote || n > 500 || checkText("purpose", purpose, 500) != nil {
		return nil, ra.Refuse("HCA-8.1.5", "unmask-note", "Write in 6 to 500 characters what the data is needed for. Nothing was proposed.", nil)
	}
	if actor.Institution != "" && actor.Institution != at {
		return nil, forbidden()
	}
	err = s.store.View(ctx, func(tx Tx) error {
		ids, err := listed(tx, at)
		facts = map[string]string{"unmask-institution": string(at), "unmask-count": strconv.Itoa(len(ids)), "unmask-ids": hashIDs(ids), "unmask-purpose": purpose}
		return err
	})
	return facts, err
}

// CheckUnmaskMany judges whether the list is still the one that was shown (HCA-8.1.6).
func CheckUnmaskMany(tx Tx, object string, facts map[string]string) error {
	if object != "institution/"+facts["unmask-institution"] {
		return ra.Errorf(ra.KindMalformed, "unmask-object", nil, "The list is another institution's. Nothing was proposed.")
	}
	_, err := agreed(tx, facts)
	return err
}

// ApproveUnmaskMany makes the list ready for the one who proposed it, in the caller's transaction.
func ApproveUnmaskMany(tx Tx, id, approval, proposedBy string, facts map[string]string, at time.Time) error {
	ids, err := agreed(tx, facts)
	if err != nil {
		return err
	}
	return tx.InsertUnmaskedList(UnmaskedList{ID: id, Approval: approval, Institution: ra.InstitutionCode(facts["unmask-institution"]), Staff: proposedBy,
		Purpose: facts["unmask-purpose"], People: ids, ApprovedAt: at, ExpiresAt: at.Add(policy.UnmaskedListLife)})
}

func agreed(tx Tx, facts map[string]string) ([]ra.PersonID, error) {
	ids, err := listed(tx, ra.InstitutionCode(facts["unmask-institution"]))
	if err != nil {
		return nil, err
	}
	if len(facts) != 4 || facts["unmask-count"] != strconv.Itoa(len(ids)) || facts["unmask-ids"] != hashIDs(ids) || facts["unmask-purpose"] == "" {
		return nil, ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)
	}
	return ids, nil
}

// listed are an institution's persons, those who were erased left out.
func listed(tx Tx, at ra.InstitutionCode) (out []ra.PersonID, err error) {
	if _, err := tx.Institution(at); err != nil {
		return nil, err
	}
	for after := ""; ; {
		page, err := tx.Persons(PersonQuery{Institution: at, After: after, Limit: 200})
		if err != nil {
			return nil, err
		}
		for _, p := range page {
			if p.ErasedAt == nil {
				out = append(out, p.ID)
			}
			after = string(p.ID)
		}
		switch {
		case len(out) > policy.MaxUnmaskedList:
			return nil, ra.Refuse("HCA-8.1.5", "unmask-list-large", "These are more persons than may be unmasked at once. Nothing was proposed.", nil)
		case len(page) < 200 && len(out) == 0:
			return nil, ra.Errorf(ra.KindConflict, "unmask-list-empty", nil, "There is nobody on this list. Nothing was proposed.")
		case len(page) < 200:
			return out, nil
		}
	}
}

func hashIDs(ids []ra.PersonID) string {
	h := sha256.New()
	for _, id := range ids {
		h.Write([]byte(id + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// UnmaskedLists are the lists that two agreed on and the actor may fetch, or has fetched.
func (s *Service) UnmaskedLists(ctx context.Context, actor ra.Actor) (out []UnmaskedList, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.UnmaskedLists(actor.ID, 50)
		return err
	})
	return out, err
}

// FetchUnmaskedList hands a list out: once, within an hour of its approval, to the one who proposed it. Each person's
// row is audited.
func (s *Service) FetchUnmaskedList(ctx context.Context, actor ra.Actor, id string) (out []Person, err error) {
	now := s.now()
	e := ra.Event{Actor: actor, Act: "person.unmask-list", Object: "unmasked-list/" + id, Institution: actor.Institution, Clause: "HCA-8.1.5"}
	err = ra.Act[Tx](ctx, s.store, now, e, func(tx Tx, e *ra.Event) error {
		out = nil
		l, err := tx.UnmaskedList(id)
		if err != nil {
			return err
		}
		switch {
		case l.Staff != actor.ID:
			return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
		case !now.Before(l.ExpiresAt):
			return ra.Refuse("HCA-8.1.5", "unmask-list-expired", "The hour in which this list could be fetched has passed. Nothing was shown; propose it anew.", nil)
		}
		e.Details = map[string]string{"approval": l.Approval, "count": strconv.Itoa(len(l.People))}
		if err := tx.FetchUnmaskedList(id, now); err != nil {
			return err
		}
		for _, pid := range l.People {
			p, err := s.fromList(tx, actor, l, pid)
			if err != nil {
				return err
			}
			if p.ErasedAt == nil {
				out = append(out, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fromList reads one of a list's persons, and writes down that he was seen.
func (s *Service) fromList(tx Tx, actor ra.Actor, l UnmaskedList, id ra.PersonID) (Person, error) {
	p, err := tx.Person(actor.Institution, id)
	if err != nil || p.ErasedAt != nil {
		return p, err
	}
	uid, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return p, err
	}
	if err := tx.InsertUnmasking(Unmasking{ID: uid, Person: id, Staff: actor.ID, Institution: actor.Institution, Kind: "list", Reason: "approval/" + l.Approval,
		Note: l.Purpose, At: s.now()}); err != nil {
		return p, err
	}
	return p, tx.Audit(ra.Event{At: s.now(), Actor: actor, Act: "person.unmask", Object: "person/" + string(id), Institution: actor.Institution, Outcome: ra.OutcomeDone,
		Clause: "HCA-8.1.5", Details: map[string]string{"approval": l.Approval, "unmasking": uid}})
}

// present refuses a person whose data was erased.
func present(p Person) error {
	if p.ErasedAt != nil {
		return ra.Errorf(ra.KindConflict, "person-erased", nil, "This person's data was erased when its retention ended. There is nothing to show.")
	}
	return nil
}
