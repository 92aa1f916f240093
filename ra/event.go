package ra

import (
	"context"
	"errors"
	"maps"
	"time"

	"certwindow/policy"
)

// ActorKind says what sort of actor did something.
type ActorKind string

const (
	ActorStaff   ActorKind = "staff"
	ActorDevice  ActorKind = "device"  // a phone, by its device key
	ActorHolder  ActorKind = "holder"  // who shows an IC card at a page that needs no login
	ActorClient  ActorKind = "client"  // a system of an institution's
	ActorSweep   ActorKind = "sweep"   // the inventory of HCA-3.6
	ActorSystem  ActorKind = "system"  // a job of the window's own
	ActorCommand ActorKind = "command" // an operator at the command line
)

// Actor is who does something, from where. It is in every use case's arguments.
type Actor struct {
	Kind        ActorKind
	ID          string
	Institution InstitutionCode // empty: the whole window
	Address     string          // network address, when there is one
	RequestID   string
	Session     string // a keyed name of the session, not its token
	// PreparedBy is whose work the actor confirmed, where that is another member of staff: his id. It stands in the details.
	PreparedBy string
}

// Outcome of an act.
type Outcome string

const (
	OutcomeDone    Outcome = "done"
	OutcomeRefused Outcome = "refused"
	OutcomeFailed  Outcome = "failed"
)

// Event is one row of the audit log (HCA-8.1.6): who did what to which thing, under which rule. Details hold
// no personal data: things are named by their ids, values masked.
type Event struct {
	At          time.Time
	Actor       Actor
	Act         string // e.g. "enrol.consent"
	Object      string // e.g. "application/01JD…"
	Institution InstitutionCode
	Outcome     Outcome
	Clause      policy.Clause
	Code        string
	Details     map[string]string
}

// RefusalOf makes an event tell of an error: which rule, which code. An error that no rule made is a failure.
func (e Event) RefusalOf(err error) Event {
	x := AsError(err)
	e.Outcome = OutcomeFailed
	if x.Kind != KindInternal && x.Kind != KindUnavailable {
		e.Outcome = OutcomeRefused
	}
	e.Clause, e.Code = x.Clause, x.Code
	return e
}

// Recorder adds a row to the audit log in its own transaction.
type Recorder interface{ Audit(e Event) error }

// Transactor runs a function in one transaction of a use case's own kind.
type Transactor[T Recorder] interface {
	Update(ctx context.Context, fn func(T) error) error
}

// Act runs one change with its audit row in the same transaction: no row, no act. When the change is refused
// or fails it is rolled back, and a row that says so is committed by itself (HCA-8.1.6). fn may add to the event.
func Act[T Recorder](ctx context.Context, store Transactor[T], at time.Time, e Event, fn func(T, *Event) error) error {
	e.At, e.Outcome = at, OutcomeDone
	last := e
	err := store.Update(ctx, func(tx T) error {
		last = e // a second attempt begins afresh
		if err := fn(tx, &last); err != nil {
			return err
		}
		return tx.Audit(last.named())
	})
	if err == nil {
		return nil
	}
	// The change is rolled back; its row must not depend on a caller who has gone away.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), refusalTime)
	defer stop()
	if aerr := store.Update(ctx, func(tx T) error { return tx.Audit(last.RefusalOf(err).named()) }); aerr != nil {
		return errors.Join(err, aerr)
	}
	return err
}

// named puts whose work the actor confirmed beside the actor.
func (e Event) named() Event {
	if e.Actor.PreparedBy == "" || e.Actor.PreparedBy == e.Actor.ID {
		return e
	}
	details := map[string]string{"prepared_by": e.Actor.PreparedBy}
	maps.Copy(details, e.Details)
	e.Details = details
	return e
}

// refusalTime bounds the writing of a refusal's row.
const refusalTime = 10 * time.Second
