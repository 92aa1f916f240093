package hcasim

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// FaultKind is a way to misbehave.
type FaultKind string

// The ways in which the simulator misbehaves at its CMC endpoint. Those of the first group act before a request is
// looked at; those of the second decide it otherwise; those of the third spoil the answer to a request that was
// properly decided and recorded, so that a later query tells the truth.
const (
	FaultSlow   FaultKind = "slow"   // wait for Fault.Delay first
	FaultDown   FaultKind = "down"   // HTTP status 503 with Retry-After
	FaultClosed FaultKind = "closed" // close the connection without reading
	FaultBusy   FaultKind = "busy"   // a signed answer that says tryLater, nothing recorded

	FaultPending FaultKind = "pending" // keep the request pending; decided by the first query after the fault is used up
	FaultRefuse  FaultKind = "refuse"  // refuse it for good

	FaultLoseAnswer       FaultKind = "lose-answer"       // process, then cut the connection
	FaultAnswerTwice      FaultKind = "answer-twice"      // the answer, and the answer once more
	FaultGarbage          FaultKind = "garbage"           // bytes that are no CMS
	FaultUnsigned         FaultKind = "unsigned"          // an answer without signature
	FaultTampered         FaultKind = "tampered"          // an answer changed after it was signed
	FaultOtherSigner      FaultKind = "other-signer"      // signed by a self-signed certificate of the same name
	FaultCardSigner       FaultKind = "card-signer"       // signed by a card of the same CA
	FaultOCSPSigner       FaultKind = "ocsp-signer"       // signed by the CA's OCSP responder
	FaultWrongTransaction FaultKind = "wrong-transaction" // the answer of another transaction
	FaultWrongNonce       FaultKind = "wrong-nonce"       // an answer to another request
	FaultWrongKey         FaultKind = "wrong-key"         // a certificate for another key
	FaultWrongPerson      FaultKind = "wrong-person"      // a certificate for another person
	FaultWrongIssuer      FaultKind = "wrong-issuer"      // a certificate by another CA of the same name
	FaultWrongProfile     FaultKind = "wrong-profile"     // an encryption certificate
	FaultNoCertificate    FaultKind = "no-certificate"    // success without a certificate
)

var faultKinds = []FaultKind{
	FaultSlow, FaultDown, FaultClosed, FaultBusy, FaultPending, FaultRefuse, FaultLoseAnswer, FaultAnswerTwice, FaultGarbage,
	FaultUnsigned, FaultTampered, FaultOtherSigner, FaultCardSigner, FaultOCSPSigner, FaultWrongTransaction, FaultWrongNonce,
	FaultWrongKey, FaultWrongPerson, FaultWrongIssuer, FaultWrongProfile, FaultNoCertificate,
}

// Fault is what to do to the next requests, queries included. Several faults of different kinds act together.
type Fault struct {
	Kind  FaultKind     `json:"kind"`
	Count int           `json:"count"`              // how many requests it applies to; negative: until cleared
	Delay time.Duration `json:"delay_ns,omitempty"` // FaultSlow: up to a minute
}

// maxDelay bounds how long a request can be kept waiting.
const maxDelay = time.Minute

func (f *Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("hcasim: unknown fault %.40q", string(f.Kind))
	case f.Count == 0:
		return fmt.Errorf("hcasim: a fault applies to at least one request")
	case f.Delay < 0 || f.Delay > maxDelay || (f.Delay == 0) == (f.Kind == FaultSlow):
		return fmt.Errorf("hcasim: %q needs a delay of up to %s, and no other fault takes one", FaultSlow, maxDelay)
	}
	return nil
}

// faultList holds the faults that are set, in memory only: a restart clears them.
type faultList struct {
	mu   sync.Mutex
	list []Fault
}

// SetFault adds a fault, or replaces the one of its kind.
func (s *Simulator) SetFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	l := &s.faults
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(old Fault) bool { return old.Kind == f.Kind })
	l.list = append(l.list, f)
	return nil
}

// ClearFaults makes the simulator behave.
func (s *Simulator) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

// Faults returns what is set, with the counts that are left.
func (s *Simulator) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.list)
}

// faultSet is the faults that apply to one request.
type faultSet map[FaultKind]Fault

func (f faultSet) has(k FaultKind) bool {
	_, ok := f[k]
	return ok
}

// take counts one request and returns what applies to it.
func (l *faultList) take() faultSet {
	l.mu.Lock()
	defer l.mu.Unlock()
	set := make(faultSet, len(l.list))
	for i := range l.list {
		set[l.list[i].Kind] = l.list[i]
		if l.list[i].Count > 0 {
			l.list[i].Count--
		}
	}
	l.list = slices.DeleteFunc(l.list, func(f Fault) bool { return f.Count == 0 })
	return set
}
