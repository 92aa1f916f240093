package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
)

// ApproveStore gives package approve its transactions.
type ApproveStore struct{ *Store }

var _ approve.Store = ApproveStore{}

// Update implements approve.Store.
func (s ApproveStore) Update(ctx context.Context, fn func(approve.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements approve.Store.
func (s ApproveStore) View(ctx context.Context, fn func(approve.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

func proposalColumns(p *approve.Proposal) []sealed {
	return []sealed{{"proposals.payload/" + p.ID, &p.Payload}}
}

// InsertProposal stores what one member of staff proposes. One at a time waits for each act on a thing.
func (tx *Tx) InsertProposal(p approve.Proposal) error {
	p.ProposedAt, p.ExpiresAt, p.DecidedAt = p.ProposedAt.UTC(), p.ExpiresAt.UTC(), utc(p.DecidedAt)
	if err := tx.s.seal(proposalColumns(&p)); err != nil {
		return err
	}
	err := tx.db.Create(&p).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ra.Errorf(ra.KindConflict, "already-proposed", err, "This is proposed already and waits for its approval. Nothing was changed.")
	}
	return err
}

// Proposal is one proposal of the institution, or of any when scope is empty.
func (tx *Tx) Proposal(scope ra.InstitutionCode, id string) (p approve.Proposal, err error) {
	q := tx.db.Where("id = ?", id)
	if scope != "" {
		q = q.Where("institution = ?", scope)
	}
	if err := mapError(q.Take(&p).Error); err != nil {
		return approve.Proposal{}, err
	}
	return p, tx.s.open(proposalColumns(&p))
}

// DecideProposal writes the decision on a proposal that still waits.
func (tx *Tx) DecideProposal(p approve.Proposal) error {
	p.DecidedAt = utc(p.DecidedAt)
	return guarded(tx.db.Model(&approve.Proposal{}).Where("id = ? AND state = ?", p.ID, approve.Proposed).
		Select("state", "decided_by", "decided_at", "reason").UpdateColumns(&p))
}

// ExpiredProposals are those that wait although their time is over.
func (tx *Tx) ExpiredProposals(at time.Time, limit int) (out []approve.Proposal, err error) {
	err = tx.db.Where("state = ? AND expires_at <= ?", approve.Proposed, at.UTC()).Order("expires_at").Limit(limit).Find(&out).Error
	if err != nil {
		return nil, err
	}
	return openAll(tx.s, out, proposalColumns)
}

// exemption is what a holder's row says; nil when it says nothing.
func (h holder) exemption() *policy.Exemption {
	if h.ExemptUntil == nil {
		return nil
	}
	return &policy.Exemption{Limit: h.ExemptLimit, Until: *h.ExemptUntil, Reply: h.ExemptReply}
}

// Exemption is a person's leave to hold more than five certificates, run out or not (HCA-7.5).
func (tx *Tx) Exemption(id ra.PersonID) (*policy.Exemption, error) {
	var rows []holder
	if err := tx.db.Where("person_id = ?", id).Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].exemption(), nil
}

// SaveExemption writes it over the one before, under the lock that LockHolder took.
func (tx *Tx) SaveExemption(id ra.PersonID, e policy.Exemption) error {
	return guarded(tx.db.Model(&holder{}).Where("person_id = ?", id).
		Updates(map[string]any{"exempt_limit": e.Limit, "exempt_until": e.Until.UTC(), "exempt_reply": e.Reply}))
}
