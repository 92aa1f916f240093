// Package appcred keeps the holders' accounts on phones: by password, one-time code or biometric proof a holder shows
// that it is he, and a login picks exactly his certificates, on a shared device too (HCA-7.3, HCA-7.4, HCA-8.2.6 to
// HCA-8.2.8). Every request that reaches it was signed by a bound device's key.
package appcred

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
)

// Secret is a password, code or token.
type Secret = factor.Secret

// Channel is a way by which a one-time code is sent (HCA-8.2.7(1)).
type Channel string

const (
	SMS  Channel = "sms"
	Mail Channel = "mail"
	Push Channel = "push"
)

// Channels are all of them.
var Channels = []Channel{SMS, Mail, Push}

// Purpose is what a proof is given for. A code that was sent for one is worth nothing for another.
type Purpose string

const (
	ForLogin     Purpose = "login"
	ForSignature Purpose = "signature"
)

// Account is a holder's account.
type Account struct {
	Person     ra.PersonID
	Name       string // what he types; unique in the window, small letters
	Password   string // as package factor stores it
	PasswordAt time.Time
	MustChange bool // the initial password is still in force (HCA-8.2.6(5))
	Failures   int  // of the password, in a row (HCA-8.2.6(4))
	CodeFails  int  // of one-time codes, in a row (HCA-8.2.7(2))
	TOTP       Secret
	TOTPStep   int64 // the last time step that was used (HCA-8.2.7(3))
	HOTP       Secret
	HOTPNext   int64      // the first counter that was not used
	StoppedAt  *time.Time // since when it opens nothing, until the holder was identified again
	CreatedAt  time.Time
}

// Code is a one-time code that was sent, or a challenge for a biometric key (Channel empty). It is bound to person,
// device, app and purpose (HCA-8.2.7(4)), and used once.
type Code struct {
	ID        string
	Person    ra.PersonID
	Device    ra.DeviceID
	App       string
	Purpose   Purpose
	Channel   Channel
	Hash      []byte // keyed
	SentAt    time.Time
	ExpiresAt time.Time
}

// Biometric is a key that the phone's platform uses only after it has verified its user (HCA-8.2.8).
type Biometric struct {
	ID         string
	Person     ra.PersonID
	Device     ra.DeviceID
	Generation int // of the device's binding
	Kind       string
	SPKI       []byte // P-256
	AddedAt    time.Time
}

// Login is one holder signed in on one device.
type Login struct {
	Person     ra.PersonID
	Account    string
	Device     ra.DeviceID
	Generation int
	Thumbprint string // SHA-256 of the device's certificate that the token is bound to (RFC 8705); empty: none
	Kinds      []string
	MustChange bool
	Remind     bool // the password is older than a year (HCA-8.2.6(3))
	StartedAt  time.Time
	LastUsed   time.Time

	hash []byte // of its token
}

// Contact is where a person's codes are sent.
type Contact struct {
	Person               ra.PersonID
	Email, Phone, Locale string
}

// Tx is one transaction on the accounts.
type Tx interface {
	Person(id ra.PersonID) (ra.PersonFacts, error)
	// PersonOfCard is the one whose card names this holder.
	PersonOfCard(holder string) (p ra.PersonFacts, found bool, err error)
	Contact(id ra.PersonID) (Contact, error)
	UserFacts(id ra.DeviceID, person ra.PersonID) (ra.HolderFacts, error)
	DeviceFacts(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	AppFacts(id ra.DeviceID) (ra.AppFacts, error)
	AcceptedBiometrics(code ra.InstitutionCode) ([]string, error)

	InsertAccount(a Account) error
	// Account is a person's, AccountNamed one by its name; ok tells whether there is one. In a transaction that changes
	// something nobody else changes it until its end.
	Account(person ra.PersonID) (a Account, ok bool, err error)
	AccountNamed(name string) (a Account, ok bool, err error)
	// SetPassword writes a new hash; when it is a reset, both counters of failures begin anew and a stopped account opens.
	SetPassword(person ra.PersonID, hash string, at time.Time, mustChange, reset bool) error
	// ForgetProofs takes every proof but the password from an account.
	ForgetProofs(person ra.PersonID, at time.Time) error
	// StopAccount makes an account open nothing from a moment on.
	StopAccount(person ra.PersonID, at time.Time) error
	// CountFailure raises a counter from n to n+1, and says whether it stood at n.
	CountFailure(person ra.PersonID, c Counter, n int) (bool, error)
	// FeignFailure writes as much as CountFailure does, and counts nothing.
	FeignFailure() error
	ClearFailures(person ra.PersonID, c Counter) error
	// UseTOTP and UseHOTP use a step or counter up, and say whether it was still unused.
	UseTOTP(person ra.PersonID, step int64) (bool, error)
	UseHOTP(person ra.PersonID, counter int64) (bool, error)
	SetTOTP(person ra.PersonID, secret Secret) error
	SetHOTP(person ra.PersonID, secret Secret) error

	InsertCode(c Code) error
	// Codes are the unused codes of a person on a device for a purpose, newest first: those that were sent, or the
	// challenges, never both, since a phone knows its challenge.
	Codes(person ra.PersonID, device ra.DeviceID, purpose Purpose, sent bool, limit int) ([]Code, error)
	// UseCode uses one up, and says whether it was still unused.
	UseCode(id string, at time.Time) (bool, error)
	// CodesSince counts what was sent to a person, as far as most.
	CodesSince(person ra.PersonID, since time.Time, most int) (int, error)

	InsertBiometric(b Biometric) error
	Biometrics(person ra.PersonID, device ra.DeviceID) ([]Biometric, error)
	RemoveBiometrics(person ra.PersonID, device ra.DeviceID, at time.Time) error

	InsertLogin(hash []byte, l Login) error
	Login(hash []byte) (Login, error)
	UseLogin(hash []byte, at time.Time) error
	EndLogin(hash []byte) error
	EndLogins(person ra.PersonID) error
	// ForgetOld deletes logins that nobody used since, and codes that expired before.
	ForgetOld(used, expired time.Time) error

	Audit(e ra.Event) error
}

// Counter is one of an account's two counters of failures in a row.
type Counter string

const (
	PasswordFailures Counter = "failures"
	CodeFailures     Counter = "code_fails"
)

// Store runs transactions.
type Store interface {
	UpdateAccounts(ctx context.Context, fn func(Tx) error) error
	ViewAccounts(ctx context.Context, fn func(Tx) error) error
}

// Sender sends a one-time code. It keeps none, and is not asked again: the holder asks for another. It is called in
// the background, since the time it takes would tell whether there is an account.
type Sender interface {
	SendCode(ctx context.Context, channel Channel, to Contact, code Secret) error
}

// Config is what the accounts need of the rest of the house. Every field without a remark must be set.
type Config struct {
	Store  Store
	Hasher *factor.Hasher
	MAC    factor.Pepper        // names codes without keeping them
	Sender Sender               // nil: no codes are sent
	Idle   func() time.Duration // without use ends a login, at most ten minutes (HCA-8.1.1); asked at each use
	Issuer string               // shown by authenticator apps
	Log    *slog.Logger
	Now    func() time.Time
	Rand   io.Reader
}

// MaxLogin is how long a login lasts however much it is used: one shift.
const MaxLogin = 12 * time.Hour

// Service is the use case. It is safe for concurrent use, also by several replicas.
type Service struct {
	Config
	sending sync.WaitGroup
	slots   chan struct{}
}

// maxSending is how many codes are on their way at the same time; more are dropped, and said to be in the log.
const maxSending = 64

// New refuses a configuration with a gap.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Hasher == nil || c.MAC == nil || c.Log == nil || c.Now == nil || c.Rand == nil || c.Issuer == "" || c.Idle == nil {
		return nil, errors.New("appcred: a dependency is missing")
	}
	return &Service{Config: c, slots: make(chan struct{}, maxSending)}, nil
}

// IdleTime is how long a login may lie unused now. A setting past the rule's ten minutes is not believed.
func (s *Service) IdleTime() time.Duration { return min(s.Idle(), policy.MaxIdle) }

// Close waits for the codes that are on their way.
func (s *Service) Close() { s.sending.Wait() }

// moment is the present in UTC, as exact as every database keeps it.
func (s *Service) moment() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// accounts gives ra.Act its transactions.
type accounts struct{ Store }

func (a accounts) Update(ctx context.Context, fn func(Tx) error) error {
	return a.UpdateAccounts(ctx, fn)
}

func (s *Service) act(ctx context.Context, e ra.Event, fn func(Tx, *ra.Event) error) error {
	return ra.Act[Tx](ctx, accounts{s.Store}, s.moment(), e, fn)
}

func object(p ra.PersonID) string { return "person/" + string(p) }

var errNoAccount = ra.Errorf(ra.KindNotFound, "no-account", nil, "This person has no account on phones. Open one at the counter.")
