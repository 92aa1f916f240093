// Package custody is the master key's side of the two-person rule (HCA-6.3.2 to HCA-6.3.4): two members of staff agree
// on a ceremony, a command holds it once with the custodians, and its signed record is kept and listed.
package custody

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/revoke"
)

// Kind is what a ceremony does.
type Kind string

const (
	Create   Kind = "create"   // a new generation of the master key
	Rollover Kind = "rollover" // leave for an old generation's keys to move to the newest
	Retire   Kind = "retire"   // an old generation destroyed
	Export   Kind = "export"   // a custodian's component sealed onto a carrier (the split export)
)

// Kinds are all of them, in the order that pages show them.
var Kinds = []Kind{Create, Rollover, Retire, Export}

// Life is how long an approved ceremony may be held: custodians of several units have to come together.
const Life = 7 * 24 * time.Hour

// Ceremony is leave to hold one, and what came of it.
type Ceremony struct {
	Approval   string `gorm:"primaryKey"` // the proposal that two persons agreed on
	Kind       Kind
	Generation int
	ApprovedBy string
	ApprovedAt time.Time
	ExpiresAt  time.Time
	BegunAt    *time.Time
	FinishedAt *time.Time
	Record     []byte // signed by the token; none of an export, which leaves a custodian's carrier
}

// TableName is the table's.
func (Ceremony) TableName() string { return "ceremonies" }

// Tx is one transaction on the ceremonies.
type Tx interface {
	InsertCeremony(c Ceremony) error
	Ceremony(approval string) (Ceremony, error)
	Ceremonies(limit int) ([]Ceremony, error)
	// SaveCeremony writes what became of one that has not finished, and fails with a conflict otherwise.
	SaveCeremony(c Ceremony) error
	// KeysByGeneration counts the holders' keys that are wrapped under each generation of the master key.
	KeysByGeneration() (map[int]int, error)
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Service is the use case.
type Service struct {
	store Store
	now   func() time.Time
}

// New wires the use case.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// Names of the facts that two persons decide on.
const (
	factCeremony   = "ceremony"
	factGeneration = "generation"
	factCustodians = "custodians"
	factNote       = "note"
)

// Plan is a ceremony that is proposed.
type Plan struct {
	Kind       Kind
	Generation int      // of the master key that it is about
	Custodians []string // who come to it, in the order of their components; none for Retire
	Note       string   // why
}

// Object names a generation of the master key, as audit rows and proposals do.
func (p Plan) Object() string { return "master-key/" + strconv.Itoa(p.Generation) }

// Facts are what is approved of a plan.
func (p Plan) Facts() approve.Facts {
	return approve.Facts{factCeremony: string(p.Kind), factGeneration: strconv.Itoa(p.Generation), factCustodians: strings.Join(p.Custodians, "; "), factNote: p.Note}
}

// Acts are what two persons decide of the master key.
func (s *Service) Acts() map[approve.Act]approve.Executor {
	return map[approve.Act]approve.Executor{approve.HoldCeremony: {Check: s.check, CarryOut: s.allow, WholeWindow: true}}
}

func bad(code, detail string) error {
	return &ra.Error{Kind: ra.KindMalformed, Clause: "HCA-6.3.2", Code: code, Detail: detail}
}

// maxGeneration is the highest number that a generation of the master key may have.
const maxGeneration = 9999

// plan reads the facts back, and refuses what is no ceremony.
func plan(f approve.Facts) (Plan, error) {
	n, err := strconv.Atoi(f[factGeneration])
	p := Plan{Kind: Kind(f[factCeremony]), Generation: n}
	if f[factCustodians] != "" {
		p.Custodians = strings.Split(f[factCustodians], "; ")
	}
	note, noteErr := revoke.Note(f[factNote])
	p.Note = note
	named := map[string]bool{}
	for _, c := range p.Custodians {
		named[strings.ToLower(strings.TrimSpace(c))] = true
	}
	distinct := len(named) == len(p.Custodians) && !named[""]
	switch {
	case len(f) != len(p.Facts()) || !slices.Contains(Kinds, p.Kind):
		return p, bad("ceremony-unknown", "There is no such ceremony. Nothing was changed.")
	case err != nil || n < 1 || n > maxGeneration:
		return p, bad("ceremony-generation", "The generation of the master key is a number from 1 to 9999. Nothing was changed.")
	case noteErr != nil:
		return p, noteErr
	case p.Kind != Retire && (len(p.Custodians) < 2 || len(p.Custodians) > 16 || !distinct):
		return p, bad("ceremony-custodians", "A ceremony needs two to sixteen custodians of different units, each with a name of their own. Nothing was changed.")
	}
	return p, nil
}

func table(tx approve.Tx) (Tx, error) {
	t, ok := tx.(Tx)
	if !ok {
		return nil, ra.Errorf(ra.KindInternal, "custody", nil, "%T holds no ceremonies.", tx)
	}
	return t, nil
}

// check judges a plan as things stand. A generation that keys are wrapped under still is not retired: whose keys those
// are moves them by signing, or their certificates are revoked, by two persons as well.
func (s *Service) check(tx approve.Tx, _ ra.Actor, object string, f approve.Facts) error {
	p, err := plan(f)
	if err != nil {
		return err
	}
	if object != p.Object() {
		return bad("ceremony-unknown", "There is no such ceremony. Nothing was changed.")
	}
	t, err := table(tx)
	if err != nil {
		return err
	}
	return s.mayHold(t, p.Kind, p.Generation)
}

func (s *Service) mayHold(t Tx, kind Kind, generation int) error {
	if kind != Retire {
		return nil
	}
	keys, err := t.KeysByGeneration()
	if err != nil {
		return err
	}
	if n := keys[generation]; n > 0 {
		return ra.Refuse("HCA-6.3.4", "ceremony-keys-left", "Keys are wrapped under this generation still: each moves when its holder signs next, or ends with its certificate. Nothing was changed.", nil)
	}
	return nil
}

// allow lets a command hold the ceremony once.
func (s *Service) allow(tx approve.Tx, a approve.Approval) error {
	p, err := plan(a.Facts)
	if err != nil {
		return err
	}
	t, err := table(tx)
	if err != nil {
		return err
	}
	now := s.now()
	if err := t.InsertCeremony(Ceremony{Approval: a.Proposal.ID, Kind: p.Kind, Generation: p.Generation, ApprovedBy: a.Actor.ID, ApprovedAt: now, ExpiresAt: now.Add(Life)}); err != nil {
		return err
	}
	e := a.Event("ceremony.allow", p.Object())
	e.At, e.Clause = now, "HCA-6.3.2"
	e.Details[factCeremony] = string(p.Kind)
	return t.Audit(e)
}

// Begin uses an approval for the ceremony that it was given for. One that was begun and interrupted may be begun
// again; one that has finished, or whose time is over, is not held again.
func (s *Service) Begin(ctx context.Context, actor ra.Actor, approval string, kind Kind, generation int) error {
	e := ra.Event{Actor: actor, Act: "ceremony.begin", Object: Plan{Generation: generation}.Object(), Clause: "HCA-6.3.2",
		Details: map[string]string{factCeremony: string(kind), "approval": approval}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		c, err := tx.Ceremony(approval)
		now := s.now()
		switch {
		case ra.KindOf(err) == ra.KindNotFound && err != nil:
			return errNoLeave
		case err != nil:
			return err
		case c.Kind != kind || c.Generation != generation || c.FinishedAt != nil || !now.Before(c.ExpiresAt):
			return errNoLeave
		}
		if err := s.mayHold(tx, kind, generation); err != nil {
			return err
		}
		c.BegunAt = &now
		return tx.SaveCeremony(c)
	})
}

var errNoLeave = ra.Refuse("HCA-6.3.2", "ceremony-not-approved",
	"Two persons have not approved this ceremony, or it was held already, or its time is over. Nothing was changed; propose it on the page of ceremonies.", nil)

// Finish keeps the record of a ceremony that was held.
func (s *Service) Finish(ctx context.Context, actor ra.Actor, approval string, record []byte) error {
	e := ra.Event{Actor: actor, Act: "ceremony.finish", Object: "master-key/unknown", Clause: "HCA-6.3.3", Details: map[string]string{"approval": approval}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		c, err := tx.Ceremony(approval)
		if err != nil {
			return err
		}
		if c.BegunAt == nil || c.FinishedAt != nil {
			return errNoLeave
		}
		now := s.now()
		c.FinishedAt, c.Record = &now, record
		e.Object = Plan{Generation: c.Generation}.Object()
		e.Details = map[string]string{factCeremony: string(c.Kind), "approval": approval}
		return tx.SaveCeremony(c)
	})
}

// maxListed bounds the list of ceremonies: there are a few in a year.
const maxListed = 200

// Ceremonies are those that were approved, newest first, and how many holders' keys are under each generation.
func (s *Service) Ceremonies(ctx context.Context) (list []Ceremony, keys map[int]int, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if list, err = tx.Ceremonies(maxListed); err != nil {
			return err
		}
		keys, err = tx.KeysByGeneration()
		return err
	})
	return list, keys, err
}
