// Package revoke is the use case of HCA-5.2: the holder revokes a certificate by card, or the window does on
// one of the named grounds. From the moment of the decision the certificate is not usable; the request to the
// HCA follows through package exchange.
package revoke

import (
	"context"
	"io"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/consent"
	"certwindow/ra/enrol"
	"certwindow/ra/jobs"
)

// Query selects certificates, newest first.
type Query struct {
	State       ra.CertificateState
	Institution ra.InstitutionCode
	Person      ra.PersonID
	Device      ra.DeviceID
	Serial      string // lower hex, whole
	KeyDesign   ra.KeyDesign
	From, To    time.Time // of the end of validity; zero: no bound
	Before      string
	Order       ra.Order // by "id" or by "until", the end of validity; zero: newest first
	Brief       bool     // without the certificate itself and its chain, which a list does not show
	Limit       int
}

// Tx is one transaction on what a revocation reads and writes.
type Tx interface {
	Person(id ra.PersonID) (ra.PersonFacts, error)

	Certificate(scope ra.InstitutionCode, id ra.CertificateID) (ra.Certificate, error)
	Certificates(q Query) ([]ra.Certificate, error)
	// CountCertificates counts what a query finds, as far as ra.CountUpTo and one more.
	CountCertificates(q Query) (int, error)
	// UpdateCertificate writes it when it is still in the state from, and fails with a conflict otherwise.
	UpdateCertificate(c ra.Certificate, from ra.CertificateState) error

	InsertApplication(a ra.Application) error
	Application(scope ra.InstitutionCode, id ra.ApplicationID) (ra.Application, error)
	UpdateApplication(a ra.Application, from ra.ApplicationState) error
	IssueNonce(n ra.Nonce) error
	RedeemNonce(n ra.Nonce, at time.Time) error
	NonceUsed(value string) (bool, error)
	// InsertionOfAnother tells whether another person's card signed in this insertion of a card (HCA-8.1.2).
	InsertionOfAnother(insertion string, person ra.PersonID) (bool, error)

	// Notice tells a holder, when this transaction is committed (HCA-3.4).
	Notice(person ra.PersonID, kind ra.NoticeKind, object string) error
	Audit(e ra.Event) error
	Enqueue(j jobs.Args) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Config holds what a window may tighten; it is asked at each use (HCA-9).
type Config struct {
	Window      ra.InstitutionCode
	MessageLife func() time.Duration // at most policy.MaxMessageLife (HCA-8.1.4)
}

// Service is the use case.
type Service struct {
	store   Store
	consent enrol.Consent
	cfg     Config
	now     func() time.Time
	rand    io.Reader
}

// NewService wires the use case.
func NewService(store Store, c enrol.Consent, cfg Config, now func() time.Time, rand io.Reader) *Service {
	return &Service{store: store, consent: c, cfg: cfg, now: now, rand: rand}
}

// Certificate is one certificate that the actor may see.
func (s *Service) Certificate(ctx context.Context, actor ra.Actor, id ra.CertificateID) (c ra.Certificate, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		c, err = tx.Certificate(actor.Institution, id)
		return err
	})
	return c, err
}

// Certificates is a page of certificates, newest first.
func (s *Service) Certificates(ctx context.Context, actor ra.Actor, q Query) (out []ra.Certificate, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	if q.Limit < 1 || q.Limit > 200 {
		q.Limit = 50
	}
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Certificates(q)
		return err
	})
	return out, err
}

// CountCertificates counts those that a query finds and the actor may see: exactly, or ra.CountUpTo and one more.
func (s *Service) CountCertificates(ctx context.Context, actor ra.Actor, q Query) (n int, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		n, err = tx.CountCertificates(q)
		return err
	})
	return n, err
}

// Begin makes a revocation's application and the text that the holder's card is to sign (HCA-5.2.1). insertion is the stay
// of the card that the counter began with, as the component asserts it: the signature has to come from the same one. It is
// empty where no card was read first (HCA-8.1.2).
func (s *Service) Begin(ctx context.Context, actor ra.Actor, id ra.CertificateID, reason ra.RevocationReason, insertion string) (ra.Application, error) {
	now := s.now().Truncate(time.Second) // the text shows whole seconds
	a, err := s.blank(now, actor)
	if err != nil {
		return a, err
	}
	a.Insertion, a.Reason, a.Deadline = insertion, reason, now.Add(s.cfg.MessageLife())
	if a.Nonce, err = ra.NewNonceValue(s.rand); err != nil {
		return a, err
	}
	e := ra.Event{Actor: actor, Act: "revoke.begin", Object: "application/" + string(a.ID),
		Details: map[string]string{"certificate": string(id), "reason": string(reason)}}
	err = s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		if _, ok := reason.Code(); !ok {
			return ra.Errorf(ra.KindMalformed, "reason", nil, "This is not a reason for a revocation. Nothing was begun.")
		}
		c, err := tx.Certificate(actor.Institution, id)
		if err != nil {
			return err
		}
		if _, err := ra.NextCertificate(c.State, ra.CertRevoke, c.NotAfter, now); err != nil {
			return err
		}
		p, err := tx.Person(c.PersonID)
		if err != nil {
			return err
		}
		if err := consent.FreshInsertion(tx, insertion, p.ID); err != nil {
			return err
		}
		about(&a, c)
		e.Institution = a.Institution
		if a.Text, err = s.text(a, c, p); err != nil {
			return err
		}
		if err := tx.IssueNonce(nonceOf(a, actor)); err != nil {
			return err
		}
		return tx.InsertApplication(a)
	})
	return a, err
}

// blank is a revocation's application before it is known what of.
func (s *Service) blank(now time.Time, actor ra.Actor) (ra.Application, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return ra.Application{}, err
	}
	return ra.Application{ID: ra.ApplicationID(id), Kind: ra.Revocation, State: ra.AppAwaitingSignature, Challenge: []byte{}, Text: []byte{},
		Deadline: now, CreatedBy: actor.ID, CreatedAt: now, UpdatedAt: now}, nil
}

// about makes the application one about this certificate.
func about(a *ra.Application, c ra.Certificate) {
	id := c.ID
	a.CertificateID, a.PersonID, a.DeviceID, a.Generation = &id, c.PersonID, c.DeviceID, c.Generation
	a.Institution, a.Scope, a.KeyDesign = c.Institution, c.Scope, c.KeyDesign
}

func (s *Service) text(a ra.Application, c ra.Certificate, p ra.PersonFacts) ([]byte, error) {
	t, err := cardmsg.Revocation{
		Application: a.ID, Nonce: a.Nonce, Issued: a.CreatedAt, Expires: a.Deadline, Window: s.cfg.Window, Institution: a.Institution,
		Holder: p.Holder, Certificate: c.Serial, IssuerKey: c.IssuerKey, Reason: a.Reason,
	}.Text()
	if err != nil {
		return nil, ra.Errorf(ra.KindMalformed, "text", err, "The text for the card cannot be written from what is registered. Nothing was begun.")
	}
	return t, nil
}

func nonceOf(a ra.Application, actor ra.Actor) ra.Nonce {
	return ra.Nonce{Value: a.Nonce, Purpose: ra.NonceRevoke, Person: a.PersonID, Device: a.DeviceID, Session: actor.Session, ExpiresAt: a.Deadline}
}

// Sign takes the card's signature over a revocation's text (HCA-5.2.1). The certificate is unusable from here
// on, and the request to the HCA is committed with it.
func (s *Service) Sign(ctx context.Context, actor ra.Actor, id ra.ApplicationID, sig enrol.Signature) (ra.Application, error) {
	a, person, err := s.awaiting(ctx, actor, id)
	e := ra.Event{Actor: actor, Act: "revoke.consent", Object: "application/" + string(id), Institution: a.Institution}
	var v consent.Verified
	if err == nil {
		sig, err = sig.Over(a.Text, "HCA-5.2.1")
	}
	if err == nil {
		v, err = s.consent.Verify(ctx, consent.Expected{Text: a.Text, Nonce: a.Nonce, Holder: person.Holder, Name: person.Name,
			Issued: a.CreatedAt, Expires: a.Deadline, Bare: sig.Bare != nil, Clause: "HCA-5.2.1", Judged: judged()}, sig.CMS)
	}
	if err != nil {
		return a, s.act(ctx, e, func(Tx, *ra.Event) error { return err })
	}
	err = s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		var from ra.ApplicationState
		if a, from, err = consent.Take(tx, actor, id, func(a ra.Application) ra.Nonce { return nonceOf(a, actor) }, sig, v, s.now()); err != nil {
			return err
		}
		if err := s.stop(tx, *a.CertificateID, a.Reason, ""); err != nil {
			return err
		}
		e.Details = sig.About(v)
		e.Details["certificate"] = string(*a.CertificateID)
		if err := tx.UpdateApplication(a, from); err != nil {
			return err
		}
		return tx.Enqueue(jobs.Exchange{Application: a.ID})
	})
	return a, err
}

func (s *Service) awaiting(ctx context.Context, actor ra.Actor, id ra.ApplicationID) (a ra.Application, p ra.PersonFacts, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		a, p, err = consent.Awaiting(tx, ra.Revocation, actor.Institution, id, s.now())
		return err
	})
	return a, p, err
}

// act runs one change with its audit row.
func (s *Service) act(ctx context.Context, e ra.Event, fn func(Tx, *ra.Event) error) error {
	return ra.Act[Tx](ctx, s.store, s.now(), e, fn)
}

// judged are the rules that Sign holds a revocation against.
func judged() []policy.Clause {
	return []policy.Clause{"HCA-5.2.1", "HCA-8.1.2", "HCA-8.1.3", "HCA-8.1.4"}
}
