// Package crlstore holds one issuer's CRL for many readers: fetched once for all replicas, verified, indexed,
// swapped in without blocking anybody, and kept for a restart. A CRL with an older number is never taken.
package crlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"time"

	"certwindow/ra/certpath"
)

// Refusals of a store.
var (
	ErrNone       = errors.New("crlstore: no CRL yet")
	ErrStale      = errors.New("crlstore: the CRL is stale")
	ErrRolledBack = errors.New("crlstore: the CRL number went back")
	ErrScope      = errors.New("crlstore: not a complete CRL of its issuer")
)

// Stored is a CRL as replicas share it.
type Stored struct {
	Number *big.Int
	Raw    []byte // DER
}

// Shared is where replicas find the CRL that one of them fetched. Implementations must be safe for use by
// several processes.
type Shared interface {
	// Number gives the number of the CRL that Load would give, without reading it; nil where there is none.
	Number(ctx context.Context) (*big.Int, error)
	// Load gives the CRL with the highest number; a zero Stored where there is none.
	Load(ctx context.Context) (Stored, error)
	// Store keeps a CRL durably. It must refuse with ErrRolledBack one whose number is lower than what it has.
	Store(ctx context.Context, s Stored) error
	// Lease makes owner the only one to fetch until a time, or tells that somebody else is. An owner may renew.
	Lease(ctx context.Context, owner string, now, until time.Time) (bool, error)
}

// Config is what a Store needs. All fields but Skew, MaxAge and LeaseFor are required.
type Config struct {
	// Issuers are certificates that may have signed the CRL: trusted by configuration or by a validated path.
	Issuers []*certpath.Certificate
	Shared  Shared
	Fetch   func(ctx context.Context) ([]byte, error) // gets the DER CRL from the CA
	Now     func() time.Time
	Owner   string // names this replica in the lease

	Skew     time.Duration // how far ahead the CA's clock may be; 0 is five minutes
	MaxAge   time.Duration // how old thisUpdate may be; 0 is as nextUpdate says
	LeaseFor time.Duration // how long one fetch may take; 0 is two minutes
}

// Store holds the present CRL. All methods are safe for concurrent use; readers never wait.
type Store struct {
	cfg     Config
	current atomic.Pointer[certpath.CRL]
	refresh sync.Mutex // one refresh at a time in this process
}

// New makes a Store and takes what Shared has kept. That it has nothing, or something stale, is no error.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if len(cfg.Issuers) == 0 || cfg.Shared == nil || cfg.Fetch == nil || cfg.Now == nil || cfg.Owner == "" {
		return nil, errors.New("crlstore: incomplete configuration")
	}
	if cfg.Skew == 0 {
		cfg.Skew = 5 * time.Minute
	}
	if cfg.LeaseFor == 0 {
		cfg.LeaseFor = 2 * time.Minute
	}
	s := &Store{cfg: cfg}
	if _, err := s.adopt(ctx); err != nil && !errors.Is(err, errKept) {
		return nil, err
	}
	return s, nil
}

// errKept marks what is wrong with a kept CRL, as against with Shared itself: fetching mends it.
var errKept = errors.New("crlstore: the kept CRL cannot be used")

// Current gives the present CRL for certpath.Options, indexed and with its signature already checked; nil
// where there is none. It may be stale: validation refuses it then.
func (s *Store) Current() *certpath.CRL { return s.current.Load() }

// Lookup tells whether a certificate of the CRL's issuer is revoked. Without a CRL, or with a stale one, it
// gives an error and no answer.
func (s *Store) Lookup(cert *certpath.Certificate) (certpath.Entry, bool, error) {
	crl := s.current.Load()
	if crl == nil {
		return certpath.Entry{}, false, ErrNone
	}
	if err := crl.Usable(s.cfg.Now(), s.cfg.Skew, s.cfg.MaxAge); err != nil {
		return certpath.Entry{}, false, fmt.Errorf("%w: %w", ErrStale, err)
	}
	if !bytes.Equal(cert.RawIssuer, crl.RawIssuer) && !cert.Issuer.Equal(crl.Issuer) {
		return certpath.Entry{}, false, fmt.Errorf("crlstore: the certificate is of another issuer: %s", cert.Issuer)
	}
	entry, revoked := crl.LookupCertificate(cert)
	return entry, revoked, nil
}

// Refresh brings the store up to date and tells whether its CRL changed. Where another replica has stored a
// newer CRL it takes that. Otherwise it fetches, unless another replica is just doing so; then it changes
// nothing and is called again later. On an error the present CRL stays.
func (s *Store) Refresh(ctx context.Context) (changed bool, err error) {
	s.refresh.Lock()
	defer s.refresh.Unlock()
	changed, kept := s.adopt(ctx)
	if kept != nil && !errors.Is(kept, errKept) {
		return false, kept
	} else if changed && kept == nil {
		return true, nil
	}
	now := s.cfg.Now()
	mine, err := s.cfg.Shared.Lease(ctx, s.cfg.Owner, now, now.Add(s.cfg.LeaseFor))
	if err != nil || !mine {
		return changed, errors.Join(kept, err)
	}
	raw, err := s.cfg.Fetch(ctx)
	if err != nil {
		return changed, errors.Join(kept, fmt.Errorf("crlstore: fetching: %w", err))
	}
	crl, err := s.check(raw)
	if err != nil {
		return changed, errors.Join(kept, err)
	}
	if crl == s.current.Load() {
		return changed, nil
	}
	if err := s.cfg.Shared.Store(ctx, Stored{crl.Number, crl.Raw}); err != nil {
		return changed, fmt.Errorf("crlstore: keeping: %w", err)
	}
	s.current.Store(crl)
	return true, nil
}

// adopt takes the shared CRL where it is newer than ours.
func (s *Store) adopt(ctx context.Context) (bool, error) {
	number, err := s.cfg.Shared.Number(ctx)
	if err != nil {
		return false, fmt.Errorf("crlstore: %w", err)
	}
	have := s.current.Load()
	if number == nil || have != nil && number.Cmp(have.Number) <= 0 {
		return false, nil
	}
	stored, err := s.cfg.Shared.Load(ctx)
	if err != nil {
		return false, fmt.Errorf("crlstore: %w", err)
	}
	if stored.Raw == nil {
		return false, nil
	}
	crl, err := s.check(stored.Raw)
	if crl != nil {
		s.current.Store(crl)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errKept, err)
	}
	return crl != nil && crl != have, err
}

// check parses, verifies and indexes. For the very CRL that the store holds it gives that. With ErrStale it
// gives the CRL as well, for its number: it must not go back even while it is stale.
func (s *Store) check(raw []byte) (*certpath.CRL, error) {
	have := s.current.Load()
	if have != nil && bytes.Equal(raw, have.Raw) {
		return have, nil
	}
	crl, err := certpath.ParseCRL(raw)
	if err != nil {
		return nil, err
	}
	if crl.Number == nil || !crl.Complete() {
		return nil, ErrScope
	}
	if have != nil && crl.Number.Cmp(have.Number) <= 0 {
		return nil, fmt.Errorf("%w: %s after %s", ErrRolledBack, crl.Number, have.Number)
	}
	if err := s.checkSignature(crl); err != nil {
		return nil, err
	}
	crl = crl.Indexed()
	if err := crl.Usable(s.cfg.Now(), s.cfg.Skew, s.cfg.MaxAge); err != nil {
		return crl, fmt.Errorf("%w: %w", ErrStale, err)
	}
	return crl, nil
}

func (s *Store) checkSignature(crl *certpath.CRL) (err error) {
	for _, issuer := range s.cfg.Issuers {
		if err = crl.CheckSignatureFrom(issuer); err == nil {
			return nil
		}
	}
	return err
}
