package devices

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"certwindow/policy"
	"certwindow/ra"
)

// Erasure is a person who stands on the list of those whose data will be erased (HCA-9).
type Erasure struct {
	Person   ra.PersonID
	ListedAt time.Time
	DueAt    time.Time // not before this
}

// RetentionTx is what a transaction on the register reads and writes when a retention ends.
type RetentionTx interface {
	// Retired are persons after this one in the order of ids who are not erased and have had no membership since.
	Retired(since time.Time, after ra.PersonID, limit int) ([]ra.PersonID, error)
	// LastRecord is when the last thing that is kept of a person ended: membership, application, certificate; what has not
	// ended yet gives a moment to come.
	LastRecord(id ra.PersonID) (time.Time, error)
	// Listed are those who stand on the list, in the order of ids.
	Listed(after ra.PersonID, limit int) ([]Erasure, error)
	// List puts a person on the list, or takes him off it (nil).
	List(id ra.PersonID, at *time.Time) error
	// Erase overwrites everything that tells of the person, in every table. Ids, serial numbers, times and the audit log
	// stay as they are.
	Erase(id ra.PersonID, at time.Time) error
	// Held is what the house holds about a person beside the register itself.
	Held(id ra.PersonID) ([]ra.Held, error)
}

// retentionPage is how many persons are looked at in one transaction.
const retentionPage = 200

// Retain is the daily step of retention (HCA-9): who comes due within thirty days is listed, who does not any more is
// taken off, and who has stood on the list for thirty days and is due is erased, each in a transaction of his own.
func (s *Service) Retain(ctx context.Context, actor ra.Actor, years int) (listed, erased int, err error) {
	now := s.now()
	since := now.Add(policy.ErasureNotice).AddDate(-policy.Retention(years), 0, 0)
	for after := ra.PersonID(""); ; {
		var page []ra.PersonID
		if err := s.store.View(ctx, func(tx Tx) (err error) {
			page, err = tx.Retired(since, after, retentionPage)
			return err
		}); err != nil {
			return listed, erased, err
		}
		for _, id := range page {
			ok, err := s.announce(ctx, actor, id, years)
			if err != nil {
				return listed, erased, err
			}
			if ok {
				listed++
			}
			after = id
		}
		if len(page) < retentionPage {
			break
		}
	}
	erased, err = s.eraseListed(ctx, actor, years)
	return listed, erased, err
}

// announce lists a person who comes due within thirty days and is not listed yet.
func (s *Service) announce(ctx context.Context, actor ra.Actor, id ra.PersonID, years int) (listed bool, err error) {
	now := s.now()
	due := func(tx Tx) (bool, error) {
		last, err := tx.LastRecord(id)
		return err == nil && !last.IsZero() && !now.Add(policy.ErasureNotice).Before(last.AddDate(policy.Retention(years), 0, 0)), err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		p, err := tx.Person("", id)
		if err != nil || p.ErasureListedAt != nil || p.ErasedAt != nil {
			return err
		}
		listed, err = due(tx)
		return err
	})
	if err != nil || !listed {
		return false, err
	}
	e := ra.Event{Actor: actor, Act: "person.erasure-list", Object: "person/" + string(id), Clause: "HCA-9"}
	return true, ra.Act[Tx](ctx, s.store, now, e, func(tx Tx, _ *ra.Event) error { return tx.List(id, &now) })
}

// eraseListed goes through the list.
func (s *Service) eraseListed(ctx context.Context, actor ra.Actor, years int) (erased int, err error) {
	for after := ra.PersonID(""); ; {
		var page []Erasure
		if err := s.store.View(ctx, func(tx Tx) (err error) {
			page, err = tx.Listed(after, retentionPage)
			return err
		}); err != nil {
			return erased, err
		}
		for _, x := range page {
			gone, err := s.eraseOne(ctx, actor, x, years)
			if err != nil {
				return erased, err
			}
			if gone {
				erased++
			}
			after = x.Person
		}
		if len(page) < retentionPage {
			return erased, nil
		}
	}
}

// errWait ends a transaction in which nothing is to be done yet.
var errWait = errors.New("devices: not yet")

func (s *Service) eraseOne(ctx context.Context, actor ra.Actor, x Erasure, years int) (gone bool, err error) {
	now := s.now()
	err = s.store.Update(ctx, func(tx Tx) error {
		last, err := tx.LastRecord(x.Person)
		if err != nil {
			return err
		}
		e := ra.Event{At: now, Actor: actor, Act: "person.erase", Object: "person/" + string(x.Person), Clause: "HCA-9", Outcome: ra.OutcomeDone}
		if now.Add(policy.ErasureNotice).Before(last.AddDate(policy.Retention(years), 0, 0)) {
			e.Act = "person.erasure-unlist" // he came back
			if err := tx.List(x.Person, nil); err != nil {
				return err
			}
			return tx.Audit(e)
		}
		if d := policy.Erasure(last, &x.ListedAt, years, now); !d.Allowed {
			return errWait
		}
		if err := tx.Erase(x.Person, now); err != nil {
			return err
		}
		gone = true
		return tx.Audit(e)
	})
	if err != nil {
		gone = false
	}
	if errors.Is(err, errWait) {
		err = nil
	}
	return gone, err
}

// Erasures is a page of the list of those to be erased, with the day.
func (s *Service) Erasures(ctx context.Context, after ra.PersonID, limit, years int) (out []Erasure, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if out, err = tx.Listed(after, pageSize(limit)); err != nil {
			return err
		}
		for i, x := range out {
			last, err := tx.LastRecord(x.Person)
			if err != nil {
				return err
			}
			out[i].DueAt = last.AddDate(policy.Retention(years), 0, 0)
			if announced := x.ListedAt.Add(policy.ErasureNotice); announced.After(out[i].DueAt) {
				out[i].DueAt = announced
			}
		}
		return nil
	})
	return out, err
}

// Copy is everything that the window holds about one person, for himself (HCA-9).
type Copy struct {
	Person Person
	MadeAt time.Time
	Held   []ra.Held
}

// CopyFor makes a person's copy at the counter, where he asked for it. It is a look at his data like any other: with a
// note, and audited.
func (s *Service) CopyFor(ctx context.Context, actor ra.Actor, id ra.PersonID, note string) (c Copy, err error) {
	uid, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return Copy{}, err
	}
	now, note := s.now(), strings.TrimSpace(note)
	e := ra.Event{Actor: actor, Act: "person.copy", Object: "person/" + string(id), Institution: actor.Institution, Clause: "HCA-9",
		Details: map[string]string{"unmasking": uid}}
	err = ra.Act[Tx](ctx, s.store, now, e, func(tx Tx, _ *ra.Event) error {
		if c.Person, err = tx.Person(actor.Institution, id); err != nil {
			return err
		}
		if err := present(c.Person); err != nil {
			return err
		}
		if n := utf8.RuneCountInString(note); n < policy.MinUnmaskNote || n > 500 {
			return ra.Refuse("HCA-8.1.5", "copy-note", "Write in 6 to 500 characters how the person identified himself. Nothing was handed out.", nil)
		}
		if err := tx.InsertUnmasking(Unmasking{ID: uid, Person: id, Staff: actor.ID, Institution: actor.Institution, Kind: "copy", Reason: "holder-asks", Note: note, At: now}); err != nil {
			return err
		}
		c.MadeAt = now
		c.Held, err = heldBy(tx, id)
		return err
	})
	if err != nil {
		return Copy{}, err
	}
	return c, nil
}

// heldBy gathers what the register and the rest of the house hold.
func heldBy(tx Tx, id ra.PersonID) ([]ra.Held, error) {
	used, err := tx.Devices(DeviceQuery{User: id, Limit: 200})
	if err != nil {
		return nil, err
	}
	phones := ra.Held{Kind: "devices"}
	for _, d := range used {
		phones.Rows = append(phones.Rows, map[string]string{"device": string(d.ID), "code": d.Code, "platform": string(d.Platform), "model": d.Model,
			"institution": string(d.Institution), "state": string(d.State), "shared": map[bool]string{true: "yes", false: "no"}[d.Shared]})
	}
	looks := ra.Held{Kind: "looks"}
	seen, err := tx.Unmaskings(id, 1000)
	if err != nil {
		return nil, err
	}
	for _, u := range seen {
		looks.Rows = append(looks.Rows, map[string]string{"at": u.At.UTC().Format(time.RFC3339), "staff": u.Staff, "institution": string(u.Institution), "kind": u.Kind, "reason": u.Reason})
	}
	rest, err := tx.Held(id)
	return slices.Concat([]ra.Held{phones, looks}, rest), err
}
