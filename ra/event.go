package ra

import (
	"time"

	"certwindow/policy"
)

// ActorKind says what sort of actor did something.
type ActorKind string

const (
	ActorStaff   ActorKind = "staff"
	ActorDevice  ActorKind = "device"  // a phone, by its device key
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
