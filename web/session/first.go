package session

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"certwindow/ra"
)

// firstApprover is the name under which the table system says that the first approver was made.
const firstApprover = "first-approver"

type systemRow struct {
	Name  string `gorm:"column:name;primaryKey"`
	Value string `gorm:"column:value"`
}

func (systemRow) TableName() string { return "system" }

// CreateFirstAdmin makes the first window administrator, only while there is no account at all.
func (s *Service) CreateFirstAdmin(ctx context.Context, actor ra.Actor, account, name string) (Credentials, error) {
	n := NewStaff{Account: account, Role: WindowAdmin}
	row, cred, err := s.newRow(ctx, n, name)
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

// FirstApproverDue tells whether the window waits for its first approver.
func (s *Service) FirstApproverDue(ctx context.Context) (bool, error) {
	able, err := s.CanApprove(ctx)
	if err != nil || able {
		return false, err
	}
	made, err := s.firstApproverMade(s.db.WithContext(ctx))
	return !made && err == nil, err
}

func (s *Service) firstApproverMade(db *gorm.DB) (bool, error) {
	var n int64
	if err := db.Model(&systemRow{}).Where("name = ?", firstApprover).Count(&n).Error; err != nil {
		return false, internal("read", err)
	}
	return n > 0, nil
}

// CreateFirstApprover makes an approver of the whole window on an administrator's word alone, once: as long as there
// is nobody who could approve, and never was. The administrator shows the new approver the initial password; the
// authenticator's secret waits for the operator's command, so that even this first time one account is not enough to
// become two persons. Stopping the approver does not open the way again: ReopenFirstApprover does, from the server.
func (s *Service) CreateFirstApprover(ctx context.Context, actor ra.Actor, account string) (ra.StaffID, error) {
	n := NewStaff{Account: canonical(account), Role: Approver}
	if err := n.check(); err != nil {
		return "", err
	}
	id, err := s.NewID()
	if err != nil {
		return "", err
	}
	row, err := s.emptyRow(string(id), n)
	if err != nil {
		return "", err
	}
	ev := s.event(actor, "staff.create-first-approver", id, "")
	ev.Clause, ev.Details = "HCA-8.1.6", map[string]string{factRole: string(Approver), factInstitution: "", factContractor: yesNo(false)}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.mayCreateFirst(tx, actor, n.Account); err != nil {
			return err
		}
		if err := tx.Create(&systemRow{firstApprover, string(id)}).Error; err != nil {
			return s.firstConflict(err)
		}
		if err := tx.Create(&row).Error; err != nil {
			return s.firstConflict(err)
		}
		if err := s.await(tx, row.ID, PasswordHalf, actor.ID, ""); err != nil {
			return err
		}
		if err := s.await(tx, row.ID, CodeHalf, "", ""); err != nil {
			return err
		}
		return s.Audit(tx, ev)
	})
	if k := ra.KindOf(err); err != nil && (k == ra.KindRefused || k == ra.KindForbidden) {
		return "", s.refuse(ctx, ev, err)
	}
	return id, err
}

func (s *Service) firstConflict(err error) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ra.Errorf(ra.KindConflict, "account-taken", err, "This account, or the first approver, was made meanwhile. Nothing was changed.")
	}
	return internal("write", err)
}

// mayCreateFirst judges the one who asks as his account stands now, and whether there ever was an approver.
func (s *Service) mayCreateFirst(tx *gorm.DB, actor ra.Actor, account string) error {
	var admin, taken int64
	err := tx.Model(&staffRow{}).Where("id = ? AND role = ? AND active", actor.ID, string(WindowAdmin)).Count(&admin).Error
	if err == nil {
		err = tx.Model(&staffRow{}).Where("account = ?", account).Count(&taken).Error
	}
	if err != nil {
		return internal("read", err)
	}
	able, err := canApprove(tx)
	if err != nil {
		return err
	}
	made, err := s.firstApproverMade(tx)
	switch {
	case err != nil:
		return err
	case actor.Kind != ra.ActorStaff || admin != 1:
		return ra.Errorf(ra.KindForbidden, "staff-other-institution", nil, "Accounts are made by the window's own administrators. Nothing was changed.")
	case made || able:
		return ra.Refuse("HCA-8.1.6", "first-approver-made", "The first approver was made already: every other account takes two persons. Nothing was changed.", nil)
	case taken > 0:
		return ra.Errorf(ra.KindConflict, "account-taken", nil, "There is an account of that name already. Nothing was changed; choose another.")
	}
	return nil
}

// ReopenFirstApprover lets an administrator make an approver alone once more, when the window has lost all of
// theirs. It is the operator's, at the server: the administrator who stopped the approvers cannot do it himself.
func (s *Service) ReopenFirstApprover(ctx context.Context, actor ra.Actor) error {
	ev := s.event(actor, "staff.reopen-first-approver", "", "")
	ev.Object, ev.Clause = "window", "HCA-8.1.6"
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		able, err := canApprove(tx)
		if err != nil {
			return err
		}
		if able {
			return ra.Errorf(ra.KindConflict, "approver-there", nil, "There is an active approver of the whole window. Nothing was changed; two persons make the next.")
		}
		res := tx.Where("name = ?", firstApprover).Delete(&systemRow{})
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Errorf(ra.KindConflict, "first-approver-due", nil, "An administrator can make the first approver already. Nothing was changed.")
		}
		return s.Audit(tx, ev)
	})
}
