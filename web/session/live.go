package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
)

// tokenLength is that of 32 bytes in base64url; anything else is no token of ours.
const tokenLength = 43

// errNoSession says that nobody is signed in with that token.
func errNoSession() error {
	return ra.Errorf(ra.KindUnauthenticated, "no-session", nil, "You are not signed in.")
}

// Authenticate finds the session of a cookie's token and counts this request as its use, but for a background
// poll, which keeps no session alive (HCA-8.1.1). One that is over is removed and refused under the clause.
func (s *Service) Authenticate(ctx context.Context, token Secret, background bool) (Session, error) {
	if len(token) != tokenLength {
		return Session{}, errNoSession()
	}
	sum := sha256.Sum256([]byte(token.Reveal()))
	db := s.db.WithContext(ctx)
	var r sessionRow
	if err := db.Where("hash = ?", sum[:]).Take(&r).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return Session{}, errNoSession()
	} else if err != nil {
		return Session{}, internal("read", err)
	}
	row, err := s.byID(ctx, ra.StaffID(r.StaffID))
	if err != nil {
		return Session{}, err
	}
	now := s.moment()
	if d := policy.Session(r.StartedAt, r.LastUsedAt, now, s.Idle(), s.Longest()); !d.Allowed {
		if err := s.end(ctx, r.Hash); err != nil {
			return Session{}, err
		}
		return Session{}, &ra.Error{Kind: ra.KindUnauthenticated, Clause: d.Clause, Code: d.Code, Detail: d.Detail}
	}
	if err := s.mayStay(ctx, row); ra.KindOf(err) == ra.KindRefused {
		if err := s.end(ctx, r.Hash); err != nil {
			return Session{}, err
		}
		return Session{}, errNoSession()
	} else if err != nil {
		return Session{}, err
	}
	if !background && now.After(r.LastUsedAt) {
		// The guard keeps a slow replica from turning the clock of a session back.
		res := db.Exec("UPDATE sessions SET last_used_at = ? WHERE hash = ? AND last_used_at < ?", now, r.Hash, now)
		if res.Error != nil {
			return Session{}, internal("write", res.Error)
		}
		r.LastUsedAt = now
	}
	st, err := s.staff(row)
	if err != nil {
		return Session{}, err
	}
	return s.session(st, r), nil
}

// EndsAt is when the session ends if it is not used again.
func (x Session) EndsAt() time.Time {
	idle, most := x.LastUsed.Add(x.Idle), x.StartedAt.Add(x.Longest)
	if idle.Before(most) {
		return idle
	}
	return most
}

// mayStay refuses an account that was stopped, or whose institution was.
func (s *Service) mayStay(ctx context.Context, row staffRow) error {
	if !row.Active {
		return errStopped()
	}
	return s.inService(ctx, row)
}

func (s *Service) end(ctx context.Context, hash []byte) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return s.over(tx, "hash = ?", hash) })
}

// Logout ends this session, and forgets what was typed: its owner leaves, and means to.
func (s *Service) Logout(ctx context.Context, x Session, actor ra.Actor) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.leave(tx, x); err != nil {
			return err
		}
		return s.Audit(tx, s.event(actor, "staff.logout", x.Staff.ID, x.Staff.Institution))
	})
}

// LogoutEverywhere ends every session of the account, this one included (HCA-8.1.1). What was
// typed in the others is there again after the next login, since nobody left them.
func (s *Service) LogoutEverywhere(ctx context.Context, x Session, actor ra.Actor) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.leave(tx, x); err != nil {
			return err
		}
		if err := s.over(tx, "staff_id = ?", string(x.Staff.ID)); err != nil {
			return err
		}
		return s.Audit(tx, s.event(actor, "staff.logout-everywhere", x.Staff.ID, x.Staff.Institution))
	})
}

// leave ends a session that its owner leaves: nothing more can come of it.
func (s *Service) leave(tx *gorm.DB, x Session) error {
	if err := dropDrafts(tx, x); err != nil {
		return err
	}
	if err := tx.Exec("DELETE FROM sessions WHERE hash = ?", x.hash).Error; err != nil {
		return internal("write", err)
	}
	return nil
}

// Sweep removes sessions, drafts and challenges that are over; it may run at any time and on every replica.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.moment()
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.over(tx, "last_used_at <= ? OR started_at <= ?", now.Add(-s.Idle()), now.Add(-s.Longest())); err != nil {
			return err
		}
		for _, x := range []struct {
			sql    string
			before time.Time
		}{
			{"DELETE FROM ended_sessions WHERE ended_at <= ?", now.Add(-DraftLife)},
			{"DELETE FROM drafts WHERE saved_at <= ?", now.Add(-DraftLife)},
			{"DELETE FROM card_challenges WHERE expires_at <= ?", now},
		} {
			if err := tx.Exec(x.sql, x.before).Error; err != nil {
				return internal("sweep", err)
			}
		}
		return nil
	})
}

// ChangePassword sets the member of staff's own password. Every session of the account ends, and a new one begins.
func (s *Service) ChangePassword(ctx context.Context, x Session, current, next Secret, actor ra.Actor) (Grant, error) {
	ev := s.event(actor, "staff.password", x.Staff.ID, x.Staff.Institution)
	row, err := s.byID(ctx, x.Staff.ID)
	if err != nil {
		return Grant{}, err
	}
	if err := s.mayChange(ctx, row, current, next); err != nil {
		if k := ra.KindOf(err); k != ra.KindRefused {
			return Grant{}, err
		}
		return Grant{}, s.refuse(ctx, ev, err)
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return Grant{}, err
	}
	now := s.moment()
	before := row.Password
	row.Password, row.MustChange, row.PasswordAt = hash, false, now
	g, sr, err := s.newGrant(row, x.Method, actor.Address, now)
	if err != nil {
		return Grant{}, err
	}
	return g, s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE staff SET password = ?, password_at = ?, must_change = ?, failures = 0, updated_at = ? WHERE id = ? AND password = ? AND active",
			hash, now, false, now, row.ID, before)
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Errorf(ra.KindConflict, "staff-changed", nil, "The account has changed meanwhile. Nothing was changed now; sign in again.")
		}
		if err := s.over(tx, "staff_id = ?", row.ID); err != nil {
			return err
		}
		if err := tx.Create(&sr).Error; err != nil {
			return internal("write", err)
		}
		return s.Audit(tx, ev)
	})
}

func (s *Service) mayChange(ctx context.Context, row staffRow, current, next Secret) error {
	if err := factor.Acceptable(row.Account, next); err != nil {
		return err
	}
	if len(next) > factor.MaxPassword {
		return ra.Refuse("", "password-too-long", "The password is too long; choose a shorter one.", nil)
	}
	if err := s.isPassword(ctx, row, current); err != nil {
		return err
	}
	if current == next {
		return ra.Refuse("HCA-8.2.6", "password-same", "The new password is the present one. Choose another.", nil)
	}
	return nil
}

func (s *Service) event(actor ra.Actor, act string, id ra.StaffID, institution ra.InstitutionCode) ra.Event {
	return ra.Event{At: s.moment(), Actor: actor, Act: act, Object: "staff/" + string(id), Institution: institution, Outcome: ra.OutcomeDone}
}
