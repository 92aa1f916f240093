package session

import (
	"context"

	"gorm.io/gorm"

	"certwindow/ra"
)

// Find is one account, where the actor may see it.
func (s *Service) Find(ctx context.Context, actor ra.Actor, id ra.StaffID) (Staff, error) {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return Staff{}, err
	}
	return s.staff(row)
}

// Named is the account of that name, where the actor may see it.
func (s *Service) Named(ctx context.Context, actor ra.Actor, account string) (Staff, error) {
	row, err := s.byAccount(ctx, canonical(account))
	if err != nil {
		return Staff{}, err
	}
	if row == nil {
		return Staff{}, errNoStaff
	}
	return s.Find(ctx, actor, ra.StaffID(row.ID))
}

var errNoStaff = ra.Errorf(ra.KindNotFound, "no-such-staff", nil, "There is no such account.")

func (s *Service) visible(ctx context.Context, actor ra.Actor, id ra.StaffID) (staffRow, error) {
	row, err := s.byID(ctx, id)
	if err == nil && actor.Institution != "" && string(actor.Institution) != row.Institution {
		return staffRow{}, errNoStaff
	}
	return row, err
}

// Stop ends an account and its sessions at once, on one person's word (HCA-3.7). Nobody stops his own. What waited
// to be handed over of it waits no more.
func (s *Service) Stop(ctx context.Context, actor ra.Actor, id ra.StaffID) error {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return err
	}
	ev := s.event(actor, "staff.stop", id, ra.InstitutionCode(row.Institution))
	if actor.ID == string(id) {
		return s.refuse(ctx, ev, ra.Refuse("HCA-8.1.6", "own-account", "Nobody stops his own account.", nil))
	}
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE staff SET active = ?, updated_at = ? WHERE id = ? AND active = ?", false, s.moment(), string(id), true)
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return errStaffState
		}
		if err := tx.Where("staff_id = ? AND taken_at IS NULL", string(id)).Delete(&handoverRow{}).Error; err != nil {
			return internal("write", err)
		}
		return s.dropAndAudit(tx, id, ev)
	})
}

func (s *Service) dropAndAudit(tx *gorm.DB, id ra.StaffID, ev ra.Event) error {
	if err := drop(tx, string(id)); err != nil {
		return err
	}
	return s.Audit(tx, ev)
}

// drop ends every session of an account for good, with all that was typed in them: whoever had one open may not have
// been its owner.
func drop(tx *gorm.DB, id string) error {
	for _, table := range []string{"sessions", "ended_sessions", "drafts"} {
		if err := tx.Exec("DELETE FROM "+table+" WHERE staff_id = ?", id).Error; err != nil {
			return internal("write", err)
		}
	}
	return nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
