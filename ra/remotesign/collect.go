package remotesign

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"certwindow/ra"
)

// Collect hands a client the signatures over these hashes, each once (HCA-6.3.5).
func (s *Service) Collect(ctx context.Context, actor ra.Actor, client ClientID, sad string, hashes [][]byte) ([][]byte, error) {
	return s.CollectClaim(ctx, actor, Claim{Client: client, SAD: sad, Hashes: hashes})
}

// CollectClaim hands out what a claim names: all of it, or nothing. A hash that is not signed yet, was handed out before
// or is of another authorisation refuses the call.
func (s *Service) CollectClaim(ctx context.Context, actor ra.Actor, c Claim) (out [][]byte, err error) {
	e := ra.Event{Actor: actor, Act: "sign.collect", Object: "client/" + string(c.Client), Details: map[string]string{"count": strconv.Itoa(len(c.Hashes))}}
	if err := s.inNetwork(actor); err != nil {
		return nil, s.refused(ctx, e, err)
	}
	err = ra.Act[Tx](ctx, s.Store, s.Now(), e, func(tx Tx, e *ra.Event) error {
		a, err := c.authorisation(tx)
		e.Institution = a.Institution
		if err != nil {
			return err
		}
		e.Object = authorisationObject(a.ID)
		if a.State != Released || !s.Now().Before(a.ExpiresAt) {
			return ra.Refuse("HCA-6.3.5", "authorisation-over", "The authorisation is not released, or its time is over. Nothing was handed out.", nil)
		}
		if len(c.Hashes) == 0 || len(c.Hashes) > len(a.Items) {
			return malformed("hashes", "Name the hashes whose signatures are collected. Nothing was handed out.")
		}
		out = make([][]byte, 0, len(c.Hashes))
		for _, h := range c.Hashes {
			sig, err := take(tx, a, h)
			if err != nil {
				return err
			}
			out = append(out, sig)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// take hands one signature out.
func take(tx Tx, a Authorisation, hash []byte) ([]byte, error) {
	n := slices.IndexFunc(a.Items, func(i Item) bool { return bytes.Equal(i.Hash, hash) })
	if n < 0 {
		return nil, ra.Refuse("HCA-6.3.5", "hash-not-authorised", "The holder did not authorise this hash. Nothing was handed out.", nil)
	}
	switch a.Items[n].State {
	case HashWaiting:
		return nil, ra.Errorf(ra.KindConflict, "not-signed-yet", nil, "A signature is not made yet. Nothing was handed out; ask again in a moment.")
	case HashRefused:
		return nil, ra.Refuse("HCA-7.2", "batch-stopped", "The batch was stopped before this hash. Nothing was handed out; ask Check which are signed.", nil)
	}
	sig, there, err := tx.TakeSignature(a.ID, n)
	if err == nil && !there {
		err = ra.Refuse("HCA-6.3.5", "collected-before", "This signature was handed out before. Nothing was handed out again.", nil)
	}
	return sig, err
}

// maxOverdue bounds one run of Expire.
const maxOverdue = 200

// Expire ends authorisations whose time is over: what was not collected is deleted. It tells how many it ended.
func (s *Service) Expire(ctx context.Context) (ended int, err error) {
	err = s.Store.Update(ctx, func(tx Tx) error {
		late, err := tx.OverdueAuthorisations(s.Now(), maxOverdue)
		if err != nil {
			return err
		}
		for _, a := range late {
			if err := tx.EndAuthorisation(a); err != nil {
				return err
			}
			if a.State != Pending {
				continue
			}
			if err := tx.Audit(ra.Event{At: s.Now(), Actor: ra.Actor{Kind: ra.ActorSystem, ID: "expire"}, Act: "sign.expire", Object: authorisationObject(a.ID),
				Institution: a.Institution, Outcome: ra.OutcomeDone}); err != nil {
				return err
			}
		}
		ended = len(late)
		return nil
	})
	return ended, err
}
