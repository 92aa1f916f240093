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

// executors carry each act out, in the transaction of its approval.
var executors = map[Act]func(*Service, Tx, approval) error{
	RevokeCertificate: (*Service).revokeCertificate,
	ResumeCertificate: (*Service).resumeCertificate,
	Exemption:         (*Service).recordExemption,
}

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
