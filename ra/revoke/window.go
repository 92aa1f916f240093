package revoke

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/jobs"
)

// maxNote is how many characters a note may have.
const maxNote = 250

// Note is what a person writes of the reason for an act, without the blanks around it. It is one line that holds
// nothing which could look like something else on a page.
func Note(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || utf8.RuneCountInString(text) > maxNote || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", ra.Errorf(ra.KindMalformed, "note", nil, "Write in a line what happened, of at most %d characters. Nothing was changed.", maxNote)
	}
	return text, nil
}

// Suspend stops a certificate here at once, by one person alone and at any hour (HCA-5.2.2). At the HCA it stays
// valid; use ends with this transaction, and the holder is told.
func (s *Service) Suspend(ctx context.Context, actor ra.Actor, id ra.CertificateID, note string) error {
	e := ra.Event{Actor: actor, Act: "certificate.suspend", Object: "certificate/" + string(id), Institution: actor.Institution, Clause: "HCA-5.2.2"}
	return s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		note, err := Note(note)
		if err != nil {
			return err
		}
		c, err := tx.Certificate(actor.Institution, id)
		if err != nil {
			return err
		}
		e.Institution = c.Institution
		if err := s.turn(tx, c, ra.CertSuspend, "", note); err != nil {
			return err
		}
		return tx.Notice(c.PersonID, ra.NoticeSuspended, e.Object)
	})
}

// Second is the second person of an act, and the proposal that was approved (HCA-8.1.6).
type Second struct {
	ProposedBy string
	Approver   ra.Actor
	Proposal   string
}

// event tells of what was approved, under the approver's name.
func (s *Service) event(by Second, act, object string, c ra.Certificate) ra.Event {
	return ra.Event{At: s.now(), Actor: by.Approver, Act: act, Object: object, Institution: c.Institution, Outcome: ra.OutcomeDone, Clause: "HCA-5.2.2",
		Details: map[string]string{"certificate": string(c.ID), "approval": by.Proposal, "proposed-by": by.ProposedBy}}
}

// Resume ends a suspension, in the transaction that approves it.
func (s *Service) Resume(tx Tx, by Second, id ra.CertificateID) error {
	c, err := tx.Certificate(by.Approver.Institution, id)
	if err != nil {
		return err
	}
	if err := s.turn(tx, c, ra.CertResume, "", ""); err != nil {
		return err
	}
	if err := tx.Notice(c.PersonID, ra.NoticeResumed, "certificate/"+string(id)); err != nil {
		return err
	}
	return tx.Audit(s.event(by, "certificate.resume", "certificate/"+string(id), c))
}

// Approved is a revocation without consent that one person proposed and another approved, in the transaction that
// approves it (HCA-5.2.2). The certificate is unusable with it, and the request to the HCA is committed.
func (s *Service) Approved(tx Tx, by Second, id ra.CertificateID, ground, note string) error {
	if err := ra.Refused(policy.RevokeWithoutConsent(ground, "person", 1, note, false)); err != nil {
		return err
	}
	a, err := s.blank(s.now(), ra.Actor{ID: by.ProposedBy})
	if err != nil {
		return err
	}
	c, err := s.without(tx, a, by.Approver.Institution, id, ground, note)
	if err != nil {
		return err
	}
	e := s.event(by, "revoke.window", "application/"+string(a.ID), c)
	e.Details["ground"] = ground
	return tx.Audit(e)
}

// Proved is a revocation that the sweep starts by itself, because a ground of HCA-5.2.2 is proved by the
// register: prove is asked once more now, since the register may have changed since it was looked at. It needs no
// approval. A certificate that is not valid any more is left alone: false is returned.
func (s *Service) Proved(ctx context.Context, actor ra.Actor, id ra.CertificateID, ground, note string, prove func() (bool, error)) (started bool, err error) {
	proved, err := prove()
	if err != nil || !proved {
		return false, err
	}
	a, err := s.blank(s.now(), actor)
	if err != nil {
		return false, err
	}
	e := ra.Event{Actor: actor, Act: "revoke.window", Object: "application/" + string(a.ID),
		Clause: "HCA-5.2.2", Details: map[string]string{"certificate": string(id), "ground": ground}}
	err = s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		if err := ra.Refused(policy.RevokeWithoutConsent(ground, "sweep", 0, note, proved)); err != nil {
			return err
		}
		c, err := s.without(tx, a, "", id, ground, note)
		e.Institution = c.Institution
		return err
	})
	if err != nil && ra.KindOf(err) == ra.KindConflict {
		return false, nil // somebody else was faster, or it expired meanwhile
	}
	return err == nil, err
}

// without starts a revocation that no card signs: a is its application, blank yet.
func (s *Service) without(tx Tx, a ra.Application, scope ra.InstitutionCode, id ra.CertificateID, ground, note string) (ra.Certificate, error) {
	c, err := tx.Certificate(scope, id)
	if err != nil {
		return c, err
	}
	g, _ := policy.GroundOf(ground)
	about(&a, c)
	a.State, a.Ground, a.Note, a.Reason = ra.AppRequested, ground, note, ra.RevocationReason(g.Reason)
	if err := s.turn(tx, c, ra.CertRevoke, a.Reason, ground); err != nil {
		return c, err
	}
	if err := tx.InsertApplication(a); err != nil {
		return c, err
	}
	return c, tx.Enqueue(jobs.Exchange{Application: a.ID})
}

// stop makes a certificate unusable because its revocation was decided (HCA-7.2).
func (s *Service) stop(tx Tx, id ra.CertificateID, reason ra.RevocationReason, note string) error {
	c, err := tx.Certificate("", id)
	if err != nil {
		return err
	}
	return s.turn(tx, c, ra.CertRevoke, reason, note)
}

// turn brings a certificate to its next state.
func (s *Service) turn(tx Tx, c ra.Certificate, event ra.CertificateEvent, reason ra.RevocationReason, note string) error {
	from := c.State
	var err error
	if c.State, err = ra.NextCertificate(from, event, c.NotAfter, s.now()); err != nil {
		return err
	}
	c.Reason, c.StateNote, c.UpdatedAt = reason, note, s.now()
	return tx.UpdateCertificate(c, from)
}
