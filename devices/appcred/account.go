package appcred

import (
	"context"
	"regexp"
	"strings"

	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
)

// Credentials are what the counter hands to a holder, once.
type Credentials struct {
	Account  string
	Password Secret // initial: to be changed at the first login (HCA-8.2.6(5))
}

// Standing is how an account stands, without its secrets.
type Standing struct {
	Name           string
	MustChange     bool // its initial password was not changed yet
	PasswordLocked bool // HCA-8.2.6(4)
	CodesLocked    bool // HCA-8.2.7(2)
	Stopped        bool // by a member of staff
	Remind         bool // its password is older than a year (HCA-8.2.6(3))
	TOTP, HOTP     bool // a generator of the kind is registered
}

// Account is how a person's account stands; found tells whether there is one. The caller has made sure that the
// person may be seen.
func (s *Service) Account(ctx context.Context, person ra.PersonID) (st Standing, found bool, err error) {
	var a Account
	err = s.Store.ViewAccounts(ctx, func(tx Tx) error {
		a, found, err = tx.Account(person)
		return err
	})
	return Standing{Name: a.Name, Stopped: a.StoppedAt != nil, MustChange: a.MustChange, PasswordLocked: !policy.PasswordLock(a.Failures).Allowed, CodesLocked: !policy.OTPLock(a.CodeFails).Allowed,
		Remind: policy.PasswordAge(a.PasswordAt, s.moment()), TOTP: a.TOTP != "", HOTP: a.HOTP != ""}, found, err
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{2,31}$`)

func canonical(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// Open makes a person's account at the counter, or gives an account that is there a new initial password: the one
// way back for a holder who was locked out and whom the clerk has identified again (HCA-8.2.6(4), HCA-8.2.7(2)). All
// his logins end.
func (s *Service) Open(ctx context.Context, actor ra.Actor, person ra.PersonID, name string) (c Credentials, err error) {
	name = canonical(name)
	c.Password, err = factor.InitialPassword(s.Rand)
	if err != nil {
		return Credentials{}, err
	}
	hash, err := s.Hasher.Hash(ctx, c.Password)
	if err != nil {
		return Credentials{}, err
	}
	err = s.act(ctx, ra.Event{Actor: actor, Act: "account.open", Object: object(person), Institution: actor.Institution, Clause: "HCA-8.2.6"}, func(tx Tx, e *ra.Event) error {
		if err := s.mayServe(tx, actor, person); err != nil {
			return err
		}
		now := s.moment()
		a, there, err := tx.Account(person)
		if err != nil {
			return err
		}
		if there {
			c.Account, e.Act = a.Name, "account.reset"
			return s.reset(tx, a, hash, true)
		}
		if !nameForm.MatchString(name) {
			return ra.Errorf(ra.KindMalformed, "account-name", nil, "An account has 3 to 32 small letters, digits, dots, hyphens and underscores. Nothing was changed.")
		}
		c.Account = name
		return tx.InsertAccount(Account{Person: person, Name: name, Password: hash, PasswordAt: now, MustChange: true, CreatedAt: now})
	})
	if err != nil {
		return Credentials{}, err
	}
	return c, nil
}

// mayServe refuses a person whom the actor's institution does not know, or who practises nowhere any more.
func (s *Service) mayServe(tx Tx, actor ra.Actor, person ra.PersonID) error {
	p, err := tx.Person(person)
	if err != nil {
		return err
	}
	if actor.Institution != "" && !p.MemberOf(actor.Institution) {
		return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
	}
	return ra.Refused(policy.Person(policy.Applicant{Active: p.Active, Member: true, SameHolder: true, SameName: true}))
}

// Stop has a holder's account open nothing any more: one person alone may, at any hour. Every login of his ends. It opens
// again when the counter has identified him (Open), or his IC card has signed (ResetByCard).
func (s *Service) Stop(ctx context.Context, actor ra.Actor, person ra.PersonID) error {
	return s.act(ctx, ra.Event{Actor: actor, Act: "account.stop", Object: object(person), Institution: actor.Institution, Clause: "HCA-8.1.6"}, func(tx Tx, _ *ra.Event) error {
		if err := s.mayServe(tx, actor, person); err != nil {
			return err
		}
		if _, there, err := tx.Account(person); err != nil || !there {
			return orNoAccount(err)
		}
		if err := tx.EndLogins(person); err != nil {
			return err
		}
		return tx.StopAccount(person, s.moment())
	})
}

// Card is a holder's IC card that has signed for a new password. The caller has verified its message, and that it was
// made for this.
type Card struct {
	Holder  string // what identifies him on the card
	Signer  string // SHA-256 of its certificate, in hex
	Message string // SHA-256 of the signed message, in hex
}

// ResetByCard gives the holder of a card a password of his own choice, and opens his locked account again (HCA-8.2.6(4),
// HCA-8.2.7(2)); one that was stopped the counter alone opens: the card has identified him, if the counter once linked it to him by an identity document. All his
// logins end. It returns the account's name.
func (s *Service) ResetByCard(ctx context.Context, actor ra.Actor, card Card, next Secret) (account string, err error) {
	if len(next) > factor.MaxPassword {
		return "", ra.Refuse("HCA-8.2.6", "password-too-long", "The password is too long. Nothing was changed; choose another.", nil)
	}
	hash, err := s.Hasher.Hash(ctx, next)
	if err != nil {
		return "", err
	}
	event := ra.Event{Actor: actor, Act: "account.reset", Object: "person/unknown", Clause: "HCA-8.2.6",
		Details: map[string]string{"by": "card", "signer": card.Signer, "message": card.Message}}
	err = s.act(ctx, event, func(tx Tx, e *ra.Event) error {
		a, err := s.ofCard(tx, card, e)
		if err != nil {
			return err
		}
		if a.StoppedAt != nil { // whoever stopped it may have feared for the card as well
			return ra.Refuse("HCA-8.1.6", "account-stopped", "This account was stopped. Nothing was changed; have yourself identified at the counter.", nil)
		}
		if err := factor.Acceptable(a.Name, next); err != nil {
			return err
		}
		account = a.Name
		return s.reset(tx, a, hash, false)
	})
	if err != nil {
		return "", err
	}
	return account, nil
}

// reset gives an account a new password and opens its locks. One that was stopped keeps no other proof: whoever had got
// into it may have added his own.
func (s *Service) reset(tx Tx, a Account, hash string, mustChange bool) error {
	if err := tx.EndLogins(a.Person); err != nil {
		return err
	}
	if a.StoppedAt != nil {
		if err := tx.ForgetProofs(a.Person, s.moment()); err != nil {
			return err
		}
	}
	return tx.SetPassword(a.Person, hash, s.moment(), mustChange, true)
}

// ofCard is the account of the person whom a card identifies.
func (s *Service) ofCard(tx Tx, card Card, e *ra.Event) (Account, error) {
	if card.Holder == "" {
		return Account{}, errNoAccount
	}
	p, found, err := tx.PersonOfCard(card.Holder)
	if err != nil || !found {
		return Account{}, orNoAccount(err)
	}
	e.Object = object(p.ID)
	if !p.CardChecked {
		return Account{}, ra.Refuse("HCA-7.3", "card-unchecked", "The counter has not linked this card to you yet. Nothing was changed; have yourself identified there.", nil)
	}
	if err := s.mayServe(tx, ra.Actor{}, p.ID); err != nil {
		return Account{}, err
	}
	a, there, err := tx.Account(p.ID)
	if err != nil || !there {
		return Account{}, orNoAccount(err)
	}
	return a, nil
}

// ChangePassword sets a holder's own password, under the present one. His other logins end; this one goes on.
func (s *Service) ChangePassword(ctx context.Context, actor ra.Actor, token Secret, l Login, current, next Secret) error {
	var a Account
	err := s.Store.ViewAccounts(ctx, func(tx Tx) (err error) {
		var there bool
		if a, there, err = tx.Account(l.Person); err == nil && !there {
			err = errNoAccount
		}
		return err
	})
	if err != nil {
		return err
	}
	event := ra.Event{Actor: actor, Act: "account.password", Object: object(l.Person), Institution: actor.Institution, Clause: "HCA-8.2.6"}
	if err := s.checkPassword(ctx, a, current); err != nil {
		return s.refuse(ctx, event, err)
	}
	if err := factor.Acceptable(a.Name, next); err != nil {
		return s.refuse(ctx, event, err)
	}
	if current == next || len(next) > factor.MaxPassword {
		return s.refuse(ctx, event, ra.Refuse("HCA-8.2.6", "password-same", "The new password is the old one, or too long. Nothing was changed; choose another.", nil))
	}
	hash, err := s.Hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	return s.act(ctx, event, func(tx Tx, _ *ra.Event) error {
		now, err := goesOn(tx, l)
		if err == nil && now.Password != a.Password {
			err = errNoLogin
		}
		if err != nil {
			return err
		}
		if err := tx.SetPassword(l.Person, hash, s.moment(), false, false); err != nil {
			return err
		}
		if err := tx.EndLogins(l.Person); err != nil {
			return err
		}
		l.MustChange, l.LastUsed = false, s.moment()
		return tx.InsertLogin(tokenHash(token), l)
	})
}

// goesOn refuses a change by a login that ended while it was judged. The account is read first, which has whoever ends
// its logins wait.
func goesOn(tx Tx, l Login) (Account, error) {
	now, there, err := tx.Account(l.Person)
	if err == nil && !there {
		err = errNoLogin
	}
	if err != nil {
		return now, err
	}
	_, err = tx.Login(l.hash)
	if err != nil && ra.KindOf(err) == ra.KindNotFound {
		err = errNoLogin
	}
	return now, err
}

// fresh refuses to add a proof to an account in a login that began long ago.
func (s *Service) fresh(l Login) error {
	return ra.Refused(policy.NewProof(s.moment().Sub(l.StartedAt)))
}

// refuse writes a refusal down by itself and returns it.
func (s *Service) refuse(ctx context.Context, e ra.Event, err error) error {
	if k := ra.KindOf(err); k == ra.KindInternal || k == ra.KindUnavailable || k == ra.KindTooMany {
		return err // nothing was judged
	}
	return s.act(ctx, e, func(Tx, *ra.Event) error { return err })
}

// SetUpTOTP gives a holder who is signed in a new secret for an authenticator app, and the address that such an app
// reads from a QR code. The old one is worth nothing from then on.
func (s *Service) SetUpTOTP(ctx context.Context, actor ra.Actor, l Login) (secret, address Secret, err error) {
	if secret, err = factor.NewSecret(s.Rand); err != nil {
		return "", "", err
	}
	err = s.act(ctx, ra.Event{Actor: actor, Act: "account.totp", Object: object(l.Person), Institution: actor.Institution, Clause: "HCA-8.2.7"}, func(tx Tx, _ *ra.Event) error {
		if err := s.fresh(l); err != nil {
			return err
		}
		if _, err := goesOn(tx, l); err != nil {
			return err
		}
		return tx.SetTOTP(l.Person, secret)
	})
	if err != nil {
		return "", "", err
	}
	return secret, factor.OTPAuth(s.Issuer, l.Account, secret), nil
}

// SetUpHOTP registers the counter-based code generator that the counter gave to a holder: its secret in base32, its
// counter at zero.
func (s *Service) SetUpHOTP(ctx context.Context, actor ra.Actor, person ra.PersonID, secret Secret) error {
	return s.act(ctx, ra.Event{Actor: actor, Act: "account.hotp", Object: object(person), Institution: actor.Institution, Clause: "HCA-8.2.7"}, func(tx Tx, _ *ra.Event) error {
		if err := s.mayServe(tx, actor, person); err != nil {
			return err
		}
		if !factor.ValidSecret(secret) {
			return ra.Errorf(ra.KindMalformed, "hotp-secret", nil, "The generator's secret is 160 bits or more in base32. Nothing was changed.")
		}
		if _, there, err := tx.Account(person); err != nil || !there {
			return orNoAccount(err)
		}
		return tx.SetHOTP(person, secret)
	})
}

func orNoAccount(err error) error {
	if err != nil {
		return err
	}
	return errNoAccount
}
