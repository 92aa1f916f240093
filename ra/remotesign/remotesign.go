// Package remotesign decides whether a holder's key may be used now, tells it in signed status statements for
// keys on phones, and makes signatures with keys in the HSM, each released by the holder's own phone (HCA-6.3,
// HCA-7.2, HCA-7.3).
//
// A signature with an HSM key begins as an authorisation: a client asks (Request), the holder's phone shows what is
// to be signed and releases it with activation data (Release), and the client collects (Check, Collect). The app
// itself asks and releases in one step (Sign). The key is sealed under a secret that only the phone keeps and that
// comes with the activation data, so that the window alone cannot sign.
package remotesign

import (
	"context"
	"crypto"
	"errors"
	"io"
	"time"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
)

// Tx is one transaction on what a use of a key reads and writes.
type Tx interface {
	// CertificateUse is what the use of a certificate's key is judged by, without the certificate itself.
	CertificateUse(id ra.CertificateID) (ra.Certificate, error)
	// CertificateState is a certificate's state alone.
	CertificateState(id ra.CertificateID) (ra.CertificateState, error)
	// HSMCertificates are an institution's with keys in the HSM: a person's, or the one that is named; newest first.
	HSMCertificates(at ra.InstitutionCode, person ra.PersonID, id ra.CertificateID, limit int) ([]ra.Certificate, error)
	Device(id ra.DeviceID, seenFrom ra.PersonID) (ra.DeviceFacts, error)
	// Holder is what the register says of a device, of a person on it, and of its app, at one moment.
	Holder(id ra.DeviceID, person ra.PersonID) (ra.HolderFacts, error)
	Scopes() ([]policy.ApprovedScope, error)
	HolderKey(id ra.ApplicationID) (hsm.WrappedKey, error)
	// MoveHolderKey replaces a key that is still under the master key of a generation.
	MoveHolderKey(id ra.ApplicationID, from int, k hsm.WrappedKey) error

	// InsertAuthorisation stores a new authorisation with its items as they are. Activation data that was used
	// before (activation is its name) is a conflict.
	InsertAuthorisation(a Authorisation, activation []byte) error
	Authorisation(id AuthorisationID) (Authorisation, error)
	AuthorisationByHandle(hash []byte) (Authorisation, error)
	AuthorisationBySAD(hash []byte) (Authorisation, error)
	// PendingOf are a person's authorisations on a device that wait, oldest first, with their items.
	PendingOf(device ra.DeviceID, person ra.PersonID, at time.Time, limit int) ([]Authorisation, error)
	// Decide moves a pending authorisation to its state and fails with a conflict when it is not pending any more.
	// Activation data that was used before is a conflict as well.
	Decide(a Authorisation, activation []byte) error
	// SaveSignatures stores the signatures of items from one on that wait, and RefuseWaiting stops those that do.
	SaveSignatures(id AuthorisationID, from int, signatures [][]byte) error
	RefuseWaiting(id AuthorisationID) error
	// TakeSignature hands a signature out and forgets it; false when it is not there to be collected.
	TakeSignature(id AuthorisationID, n int) ([]byte, bool, error)
	// Overdue are authorisations whose time is over and that are not ended yet.
	OverdueAuthorisations(at time.Time, limit int) ([]Authorisation, error)
	// EndAuthorisation forgets the signatures that were not collected, and closes what waits.
	EndAuthorisation(a Authorisation) error

	Audit(e ra.Event) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	// Together is Update, joined with others that wait; fn may run more than once.
	Together(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Keys uses holders' keys in the HSM; hsm/p11.Token is one.
type Keys interface {
	// OpenActivation opens a secret that a phone encrypted to the module, or fails with hsm.ErrActivation.
	OpenActivation(ctx context.Context, info, sealed []byte) (hsm.Secret, error)
	// SignSealed signs digests with a sealed key: hsm.ErrSecret, hsm.ErrBinding.
	SignSealed(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret, hash crypto.Hash, digests [][]byte) ([][]byte, error)
	// RewrapSealed moves a sealed key to another master key; hsm.ErrNotFound while no rollover is prepared.
	RewrapSealed(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, secret hsm.Secret, toGeneration int) (hsm.WrappedKey, error)
	MasterGenerations(ctx context.Context) ([]int, error)
}

// Factor is one proof of who the holder is: a password, a one-time code, a signature of the platform's biometric key.
type Factor struct {
	Kind      string
	Value     hsm.Secret
	Signature []byte // over the activation's name, of a key that the platform uses after the holder's fingerprint or face
}

// NewFactor makes a Factor of a value that a phone sent; the caller may wipe value afterwards.
func NewFactor(kind string, value []byte) Factor {
	return Factor{Kind: kind, Value: hsm.NewSecret(value)}
}

// Factors proves that a person is at a device (HCA-7.4). It refuses by an ra.Error and writes its own audit row. The
// act is bound into what is proved where the kind of factor can do that: it is the name of the activation data
// (ActivationName), which covers every hash, label, client and secret, and which is taken once.
type Factors interface {
	Prove(ctx context.Context, actor ra.Actor, person ra.PersonID, device ra.DeviceFacts, factors []Factor, act string) error
}

// Client is a system that may ask for signatures.
type Client struct {
	ID          ClientID
	Institution ra.InstitutionCode
	Scopes      []string // of use, each an approved application (HCA-5.1.2)
}

// Clients knows the systems that may ask. One that is not known, or not active any more, is ra.KindNotFound.
type Clients interface {
	Client(ctx context.Context, id ClientID) (Client, error)
}

// Config is what the use case needs of the rest of the house. Every field must be set.
type Config struct {
	Store     Store
	Keys      Keys
	Statement crypto.Signer // signs status statements and the activation key; a P-256 key in the HSM
	KeyID     string        // the kid of Statement
	Issuer    string        // names the window in its statements
	// Life is how long a phone may rely on a status statement: at most ten minutes (HCA-7.2, HCA-9).
	Life func() time.Duration
	// ActivationKey is what phones encrypt their secrets to, an uncompressed P-256 point.
	ActivationKey []byte
	// ChallengeKey makes the challenges of the app's own signatures, the same in every replica.
	ChallengeKey hsm.Secret
	Factors      Factors
	Clients      Clients
	Zones        policy.Zones
	Now          func() time.Time
	Rand         io.Reader
}

// signTime bounds one release: a wait for a free session of the module, and every signature of a batch.
const signTime = 60 * time.Second

// Service is the use case.
type Service struct {
	Config
	generations generations
}

// New wires the use case, and refuses a configuration with a gap.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Keys == nil || c.Statement == nil || c.KeyID == "" || c.Issuer == "" || c.Life == nil || len(c.ActivationKey) == 0 || c.ChallengeKey.Len() == 0 ||
		c.Factors == nil || c.Clients == nil || c.Now == nil || c.Rand == nil {
		return nil, errors.New("remotesign: a dependency is missing")
	}
	return &Service{Config: c}, nil
}

// group gives ra.Act the joined transactions.
type group struct{ Store }

func (g group) Update(ctx context.Context, fn func(Tx) error) error { return g.Together(ctx, fn) }

// refused writes the row of a refusal, and returns it.
func (s *Service) refused(ctx context.Context, e ra.Event, err error) error {
	return ra.Act[Tx](ctx, group{s.Store}, s.Now(), e, func(Tx, *ra.Event) error { return err })
}
