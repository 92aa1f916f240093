package session

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"certwindow/devices/appcred/factor"
	"certwindow/ra"
)

// NewStaff is what an account begins with: what two persons agree on. Whose it is, is written down when its
// initial password is handed over.
type NewStaff struct {
	Account     string
	Institution ra.InstitutionCode // empty: the whole window
	Role        Role
	Contractor  bool
}

// Credentials are shown once, to be handed to their owner, and kept nowhere.
type Credentials struct {
	ID       ra.StaffID
	Account  string
	Password Secret // initial: must be changed at first login; empty when it was left alone
	TOTP     Secret // base32; empty when it was left alone
	URL      Secret // otpauth address of TOTP
}

// newRow checks what an account begins with and makes its row, with both halves of its credentials.
func (s *Service) newRow(ctx context.Context, n NewStaff, name string) (staffRow, Credentials, error) {
	n.Account, name = canonical(n.Account), strings.TrimSpace(name)
	if err := n.check(); err != nil {
		return staffRow{}, Credentials{}, err
	}
	if !soundName(name) {
		return staffRow{}, Credentials{}, errName
	}
	now := s.moment()
	id, err := ra.NewID(now, s.Rand)
	if err != nil {
		return staffRow{}, Credentials{}, internal("random", err)
	}
	row := staffRow{ID: id, Account: n.Account, Institution: string(n.Institution), Role: string(n.Role), Contractor: n.Contractor,
		Active: true, CreatedAt: now, UpdatedAt: now}
	if row.NameSealed, err = s.Sealer.Seal(nameColumn(id), []byte(name)); err != nil {
		return staffRow{}, Credentials{}, internal("seal", err)
	}
	cred := Credentials{ID: ra.StaffID(id), Account: n.Account}
	if err := s.freshPassword(ctx, &row, &cred, now); err != nil {
		return staffRow{}, Credentials{}, err
	}
	return row, cred, s.freshTOTP(&row, &cred)
}

func (n NewStaff) check() error {
	bad := func(code, detail string) error { return ra.Errorf(ra.KindMalformed, code, nil, "%s", detail) }
	switch {
	case !accountForm.MatchString(n.Account):
		return bad("account-malformed", "An account has 3 to 32 letters a to z, digits, dots, hyphens and underlines, and begins with a letter or digit.")
	case !n.Role.Valid():
		return bad("role-unknown", "There is no such role.")
	case n.Role == WindowAdmin && n.Institution != "":
		return bad("role-institution", "A window administrator works for the whole window, not for one institution.")
	case n.Role == InstitutionAdmin && n.Institution == "":
		return bad("role-institution", "An institution's administrator needs an institution.")
	case n.Contractor && (n.Role == Approver || n.Role == WindowAdmin):
		return ra.Refuse("HCA-3.2", "contractor-role", "A contractor's account is never an approver or an administrator of the window.", nil)
	}
	return nil
}

var errName = ra.Errorf(ra.KindMalformed, "name-malformed", nil, "A name has 1 to 64 characters. Nothing was changed.")

func soundName(name string) bool {
	return name != "" && utf8.RuneCountInString(name) <= 64 && !strings.ContainsFunc(name, unseen) && utf8.ValidString(name)
}

// unseen tells of a character that draws nothing, or moves what stands beside it: with one, two names look alike.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// freshPassword puts an initial password into the row and shows it in the credentials.
func (s *Service) freshPassword(ctx context.Context, row *staffRow, cred *Credentials, now time.Time) error {
	p, err := factor.InitialPassword(s.Rand)
	if err != nil {
		return err
	}
	if row.Password, err = s.hasher.Hash(ctx, p); err != nil {
		return err
	}
	row.PasswordAt, row.MustChange, row.Failures = now, true, 0
	cred.Password = p
	return nil
}

// freshTOTP puts a new authenticator secret into the row and shows it in the credentials.
func (s *Service) freshTOTP(row *staffRow, cred *Credentials) error {
	secret, err := factor.NewSecret(s.Rand)
	if err != nil {
		return err
	}
	if row.TOTPSealed, err = s.Sealer.Seal(totpColumn(row.ID), []byte(secret.Reveal())); err != nil {
		return internal("seal", err)
	}
	row.TOTPFailures = 0
	cred.TOTP, cred.URL = secret, factor.OTPAuth(s.Issuer, row.Account, secret)
	return nil
}
