package appcred

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// maxSent is how many codes one person is sent in an hour: a stranger with his phone in hand must not make his
// mailbox unreadable, nor the SMS bill.
const maxSent = 10

// openCodes is how many codes of one person, device and purpose are good at the same time.
const openCodes = 3

// SendCode sends a one-time code to the address on file, for one purpose on this device and in this app (HCA-8.2.7). It
// takes the account, as Login does, and says the same whether there is one or not.
func (s *Service) SendCode(ctx context.Context, actor ra.Actor, account string, device ra.DeviceID, purpose Purpose, channel Channel) error {
	if !slices.Contains(Channels, channel) || purpose != ForLogin && purpose != ForSignature {
		return ra.Errorf(ra.KindMalformed, "channel", nil, "Codes are sent by sms, mail or push, for login or signature. Nothing was sent.")
	}
	if s.Sender == nil {
		return ra.Refuse("HCA-8.2.7", "codes-not-sent", "This window sends no one-time codes. Nothing was sent; use the password or an authenticator app.", nil)
	}
	code, err := digits(s.Rand)
	if err != nil {
		return err
	}
	var to *Contact
	event := ra.Event{Actor: actor, Act: "account.code", Object: "person/unknown", Institution: actor.Institution, Clause: "HCA-8.2.7",
		Details: map[string]string{"channel": string(channel), "purpose": string(purpose)}}
	err = s.act(ctx, event, func(tx Tx, e *ra.Event) (err error) {
		if to, err = s.addressee(tx, canonical(account), device, e); err != nil {
			return err
		}
		c := Code{Device: device, Purpose: purpose, Channel: channel}
		if to != nil {
			c.Person = to.Person
		}
		return s.insertCode(ctx, tx, c, code)
	})
	if err == nil && to != nil {
		s.send(ctx, channel, *to, code)
	}
	return err
}

// addressee is whom a code is sent to; nil where nobody is, and why stands in the event. What is asked of somebody's
// account is asked of nobody's as well, and a code is made all the same, so that the answer takes as long. The account is
// locked meanwhile, so that no two replicas send the last of maxSent.
func (s *Service) addressee(tx Tx, account string, device ra.DeviceID, e *ra.Event) (*Contact, error) {
	a, there, err := tx.AccountNamed(account)
	if err != nil {
		return nil, err
	}
	_, stranger := s.user(tx, a.Person, device)
	n, err := tx.CodesSince(a.Person, s.moment().Add(-time.Hour), maxSent)
	if err != nil {
		return nil, err
	}
	to, err := tx.Contact(a.Person)
	if !there {
		e.Code = "no-account"
		return nil, nil
	}
	e.Object, to.Person = object(a.Person), a.Person
	switch {
	case stranger != nil && ra.KindOf(stranger) == ra.KindRefused:
		e.Code = ra.AsError(stranger).Code
		return nil, nil
	case stranger != nil:
		return nil, stranger
	case err != nil:
		return nil, err
	case n >= maxSent:
		e.Code = "too-many"
		return nil, nil
	}
	return &to, nil
}

// sendTime bounds the sending of one code.
const sendTime = 30 * time.Second

func (s *Service) send(ctx context.Context, channel Channel, to Contact, code Secret) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.Log.Warn("a one-time code was not sent: too many are on their way", "channel", string(channel))
		return
	}
	s.sending.Go(func() {
		defer func() { <-s.slots }()
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
		defer stop()
		if err := s.Sender.SendCode(ctx, channel, to, code); err != nil {
			s.Log.Warn("a one-time code could not be sent", "channel", string(channel), "cause", err.Error())
		}
	})
}

// Challenge is what a biometric key is to sign for a purpose on this device. Of nobody's account one is made as well.
func (s *Service) Challenge(ctx context.Context, account string, device ra.DeviceID, purpose Purpose) (string, error) {
	var raw [24]byte
	if _, err := io.ReadFull(s.Rand, raw[:]); err != nil {
		return "", err
	}
	challenge := base64.RawURLEncoding.EncodeToString(raw[:])
	err := s.Store.UpdateAccounts(ctx, func(tx Tx) error {
		a, _, err := tx.AccountNamed(canonical(account))
		if err != nil {
			return err
		}
		return s.insertCode(ctx, tx, Code{Person: a.Person, Device: device, Purpose: purpose}, Secret(challenge))
	})
	return challenge, err
}

// insertCode completes a code with its times and the app it is for, and keeps its hash.
func (s *Service) insertCode(ctx context.Context, tx Tx, c Code, code Secret) error {
	c.SentAt = s.moment()
	c.ExpiresAt = c.SentAt.Add(policy.MaxOTPLife)
	id, err := ra.NewID(c.SentAt, s.Rand)
	if err != nil {
		return err
	}
	app, err := tx.AppFacts(c.Device)
	if err != nil {
		return err
	}
	c.ID, c.App = id, app.App
	if c.Hash, err = s.codeHash(ctx, c, code); err != nil {
		return err
	}
	return tx.InsertCode(c)
}

// codeHash is what is kept of a code: keyed in the HSM, since six digits are quickly tried, and bound to everything
// that the code is for.
func (s *Service) codeHash(ctx context.Context, c Code, code Secret) ([]byte, error) {
	mac, err := s.MAC(ctx, []byte(fmt.Sprintf("certwindow one-time code v1\x00%s\x00%s\x00%s\x00%s\x00%s\x00%s", c.ID, c.Person, c.Device, c.App, c.Purpose, code.Reveal())))
	if err != nil {
		return nil, ra.Errorf(ra.KindUnavailable, "hsm", err, "The hardware security module does not answer. Nothing was changed.")
	}
	return mac, nil
}

// checkCode looks for a code that was sent, or else for a challenge, among those that are open for this person, device, app and purpose, and uses it up
// (HCA-8.2.7(1), (3), (4)).
func (s *Service) checkCode(ctx context.Context, a Account, d ra.DeviceFacts, code Secret, purpose Purpose, sent bool) (ok bool, err error) {
	var open []Code
	var app ra.AppFacts
	err = s.Store.ViewAccounts(ctx, func(tx Tx) error {
		if app, err = tx.AppFacts(d.ID); err != nil {
			return err
		}
		open, err = tx.Codes(a.Person, d.ID, purpose, sent, openCodes)
		return err
	})
	if err != nil {
		return false, err
	}
	now := s.moment()
	for _, c := range open {
		c.App = app.App // a code that another app asked for does not fit
		hash, err := s.codeHash(ctx, c, code)
		if err != nil {
			return false, err
		}
		if !sameCode(c.Hash, hash) || !policy.OTPLife(c.SentAt, c.ExpiresAt, now).Allowed {
			continue
		}
		err = s.Store.UpdateAccounts(ctx, func(tx Tx) error { ok, err = tx.UseCode(c.ID, now); return err })
		return ok, err
	}
	return false, nil
}

// digits is a code of six digits, none likelier than another.
func digits(rand io.Reader) (Secret, error) {
	for {
		var raw [4]byte
		if _, err := io.ReadFull(rand, raw[:]); err != nil {
			return "", err
		}
		if n := binary.BigEndian.Uint32(raw[:]); n < 4_294_000_000 {
			return Secret(fmt.Sprintf("%06d", n%1_000_000)), nil
		}
	}
}

// AddBiometric registers a user-verified key for a holder who is signed in by another proof (HCA-8.2.8). The key signs
// a challenge, which proves that the phone has it; the kind must be one that the institution accepts.
func (s *Service) AddBiometric(ctx context.Context, actor ra.Actor, l Login, kind string, spki, signature []byte, challenge string) error {
	id, err := ra.NewID(s.moment(), s.Rand)
	if err != nil {
		return err
	}
	event := ra.Event{Actor: actor, Act: "account.biometric", Object: object(l.Person), Institution: actor.Institution, Clause: "HCA-8.2.8", Details: map[string]string{"kind": kind}}
	if err := s.fresh(l); err != nil {
		return s.refuse(ctx, event, err)
	}
	var d ra.DeviceFacts
	var accepted []string
	err = s.Store.ViewAccounts(ctx, func(tx Tx) error {
		if d, err = tx.DeviceFacts(l.Device, l.Person); err != nil {
			return err
		}
		accepted, err = tx.AcceptedBiometrics(d.Institution)
		return err
	})
	if err != nil {
		return err
	}
	if err := ra.Refused(policy.HolderProofs(policy.Proofs{Kinds: []string{policy.FactorBiometric}, Biometric: kind, Accepted: accepted})); err != nil {
		return s.refuse(ctx, event, err)
	}
	if err := ownKey(spki, signature, challenge); err != nil {
		return s.refuse(ctx, event, err)
	}
	if used, err := s.checkCode(ctx, Account{Person: l.Person}, d, Secret(challenge), ForLogin, false); err != nil || !used {
		return s.refuse(ctx, event, orWrong(err))
	}
	return s.act(ctx, event, func(tx Tx, _ *ra.Event) error {
		if _, err := goesOn(tx, l); err != nil {
			return err
		}
		if err := tx.RemoveBiometrics(l.Person, l.Device, s.moment()); err != nil {
			return err
		}
		return tx.InsertBiometric(Biometric{ID: id, Person: l.Person, Device: l.Device, Generation: l.Generation, Kind: kind, SPKI: spki, AddedAt: s.moment()})
	})
}

func orWrong(err error) error {
	if err != nil {
		return err
	}
	return wrong[CodeFailures]
}
