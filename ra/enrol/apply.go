package enrol

import (
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"time"

	"certwindow/hsm"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/consent"
)

// Begin makes an application and the text that the holder's card is to sign. Everything that can be refused
// before the card is asked is refused here; all of it is judged again when the signature comes.
func (s *Service) Begin(ctx context.Context, actor ra.Actor, n New) (ra.Application, error) {
	a, err := s.drawUp(actor, n)
	if err != nil {
		return ra.Application{}, err
	}
	e := ra.Event{Actor: actor, Act: "enrol.begin", Object: object(a.ID), Institution: n.Institution,
		Details: map[string]string{"scope": strings.Join(n.Scope, " "), "key": string(n.KeyDesign), "device": string(n.Device)}}
	standing := s.standing(ctx)
	if n.Renews != "" {
		e.Details["renews"] = string(n.Renews)
	}
	err = s.act(ctx, e, func(tx Tx, _ *ra.Event) error {
		if actor.Institution != "" && actor.Institution != n.Institution {
			return ra.Refuse("HCA-8.1.6", "not-yours", "This institution is not yours. Nothing was begun.", nil)
		}
		if alg := hsm.Algorithm(a.Algorithm); alg != hsm.P256 && alg != hsm.RSA2048 {
			return ra.Errorf(ra.KindMalformed, "algorithm", nil, "The key's algorithm is P-256 or RSA-2048. Nothing was begun.")
		}
		f, err := s.gather(tx, a)
		if err != nil {
			return err
		}
		if err := ra.Refused(policy.WindowMayEnrol(standing, a.CreatedAt)); err != nil {
			return err
		}
		if err := s.judge(f, a); err != nil {
			return err
		}
		if err := s.mayRenew(tx, f, a); err != nil {
			return err
		}
		if a.KeyDesign == ra.KeyChip && !slices.Contains(s.cfg.Attestor.Setting(f.device.Platform).Designs, string(ra.KeyChip)) {
			return ra.Refuse("HCA-6.2", "chip-not-listed", "This window lists no secure chip, so a key cannot be made in one. Nothing was begun; choose another key.", nil)
		}
		if err := consent.FreshInsertion(tx, n.Insertion, a.PersonID); err != nil {
			return err
		}
		a.Generation, a.DeviceKey = f.device.Generation, ra.KeyHash(f.device.KeySPKI)
		if a.Text, err = s.text(a, f); err != nil {
			return err
		}
		if err := tx.IssueNonce(s.nonce(a, actor)); err != nil {
			return err
		}
		return tx.InsertApplication(a)
	})
	if err != nil {
		return ra.Application{}, err
	}
	return a, nil
}

// drawUp makes an application that nothing has judged yet, with a nonce for the card and a challenge for the key.
func (s *Service) drawUp(actor ra.Actor, n New) (a ra.Application, err error) {
	id, err := ra.NewID(s.now(), s.rand)
	if err != nil {
		return a, err
	}
	nonce, err := ra.NewNonceValue(s.rand)
	if err != nil {
		return a, err
	}
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, challenge); err != nil {
		return a, err
	}
	if n.Algorithm == "" {
		n.Algorithm = string(hsm.P256)
	}
	now := s.now().Truncate(time.Second) // the text shows whole seconds
	return ra.Application{ID: ra.ApplicationID(id), Kind: ra.Enrolment, Insertion: n.Insertion, State: ra.AppAwaitingSignature, PersonID: n.Person, DeviceID: n.Device,
		Institution: n.Institution, Scope: n.Scope, KeyDesign: n.KeyDesign, Carrier: n.Carrier, Algorithm: n.Algorithm, Renews: n.Renews, Nonce: nonce,
		Challenge: challenge, Deadline: now.Add(s.cfg.MessageLife()), CreatedBy: actor.ID, CreatedAt: now, UpdatedAt: now}, nil
}

// facts are what the rules of an enrolment are judged by, read in one transaction.
type facts struct {
	person      ra.PersonFacts
	device      ra.DeviceFacts
	institution ra.InstitutionFacts
	scopes      []policy.ApprovedScope
}

func (s *Service) gather(tx Tx, a ra.Application) (f facts, err error) {
	if f.person, err = tx.Person(a.PersonID); err != nil {
		return f, err
	}
	if f.device, err = tx.Device(a.DeviceID, a.PersonID); err != nil {
		return f, err
	}
	if f.institution, err = tx.Institution(a.Institution); err != nil {
		return f, err
	}
	f.scopes, err = tx.Scopes()
	return f, err
}

// judge applies the rules of HCA-5.1.2, HCA-5.1.3 and what they rest on.
func (s *Service) judge(f facts, a ra.Application) error {
	i := f.institution
	return ra.Refused(policy.All(
		policy.InstitutionMayEnrol(policy.Institution{Active: i.Active, IsWindow: i.IsWindow, Agreement: i.Agreement,
			AgreedFrom: i.AgreedFrom, AgreedTo: i.AgreedTo}, s.now()),
		policy.Person(policy.Applicant{Active: f.person.Active, Member: f.person.MemberOf(a.Institution), SameHolder: true, SameName: true}),
		policy.CardChecked(f.person.CardChecked),
		policy.DeviceUser(policy.DeviceUse{Registered: f.device.IsUser, State: string(f.device.State), SameInstitution: f.device.Institution == a.Institution}),
		policy.Scope(a.Scope, string(a.Institution), f.scopes),
		policy.Carrier(string(a.Carrier), string(a.KeyDesign)),
	))
}

func (s *Service) text(a ra.Application, f facts) ([]byte, error) {
	t, err := cardmsg.Enrolment{
		Application: a.ID, Nonce: a.Nonce, Issued: a.CreatedAt, Expires: a.Deadline, Window: s.cfg.Window, Institution: a.Institution,
		Holder: f.person.Holder, Name: f.person.Name, Device: f.device.Code, DeviceKey: sha256.Sum256(f.device.KeySPKI),
		Carrier: a.Carrier, Scope: a.Scope, Key: a.KeyDesign,
	}.Text()
	if err != nil {
		return nil, ra.Errorf(ra.KindMalformed, "text", err, "The text for the card cannot be written from what is registered. Nothing was begun.")
	}
	return t, nil
}

func (s *Service) nonce(a ra.Application, actor ra.Actor) ra.Nonce {
	return ra.Nonce{Value: a.Nonce, Purpose: ra.NonceEnrol, Person: a.PersonID, Device: a.DeviceID, Session: actor.Session, ExpiresAt: a.Deadline}
}

// Sign takes the card's signature. The message is judged outside any transaction, since that may ask the HCA's
// status services; then the nonce is redeemed, the rules are judged again, and a slot of the five is taken, all
// at once or not at all (HCA-5.1, HCA-7.5, HCA-8.1.4).
func (s *Service) Sign(ctx context.Context, actor ra.Actor, id ra.ApplicationID, sig Signature) (ra.Application, error) {
	a, person, err := s.awaiting(ctx, actor, id)
	e := ra.Event{Actor: actor, Act: "enrol.consent", Object: object(id), Institution: a.Institution}
	var v consent.Verified
	if err == nil {
		sig, err = sig.Over(a.Text, "HCA-5.1.1")
	}
	if err == nil {
		v, err = s.consent.Verify(ctx, consent.Expected{Text: a.Text, Nonce: a.Nonce, Holder: person.Holder, Name: person.Name,
			Issued: a.CreatedAt, Expires: a.Deadline, Bare: sig.Bare != nil, Clause: "HCA-5.1.1", Judged: judged()}, sig.CMS)
	}
	if err != nil {
		return a, s.act(ctx, e, func(Tx, *ra.Event) error { return err })
	}
	standing := s.standing(ctx)
	err = s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		var from ra.ApplicationState
		if a, from, err = consent.Take(tx, actor, id, func(a ra.Application) ra.Nonce { return s.nonce(a, actor) }, sig, v, s.now()); err != nil {
			return err
		}
		if err := ra.Refused(policy.WindowMayEnrol(standing, s.now())); err != nil {
			return err
		}
		f, err := s.gather(tx, a)
		if err != nil {
			return err
		}
		if err := ra.Refused(policy.SameBinding(a.DeviceKey, ra.KeyHash(f.device.KeySPKI), a.Generation, f.device.Generation)); err != nil {
			return err
		}
		if err := s.judge(f, a); err != nil {
			return err
		}
		if a.Slot, err = s.takeSlot(tx, a.PersonID); err != nil {
			return err
		}
		if err := s.mayRenew(tx, f, a); err != nil { // under the person's lock: of two renewals one goes on
			return err
		}
		a.Deadline = s.now().Add(s.cfg.KeyLife())
		e.Details = sig.About(v)
		return tx.UpdateApplication(a, from)
	})
	return a, err
}

// awaiting loads an application that waits for its card. One that a new binding of the device voided is refused
// under that rule.
func (s *Service) awaiting(ctx context.Context, actor ra.Actor, id ra.ApplicationID) (a ra.Application, p ra.PersonFacts, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		a, p, err = consent.Awaiting(tx, ra.Enrolment, actor.Institution, id, s.now())
		if voided := goesOn(a); voided != nil {
			return voided
		}
		return err
	})
	return a, p, err
}

// takeSlot finds the lowest free place of the person's, under the person's lock (HCA-7.5).
func (s *Service) takeSlot(tx Tx, person ra.PersonID) (*int, error) {
	exemption, err := tx.LockHolder(person)
	if err != nil {
		return nil, err
	}
	taken, err := tx.TakenSlots(person, s.now())
	if err != nil {
		return nil, err
	}
	if err := ra.Refused(policy.Limit(len(taken), s.cfg.Most(), exemption, s.now())); err != nil {
		return nil, err
	}
	held := make(map[int]bool, len(taken))
	for _, n := range taken {
		held[n] = true
	}
	slot := 1
	for held[slot] {
		slot++
	}
	return &slot, nil
}

// Cancel withdraws an application that has not left the window.
func (s *Service) Cancel(ctx context.Context, actor ra.Actor, id ra.ApplicationID) error {
	e := ra.Event{Actor: actor, Act: "enrol.cancel", Object: object(id), Institution: actor.Institution}
	return s.act(ctx, e, func(tx Tx, e *ra.Event) error {
		a, err := tx.Application(actor.Institution, id)
		if err != nil {
			return err
		}
		e.Institution = a.Institution
		return s.end(tx, a, ra.AppVoid)
	})
}

// Lapse ends applications whose time has passed, a page at a time, and frees the slots they held. It tells how
// many it ended.
func (s *Service) Lapse(ctx context.Context) (ended int, err error) {
	err = s.store.Update(ctx, func(tx Tx) error {
		late, err := tx.Overdue(s.now(), 200)
		if err != nil {
			return err
		}
		for _, a := range late {
			if err := s.end(tx, a, ra.AppLapse); err != nil {
				return err
			}
			e := ra.Event{At: s.now(), Actor: ra.Actor{Kind: ra.ActorSystem, ID: "lapse"}, Act: "application.lapse", Object: object(a.ID),
				Institution: a.Institution, Outcome: ra.OutcomeDone}
			if err := tx.Audit(e); err != nil {
				return err
			}
		}
		ended = len(late)
		return nil
	})
	return ended, err
}

// end gives an application up before anything left the window, so its slot is free again.
func (s *Service) end(tx Tx, a ra.Application, event ra.ApplicationEvent) error {
	from := a.State
	next, err := ra.NextApplication(a.Kind, from, event, a.Deadline, s.now())
	if err != nil {
		return err
	}
	a.State, a.Slot, a.UpdatedAt = next, nil, s.now()
	if err := tx.UpdateApplication(a, from); err != nil {
		return err
	}
	return tx.DeleteHolderKey(a.ID)
}

// judged are the rules that Sign holds an application against.
func judged() []policy.Clause {
	return []policy.Clause{"HCA-2.2", "HCA-3.1", "HCA-3.5", "HCA-3.7", "HCA-3.8", "HCA-5.1.1", "HCA-5.1.2", "HCA-5.1.3", "HCA-6.0", "HCA-7.1", "HCA-7.3",
		"HCA-7.5", "HCA-8.1.2", "HCA-8.1.3", "HCA-8.1.4"}
}
