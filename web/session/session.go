// Package session keeps the window's staff: their accounts, how they sign in, and for how long they stay
// signed in (HCA-8.1.1, HCA-8.1.6, HCA-8.2.6, HCA-8.2.7). It is the only SQL on the tables of
// staff, their cards, sessions, drafts and attempts to sign in.
package session

import (
	"context"
	"errors"
	"io"
	"time"

	"gorm.io/gorm"

	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
)

// Role says what a member of staff may do. There is exactly one to an account.
type Role string

const (
	WindowAdmin      Role = "window-admin"      // the whole window: institutions, scopes, accounts
	Clerk            Role = "clerk"             // the counter: persons, devices, applications
	Approver         Role = "approver"          // the second person of a dangerous act (HCA-5.2.2, HCA-8.1.6)
	InstitutionAdmin Role = "institution-admin" // one institution's staffing (HCA-3.7)
	Helpdesk         Role = "helpdesk"          // looks, and suspends at any hour
	Auditor          Role = "auditor"           // looks at everything, changes nothing
)

// Roles lists every role in the order that pages show them.
var Roles = []Role{WindowAdmin, Clerk, Approver, InstitutionAdmin, Helpdesk, Auditor}

// Valid tells whether the role is one of Roles.
func (r Role) Valid() bool {
	for _, x := range Roles {
		if x == r {
			return true
		}
	}
	return false
}

// Secret is a password, code, key or token. It prints as nothing; Reveal gives its text.
type Secret = factor.Secret

// Staff is one account.
type Staff struct {
	ID             ra.StaffID
	Account        string
	Name           string
	Institution    ra.InstitutionCode // empty: the whole window
	Role           Role
	Contractor     bool // HCA-3.2: never an approver
	Active         bool
	MustChange     bool // the initial password is still in force (HCA-8.2.6(5))
	PasswordAt     time.Time
	PasswordLocked bool // HCA-8.2.6(4)
	CodeLocked     bool // HCA-8.2.7(2)
	CreatedAt      time.Time
}

// Session is one signed-in browser.
type Session struct {
	Staff     Staff
	CSRF      string // goes into every form (see CheckForm)
	Name      string // names the session in audit events; not its token
	Method    string // how it was begun: "password" or "card"
	StartedAt time.Time
	Idle      time.Duration // how long it may lie unused
	Longest   time.Duration // how long it lasts however much it is used
	LastUsed  time.Time

	hash []byte
}

// Actor is the signed-in person as the use cases know him.
func (s Session) Actor(address, requestID string) ra.Actor {
	return ra.Actor{Kind: ra.ActorStaff, ID: string(s.Staff.ID), Institution: s.Staff.Institution,
		Address: address, RequestID: requestID, Session: s.Name}
}

// Sealer encrypts columns and makes searchable hashes, as package hsm/seal does.
type Sealer interface {
	Seal(column string, plaintext []byte) ([]byte, error)
	Open(column string, sealed []byte) ([]byte, error)
	Hash(column, value string) []byte
}

// Deps is what the service needs of the rest of the house. Every field without a remark must be set.
type Deps struct {
	Sealer Sealer
	Pepper factor.Pepper // HCA-8.2.6(6)
	Now    func() time.Time
	Rand   io.Reader                           // safe for concurrent use
	Audit  func(tx *gorm.DB, e ra.Event) error // appends in the same transaction
	// Institution tells whether an institution is active; its accounts sign in and stay signed in only while it is.
	Institution func(ctx context.Context, code ra.InstitutionCode) (active bool, err error)
	Cards       *Cards               // nil: nobody signs in by card
	Idle        func() time.Duration // at most ten minutes (HCA-8.1.1); asked at each use
	Longest     func() time.Duration // of a session however much it is used: at most twelve hours
	Cost        factor.PasswordCost  // zero: factor.DefaultCost
	Issuer      string               // shown by authenticator apps beside the account
}

// passwordLabel keeps the passwords of staff apart from every other kind.
const passwordLabel = "certwindow staff password v1"

// Service keeps accounts and sessions. It is safe for concurrent use, also by several replicas.
type Service struct {
	db *gorm.DB
	Deps
	door   door
	hasher *factor.Hasher
}

// New makes the service, or refuses when a dependency is missing.
func New(db *gorm.DB, d Deps) (*Service, error) {
	if db == nil || d.Sealer == nil || d.Pepper == nil || d.Now == nil || d.Rand == nil || d.Audit == nil || d.Institution == nil ||
		d.Idle == nil || d.Longest == nil {
		return nil, errors.New("session: a dependency is missing")
	}
	if d.Cards != nil && (d.Cards.Judge == nil || d.Cards.Window == "" || d.Cards.Site == "") {
		return nil, errors.New("session: signing in by card needs its judge, the window and the site")
	}
	if d.Issuer == "" {
		d.Issuer = "certwindow"
	}
	h, err := factor.NewHasher(passwordLabel, d.Cost, d.Pepper, d.Rand)
	if err != nil {
		return nil, err
	}
	return &Service{db: db, Deps: d, hasher: h}, nil
}

// moment is the present in UTC, as exact as every database keeps it.
func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// record writes an audit event by itself, so that it outlives whatever else is rolled back.
func (s *Service) record(ctx context.Context, e ra.Event) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return s.Audit(tx, e) })
}

// refuse records a refusal and returns it. When it cannot be recorded, that is the error.
func (s *Service) refuse(ctx context.Context, e ra.Event, err error) error {
	if aerr := s.record(ctx, e.RefusalOf(err)); aerr != nil {
		return internal("audit", aerr)
	}
	return err
}

func internal(doing string, err error) error {
	return ra.Errorf(ra.KindInternal, "staff-"+doing, err, "The staff register failed.")
}

// lockOf tells which of an account's two locks is shut.
func lockOf(r staffRow) (password, code bool) {
	return !policy.PasswordLock(r.Failures).Allowed, !policy.OTPLock(r.TOTPFailures).Allowed
}
