package approve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
)

// Terms are what two persons agree on, with the state in which it was when it was proposed.
type Terms struct {
	Act         Act                `json:"act"`
	Object      string             `json:"object"`
	Institution ra.InstitutionCode `json:"institution,omitempty"`

	Certificate ra.CertificateID    `json:"certificate,omitempty"`
	Serial      string              `json:"serial,omitempty"`
	State       ra.CertificateState `json:"state,omitempty"` // of the certificate, when it was proposed
	Ground      string              `json:"ground,omitempty"`
	Reason      ra.RevocationReason `json:"reason,omitempty"`
	Note        string              `json:"note,omitempty"`

	Person   ra.PersonID `json:"person,omitempty"`
	Limit    int         `json:"limit,omitempty"`    // how many in place of five
	Until    *time.Time  `json:"until,omitempty"`    // the first moment at which it no longer holds
	Reply    string      `json:"reply,omitempty"`    // number of HCA's reply
	Replaces string      `json:"replaces,omitempty"` // the reply of the exemption on record, when it was proposed

	Facts Facts `json:"facts,omitempty"` // of an act of another room
}

// Facts are what an act of another room is, by name: all that its executor gets, and all of it is shown to the
// approver. The names are keys of the pages' words.
type Facts map[string]string

// Bounds of what is proposed. Twenty is the window's own bound on an exemption: a mistyped number must not be
// approved in passing.
const (
	MinLimit = policy.MaxValidCertificates + 1
	MaxLimit = 20
	maxReply = 64 // characters
)

// Terms reads the payload. A row that was changed outside this program is refused: its payload must have the
// stored hash and speak of the row's own act, object and institution (HCA-8.1.6).
func (p Proposal) Terms() (t Terms, err error) {
	d := json.NewDecoder(bytes.NewReader(p.Payload))
	d.DisallowUnknownFields()
	err = d.Decode(&t)
	if err == nil && HashOf(p.Payload) == p.Hash && t.Act == p.Act && t.Object == p.Object && t.Institution == p.Institution {
		return t, nil
	}
	return Terms{}, ra.Refuse("HCA-8.1.6", "approval-changed", "What was proposed has been changed since. Nothing was done; propose it anew.", err)
}

// ProposeRevocation proposes to revoke a certificate without its holder's consent, on a ground of HCA-5.2.2.
func (s *Service) ProposeRevocation(ctx context.Context, actor ra.Actor, id ra.CertificateID, ground, note string) (Proposal, error) {
	return s.propose(ctx, actor, RevokeCertificate, "certificate/"+string(id), func(tx Tx) (Terms, error) {
		t, err := s.aboutCertificate(tx, actor, id, ra.CertRevoke, note)
		if err != nil {
			return t, err
		}
		if err := ra.Refused(policy.RevokeWithoutConsent(ground, "person", 1, t.Note, false)); err != nil {
			return t, err
		}
		g, _ := policy.GroundOf(ground)
		t.Ground, t.Reason = ground, ra.RevocationReason(g.Reason)
		return t, nil
	})
}

// ProposeResumption proposes to end a certificate's suspension, which one person alone could begin (HCA-5.2.2).
func (s *Service) ProposeResumption(ctx context.Context, actor ra.Actor, id ra.CertificateID, note string) (Proposal, error) {
	return s.propose(ctx, actor, ResumeCertificate, "certificate/"+string(id), func(tx Tx) (Terms, error) {
		return s.aboutCertificate(tx, actor, id, ra.CertResume, note)
	})
}

// aboutCertificate are the terms of what may happen to a certificate now.
func (s *Service) aboutCertificate(tx Tx, actor ra.Actor, id ra.CertificateID, event ra.CertificateEvent, note string) (Terms, error) {
	c, err := tx.Certificate(actor.Institution, id)
	if err != nil {
		return Terms{}, err
	}
	if _, err := ra.NextCertificate(c.State, event, c.NotAfter, s.now()); err != nil {
		return Terms{}, err
	}
	if note, err = revoke.Note(note); err != nil {
		return Terms{}, err
	}
	return Terms{Institution: c.Institution, Certificate: id, Serial: c.Serial, State: c.State, Note: note}, nil
}

// ProposeExemption proposes to record HCA's written leave for a person to hold more than five certificates
// (HCA-7.5). It is the whole window's business: a person is one person in all institutions.
func (s *Service) ProposeExemption(ctx context.Context, actor ra.Actor, person ra.PersonID, e policy.Exemption) (Proposal, error) {
	return s.propose(ctx, actor, Exemption, "person/"+string(person), func(tx Tx) (Terms, error) {
		if actor.Institution != "" {
			return Terms{}, ra.Refuse("HCA-8.1.6", "not-yours", "An exemption is recorded by the window's own administrators. Nothing was changed.", nil)
		}
		if err := s.sound(e); err != nil {
			return Terms{}, err
		}
		if _, err := tx.Person(person); err != nil {
			return Terms{}, err
		}
		until := e.Until.UTC()
		t := Terms{Person: person, Limit: e.Limit, Until: &until, Reply: strings.TrimSpace(e.Reply)}
		last, err := tx.Exemption(person)
		if last != nil {
			t.Replaces = last.Reply
		}
		return t, err
	})
}

// maxFacts bounds a proposal's facts, in bytes of their JSON: a page shows them all.
const maxFacts = 64 << 10

// Propose proposes an act of another room of the house, about an object of the institution given, or of the whole
// window's.
func (s *Service) Propose(ctx context.Context, actor ra.Actor, act Act, object string, institution ra.InstitutionCode, facts Facts) (Proposal, error) {
	return s.propose(ctx, actor, act, object, func(tx Tx) (Terms, error) {
		x, ok := s.others[act]
		switch {
		case !ok:
			return Terms{}, errUnknownAct
		case actor.Institution != "" && (x.WholeWindow || actor.Institution != institution):
			return Terms{}, errWholeWindow
		}
		if raw, err := json.Marshal(facts); err != nil || len(raw) > maxFacts {
			return Terms{}, ra.Errorf(ra.KindMalformed, "approval-large", err, "This is more than one approval can show. Nothing was changed; propose it in parts.")
		}
		return Terms{Institution: institution, Facts: facts}, x.Check(tx, actor, object, facts)
	})
}

// sound refuses an exemption that cannot be one.
func (s *Service) sound(e policy.Exemption) error {
	bad := func(code, format string, args ...any) error {
		return &ra.Error{Kind: ra.KindMalformed, Clause: "HCA-7.5", Code: code, Detail: fmt.Sprintf(format, args...)}
	}
	reply, err := revoke.Note(e.Reply)
	switch {
	case e.Limit < MinLimit || e.Limit > MaxLimit:
		return bad("exemption-limit", "An exemption is for %d to %d certificates. Nothing was changed.", MinLimit, MaxLimit)
	case !s.now().Before(e.Until):
		return bad("exemption-until", "The exemption has to end at a day to come. Nothing was changed.")
	case err != nil || utf8.RuneCountInString(reply) > maxReply:
		return bad("exemption-reply", "Give the number of HCA's written reply. Nothing was changed.")
	}
	return nil
}
