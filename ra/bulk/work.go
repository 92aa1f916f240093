package bulk

import (
	"context"
	"strconv"
	"time"

	"certwindow/ra"
	"certwindow/ra/revoke"
)

// actor is who acts while nobody looks.
var actor = ra.Actor{Kind: ra.ActorSystem, ID: "bulk"}

// stretch is how many certificates are worked on in one attempt of the job, so that none takes longer than an attempt may.
const stretch = 100

// Work does the next certificates. again says that there are more. An error means that it should be tried again: what was
// done before it stays done.
func (s *Service) Work(ctx context.Context, id string) (again time.Duration, err error) {
	for range stretch {
		b, err := s.Bulk(ctx, ra.Actor{}, id)
		if err != nil || b.State != Running {
			return 0, err
		}
		next, err := s.Items(ctx, ra.Actor{}, id, ItemQuery{Result: Left, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(next) == 0 {
			return 0, s.finish(ctx, b)
		}
		if err := s.item(ctx, b, next[0].Certificate); err != nil {
			return 0, err
		}
	}
	return time.Millisecond, nil
}

// item does one certificate, and settles it in the same transaction. One that is not any more as it was is skipped, with
// the reason why; so is one that the rules refuse.
func (s *Service) item(ctx context.Context, b Bulk, id ra.CertificateID) error {
	err := s.store.Update(ctx, func(tx Tx) error {
		if err := tx.SettleItem(b.ID, Item{Certificate: id, Result: Done}); err != nil {
			return err
		}
		if err := s.stillThere(tx, b, id); err != nil {
			return err
		}
		if b.Kind == Revoke {
			return s.revoker.Approved(tx, b.second(), id, b.Ground, b.Note)
		}
		return s.remind(tx, b, id)
	})
	if err == nil || lost(err) {
		return err
	}
	e := ra.Event{At: s.now(), Actor: actor, Act: "bulk.skip", Object: "certificate/" + string(id), Institution: b.Institution,
		Details: map[string]string{"bulk": b.ID}}.RefusalOf(err)
	skipped := s.store.Update(ctx, func(tx Tx) error {
		if err := tx.SettleItem(b.ID, Item{Certificate: id, Result: Skipped, Code: ra.AsError(err).Code}); err != nil {
			return err
		}
		return tx.Audit(e)
	})
	if skipped != nil && ra.KindOf(skipped) == ra.KindConflict {
		return nil // the work was stopped meanwhile, or another worker did it
	}
	return skipped
}

// lost tells of errors that are not the certificate's own.
func lost(err error) bool {
	k := ra.KindOf(err)
	return k == ra.KindUnavailable || k == ra.KindInternal
}

// stillThere refuses a certificate that the search does not find any more.
func (s *Service) stillThere(tx Tx, b Bulk, id ra.CertificateID) error {
	found, err := tx.BulkSelect(b.Filter, s.now(), id, 1)
	if err != nil || len(found) == 1 {
		return err
	}
	c, err := tx.Certificate("", id)
	if err != nil {
		return err
	}
	if c.State != ra.CertLive && c.State != ra.CertSuspended || s.now().After(c.NotAfter) {
		return ra.Errorf(ra.KindConflict, CodeEnded, nil, "The certificate is revoked, being revoked or expired. Nothing was changed.")
	}
	return ra.Errorf(ra.KindConflict, CodeMoved, nil, "The search does not find this certificate any more. Nothing was changed.")
}

// remind tells a holder, unless he has a later certificate on the same device already.
func (s *Service) remind(tx Tx, b Bulk, id ra.CertificateID) error {
	c, err := tx.Certificate("", id)
	if err != nil {
		return err
	}
	later, err := tx.Certificates(revoke.Query{Person: c.PersonID, Device: c.DeviceID, State: ra.CertLive, From: c.NotAfter.Add(time.Second), Brief: true, Limit: 1})
	if err != nil {
		return err
	}
	if len(later) > 0 {
		return ra.Errorf(ra.KindConflict, CodeRenewed, nil, "The holder has a later certificate on this device. Nothing was sent.")
	}
	if err := tx.Notice(c.PersonID, ra.NoticeExpiring, "certificate/"+string(id)); err != nil {
		return err
	}
	return tx.Audit(ra.Event{At: s.now(), Actor: actor, Act: "certificate.remind", Object: "certificate/" + string(id), Institution: c.Institution,
		Outcome: ra.OutcomeDone, Clause: "HCA-3.4", Details: map[string]string{"bulk": b.ID, "by": b.CreatedBy}})
}

func (s *Service) finish(ctx context.Context, b Bulk) error {
	e := ra.Event{Actor: actor, Act: "bulk.finish", Object: "bulk/" + b.ID, Institution: b.Institution, Details: map[string]string{}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, e *ra.Event) error {
		now := s.now()
		b.State, b.EndedAt = Finished, &now
		b.counts(e)
		return tx.EndBulk(b)
	})
}

func (b Bulk) counts(e *ra.Event) {
	for k, n := range map[string]int{"total": b.Total, "done": b.Done, "skipped": b.Skipped} {
		e.Details[k] = strconv.Itoa(n)
	}
}
