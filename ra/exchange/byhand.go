package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"certwindow/ra"
	"certwindow/ra/hca"
)

// byHandAgain is how often a request that a person carries is looked at, so that its job is not lost.
const byHandAgain = time.Hour

// Carried is one request that a person carries to the HCA.
type Carried struct {
	Application ra.ApplicationID
	Kind        hca.Kind
	State       ra.ApplicationState
	Institution ra.InstitutionCode
	PreparedAt  time.Time
	FetchedAt   *time.Time // nil: it waits to be fetched
	Times       int        // how often it was fetched
	Size        int        // bytes of the signed request, as it is stored
}

// MaxBundle is how many requests are fetched at a time.
const MaxBundle = 500

// byHand is the adapter, when its requests are carried by hand; the window's own staff alone do so.
func (s *Service) byHand(actor ra.Actor) (hca.ByHand, error) {
	if actor.Institution != "" {
		return nil, ra.Refuse("HCA-8.1.6", "not-yours", "This is the business of the window's own staff. Nothing was changed.", nil)
	}
	a, ok := s.adapter.(hca.ByHand)
	if !ok {
		return nil, ra.Errorf(ra.KindConflict, "not-by-hand", nil, "This window reaches the HCA by itself. Nothing was changed.")
	}
	return a, nil
}

// ByHand tells whether requests are carried by hand.
func (s *Service) ByHand() bool {
	_, ok := s.adapter.(hca.ByHand)
	return ok
}

// Waiting is a page of the requests that wait to be fetched, or that were fetched and wait for their answer.
func (s *Service) Waiting(ctx context.Context, actor ra.Actor, fetched bool, after ra.ApplicationID, limit int) (out []Carried, err error) {
	a, err := s.byHand(actor)
	if err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		out, err = tx.Carried(a.Name(), fetched, after, min(max(limit, 1), MaxBundle+1))
		return err
	})
	return out, err
}

// Fetch gives out the requests that wait, or once more those that were fetched, MaxBundle at a time: from now on they
// may have arrived. Each is marked with a row of its own. The window's standing is judged as for a request that leaves
// by itself (HCA-3.1, HCA-3.8); what may not leave stays, and why is shown on it. after is the last one of the page before.
func (s *Service) Fetch(ctx context.Context, actor ra.Actor, again bool, after ra.ApplicationID) (out []hca.Prepared, err error) {
	list, err := s.Waiting(ctx, actor, again, after, MaxBundle)
	if err != nil {
		return nil, err
	}
	var held error
	for _, c := range list {
		var w work
		if err := s.store.View(ctx, func(tx Tx) error { return s.load(tx, c.Application, &w) }); err != nil {
			return out, err
		}
		if err := s.mayLeave(ctx, w.app); err != nil {
			if held = err; s.note(ctx, w.app, err) != nil {
				return out, err
			}
			continue
		}
		switch err := s.handOut(ctx, actor, w); {
		case err == nil:
			out = append(out, w.request.Prepared)
		case ra.KindOf(err) != ra.KindConflict: // answered or withdrawn meanwhile
			return out, err
		}
	}
	if len(out) == 0 && held != nil {
		return nil, held
	}
	return out, nil
}

// handOut marks one request as about to leave, with who took it.
func (s *Service) handOut(ctx context.Context, actor ra.Actor, w work) error {
	sum := sha256.Sum256(w.request.Prepared.Bytes)
	e := ra.Event{Actor: actor, Act: "hca.fetch", Object: object(w.app), Institution: w.app.Institution, Clause: "HCA-3.3",
		Details: map[string]string{"sha256": hex.EncodeToString(sum[:])}}
	return ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error { return s.leaves(tx, &w) })
}

// TakeIn judges one answer that was brought back, by the same rules as one that came over the network, and records what
// it says. What is no answer of the HCA's to a request that left is refused, with a row, and changes nothing.
func (s *Service) TakeIn(ctx context.Context, actor ra.Actor, answer []byte) (app ra.Application, err error) {
	a, err := s.byHand(actor)
	if err != nil {
		return app, err
	}
	w, out, refused := s.readIn(ctx, a, answer)
	sum := sha256.Sum256(answer)
	e := ra.Event{Actor: actor, Act: "hca.take-in", Object: "application/unknown", Clause: "HCA-3.3",
		Details: map[string]string{"sha256": hex.EncodeToString(sum[:])}}
	if w.found {
		e.Object, e.Institution = object(w.app), w.app.Institution
	}
	err = ra.Act[Tx](ctx, s.store, s.now(), e, func(tx Tx, _ *ra.Event) error {
		if refused != nil {
			return refused
		}
		if err := s.load(tx, w.app.ID, &w); err != nil {
			return err
		}
		if err := awaitsAnswer(w); err != nil {
			return err
		}
		now := s.now()
		w.request.Answer, w.request.AnsweredAt = answer, &now
		return tx.UpdateRequest(w.app.ID, w.request)
	})
	if err != nil {
		return w.app, err
	}
	if _, err := s.record(ctx, w, out, nil); err != nil {
		return w.app, err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		app, err = tx.Application("", w.app.ID)
		return err
	})
	return app, err
}

// readIn finds the request that an answer is to, and judges it, outside any transaction: the status of its signer may
// be asked for.
func (s *Service) readIn(ctx context.Context, a hca.ByHand, answer []byte) (w work, out hca.Outcome, err error) {
	transaction, err := a.Claimed(answer)
	if err != nil {
		return w, out, notTaken(err)
	}
	err = s.store.View(ctx, func(tx Tx) error { return s.load(tx, ra.ApplicationID(transaction), &w) })
	switch {
	case err != nil && ra.KindOf(err) != ra.KindNotFound:
		return w, out, err
	case !w.found:
		return work{}, out, ra.Refuse("HCA-3.3", "answer-unknown", "The answer is to a request that is not this window's. Nothing was changed.", err)
	}
	if err := awaitsAnswer(w); err != nil {
		return w, out, err
	}
	if out, err = a.Read(ctx, w.request.Prepared, answer); err != nil {
		return w, out, notTaken(err)
	}
	return w, out, nil
}

// awaitsAnswer refuses an answer that nobody waits for.
func awaitsAnswer(w work) error {
	switch {
	case w.request.SentAt == nil:
		return ra.Refuse("HCA-3.3", "answer-early", "This request was never fetched, so nothing can answer it. Nothing was changed.", nil)
	case w.app.State != ra.AppSent && w.app.State != ra.AppDisputed:
		return ra.Errorf(ra.KindConflict, "answer-known", nil, "This request has its answer already. Nothing was changed.")
	}
	return nil
}

// notTaken says why an answer is not believed, by the adapter's own kinds.
func notTaken(cause error) error {
	code := "answer-unreadable"
	switch hca.KindOf(cause) {
	case hca.Unsigned, hca.BadSignature, hca.UntrustedSigner:
		code = "answer-signature"
	case hca.WrongTransaction, hca.WrongNonce:
		code = "answer-of-another"
	case hca.Unavailable:
		code = "answer-later"
	}
	return ra.Refuse("HCA-3.3", code, "The file is no answer of the HCA's that fits its request. Nothing was changed.", cause)
}
