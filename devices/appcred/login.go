package appcred

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"time"

	"certwindow/policy"
	"certwindow/ra"
)

// Attempt is one try of a holder to sign in on a device.
type Attempt struct {
	Account    string
	Device     ra.DeviceID
	Thumbprint string // of the device's certificate, to bind the token to
	Proofs     []Proof
}

// Grant is a login with its token, which only the phone keeps.
type Grant struct {
	Token Secret
	Login Login
}

// errLogin is the one answer to every attempt that fails, so that it tells nobody which part was wrong, whether there
// is such an account, whether it is locked, or whether its holder uses this device.
var errLogin = ra.Errorf(ra.KindUnauthenticated, "login-refused", nil,
	"The account or what was given to prove it is not right, or the account is locked. Five wrong passwords or three wrong codes in a row lock it (HCA-8.2.6, HCA-8.2.7); the counter or your IC card opens it again.")

// Login signs a holder in on a device that he is a registered user of (HCA-7.3, HCA-7.4).
func (s *Service) Login(ctx context.Context, actor ra.Actor, at Attempt) (Grant, error) {
	event := ra.Event{Actor: actor, Act: "account.login", Object: "person/unknown", Institution: actor.Institution, Clause: "HCA-7.4"}
	var (
		a Account
		d ra.DeviceFacts

		stranger error // why whoever's account it is does not sign in here
	)
	err := s.Store.ViewAccounts(ctx, func(tx Tx) (err error) {
		if a, _, err = tx.AccountNamed(canonical(at.Account)); err != nil {
			return err
		}
		if d, err = tx.DeviceFacts(at.Device, a.Person); err != nil {
			return err
		}
		_, stranger = s.user(tx, a.Person, at.Device) // asked of nobody as well, so that it takes as long
		if a.Person == "" {
			stranger = nil
		}
		if stranger != nil && ra.KindOf(stranger) != ra.KindRefused {
			return stranger
		}
		return nil
	})
	if err != nil {
		return Grant{}, err
	}
	if a.Person != "" {
		event.Object = object(a.Person)
	}
	judged := a
	if stranger != nil {
		judged = Account{} // as nobody's, which counts against nobody: else one device could lock every account
	}
	kinds, err := s.prove(ctx, judged, d, at.Proofs, ForLogin, "")
	if k := ra.KindOf(err); stranger != nil && err != nil && k != ra.KindInternal && k != ra.KindUnavailable && k != ra.KindTooMany {
		err = stranger
	}
	if err == nil {
		var g Grant
		if g, err = s.admit(ctx, event, a, d, at, kinds); err == nil {
			return g, nil
		}
	} else {
		err = s.refuse(ctx, event, err)
	}
	if k := ra.KindOf(err); k == ra.KindInternal || k == ra.KindUnavailable || k == ra.KindTooMany {
		return Grant{}, err
	}
	return Grant{}, errLogin
}

// admit starts the login. What it rests on is judged in the transaction that writes it.
func (s *Service) admit(ctx context.Context, event ra.Event, a Account, d ra.DeviceFacts, at Attempt, kinds []string) (Grant, error) {
	var raw [32]byte
	if _, err := io.ReadFull(s.Rand, raw[:]); err != nil {
		return Grant{}, err
	}
	now := s.moment()
	g := Grant{Token: Secret(base64.RawURLEncoding.EncodeToString(raw[:]))}
	err := s.act(ctx, event, func(tx Tx, e *ra.Event) error {
		fresh, there, err := tx.Account(a.Person)
		switch {
		case err != nil:
			return err
		case !there || fresh.Password != a.Password:
			return ra.Refuse("HCA-8.2.6", "password-changed", "The password was changed meanwhile.", nil)
		case fresh.StoppedAt != nil:
			return stopped()
		}
		if d, err = s.user(tx, a.Person, d.ID); err != nil {
			return err
		}
		g.Login = Login{Person: a.Person, Account: a.Name, Device: d.ID, Generation: d.Generation, Thumbprint: at.Thumbprint, Kinds: kinds,
			MustChange: fresh.MustChange, Remind: policy.PasswordAge(fresh.PasswordAt, now), StartedAt: now, LastUsed: now, hash: tokenHash(g.Token)}
		return tx.InsertLogin(g.Login.hash, g.Login)
	})
	return g, err
}

// user refuses whoever is no registered user of the device, or practises nowhere any more (HCA-7.3, HCA-3.7).
func (s *Service) user(tx Tx, person ra.PersonID, device ra.DeviceID) (ra.DeviceFacts, error) {
	h, err := tx.UserFacts(device, person)
	if err != nil {
		return ra.DeviceFacts{}, err
	}
	d := h.Device
	use := policy.DeviceUser(policy.DeviceUse{Registered: d.IsUser, State: string(d.State), SameInstitution: true})
	if !use.Allowed {
		use.Clause = "HCA-7.3"
	}
	return d, ra.Refused(policy.All(policy.Person(policy.Applicant{Active: h.Active, Member: slices.Contains(h.Institutions, d.Institution), SameHolder: true, SameName: true}), use))
}

var errNoLogin = ra.Errorf(ra.KindUnauthenticated, "no-login", nil, "Nobody is signed in on this device any more. Sign in again.")

// Authenticate finds the login of a token that this very device presents, under the certificate that the token is
// bound to (RFC 8705). Ten minutes without use end it, and so do a new binding of the device, and the end of the
// holder's practice or of his use of the device (HCA-8.1.1, HCA-7.3).
func (s *Service) Authenticate(ctx context.Context, token Secret, device ra.DeviceID, thumbprint string) (Login, error) {
	l, err := s.Known(ctx, token, device, thumbprint)
	if now := s.moment(); err == nil && now.Sub(l.LastUsed) >= useEvery {
		err = s.Store.UpdateAccounts(ctx, func(tx Tx) error { return tx.UseLogin(tokenHash(token), now) })
	}
	if err != nil {
		return Login{}, err
	}
	return l, nil
}

// Known is Authenticate for what an app asks by itself: it is no use of the login, and keeps none alive (HCA-8.1.1).
func (s *Service) Known(ctx context.Context, token Secret, device ra.DeviceID, thumbprint string) (l Login, err error) {
	now, hash := s.moment(), tokenHash(token)
	err = s.Store.ViewAccounts(ctx, func(tx Tx) error {
		if l, err = tx.Login(hash); err != nil {
			if ra.KindOf(err) == ra.KindNotFound {
				return errNoLogin
			}
			return err
		}
		d, refusal := s.user(tx, l.Person, device)
		if refusal != nil && ra.KindOf(refusal) != ra.KindRefused {
			return refusal
		}
		if l.Device != device || l.Generation != d.Generation || l.Thumbprint != thumbprint || !now.Before(l.LastUsed.Add(s.IdleTime())) ||
			!now.Before(l.StartedAt.Add(MaxLogin)) || now.Before(l.StartedAt) {
			return errNoLogin
		}
		return refusal
	})
	if err != nil {
		return Login{}, err
	}
	l.hash = hash
	return l, nil
}

// useEvery is how exactly the use of a login is written down.
const useEvery = 15 * time.Second

// Logout ends a login.
func (s *Service) Logout(ctx context.Context, actor ra.Actor, token Secret, l Login) error {
	return s.act(ctx, ra.Event{Actor: actor, Act: "account.logout", Object: object(l.Person), Institution: actor.Institution, Clause: "HCA-7.4"}, func(tx Tx, _ *ra.Event) error {
		return tx.EndLogin(tokenHash(token))
	})
}

// Sweep forgets logins that are over and codes that have expired.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.moment()
	return s.Store.UpdateAccounts(ctx, func(tx Tx) error { return tx.ForgetOld(now.Add(-s.IdleTime()), now.Add(-time.Hour)) })
}

func tokenHash(token Secret) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}
