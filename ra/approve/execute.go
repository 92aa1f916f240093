package approve

import (
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
)

// approval is a proposal with the one who approves it.
type approval struct {
	actor    ra.Actor
	proposal Proposal
	terms    Terms
}

// Approval is a proposal that a second person agrees to, for the executor that carries it out.
type Approval struct {
	Actor    ra.Actor // the approver
	Proposal Proposal
	Facts    Facts
}

// Event is the beginning of the audit row by which an executor says what it did: who approved, who proposed, and
// which proposal it was.
func (a Approval) Event(act, object string) ra.Event {
	return ra.Event{Actor: a.Actor, Act: act, Object: object, Institution: a.Proposal.Institution, Outcome: ra.OutcomeDone, Clause: "HCA-8.1.6",
		Details: map[string]string{"approval": a.Proposal.ID, "proposed-by": a.Proposal.ProposedBy}}
}

// Executor is an act of another room of the house: a role, a setting, an app. What two persons agree on is its
// facts, all of which the approver is shown, and nothing else.
type Executor struct {
	// Check judges the facts as things stand, when they are proposed and again when they are approved: what is
	// not any more as it was is refused. A fact that says how it stood makes it able to tell.
	Check func(tx Tx, actor ra.Actor, object string, facts Facts) error
	// CarryOut does it, in the transaction of the approval, with an audit row of its own.
	CarryOut func(tx Tx, a Approval) error
	// WholeWindow keeps it to the window's own staff: members of one institution neither propose nor approve it.
	WholeWindow bool
}

// executors carry out the acts of the registration authority itself, in the transaction of their approval.
var executors = map[Act]func(*Service, Tx, approval) error{
	RevokeCertificate: (*Service).revokeCertificate,
	ResumeCertificate: (*Service).resumeCertificate,
	Exemption:         (*Service).recordExemption,
}

// execute carries out whatever was proposed.
func (s *Service) execute(tx Tx, a approval) error {
	if carryOut, ok := executors[a.proposal.Act]; ok {
		return carryOut(s, tx, a)
	}
	x, ok := s.others[a.proposal.Act]
	if !ok {
		return errUnknownAct
	}
	if x.WholeWindow && a.actor.Institution != "" {
		return errWholeWindow
	}
	if err := x.Check(tx, a.actor, a.proposal.Object, a.terms.Facts); err != nil {
		return err
	}
	return x.CarryOut(tx, Approval{Actor: a.actor, Proposal: a.proposal, Facts: a.terms.Facts})
}

var (
	errUnknownAct  = ra.Errorf(ra.KindInternal, "approval-act", nil, "This act is not known. Nothing was changed.")
	errWholeWindow = ra.Refuse("HCA-8.1.6", "not-yours", "This is the business of the window's own staff. Nothing was changed.", nil)
)

func (a approval) second() revoke.Second {
	return revoke.Second{ProposedBy: a.proposal.ProposedBy, Approver: a.actor, Proposal: a.proposal.ID}
}

func (s *Service) revokeCertificate(tx Tx, a approval) error {
	if err := unchanged(tx, a.terms); err != nil {
		return err
	}
	return s.revoke.Approved(tx, a.second(), a.terms.Certificate, a.terms.Ground, a.terms.Note)
}

func (s *Service) resumeCertificate(tx Tx, a approval) error {
	if err := unchanged(tx, a.terms); err != nil {
		return err
	}
	return s.revoke.Resume(tx, a.second(), a.terms.Certificate)
}

// unchanged refuses what is not any more as it was when it was proposed (HCA-8.1.6).
func unchanged(tx Tx, t Terms) error {
	c, err := tx.Certificate("", t.Certificate)
	if err != nil {
		return err
	}
	if c.State != t.State || c.Serial != t.Serial || c.Institution != t.Institution {
		return errChanged
	}
	return nil
}

var errChanged = ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)

func (s *Service) recordExemption(tx Tx, a approval) error {
	last, err := tx.LockHolder(a.terms.Person)
	if err != nil {
		return err
	}
	if a.terms.Until == nil || (last == nil) != (a.terms.Replaces == "") || last != nil && last.Reply != a.terms.Replaces {
		return errChanged
	}
	e := policy.Exemption{Limit: a.terms.Limit, Until: *a.terms.Until, Reply: a.terms.Reply}
	if err := s.sound(e); err != nil {
		return err
	}
	if err := tx.SaveExemption(a.terms.Person, e); err != nil {
		return err
	}
	return tx.Audit(ra.Event{At: s.now(), Actor: a.actor, Act: "person.exempt", Object: a.proposal.Object, Outcome: ra.OutcomeDone, Clause: "HCA-7.5",
		Details: map[string]string{"approval": a.proposal.ID, "proposed-by": a.proposal.ProposedBy, "reply": e.Reply}})
}
