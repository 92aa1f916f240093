package exchange

import (
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/jobs"
	"certwindow/ra/revoke"
)

// Choice is what two persons make of an answer that does not fit.
type Choice string

const (
	// AskAgain has the HCA asked anew what became of the request.
	AskAgain Choice = "ask-again"
	// Close ends an enrolment on the HCA's letter that nothing was issued for it, or that what was issued is revoked.
	Close Choice = "close"
)

// Choices are both, in the order that pages show them.
var Choices = []Choice{AskAgain, Close}

// Settlement is what a person proposes to make of a dispute.
type Settlement struct {
	Choice    Choice
	Note      string
	Letter    string // the number of the HCA's letter; Close alone
	LetterSum string // SHA-256 of the letter, lower hex; Close alone
}

// maxLetter is how many characters the number of a letter may have.
const maxLetter = 64

// Names of the facts that two persons decide on.
const (
	factWrong     = "dispute-wrong"
	factAnswer    = "dispute-answer"
	factSerial    = "dispute-serial"
	factChoice    = "dispute-choice"
	factNote      = "dispute-note"
	factLetter    = "dispute-letter"
	factLetterSum = "dispute-letter-sha256"
)

// Facts are exactly what is approved: what was wrong, by which answer, and what becomes of it.
func (d Dispute) Facts(x Settlement) approve.Facts {
	f := approve.Facts{factWrong: d.Wrong, factAnswer: d.Sum, factChoice: string(x.Choice), factNote: strings.TrimSpace(x.Note)}
	if d.Certificate != nil {
		f[factSerial] = d.Certificate.Serial
	}
	if x.Choice == Close {
		f[factLetter], f[factLetterSum] = strings.TrimSpace(x.Letter), strings.ToLower(strings.TrimSpace(x.LetterSum))
	}
	return f
}

// Revoked tells what the HCA's own list says of a certificate; an error says that the list cannot tell.
type Revoked func(c ra.Certificate) (bool, error)

// settleTx is what settling needs beside the rest.
type settleTx interface {
	Tx
	Enqueue(j jobs.Args) error
}

var errAnswerChanged = ra.Refuse("HCA-8.1.6", "approval-object-changed", "What this is about has changed since it was proposed. Nothing was done; propose it anew.", nil)

// settling holds what is proposed against the application as it stands: another state or another answer voids it.
func (s *Service) settling(tx approve.Tx, revoked Revoked, scope ra.InstitutionCode, object string, facts approve.Facts) (x settleTx, d Dispute, err error) {
	x, ok := tx.(settleTx)
	if !ok {
		return nil, d, fmt.Errorf("%T is no transaction of an exchange", tx)
	}
	id, ok := strings.CutPrefix(object, "application/")
	if !ok {
		return nil, d, ra.Errorf(ra.KindMalformed, "approval-facts", nil, "This is not what a settlement is about. Nothing was changed.")
	}
	if d, err = s.dispute(x, scope, ra.ApplicationID(id)); err != nil {
		return nil, d, err
	}
	want := Settlement{Choice: Choice(facts[factChoice]), Note: facts[factNote], Letter: facts[factLetter], LetterSum: facts[factLetterSum]}
	if !maps.Equal(facts, d.Facts(want)) {
		return nil, d, errAnswerChanged
	}
	if _, err := revoke.Note(want.Note); err != nil {
		return nil, d, err
	}
	switch want.Choice {
	case AskAgain:
		return x, d, nil
	case Close:
		return x, d, d.mayClose(want, revoked)
	}
	return nil, d, ra.Errorf(ra.KindMalformed, "dispute-choice", nil, "Choose what becomes of the application. Nothing was changed.")
}

// mayClose judges whether an enrolment can end: the HCA has written, and no certificate of it is left that is valid.
// What no pinned CA signed cannot be on the list of one, and never ends so.
func (d Dispute) mayClose(x Settlement, revoked Revoked) error {
	letter, err := revoke.Note(x.Letter)
	sum, bad := hex.DecodeString(x.LetterSum)
	switch {
	case d.Application.Kind != ra.Enrolment:
		return ra.Refuse("HCA-7.2", "dispute-close-kind", "A revocation ends only when the HCA has revoked the certificate. Nothing was changed; have the HCA asked again.", nil)
	case err != nil || utf8.RuneCountInString(letter) > maxLetter:
		return ra.Errorf(ra.KindMalformed, "dispute-letter", nil, "Give the number of the HCA's letter, of at most %d characters. Nothing was changed.", maxLetter)
	case bad != nil || len(sum) != 32:
		return ra.Errorf(ra.KindMalformed, "dispute-letter-sha256", nil, "Give the SHA-256 of the HCA's letter, in 64 hexadecimal digits. Nothing was changed.")
	case d.Certificate == nil:
		return nil
	case !d.Certificate.Pinned:
		return ra.Refuse("HCA-7.5", "dispute-issuer", "No CA that is pinned here signed the certificate in the answer, so its revocation cannot be seen. Nothing was changed; have the HCA asked again.", nil)
	}
	gone, err := revoked(ra.Certificate{DER: d.Certificate.DER, Serial: d.Certificate.Serial, IssuerKey: d.Certificate.IssuerKey})
	if err != nil {
		return ra.Errorf(ra.KindUnavailable, "dispute-list", err, "The HCA's revocation list cannot be read now. Nothing was changed; try again later.")
	}
	if !gone {
		return ra.Refuse("HCA-7.5", "dispute-not-revoked", "The certificate in the answer is not on the HCA's revocation list. Nothing was changed; wait for the list that names it.", nil)
	}
	return nil
}

// Acts are what two persons of the whole window decide here (HCA-8.1.6). revoked asks the HCA's own list.
func (s *Service) Acts(revoked Revoked) map[approve.Act]approve.Executor {
	return map[approve.Act]approve.Executor{approve.SettleDispute: {
		WholeWindow: true,
		Check: func(tx approve.Tx, actor ra.Actor, object string, facts approve.Facts) error {
			_, _, err := s.settling(tx, revoked, actor.Institution, object, facts)
			return err
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error {
			x, d, err := s.settling(tx, revoked, a.Actor.Institution, a.Proposal.Object, a.Facts)
			if err != nil {
				return err
			}
			act := "dispute.ask-again"
			if Choice(a.Facts[factChoice]) == Close {
				act = "dispute.close"
				err = s.close(x, d)
			} else {
				err = s.askAgain(x, d)
			}
			if err != nil {
				return err
			}
			e := a.Event(act, a.Proposal.Object)
			e.At, e.Institution, e.Clause = s.now(), d.Application.Institution, "HCA-3.3"
			e.Details["wrong"], e.Details["answer"] = d.Wrong, d.Sum
			if d.Certificate != nil {
				e.Details["serial"], e.Details["issuer-key"] = d.Certificate.Serial, d.Certificate.IssuerKey
			}
			return tx.Audit(e)
		}}}
}

// askAgain sends the application back to where its outcome is asked for; its slot stays held (HCA-7.5).
func (s *Service) askAgain(tx settleTx, d Dispute) error {
	a, err := s.step(tx, d.Application.ID, ra.AppAskAgain)
	if err != nil {
		return err
	}
	if err := a.save(tx); err != nil {
		return err
	}
	return tx.Enqueue(jobs.Exchange{Application: d.Application.ID})
}

// close ends an enrolment that came to nothing: its slot is free, its HSM key is forgotten, and the holder is told.
func (s *Service) close(tx settleTx, d Dispute) error {
	a, err := s.step(tx, d.Application.ID, ra.AppDenied)
	if err != nil {
		return err
	}
	a.app.Slot = nil
	a.app.FailureCode, a.app.FailureDetail = "dispute-closed", "The HCA's answer did not fit the request, and the HCA has confirmed that no valid certificate came of it. Begin a new application."
	if err := tx.DeleteHolderKey(d.Application.ID); err != nil {
		return err
	}
	if err := a.save(tx); err != nil {
		return err
	}
	return tx.Notice(d.Application.PersonID, ra.NoticeAbnormal, object(d.Application))
}
