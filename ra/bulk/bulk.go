// Package bulk works on many certificates at once: it revokes those of a search without their holders' consent, by two
// persons (HCA-5.2.2, HCA-8.1.6), or reminds their holders that they are about to expire (HCA-3.4). What is worked on is
// the list that was shown, and no certificate that the search would find later; each is one transaction with its own row
// of the log, so that a crash loses and repeats nothing.
package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/revoke"
)

// Kind is what is done to each certificate.
type Kind string

const (
	Revoke Kind = "revoke" // by two persons
	Remind Kind = "remind" // by one
)

// Kinds are both, in the order in which pages show them.
var Kinds = []Kind{Revoke, Remind}

// State is where the work stands.
type State string

const (
	Running  State = "running"
	Stopped  State = "stopped" // for good: what is left needs a new search
	Finished State = "finished"
)

// Result is what became of one certificate.
type Result string

const (
	Left    Result = "left"
	Done    Result = "done"
	Skipped Result = "skipped" // it is not any more as it was
)

// Results are all of them, in the order in which pages show them.
var Results = []Result{Left, Skipped, Done}

// Why a certificate is skipped.
const (
	CodeEnded   = "bulk-ended"   // it is revoked, being revoked or expired
	CodeMoved   = "bulk-moved"   // the search does not find it any more
	CodeRenewed = "bulk-renewed" // its holder has a later one on the same device
)

// MaxItems is how many certificates one piece of work may hold.
const MaxItems = 20_000

// Filter is the search. It finds certificates that can be used at the HCA: live ones and suspended ones.
type Filter struct {
	Institution ra.InstitutionCode  // empty: any
	Expires     time.Time           // the end of validity comes before it; zero: no bound
	Standing    ra.CertificateState // CertLive or CertSuspended; empty: both
	Device      ra.DeviceState      // of the device that it is on; empty: any
}

// Bulk is one piece of work. Once it is written its search never changes.
type Bulk struct {
	ID string
	Filter
	Kind       Kind
	State      State
	Ground     string // of HCA-5.2.2, where it revokes
	Note       string
	List       string // Digest of the certificates that were shown
	Total      int
	Done       int
	Skipped    int
	Proposal   string // empty: one person's act
	CreatedBy  string
	ApprovedBy string
	StoppedBy  string
	CreatedAt  time.Time
	EndedAt    *time.Time
}

// LeftOver is how many certificates have not been looked at.
func (b Bulk) LeftOver() int { return b.Total - b.Done - b.Skipped }

// Worked is how many have been.
func (b Bulk) Worked() int { return b.Done + b.Skipped }

// Item is one certificate of it.
type Item struct {
	Certificate ra.CertificateID
	Result      Result
	Code        string // why it was skipped
}

// Preview is what a search finds now: exactly so many, and of the ids' digest; Sample are the first of them.
type Preview struct {
	Count  int
	List   string
	Sample []ra.Certificate
}

// Query selects pieces of work, newest first.
type Query struct {
	Institution ra.InstitutionCode
	Before      string
	Limit       int
}

// ItemQuery selects certificates of one piece of work, in the order of their ids.
type ItemQuery struct {
	Result Result // empty: any
	After  ra.CertificateID
	Limit  int
}

// Tx is one transaction on what bulk work reads and writes.
type Tx interface {
	revoke.Tx

	// BulkSelect is what a search finds at a moment, in the order of their ids; only narrows it to one certificate.
	BulkSelect(f Filter, at time.Time, only ra.CertificateID, limit int) ([]ra.CertificateID, error)
	InsertBulk(b Bulk, certificates []ra.CertificateID) error
	// Bulk is one of the institution's, or of any when scope is empty.
	Bulk(scope ra.InstitutionCode, id string) (Bulk, error)
	Bulks(q Query) ([]Bulk, error)
	// EndBulk stops or finishes one that is under way, and fails with a conflict otherwise.
	EndBulk(b Bulk) error
	BulkItems(id string, q ItemQuery) ([]Item, error)
	// SettleItem writes what became of a certificate that was left, and counts it, while the work is under way; it fails
	// with a conflict otherwise.
	SettleItem(id string, i Item) error
}

// Store runs transactions.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Tx) error) error
}

// Revoker revokes what two persons agreed on.
type Revoker interface {
	Approved(tx revoke.Tx, by revoke.Second, id ra.CertificateID, ground, note string) error
}

// Service is the use case.
type Service struct {
	store   Store
	revoker Revoker
	now     func() time.Time
	rand    io.Reader
}

// New wires the use case.
func New(store Store, revoker Revoker, now func() time.Time, rand io.Reader) *Service {
	return &Service{store, revoker, now, rand}
}

// Digest names a list of certificates: the SHA-256 of their ids in order, each with a line's end, in lower hex.
func Digest(ids []ra.CertificateID) string {
	h := sha256.New()
	for _, id := range slices.Sorted(slices.Values(ids)) {
		io.WriteString(h, string(id)+"\n")
	}
	return hex.EncodeToString(h.Sum(nil))
}

// check refuses a search that is of another institution, or that is none.
func (f Filter) check(actor ra.Actor) error {
	known := f.Standing == "" || f.Standing == ra.CertLive || f.Standing == ra.CertSuspended
	switch {
	case actor.Institution != "" && actor.Institution != f.Institution:
		return ra.Refuse("HCA-8.1.6", "not-yours", "This belongs to another institution, or to the window itself. Nothing was changed.", nil)
	case !known:
		return ra.Errorf(ra.KindMalformed, "bulk-standing", nil, "Certificates that are live or suspended can be searched for. Nothing was changed.")
	case f.Institution == "" && f.Expires.IsZero() && f.Device == "":
		return ra.Errorf(ra.KindMalformed, "bulk-filter", nil, "Choose an institution, a day or a state of the devices: every certificate of the window is never meant. Nothing was changed.")
	}
	return nil
}

// found is the list of a search, in its bounds.
func (s *Service) found(tx Tx, actor ra.Actor, f Filter) ([]ra.CertificateID, error) {
	if err := f.check(actor); err != nil {
		return nil, err
	}
	ids, err := tx.BulkSelect(f, s.now(), "", MaxItems+1)
	if err == nil && len(ids) > MaxItems {
		err = ra.Errorf(ra.KindMalformed, "bulk-large", nil, "The search finds more than %d certificates. Nothing was changed; search for fewer.", MaxItems)
	}
	return ids, err
}

// sample is how many certificates a preview shows.
const sample = 10

// Preview tells what a search finds now, and changes nothing.
func (s *Service) Preview(ctx context.Context, actor ra.Actor, f Filter) (p Preview, err error) {
	if actor.Institution != "" && f.Institution == "" {
		f.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error {
		ids, err := s.found(tx, actor, f)
		if err != nil {
			return err
		}
		p = Preview{Count: len(ids), List: Digest(ids)}
		for _, id := range ids[:min(sample, len(ids))] {
			c, err := tx.Certificate(actor.Institution, id)
			if err != nil {
				return err
			}
			p.Sample = append(p.Sample, c)
		}
		return nil
	})
	return p, err
}

// begin writes the work down, and has it begun.
func (s *Service) begin(tx Tx, b Bulk, ids []ra.CertificateID) error {
	b.State, b.List, b.Total, b.CreatedAt = Running, Digest(ids), len(ids), s.now()
	if err := tx.InsertBulk(b, ids); err != nil {
		return err
	}
	return tx.Enqueue(jobs.Bulk{Bulk: b.ID})
}

// Remind tells the holders of what a search finds that their certificates are about to expire. One person does so, when
// list is the digest that he was shown.
func (s *Service) Remind(ctx context.Context, actor ra.Actor, f Filter, list string) (id string, err error) {
	if id, err = ra.NewID(s.now(), s.rand); err != nil {
		return "", err
	}
	e := ra.Event{Actor: actor, Act: "bulk.remind", Object: "bulk/" + id, Institution: f.Institution, Clause: "HCA-3.4", Details: map[string]string{"list": list}}
	return id, ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error {
		ids, err := s.found(tx, actor, f)
		if err != nil {
			return err
		}
		if err := same(ids, list); err != nil {
			return err
		}
		return s.begin(tx, Bulk{ID: id, Filter: f, Kind: Remind, CreatedBy: actor.ID}, ids)
	})
}

// same refuses a list that is not the one that was shown, and one that holds nothing.
func same(ids []ra.CertificateID, list string) error {
	switch {
	case len(ids) == 0:
		return ra.Errorf(ra.KindConflict, "bulk-empty", nil, "The search finds no certificate. Nothing was changed.")
	case Digest(ids) != list:
		return ra.Errorf(ra.KindConflict, "bulk-differs", nil, "The search finds other certificates than were shown. Nothing was changed; load the page again.")
	}
	return nil
}

// Stop ends the work between two certificates, by one person and at any hour. What was done stays.
func (s *Service) Stop(ctx context.Context, actor ra.Actor, id string) error {
	e := ra.Event{Actor: actor, Act: "bulk.stop", Object: "bulk/" + id, Institution: actor.Institution, Clause: "HCA-8.1.6", Details: map[string]string{}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		b, err := tx.Bulk(actor.Institution, id)
		if err != nil {
			return err
		}
		if b.State != Running {
			return ra.Errorf(ra.KindConflict, "bulk-over", nil, "This work is not under way. Nothing was changed.")
		}
		now := s.now()
		e.Institution = b.Institution
		b.counts(e)
		b.State, b.StoppedBy, b.EndedAt = Stopped, actor.ID, &now
		return tx.EndBulk(b)
	})
}

// Bulk is one that the actor may see.
func (s *Service) Bulk(ctx context.Context, actor ra.Actor, id string) (b Bulk, err error) {
	err = s.store.View(ctx, func(tx Tx) error { b, err = tx.Bulk(actor.Institution, id); return err })
	return b, err
}

// Bulks is a page of them, newest first.
func (s *Service) Bulks(ctx context.Context, actor ra.Actor, q Query) (out []Bulk, err error) {
	if actor.Institution != "" {
		q.Institution = actor.Institution
	}
	err = s.store.View(ctx, func(tx Tx) error { out, err = tx.Bulks(q); return err })
	return out, err
}

// Items is a page of the certificates of one that the actor may see.
func (s *Service) Items(ctx context.Context, actor ra.Actor, id string, q ItemQuery) (out []Item, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		if _, err := tx.Bulk(actor.Institution, id); err != nil {
			return err
		}
		out, err = tx.BulkItems(id, q)
		return err
	})
	return out, err
}

// ground judges why many are revoked as it is judged for one (HCA-5.2.2), and tidies the note.
func ground(name, note string) (string, error) {
	note, err := revoke.Note(note)
	if err != nil {
		return "", err
	}
	return note, ra.Refused(policy.RevokeWithoutConsent(name, "person", 1, note, false))
}
