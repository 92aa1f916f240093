package session

import (
	"context"

	"gorm.io/gorm"

	"certwindow/ra"
)

// List gives accounts by name, after the one given, at most limit of them. An actor of one institution sees
// that institution's alone.
func (s *Service) List(ctx context.Context, actor ra.Actor, after string, limit int) ([]Staff, error) {
	q := s.db.WithContext(ctx).Where("account > ?", after).Order("account").Limit(limit)
	if actor.Institution != "" {
		q = q.Where("institution = ?", string(actor.Institution))
	}
	var rows []staffRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, internal("read", err)
	}
	out := make([]Staff, 0, len(rows))
	for _, r := range rows {
		st, err := s.staff(r)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// Find is one account, where the actor may see it.
func (s *Service) Find(ctx context.Context, actor ra.Actor, id ra.StaffID) (Staff, error) {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return Staff{}, err
	}
	return s.staff(row)
}

func (s *Service) visible(ctx context.Context, actor ra.Actor, id ra.StaffID) (staffRow, error) {
	row, err := s.byID(ctx, id)
	if err == nil && actor.Institution != "" && string(actor.Institution) != row.Institution {
		return staffRow{}, ra.Errorf(ra.KindNotFound, "no-such-staff", nil, "There is no such account.")
	}
	return row, err
}

// Stop ends an account and its sessions at once (HCA-3.7). Nobody stops his own.
func (s *Service) Stop(ctx context.Context, actor ra.Actor, id ra.StaffID) error {
	return s.setActive(ctx, actor, id, false)
}

// Resume lets a stopped account sign in again.
func (s *Service) Resume(ctx context.Context, actor ra.Actor, id ra.StaffID) error {
	return s.setActive(ctx, actor, id, true)
}

func (s *Service) setActive(ctx context.Context, actor ra.Actor, id ra.StaffID, active bool) error {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return err
	}
	act := "staff.resume"
	if !active {
		act = "staff.stop"
	}
	ev := s.event(actor, act, id, ra.InstitutionCode(row.Institution))
	if actor.ID == string(id) {
		return s.refuse(ctx, ev, ra.Refuse("HCA-8.1.6", "own-account", "Nobody stops or resumes his own account.", nil))
	}
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE staff SET active = ?, updated_at = ? WHERE id = ? AND active = ?", active, s.moment(), string(id), !active)
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Errorf(ra.KindConflict, "staff-changed", nil, "The account is in that state already. Nothing was changed.")
		}
		return s.dropAndAudit(tx, id, ev)
	})
}

// Reset gives an account new credentials after its owner was identified again: a new initial password
// (HCA-8.2.6(4)), a new authenticator secret (HCA-8.2.7(2)), or both. It opens the locks and ends its sessions.
// Nobody resets his own: a lost factor is another person's to replace.
func (s *Service) Reset(ctx context.Context, actor ra.Actor, id ra.StaffID, password, code bool) (Credentials, error) {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return Credentials{}, err
	}
	ev := s.event(actor, "staff.reset", id, ra.InstitutionCode(row.Institution))
	ev.Details = map[string]string{"password": yesNo(password), "code": yesNo(code)}
	if actor.ID == string(id) {
		return Credentials{}, s.refuse(ctx, ev, ra.Refuse("HCA-8.1.6", "own-account", "Nobody resets his own account.", nil))
	}
	if !password && !code {
		return Credentials{}, ra.Errorf(ra.KindMalformed, "reset-nothing", nil, "Choose what to reset.")
	}
	cred := Credentials{ID: id, Account: row.Account}
	now := s.moment()
	set := map[string]any{"updated_at": now}
	if password {
		if err := s.freshPassword(ctx, &row, &cred, now); err != nil {
			return Credentials{}, err
		}
		set["password"], set["password_at"], set["must_change"], set["failures"] = row.Password, now, true, 0
	}
	if code {
		if err := s.freshTOTP(&row, &cred); err != nil {
			return Credentials{}, err
		}
		set["totp_sealed"], set["totp_failures"] = row.TOTPSealed, 0
	}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Model(&staffRow{}).Where("id = ?", string(id)).UpdateColumns(set).Error; err != nil {
			return internal("write", err)
		}
		return s.dropAndAudit(tx, id, ev)
	})
	if err != nil {
		return Credentials{}, err
	}
	return cred, nil
}

func (s *Service) dropAndAudit(tx *gorm.DB, id ra.StaffID, ev ra.Event) error {
	if err := tx.Exec("DELETE FROM sessions WHERE staff_id = ?", string(id)).Error; err != nil {
		return internal("write", err)
	}
	return s.Audit(tx, ev)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
