// Package exchange carries requests to the HCA and takes in what comes back (HCA-3.3). A request is committed
// before it leaves; when its answer is lost the HCA is asked what became of it; every answer is held against
// its request before anything is believed.
package exchange

import (
	"context"
	"encoding/asn1"
	"io"
	"math/big"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/hca"
)

// Request is a row of what left, or is about to leave, for the HCA.
type Request struct {
	Prepared   hca.Prepared
	PreparedAt time.Time
	Attempts   int
	SentAt     *time.Time // set before the first attempt: from then on it may have arrived
	Answer     []byte
	AnsweredAt *time.Time
}

// Tx is one transaction on what an exchange reads and writes.
type Tx interface {
	Person(id ra.PersonID) (ra.PersonFacts, error)
	Application(scope ra.InstitutionCode, id ra.ApplicationID) (ra.Application, error)
	UpdateApplication(a ra.Application, from ra.ApplicationState) error
	Certificate(scope ra.InstitutionCode, id ra.CertificateID) (ra.Certificate, error)
	InsertCertificate(c ra.Certificate) error
	UpdateCertificate(c ra.Certificate, from ra.CertificateState) error
	// DeleteHolderKey forgets the HSM key of an application that came to nothing.
	DeleteHolderKey(id ra.ApplicationID) error

	Request(id ra.ApplicationID) (r Request, found bool, err error)
	// InsertRequest stores a prepared request, unless one is there already.
	InsertRequest(id ra.ApplicationID, r Request) error
	UpdateRequest(id ra.ApplicationID, r Request) error
	// Carried is a page of the open requests that an adapter prepared, in the order of their ids; fetched says whether
	// those that left are among them.
	Carried(adapter string, fetched bool, after ra.ApplicationID, limit int) ([]Carried, error)

	// Notice has the holder told (HCA-3.4).
	Notice(person ra.PersonID, kind ra.NoticeKind, object string) error
	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Profile is what the certificates of this HCA must look like.
type Profile struct {
	Issuers     [][]byte // DER of the issuing CA certificates
	MaxValidity time.Duration
	Holder      asn1.ObjectIdentifier // the subject's attribute that identifies a holder; nil: serialNumber
}

// Service is the use case.
type Service struct {
	store    Store
	adapter  hca.Adapter
	standing func(ctx context.Context) policy.WindowStanding
	profile  Profile
	now      func() time.Time
	rand     io.Reader
}

// New wires the use case.
func New(store Store, adapter hca.Adapter, standing func(context.Context) policy.WindowStanding, profile Profile, now func() time.Time, rand io.Reader) *Service {
	return &Service{store: store, adapter: adapter, standing: standing, profile: profile, now: now, rand: rand}
}

// retryAfter is when a request that the HCA has not decided is asked for again, if the HCA names no time.
const retryAfter = 2 * time.Second

// work is what one step is about.
type work struct {
	app     ra.Application
	person  ra.PersonFacts
	target  ra.Certificate // of a revocation
	request Request
	found   bool
}

// Run brings one application's request forward by one step. again says when to come back; zero means that it
// has come to an end. An error means that it should be tried again with patience.
func (s *Service) Run(ctx context.Context, id ra.ApplicationID) (again time.Duration, err error) {
	var w work
	if err := s.store.View(ctx, func(tx Tx) error { return s.load(tx, id, &w) }); err != nil {
		return 0, err
	}
	if w.app.State != ra.AppRequested && w.app.State != ra.AppSent {
		return 0, nil
	}
	if err := s.mayLeave(ctx, w.app); err != nil {
		return time.Minute, s.note(ctx, w.app, err)
	}
	if !w.found {
		if err := s.prepare(ctx, &w); err != nil {
			return 0, err
		}
	}
	if _, ok := s.adapter.(hca.ByHand); ok {
		return byHandAgain, nil // a person carries it: see Fetch and TakeIn
	}
	sent := w.request.SentAt != nil
	if err := s.markSent(ctx, &w); err != nil {
		return 0, err
	}
	out, hcaErr := hca.Settle(ctx, s.adapter, w.request.Prepared, sent)
	return s.record(ctx, w, out, hcaErr)
}

func (s *Service) load(tx Tx, id ra.ApplicationID, w *work) (err error) {
	if w.app, err = tx.Application("", id); err != nil {
		return err
	}
	if w.person, err = tx.Person(w.app.PersonID); err != nil {
		return err
	}
	if w.app.Kind == ra.Revocation {
		if w.target, err = tx.Certificate("", *w.app.CertificateID); err != nil {
			return err
		}
	}
	w.request, w.found, err = tx.Request(id)
	return err
}

// mayLeave judges the window's own standing (HCA-3.1, HCA-3.8): nothing is sent without it, and what waits
// shows why.
func (s *Service) mayLeave(ctx context.Context, a ra.Application) error {
	standing := s.standing(ctx)
	if a.Kind == ra.Revocation {
		return ra.Refused(policy.WindowMayRevoke(standing, s.now()))
	}
	return ra.Refused(policy.WindowMayEnrol(standing, s.now()))
}

// prepare signs the request and commits it. Should another worker have been faster, its request is the one.
func (s *Service) prepare(ctx context.Context, w *work) error {
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return err
	}
	r := hca.Request{TransactionID: string(w.app.ID), SenderNonce: nonce, Consent: w.app.Consent, ConsentBare: w.app.ConsentBare, RequestedAt: s.now()}
	switch w.app.Kind {
	case ra.Enrolment:
		r.Kind, r.CSR = hca.Enrol, w.app.CSR
	case ra.Revocation:
		serial, ok := new(big.Int).SetString(w.target.Serial, 16)
		issuer, err := issuerName(w.target.DER)
		code, known := w.app.Reason.Code()
		if !ok || err != nil || !known {
			return ra.Errorf(ra.KindInternal, "stored-certificate", err, "The stored certificate cannot be named in a request.")
		}
		r.Kind, r.Serial, r.Issuer, r.Reason = hca.Revoke, serial, issuer, code
	}
	p, err := s.adapter.Prepare(ctx, r)
	if err != nil {
		return ra.Errorf(ra.KindUnavailable, "prepare", err, "The request to the HCA could not be signed. It is tried again.")
	}
	return s.store.Update(ctx, func(tx Tx) error {
		if err := tx.InsertRequest(w.app.ID, Request{Prepared: p, PreparedAt: s.now()}); err != nil {
			return err
		}
		w.request, w.found, err = tx.Request(w.app.ID)
		return err
	})
}

// markSent commits that the request is about to leave. From here on its outcome is unknown until an answer is
// stored, and it holds its slot.
func (s *Service) markSent(ctx context.Context, w *work) error {
	return s.store.Update(ctx, func(tx Tx) error { return s.leaves(tx, w) })
}

func (s *Service) leaves(tx Tx, w *work) error {
	a, err := tx.Application("", w.app.ID)
	if err != nil {
		return err
	}
	from := a.State
	if a.State, err = ra.NextApplication(a.Kind, from, ra.AppSend, a.Deadline, s.now()); err != nil {
		return err
	}
	now := s.now()
	a.UpdatedAt = now
	w.request.Attempts++
	if w.request.SentAt == nil {
		w.request.SentAt = &now
	}
	if err := tx.UpdateRequest(a.ID, w.request); err != nil {
		return err
	}
	w.app = a
	return tx.UpdateApplication(a, from)
}

// note shows on the application why it does not go on, and records it once.
func (s *Service) note(ctx context.Context, a ra.Application, cause error) error {
	x := ra.AsError(cause)
	if a.FailureCode == x.Code {
		return nil
	}
	e := ra.Event{Actor: actor, Act: "hca.wait", Object: "application/" + string(a.ID), Institution: a.Institution}
	return s.store.Update(ctx, func(tx Tx) error {
		a, err := tx.Application("", a.ID)
		if err != nil {
			return err
		}
		a.FailureCode, a.FailureDetail, a.UpdatedAt = x.Code, x.Detail, s.now()
		if err := tx.UpdateApplication(a, a.State); err != nil {
			return err
		}
		e.At = s.now()
		return tx.Audit(e.RefusalOf(cause))
	})
}

// actor is who acts when the HCA's answers are taken in.
var actor = ra.Actor{Kind: ra.ActorSystem, ID: "exchange"}
