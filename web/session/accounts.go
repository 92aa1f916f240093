package session

import (
	"context"
	"database/sql"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"certwindow/devices/appcred/factor"
	"certwindow/ra"
)

// NewStaff is what an account begins with.
type NewStaff struct {
	Account     string
	Name        string
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

// CreateFirstAdmin makes the first window administrator, only while there is no account at all.
func (s *Service) CreateFirstAdmin(ctx context.Context, actor ra.Actor, account, name string) (Credentials, error) {
	n := NewStaff{Account: account, Name: name, Role: WindowAdmin}
	row, cred, err := s.newRow(ctx, n)
	if err != nil {
		return Credentials{}, err
	}
	// Serializable, so that of two such commands at once one fails.
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var there int64
		if err := tx.Model(&staffRow{}).Count(&there).Error; err != nil {
			return internal("read", err)
		}
		if there > 0 {
			return ra.Errorf(ra.KindConflict, "staff-exists", nil, "There are accounts already, so the first administrator is not made. Nothing was changed.")
		}
		if err := tx.Create(&row).Error; err != nil {
			return internal("write", err)
		}
		return s.Audit(tx, s.event(actor, "staff.create-first", ra.StaffID(row.ID), n.Institution))
	}, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return Credentials{}, err
	}
	return cred, nil
}

// CreateStaff makes an account with an initial password, which must be changed at first login (HCA-8.2.6(5)).
func (s *Service) CreateStaff(ctx context.Context, actor ra.Actor, n NewStaff) (Credentials, error) {
	if actor.Institution != "" {
		return Credentials{}, ra.Errorf(ra.KindForbidden, "staff-other-institution", nil, "Accounts are made by the window's own administrators.")
	}
	n.Account = canonical(n.Account)
	row, cred, err := s.newRow(ctx, n)
	if err != nil {
		return Credentials{}, err
	}
	ev := s.event(actor, "staff.create", ra.StaffID(row.ID), n.Institution)
	ev.Details = map[string]string{"role": string(n.Role)}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&row).Error; err != nil {
			return internal("write", err)
		}
		return s.Audit(tx, ev)
	})
	if err == nil {
		return cred, nil
	}
	if other, ferr := s.byAccount(ctx, n.Account); ferr == nil && other != nil {
		return Credentials{}, ra.Errorf(ra.KindConflict, "account-taken", err, "There is an account of that name already. Choose another.")
	}
	return Credentials{}, err
}

// newRow checks what an account begins with and makes its row.
func (s *Service) newRow(ctx context.Context, n NewStaff) (staffRow, Credentials, error) {
	n.Account, n.Name = canonical(n.Account), strings.TrimSpace(n.Name)
	if err := n.check(); err != nil {
		return staffRow{}, Credentials{}, err
	}
	now := s.moment()
	id, err := ra.NewID(now, s.Rand)
	if err != nil {
		return staffRow{}, Credentials{}, internal("random", err)
	}
	row := staffRow{ID: id, Account: n.Account, Institution: string(n.Institution), Role: string(n.Role), Contractor: n.Contractor,
		Active: true, CreatedAt: now, UpdatedAt: now}
	if row.NameSealed, err = s.Sealer.Seal(nameColumn(id), []byte(n.Name)); err != nil {
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
	case n.Name == "" || utf8.RuneCountInString(n.Name) > 64 || strings.ContainsFunc(n.Name, unseen) || !utf8.ValidString(n.Name):
		return bad("name-malformed", "A name has 1 to 64 characters.")
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
