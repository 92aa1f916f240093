package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"time"

	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/csr"
	"certwindow/ra/hca"
)

// What can be wrong with an answer beside the reasons of hca.CheckCertificate.
const (
	WrongKind    = "kind"    // it is of another kind than the request
	WrongRefusal = "refusal" // the HCA refused a revocation, so that a certificate stands that must not
)

// Wrongs are all that can be wrong with an answer, each a word of the pages.
var Wrongs = []string{WrongKind, WrongRefusal, string(hca.MismatchUndecodable), string(hca.MismatchKey), string(hca.MismatchHolder), string(hca.MismatchName),
	string(hca.MismatchIssuer), string(hca.MismatchProfile), string(hca.MismatchSubjectType), string(hca.MismatchValidity)}

// Dispute is what is known of an answer that does not fit its request (HCA-3.3).
type Dispute struct {
	Application ra.Application
	Wrong       string    // one of Wrongs
	Sum         string    // SHA-256 of the answer as it came, lower hex
	AnsweredAt  time.Time // when it came
	Certificate *Stray    // the certificate in it; nil where it holds none
}

// Stray is a certificate that does not answer its request. It is never on the register.
type Stray struct {
	Serial, IssuerKey   string // lower hex
	Name, Holder        string // its subject's, for pages to mask
	KeyEqual            bool   // its key is that of the request
	Pinned              bool   // a pinned CA signed it
	NotBefore, NotAfter time.Time
	DER                 []byte
}

// Dispute tells what is wrong with the answer to one of the actor's applications.
func (s *Service) Dispute(ctx context.Context, actor ra.Actor, id ra.ApplicationID) (d Dispute, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		d, err = s.dispute(tx, actor.Institution, id)
		return err
	})
	return d, err
}

// dispute judges the kept answer as it was judged when it came.
func (s *Service) dispute(tx Tx, scope ra.InstitutionCode, id ra.ApplicationID) (d Dispute, err error) {
	if _, err := tx.Application(scope, id); err != nil {
		return d, err
	}
	var w work
	if err := s.load(tx, id, &w); err != nil {
		return d, err
	}
	if w.app.State != ra.AppDisputed || !w.found || w.request.AnsweredAt == nil {
		return d, ra.Errorf(ra.KindConflict, "not-disputed", nil, "The application does not wait for a person to look at the HCA's answer. Nothing was changed.")
	}
	sum := sha256.Sum256(w.request.Answer)
	d = Dispute{Application: w.app, Wrong: WrongKind, Sum: hex.EncodeToString(sum[:]), AnsweredAt: *w.request.AnsweredAt}
	if w.app.FailureCode == "hca-refused" {
		d.Wrong = WrongRefusal
	}
	enclosed, err := s.adapter.Enclosed(w.request.Answer)
	if err != nil || len(enclosed) > 1 {
		return d, ra.Errorf(ra.KindInternal, "stored-answer", err, "The stored answer of the HCA cannot be read. Nothing was changed.")
	}
	if len(enclosed) == 0 {
		return d, nil
	}
	if d.Certificate, err = s.stray(w, enclosed[0]); err != nil || w.app.Kind != ra.Enrolment {
		return d, err
	}
	var m *hca.Mismatch
	if err := s.fits(w, enclosed[0], d.AnsweredAt); errors.As(err, &m) {
		d.Wrong = string(m.Reason)
	}
	return d, nil
}

func (s *Service) stray(w work, der []byte) (*Stray, error) {
	cert, err := certpath.ParseCertificate(der)
	if err != nil {
		return nil, ra.Errorf(ra.KindInternal, "stored-answer", err, "The certificate in the stored answer cannot be read. Nothing was changed.")
	}
	out := &Stray{Serial: cert.SerialNumber.Text(16), IssuerKey: hex.EncodeToString(cert.AuthorityKeyID), Name: cert.Subject.Get(commonName), Holder: cert.Subject.Get(s.holderAttribute()),
		Pinned: s.pinned(cert), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, DER: der}
	if request, err := csr.Parse(w.app.CSR); err == nil {
		out.KeyEqual = bytes.Equal(request.SPKI, cert.RawSPKI)
	}
	return out, nil
}

var (
	commonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	serialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}
)

func (s *Service) holderAttribute() asn1.ObjectIdentifier {
	if s.profile.Holder == nil {
		return serialNumber
	}
	return s.profile.Holder
}

// pinned tells whether one of the HCA's issuing CAs signed a certificate, whatever else is wrong with it.
func (s *Service) pinned(cert *certpath.Certificate) bool {
	for _, der := range s.profile.Issuers {
		ca, err := certpath.ParseCertificate(der)
		if err == nil && bytes.Equal(ca.RawSubject, cert.RawIssuer) && bytes.Equal(ca.SubjectKeyID, cert.AuthorityKeyID) &&
			certpath.CheckSignature(ca.PublicKey, cert.SignatureAlgorithm, cert.RawTBS, cert.Signature) == nil {
			return true
		}
	}
	return false
}

// Part is one of the two halves of an exchange.
type Part string

// The halves, as they went over the wire.
const (
	PartRequest Part = "request"
	PartAnswer  Part = "answer"
)

// Export gives one half of a disputed exchange out, with a row that says to whom (HCA-8.1.6).
func (s *Service) Export(ctx context.Context, actor ra.Actor, id ra.ApplicationID, part Part) (raw []byte, err error) {
	e := ra.Event{Actor: actor, Act: "dispute.export", Object: "application/" + string(id), Institution: actor.Institution, Clause: "HCA-3.3"}
	err = ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		d, err := s.dispute(tx, actor.Institution, id)
		if err != nil {
			return err
		}
		r, _, err := tx.Request(id)
		if err != nil {
			return err
		}
		switch part {
		case PartRequest:
			raw = r.Prepared.Bytes
		case PartAnswer:
			raw = r.Answer
		default:
			return ra.Errorf(ra.KindNotFound, "not-found", nil, "An exchange has a request and an answer. Nothing was changed.")
		}
		sum := sha256.Sum256(raw)
		e.Institution, e.Details = d.Application.Institution, map[string]string{"part": string(part), "sha256": hex.EncodeToString(sum[:])}
		return nil
	})
	return raw, err
}
