// Package approve is the two-person rule of HCA-8.1.6: one member of staff proposes a dangerous act, another
// approves exactly what was shown, and the act is carried out in the transaction of the approval.
package approve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
)

// Act is what needs two persons.
type Act string

const (
	RevokeCertificate Act = "revoke-certificate" // without the holder's consent (HCA-5.2.2)
	ResumeCertificate Act = "resume-certificate" // the end of a suspension (HCA-5.2.2)
	Exemption         Act = "exemption"          // more than five certificates (HCA-7.5)
	ChangeCard        Act = "change-card"        // the card that a person signs with (HCA-7.3)
	CreateStaff       Act = "create-staff"       // an account, with its role (HCA-8.1.6)
	ChangeStaff       Act = "change-staff"       // its role, institution or contractor's mark (HCA-3.2)
	ResetStaff        Act = "reset-staff"        // new credentials (HCA-8.2.6(4), HCA-8.2.7(2))
	ResumeStaff       Act = "resume-staff"       // a stopped account
	ChangeSetting     Act = "change-setting"     // a limit, within its rule (HCA-9)
	HoldCeremony      Act = "hold-ceremony"      // of the master key (HCA-6.3.2)
	ApproveApp        Act = "approve-app"        // an app version (HCA-2.6, HCA-8.2.1)
	UnmaskMany        Act = "unmask-many"        // a list of persons (HCA-8.1.5)
	RevokeMany        Act = "revoke-many"        // what a search finds (HCA-5.2.2)
	SettleDispute     Act = "settle-dispute"     // what becomes of an answer that does not fit (HCA-3.3)
	SignClient        Act = "sign-client"        // a system on the register, or a change of it (HCA-5.1.2)
	StaffingClient    Act = "staffing-client"    // the same for one that tells of professionals (HCA-3.7)
)

// Acts are all of them, in the order that pages show them.
var Acts = []Act{RevokeCertificate, ResumeCertificate, Exemption, ChangeCard, CreateStaff, ChangeStaff, ResetStaff, ResumeStaff, ChangeSetting, HoldCeremony, ApproveApp, UnmaskMany,
	RevokeMany, SignClient, StaffingClient, SettleDispute}

// State is where a proposal stands. It changes once.
type State string

const (
	Proposed  State = "proposed"
	Approved  State = "approved"
	Rejected  State = "rejected"
	Expired   State = "expired"
	Withdrawn State = "withdrawn"
)

// Proposal is one act that waits for a second person, or did.
type Proposal struct {
	ID          string `gorm:"primaryKey"`
	Act         Act
	Object      string             // e.g. "certificate/01JD…"
	Institution ra.InstitutionCode // whose approvers decide; empty: those of the whole window alone
	Payload     []byte             // JSON of Terms: exactly what is approved
	Hash        string             // SHA-256 of Payload, lower hex
	ProposedBy  string
	ProposedAt  time.Time
	ExpiresAt   time.Time // the first moment at which it can no longer be approved
	State       State
	DecidedBy   string
	DecidedAt   *time.Time
	Reason      string // why it was rejected
}

// Query selects proposals, newest first.
type Query struct {
	State       State // empty: any
	Settled     bool  // those that wait no more
	Object      string
	Institution ra.InstitutionCode
	Act         Act
	Before      string   // the last id of the page before
	Order       ra.Order // by "id"; zero: newest first
	Limit       int
}

// Tx is one transaction on what a proposal and its act read and write.
type Tx interface {
	revoke.Tx

	InsertProposal(p Proposal) error
	// Proposal is one of the institution's, or of any when scope is empty.
	Proposal(scope ra.InstitutionCode, id string) (Proposal, error)
	Proposals(q Query) ([]Proposal, error)
	// CountProposals counts what a query finds, as far as ra.CountUpTo and one more.
	CountProposals(q Query) (int, error)
	// DecideProposal writes the decision on one that still waits, and fails with a conflict otherwise.
	DecideProposal(p Proposal) error
	// ExpiredProposals are those that still wait although their time is over.
	ExpiredProposals(at time.Time, limit int) ([]Proposal, error)

	// Exemption is what holds for a person beside the five of HCA-7.5; nil when there never was one.
	Exemption(id ra.PersonID) (*policy.Exemption, error)
	// LockHolder reads the same, and keeps every other transaction from reading it so until this one ends.
	LockHolder(id ra.PersonID) (*policy.Exemption, error)
	SaveExemption(id ra.PersonID, e policy.Exemption) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Service is the use case. Who may propose and who is an approver is the caller's to know; of which institution
// they are, and that they are two, is judged here.
type Service struct {
	store  Store
	revoke *revoke.Service
	others map[Act]Executor
	life   func() time.Duration
	now    func() time.Time
	rand   io.Reader
}

// New wires the use case. The executors are the acts of other rooms of the house, each proposed by Propose; life is
// how long a proposal waits for its approval.
func New(store Store, revocations *revoke.Service, executors map[Act]Executor, life func() time.Duration, now func() time.Time, rand io.Reader) *Service {
	return &Service{store: store, revoke: revocations, others: executors, life: life, now: now, rand: rand}
}

// Proposal is one proposal that the actor may see.
func (s *Service) Proposal(ctx context.Context, actor ra.Actor, id string) (p Proposal, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		p, err = tx.Proposal(actor.Institution, id)
		return err
	})
	return p, err
}

// Proposals is a page of them, newest first.
func (s *Service) Proposals(ctx context.Context, actor ra.Actor, q Query) (out []Proposal, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	if q.Limit < 1 || q.Limit > 200 {
		q.Limit = 50
	}
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Proposals(q)
		return err
	})
	return out, err
}

// CountProposals counts those that a query finds and the actor may see: exactly, or ra.CountUpTo and one more.
func (s *Service) CountProposals(ctx context.Context, actor ra.Actor, q Query) (n int, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		n, err = tx.CountProposals(q)
		return err
	})
	return n, err
}

// Exemption is what holds for a person beside the five of HCA-7.5; nil when nothing does now. The caller has
// made sure that the person may be seen.
func (s *Service) Exemption(ctx context.Context, id ra.PersonID) (e *policy.Exemption, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		e, err = tx.Exemption(id)
		return err
	})
	if !policy.ExemptAt(e, s.now()) {
		e = nil
	}
	return e, err
}

// propose stores terms that build makes in the same transaction.
func (s *Service) propose(ctx context.Context, actor ra.Actor, act Act, object string, build func(Tx) (Terms, error)) (Proposal, error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{ID: id, Act: act, Object: object, ProposedBy: actor.ID, ProposedAt: s.now(), ExpiresAt: s.now().Add(s.life()), State: Proposed}
	e := ra.Event{Actor: actor, Act: "approval.propose", Object: "approval/" + id, Institution: actor.Institution, Clause: "HCA-8.1.6",
		Details: map[string]string{"act": string(act), "object": object}}
	err = s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		if err := known(actor); err != nil {
			return err
		}
		t, err := build(tx)
		if err != nil {
			return err
		}
		t.Act, t.Object = act, object
		p.Institution, e.Institution = t.Institution, t.Institution
		if p.Payload, err = json.Marshal(t); err != nil {
			return err
		}
		p.Hash = HashOf(p.Payload)
		e.Details = map[string]string{"act": string(act), "object": object, "hash": p.Hash}
		return tx.InsertProposal(p)
	})
	if err != nil {
		return Proposal{}, err
	}
	return p, nil
}

// HashOf names a payload: the SHA-256 of its bytes, in lower hex.
func HashOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}

// known refuses whoever is no member of staff: only persons propose and decide.
func known(actor ra.Actor) error {
	if actor.Kind != ra.ActorStaff || actor.ID == "" {
		return ra.Refuse("HCA-8.1.6", "approval-person", "Only members of staff propose and decide. Nothing was changed.", nil)
	}
	return nil
}

// act runs one change with its audit row.
func (s *Service) act(ctx context.Context, e ra.Event, fn func(Tx, *ra.Event) error) error {
	return ra.Act[Tx](ctx, s.store, s.now(), e, fn)
}
