// Package enrol is the use case of HCA-5.1: a holder applies for a mobile certificate by card, the key is made
// after that, and the request is handed to package exchange.
package enrol

import (
	"context"
	"crypto"
	"io"
	"time"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/consent"
	"certwindow/ra/jobs"
)

// New is what a clerk chooses for a person at the counter.
type New struct {
	Person      ra.PersonID
	Device      ra.DeviceID
	Institution ra.InstitutionCode
	Scope       []string
	KeyDesign   ra.KeyDesign
	Carrier     ra.Carrier
	Algorithm   string // "P-256" or "RSA-2048"; empty means P-256
	// Renews is the certificate that the new one is to follow, which is the window's own record; empty: none.
	Renews ra.CertificateID
	// Insertion is the stay of the card that the counter began with, as the component asserts it: the signature has to
	// come from the same one. Empty where no card was read first (HCA-8.1.2).
	Insertion string
}

// Signature is what came back from the card component.
type Signature = consent.Signature

// Query selects applications, newest first.
type Query struct {
	Kind        ra.ApplicationKind
	State       ra.ApplicationState
	Institution ra.InstitutionCode
	Person      ra.PersonID
	Device      ra.DeviceID
	Certificate ra.CertificateID
	Before      string   // the last id of the page before
	Order       ra.Order // by "id"; zero: newest first
	Brief       bool     // without what was signed and proved, which a list does not show
	Limit       int
}

// Tx is one transaction on what an enrolment reads and writes.
type Tx interface {
	Person(id ra.PersonID) (ra.PersonFacts, error)
	Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	Institution(code ra.InstitutionCode) (ra.InstitutionFacts, error)
	Scopes() ([]policy.ApprovedScope, error)
	// AppFacts is which app the device last said to run, and AppDigests what its approved versions are known by (HCA-6.1).
	AppFacts(id ra.DeviceID) (ra.AppFacts, error)
	AppDigests(id ra.DeviceID, app string) ([]string, error)

	InsertApplication(a ra.Application) error
	Application(scope ra.InstitutionCode, id ra.ApplicationID) (ra.Application, error)
	Applications(q Query) ([]ra.Application, error)
	// CountApplications counts what a query finds, as far as ra.CountUpTo and one more.
	CountApplications(q Query) (int, error)
	// UpdateApplication writes it when it is still in the state from, and fails with a conflict otherwise.
	UpdateApplication(a ra.Application, from ra.ApplicationState) error
	// Overdue lists open applications whose deadline passed, that have not left the window.
	Overdue(at time.Time, limit int) ([]ra.Application, error)

	Certificate(scope ra.InstitutionCode, id ra.CertificateID) (ra.Certificate, error)
	// Renewals are the renewals of these certificates.
	Renewals(of []ra.CertificateID) ([]ra.Renewal, error)

	IssueNonce(n ra.Nonce) error
	// RedeemNonce uses a nonce up; it fails under HCA-8.1.4 when it was used, is too old or was issued for something else.
	RedeemNonce(n ra.Nonce, at time.Time) error
	// NonceUsed tells whether a nonce was redeemed before.
	NonceUsed(value string) (bool, error)
	// InsertionOfAnother tells whether another person's card signed in this insertion of a card (HCA-8.1.2).
	InsertionOfAnother(insertion string, person ra.PersonID) (bool, error)

	// LockHolder keeps every other transaction from counting the person's certificates until this one ends.
	LockHolder(id ra.PersonID) (*policy.Exemption, error)
	// TakenSlots are the person's places of HCA-7.5 that are held now, after those of expired certificates were freed.
	TakenSlots(id ra.PersonID, at time.Time) ([]int, error)

	SaveHolderKey(a ra.Application, k hsm.WrappedKey, at time.Time) error
	// DeleteHolderKey forgets the HSM key of an application that came to nothing.
	DeleteHolderKey(id ra.ApplicationID) error

	Audit(e ra.Event) error
	Enqueue(j jobs.Args) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Consent judges a card-signed message (HCA-5.1.1).
type Consent interface {
	Verify(ctx context.Context, want consent.Expected, cms []byte) (consent.Verified, error)
}

// Keys makes holders' keys in the HSM, each sealed under a secret of the holder's phone (HCA-6.3.5).
type Keys interface {
	OpenActivation(ctx context.Context, info, sealed []byte) (hsm.Secret, error)
	GenerateSealed(ctx context.Context, alg hsm.Algorithm, b hsm.Binding, secret hsm.Secret) (hsm.WrappedKey, error)
	SealedSigner(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret) (crypto.Signer, error)
}

// Standing tells how the window itself stands with the HCA (HCA-3.1, HCA-3.8).
type Standing func(ctx context.Context) policy.WindowStanding

// Config holds what a window may tighten; it is asked at each use (HCA-9).
type Config struct {
	Window      ra.InstitutionCode
	MessageLife func() time.Duration // at most policy.MaxMessageLife (HCA-8.1.4)
	KeyLife     func() time.Duration // how long after consent the key may be made
	Most        func() int           // how many valid certificates a person may hold; at most five (HCA-7.5)
	Attestor    ra.Attestor          // judges what phones and chips say of holders' keys; nil: ra.Unattested
}

// Service is the use case.
type Service struct {
	store    Store
	consent  Consent
	keys     Keys
	standing Standing
	cfg      Config
	now      func() time.Time
	rand     io.Reader
}

// NewService wires the use case.
func NewService(store Store, c Consent, keys Keys, standing Standing, cfg Config, now func() time.Time, rand io.Reader) *Service {
	if cfg.Attestor == nil {
		cfg.Attestor = ra.Unattested{}
	}
	return &Service{store: store, consent: c, keys: keys, standing: standing, cfg: cfg, now: now, rand: rand}
}

// Application is one application that the actor may see.
func (s *Service) Application(ctx context.Context, actor ra.Actor, id ra.ApplicationID) (a ra.Application, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		a, err = tx.Application(actor.Institution, id)
		return err
	})
	return a, err
}

// Applications is a page of applications, newest first.
func (s *Service) Applications(ctx context.Context, actor ra.Actor, q Query) (out []ra.Application, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	if q.Limit < 1 || q.Limit > 200 {
		q.Limit = 50
	}
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Applications(q)
		return err
	})
	return out, err
}

// CountApplications counts those that a query finds and the actor may see: exactly, or ra.CountUpTo and one more.
func (s *Service) CountApplications(ctx context.Context, actor ra.Actor, q Query) (n int, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		n, err = tx.CountApplications(q)
		return err
	})
	return n, err
}

// act runs one change with its audit row.
func (s *Service) act(ctx context.Context, e ra.Event, fn func(Tx, *ra.Event) error) error {
	return ra.Act[Tx](ctx, s.store, s.now(), e, fn)
}

func object(id ra.ApplicationID) string { return "application/" + string(id) }

// CodeBoundAgain is the failure code of an application that was voided because its device was bound anew.
const CodeBoundAgain = "device-bound-again"

// CodeReplaced is the failure code of an application that was voided because another device took the place of its own.
const CodeReplaced = "device-replaced"

// goesOn refuses, under the rule, what a new binding of the device has voided (HCA-6.0), or that another device took its
// place (HCA-7.3).
func goesOn(a ra.Application) error {
	if a.State == ra.AppVoided && a.FailureCode == CodeReplaced {
		return ra.Refuse("HCA-7.3", CodeReplaced, "Another device took the place of this one since the application was made. Nothing was changed; begin a new application.", nil)
	}
	if a.State == ra.AppVoided && a.FailureCode == CodeBoundAgain {
		return ra.Refuse("HCA-6.0", CodeBoundAgain, "The device was bound anew since this application was made. Nothing was changed; begin a new application.", nil)
	}
	return nil
}
