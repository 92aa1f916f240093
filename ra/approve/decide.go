package approve

import (
	"context"

	"certwindow/ra"
	"certwindow/ra/revoke"
)

// Approve carries a proposal out, when hash names exactly what the approver was shown (HCA-8.1.6). Of two who
// approve at once one wins. What it is about must stand as it stood when it was proposed.
func (s *Service) Approve(ctx context.Context, actor ra.Actor, id, hash string) error {
	return s.decide(ctx, actor, id, "approval.approve", func(tx Tx, p Proposal, e *ra.Event) error {
		if err := second(actor, p); err != nil {
			return err
		}
		if p.State == Proposed && !s.now().Before(p.ExpiresAt) {
			return ra.Refuse("HCA-8.1.6", "approval-expired", "The time to approve this has passed. Nothing was changed; propose it anew.", nil)
		}
		t, err := p.Terms()
		if err != nil {
			return err
		}
		if hash != p.Hash {
			return ra.Refuse("HCA-8.1.6", "approval-differs", "What you were shown is not what is stored. Nothing was changed; load the page again.", nil)
		}
		// The decision first: whoever comes second waits here, and finds it decided.
		if err := s.settle(tx, p, Approved, actor, ""); err != nil {
			return err
		}
		return s.execute(tx, approval{actor: actor, proposal: p, terms: t})
	})
}

// Reject ends a proposal, with the reason why.
func (s *Service) Reject(ctx context.Context, actor ra.Actor, id, reason string) error {
	return s.decide(ctx, actor, id, "approval.reject", func(tx Tx, p Proposal, e *ra.Event) error {
		if err := second(actor, p); err != nil {
			return err
		}
		reason, err := revoke.Note(reason)
		if err != nil {
			return err
		}
		return s.settle(tx, p, Rejected, actor, reason)
	})
}

// Withdraw takes one's own proposal back.
func (s *Service) Withdraw(ctx context.Context, actor ra.Actor, id string) error {
	return s.decide(ctx, actor, id, "approval.withdraw", func(tx Tx, p Proposal, e *ra.Event) error {
		if err := known(actor); err != nil {
			return err
		}
		if actor.ID != p.ProposedBy {
			return ra.Refuse("HCA-8.1.6", "approval-not-own", "Only who proposed it withdraws it. Nothing was changed.", nil)
		}
		return s.settle(tx, p, Withdrawn, actor, "")
	})
}

// Expire ends the proposals whose time has passed, a page of them at a time.
func (s *Service) Expire(ctx context.Context) (ended int, err error) {
	actor := ra.Actor{Kind: ra.ActorSystem, ID: "lapse"}
	err = s.store.Update(ctx, func(tx Tx) error {
		late, err := tx.ExpiredProposals(s.now(), 200)
		if err != nil {
			return err
		}
		for _, p := range late {
			if err := s.settle(tx, p, Expired, actor, ""); err != nil {
				return err
			}
			e := event(actor, "approval.expire", p)
			e.At, e.Outcome = s.now(), ra.OutcomeDone
			if err := tx.Audit(e); err != nil {
				return err
			}
		}
		ended = len(late)
		return nil
	})
	return ended, err
}

// decide loads a proposal that the actor may see and changes it, with the audit row that says so.
func (s *Service) decide(ctx context.Context, actor ra.Actor, id, act string, fn func(Tx, Proposal, *ra.Event) error) error {
	return s.act(ctx, ra.Event{Actor: actor, Act: act, Object: "approval/unknown", Institution: actor.Institution, Clause: "HCA-8.1.6"}, func(tx Tx, e *ra.Event) error {
		p, err := tx.Proposal(actor.Institution, id)
		if err != nil {
			return err
		}
		found := event(actor, act, p)
		e.Object, e.Institution, e.Details = found.Object, found.Institution, found.Details
		return fn(tx, p, e)
	})
}

func event(actor ra.Actor, act string, p Proposal) ra.Event {
	return ra.Event{Actor: actor, Act: act, Object: "approval/" + p.ID, Institution: p.Institution, Clause: "HCA-8.1.6",
		Details: map[string]string{"act": string(p.Act), "object": p.Object, "hash": p.Hash, "proposed-by": p.ProposedBy}}
}

// second refuses everybody who is not a second person.
func second(actor ra.Actor, p Proposal) error {
	if err := known(actor); err != nil {
		return err
	}
	if actor.ID == p.ProposedBy {
		return ra.Refuse("HCA-8.1.6", "approval-own", "Nobody decides on what he proposed himself. Nothing was changed.", nil)
	}
	return nil
}

// settle writes the end of a proposal that still waits.
func (s *Service) settle(tx Tx, p Proposal, to State, by ra.Actor, reason string) error {
	now := s.now()
	p.State, p.DecidedBy, p.DecidedAt, p.Reason = to, by.ID, &now, reason
	return tx.DecideProposal(p)
}
