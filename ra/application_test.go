package ra

import (
	"errors"
	"testing"
	"time"
)

var (
	appStates = []ApplicationState{AppAwaitingSignature, AppAwaitingKey, AppRequested, AppSent, AppDisputed, AppCompleted, AppRefused, AppLapsed, AppVoided}
	appEvents = []ApplicationEvent{AppConsented, AppKeyMade, AppSend, AppAnswered, AppDenied, AppMismatch, AppAskAgain, AppLapse, AppVoid}
	appKinds  = []ApplicationKind{Enrolment, Revocation}
)

// What may follow what, by kind, while the deadline has not come and from it on (HCA-8.1.4).
var applicationTables = map[ApplicationKind]struct{ intime, late string }{
	Enrolment: {
		intime: `
awaiting-signature: consented>awaiting-key void>voided
awaiting-key:       key-made>requested void>voided
requested:          send>sent void>voided
sent:               send>sent answered>completed denied>refused mismatch>disputed
disputed:           answered>completed denied>refused ask-again>sent
completed:
refused:
lapsed:
voided:`,
		late: `
awaiting-signature: lapse>lapsed void>voided
awaiting-key:       lapse>lapsed void>voided
requested:          send>sent void>voided
sent:               send>sent answered>completed denied>refused mismatch>disputed
disputed:           answered>completed denied>refused ask-again>sent
completed:
refused:
lapsed:
voided:`,
	},
	Revocation: {
		intime: `
awaiting-signature: consented>requested void>voided
requested:          send>sent
sent:               send>sent answered>completed denied>disputed mismatch>disputed
disputed:           answered>completed ask-again>sent
completed:
refused:
lapsed:
voided:`,
		late: `
awaiting-signature: lapse>lapsed void>voided
requested:          send>sent
sent:               send>sent answered>completed denied>disputed mismatch>disputed
disputed:           answered>completed ask-again>sent
completed:
refused:
lapsed:
voided:`,
	},
}

// HCA-5.1.1, HCA-5.2.1, HCA-6.0, HCA-8.1.4: every state of an application with every event, of both kinds, on both
// sides of the deadline.
func TestNextApplication(t *testing.T) {
	for kind, tables := range applicationTables {
		for _, c := range []struct {
			name     string
			deadline time.Time
			table    string
		}{
			{"long before", moment.Add(time.Hour), tables.intime},
			{"just before", moment.Add(time.Nanosecond), tables.intime},
			{"at the deadline", moment, tables.late},
			{"after", moment.Add(-time.Hour), tables.late},
			{"no deadline", time.Time{}, tables.late},
		} {
			t.Run(string(kind)+" "+c.name, func(t *testing.T) {
				prove(t, expect(t, c.table), appEvents, func(s ApplicationState, e ApplicationEvent) (ApplicationState, error) {
					return NextApplication(kind, s, e, c.deadline, moment)
				})
			})
		}
	}
}

// HCA-8.1.4: consent and key that come too late are refused under the clause, so that the log says why.
func TestLateStepNamesItsClause(t *testing.T) {
	for _, c := range []struct {
		kind ApplicationKind
		s    ApplicationState
		e    ApplicationEvent
	}{
		{Enrolment, AppAwaitingSignature, AppConsented},
		{Enrolment, AppAwaitingKey, AppKeyMade},
		{Revocation, AppAwaitingSignature, AppConsented},
	} {
		_, err := NextApplication(c.kind, c.s, c.e, moment, moment)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindRefused || e.Clause != "HCA-8.1.4" || e.Code != "application-expired" {
			t.Errorf("%s on %s: %+v", c.e, c.s, e)
		}
	}
}

// An application of no known kind goes nowhere.
func TestUnknownKindIsRefused(t *testing.T) {
	for _, kind := range []ApplicationKind{"", "renewal", "Enrolment"} {
		for _, s := range appStates {
			for _, e := range appEvents {
				for _, deadline := range []time.Time{moment.Add(time.Hour), moment.Add(-time.Hour)} {
					if to, err := NextApplication(kind, s, e, deadline, moment); err == nil || to != s {
						t.Errorf("%q: %q on %q leads to %q, %v", kind, e, s, to, err)
					}
				}
			}
		}
	}
}

// reachable are the states an application can come to, from one of them, in any number of steps and at any time.
func reachable(kind ApplicationKind, from ApplicationState) map[ApplicationState]bool {
	seen := map[ApplicationState]bool{}
	for todo := []ApplicationState{from}; len(todo) > 0; {
		s := todo[0]
		todo = todo[1:]
		for _, e := range appEvents {
			for _, deadline := range []time.Time{moment, moment.Add(time.Hour)} {
				if to, err := NextApplication(kind, s, e, deadline, moment); err == nil && !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
	}
	return seen
}

// HCA-7.5: what left the window stays sent until the HCA's answer is stored: it is never given up, its place is never freed
// by time, and only what was written beforehand is ever sent.
func TestWhatLeftIsNeverGivenUp(t *testing.T) {
	for _, kind := range appKinds {
		for _, s := range []ApplicationState{AppSent, AppDisputed} {
			for to := range reachable(kind, s) {
				if to == AppVoided || to == AppLapsed || to == AppRequested || to == AppAwaitingKey || to == AppAwaitingSignature {
					t.Errorf("%s: from %q it comes to %q", kind, s, to)
				}
			}
		}
		for _, s := range appStates {
			to, err := NextApplication(kind, s, AppSend, moment.Add(time.Hour), moment)
			if err == nil && (to != AppSent || s == AppAwaitingSignature || s == AppAwaitingKey) {
				t.Errorf("%s: send on %q leads to %q", kind, s, to)
			}
		}
	}
}

// A closed state is an end, an open one leads to one, and Open says which is which.
func TestClosedMeansEnd(t *testing.T) {
	for _, kind := range appKinds {
		from := reachable(kind, AppAwaitingSignature)
		from[AppAwaitingSignature] = true
		for s := range from {
			next := reachable(kind, s)
			if s.Open() != (len(next) > 0) {
				t.Errorf("%s: %q is open: %v, and leads to %v", kind, s, s.Open(), next)
			}
			if s.Open() && !next[AppCompleted] {
				t.Errorf("%s: %q can never complete", kind, s)
			}
		}
	}
	for _, s := range []ApplicationState{"", "unknown"} {
		if s.Open() || s.HoldsSlot() {
			t.Errorf("%q is open or holds a place", s)
		}
	}
}

// HCA-7.5: a place is taken by consent, held without a gap, and given back only by an end without a certificate.
func TestHoldsSlot(t *testing.T) {
	want := map[ApplicationState]bool{AppAwaitingSignature: false, AppAwaitingKey: true, AppRequested: true, AppSent: true, AppDisputed: true,
		AppCompleted: true, AppRefused: false, AppLapsed: false, AppVoided: false}
	for _, s := range appStates {
		if s.HoldsSlot() != want[s] {
			t.Errorf("%q holds a place: %v", s, s.HoldsSlot())
		}
		for _, e := range appEvents {
			for _, deadline := range []time.Time{moment, moment.Add(time.Hour)} {
				to, err := NextApplication(Enrolment, s, e, deadline, moment)
				if err != nil || to == s {
					continue
				}
				if !s.HoldsSlot() && to.HoldsSlot() && e != AppConsented {
					t.Errorf("%q on %q takes a place without consent", e, s)
				}
				if s.HoldsSlot() && !to.HoldsSlot() && to.Open() {
					t.Errorf("%q on %q gives a place back while the application goes on", e, s)
				}
			}
		}
	}
}
