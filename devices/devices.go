// Package devices knows the institutions, the persons who practise there, their mobile devices and who uses
// which, and what certificates may be used for (HCA-2, HCA-3.7, HCA-4).
package devices

import (
	"context"
	"io"
	"time"

	"certwindow/ra"
)

// Institution is a medical institution that this window serves (HCA-2.3, HCA-3.7).
type Institution struct {
	Code       ra.InstitutionCode
	Name       string
	IsWindow   bool // the one that runs the window
	Active     bool
	Agreement  string // SHA-256 of the written agreement with the window, hex; empty for the window's own
	AgreedFrom time.Time
	AgreedTo   time.Time // zero: until ended
	Biometrics []string  // the kinds that it accepts by its risk (HCA-8.2.8(2)), of policy.Biometrics
	CreatedAt  time.Time
}

// Person is a healthcare professional. Its texts are personal data: they are sealed in the database, and
// whoever shows them masks them (HCA-8.1.5).
type Person struct {
	ID          ra.PersonID
	NationalID  string
	Name        string // as on the IC card's certificate, subject CN
	Holder      string // the IC card certificate's subject serialNumber
	Email       string
	Phone       string
	Locale      string // "zh-Hant-TW" or "en"
	Active      bool
	Memberships []Membership
	CreatedAt   time.Time
	// ErasureListedAt is when the person was put on the list of those to be erased, ErasedAt when that was done: then
	// every text above is empty (HCA-9).
	ErasureListedAt *time.Time
	ErasedAt        *time.Time
}

// Membership says that a person practises, or practised, at an institution.
type Membership struct {
	Institution ra.InstitutionCode
	Since       time.Time
	Until       *time.Time // set when it ended (HCA-3.7)
	Reason      string
}

// Device is a registered mobile device (HCA-4.1).
type Device struct {
	ID          ra.DeviceID
	Code        string
	Institution ra.InstitutionCode
	Platform    ra.Platform
	Model       string
	Shared      bool
	State       ra.DeviceState
	Generation  int
	KeySPKI     []byte
	KeyHash     string
	LastSeenAt  *time.Time
	CreatedAt   time.Time
	// Replaces is the device whose place this one took, which is out of use (HCA-5.2.2); empty: none.
	Replaces ra.DeviceID
	// CopiedAt is since when two copies of its key are known to have been in use (HCA-7.3); nil: none since it was bound.
	CopiedAt *time.Time
}

// User is one person's use of a device, with its history (HCA-4.2).
type User struct {
	Person    ra.PersonID
	AddedAt   time.Time
	AddedBy   string
	RemovedAt *time.Time
	RemovedBy string
}

// BindingState is where the binding of a phone's key to a device stands.
type BindingState string

const (
	BindingOffered   BindingState = "offered"   // the QR is shown
	BindingPresented BindingState = "presented" // a phone sent its key; both screens show the short code
	BindingConfirmed BindingState = "confirmed"
	BindingRejected  BindingState = "rejected"
)

// Binding is one attempt to tie a phone's key to a device.
type Binding struct {
	ID          string
	Device      ra.DeviceID
	State       BindingState
	KeySPKI     []byte
	ShortCode   string // what both screens must show
	Client      string // what the phone says of itself, JSON
	Attestation string // KeyRecord in JSON; empty: nothing is known of where the key is kept
	OfferedAt   time.Time
	ExpiresAt   time.Time
	PresentedAt *time.Time
}

// Scope is an application system that certificates may be used for (HCA-5.1.2).
type Scope struct {
	Code         string
	Name         string
	Approved     bool
	Institutions []ra.InstitutionCode // empty: every recognised one
}

// PersonQuery selects persons. Name, NationalID and Holder are matched whole: they are stored sealed, and
// only a keyed hash of each can be searched.
type PersonQuery struct {
	Institution ra.InstitutionCode // empty: every one that the actor may see
	Name        string
	NationalID  string
	Holder      string
	IDs         []ra.PersonID
	After       string   // the last id of the page before
	Order       ra.Order // by "id"; zero: oldest first
	Limit       int
}

// DeviceQuery selects devices; Code is matched from its beginning.
type DeviceQuery struct {
	Institution ra.InstitutionCode
	Code        string
	CodeIs      string // matched whole
	State       ra.DeviceState
	User        ra.PersonID
	SilentSince time.Time   // bound, and not heard of since then; zero: any
	Copied      bool        // found to have been copied, and not bound anew or reported since
	Replaces    ra.DeviceID // that took the place of this one
	Platform    ra.Platform
	After       string
	// Order is by "id", by "code", or by "seen": when it was last seen, or registered where it never was. Zero: oldest first.
	Order ra.Order
	Limit int
}

// Tx is one transaction on the register. Every method sees only the institution it is given, or all of them
// when that is empty.
type Tx interface {
	BiometricsTx
	Institution(code ra.InstitutionCode) (Institution, error)
	Institutions(scope ra.InstitutionCode) ([]Institution, error)
	SaveInstitution(i Institution) error
	Scopes() ([]Scope, error)
	SaveScope(s Scope) error

	Person(scope ra.InstitutionCode, id ra.PersonID) (Person, error)
	Persons(q PersonQuery) ([]Person, error)
	// CountPersons and CountDevices count what a query finds, as far as ra.CountUpTo and one more.
	CountPersons(q PersonQuery) (int, error)
	CountDevices(q DeviceQuery) (int, error)
	PersonByNationalID(id string) (Person, bool, error)
	InsertPerson(p Person) error
	AddMembership(id ra.PersonID, m Membership) error
	EndMembership(id ra.PersonID, code ra.InstitutionCode, at time.Time, reason string) error

	InsertReading(r CardReading) error
	Reading(id string) (CardReading, error)
	// CardOf is the card that a person signs with; false while there is none.
	CardOf(person ra.PersonID) (CardLink, bool, error)
	InsertCard(c CardLink) error
	EndCard(person ra.PersonID, at time.Time) error
	SetHolder(person ra.PersonID, holder string) error

	Device(scope ra.InstitutionCode, id ra.DeviceID) (Device, error)
	DeviceByKey(hash string) (Device, error)
	Devices(q DeviceQuery) ([]Device, error)
	InsertDevice(d Device) error
	// UpdateDevice writes the device's state, generation and key, and fails with a conflict when it is no longer in the state from.
	UpdateDevice(d Device, from ra.DeviceState) error
	Seen(id ra.DeviceID, at time.Time) error
	Users(id ra.DeviceID) ([]User, error)
	AddUser(id ra.DeviceID, u User) error
	RemoveUser(id ra.DeviceID, person ra.PersonID, by string, at time.Time) error

	InsertBinding(b Binding, codeHash []byte, by string) error
	BindingByCode(codeHash []byte) (Binding, error)
	Binding(id string) (Binding, error)
	LatestBinding(id ra.DeviceID) (Binding, bool, error)
	// UpdateBinding moves a binding out of the state from, or fails with a conflict.
	UpdateBinding(b Binding, from BindingState, by string, at time.Time) error

	AppTx
	CheckInTx
	ContinuityTx
	NoticeTx
	PushTx
	UnmaskTx
	RetentionTx

	// Audit adds a row in this transaction (HCA-8.1.6).
	Audit(e ra.Event) error
	// DeviceReplaced voids what was begun for a device that another takes the place of: open applications and HSM keys.
	DeviceReplaced(id ra.DeviceID, at time.Time) error
	// DeviceBound voids what was begun under the device's earlier binding: open applications and HSM keys.
	DeviceBound(id ra.DeviceID, at time.Time) error
	// StartSweep has the sweep look at once, because something changed that may call for a revocation (HCA-3.6).
	StartSweep() error
}

// Store runs transactions on the register.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Service is the register's use cases.
type Service struct {
	store Store
	now   func() time.Time
	rand  io.Reader
	keys  ra.Attestor
}

// New makes the use cases over a store, with the clock and the randomness they use. Device keys are taken as the phone
// declares them.
func New(store Store, now func() time.Time, rand io.Reader) *Service {
	return NewAttesting(store, ra.Unattested{}, now, rand)
}

// NewAttesting makes the use cases of a window that judges what platforms say of device keys (HCA-6.1).
func NewAttesting(store Store, keys ra.Attestor, now func() time.Time, rand io.Reader) *Service {
	return &Service{store: store, keys: keys, now: now, rand: rand}
}

// BindingLife is how long the QR's one-time code may be used.
const BindingLife = time.Hour
