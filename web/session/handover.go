package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
)

// Half is one of the two factors of an account. They are handed over by two persons, so that nobody who makes or
// resets an account can sign in with it himself (HCA-8.1.6): who proposed it shows the initial password, who
// approved it shows the authenticator's secret, each once, and neither ever sees the other's half.
type Half string

const (
	PasswordHalf Half = "password"
	CodeHalf     Half = "code"
)

// HandoverLife is how long a half waits to be handed over. After it, the account has to be reset by two again.
const HandoverLife = 72 * time.Hour

// handoverRow is a half that waits. Nothing secret is kept: it is made when it is shown.
type handoverRow struct {
	StaffID   string     `gorm:"column:staff_id;primaryKey"`
	Half      Half       `gorm:"column:half;primaryKey"`
	ForStaff  string     `gorm:"column:for_staff"` // empty: the operator, at the command line
	Approval  string     `gorm:"column:approval"`
	ExpiresAt time.Time  `gorm:"column:expires_at"`
	TakenAt   *time.Time `gorm:"column:taken_at"`
}

func (handoverRow) TableName() string { return "staff_handovers" }

// Handover is a half of an account that waits for somebody to show it.
type Handover struct {
	Half      Half
	For       ra.StaffID // empty: the operator, at the command line
	ExpiresAt time.Time
}

// Handovers are the halves of an account that wait still.
func (s *Service) Handovers(ctx context.Context, id ra.StaffID) (out []Handover, err error) {
	var rows []handoverRow
	err = s.db.WithContext(ctx).Where("staff_id = ? AND taken_at IS NULL AND expires_at > ?", string(id), s.moment()).Order("half DESC").Find(&rows).Error
	if err != nil {
		return nil, internal("read", err)
	}
	for _, r := range rows {
		out = append(out, Handover{Half: r.Half, For: ra.StaffID(r.ForStaff), ExpiresAt: r.ExpiresAt})
	}
	return out, nil
}

// await lets a half of an account be shown once, by the member of staff given, in place of whatever waited before.
func (s *Service) await(tx *gorm.DB, id string, half Half, forStaff, approval string) error {
	err := tx.Save(&handoverRow{StaffID: id, Half: half, ForStaff: forStaff, Approval: approval, ExpiresAt: s.moment().Add(HandoverLife)}).Error
	if err != nil {
		return internal("write", err)
	}
	return nil
}

// Take makes the half of an account that waits for the actor, and returns it: shown now, and never again. Who
// shows the initial password writes down the name of the person that it is handed to, where the account has none
// yet. An operator's command may take only what waits for no member of staff.
func (s *Service) Take(ctx context.Context, actor ra.Actor, id ra.StaffID, half Half, name string) (Credentials, error) {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return Credentials{}, err
	}
	ev := s.event(actor, "staff.handover", id, ra.InstitutionCode(row.Institution))
	ev.Details = map[string]string{"half": string(half)}
	whose := actor.ID
	if actor.Kind == ra.ActorCommand {
		whose = ""
	} else if actor.Kind != ra.ActorStaff || actor.ID == "" {
		return Credentials{}, s.refuse(ctx, ev, errNotYourHalf)
	}
	cred, set, err := s.fresh(ctx, &row, half, name)
	if err != nil {
		return Credentials{}, err
	}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Model(&handoverRow{}).Where("staff_id = ? AND half = ? AND for_staff = ? AND taken_at IS NULL AND expires_at > ?",
			string(id), half, whose, s.moment()).Update("taken_at", s.moment())
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return errNotYourHalf
		}
		if whose != "" {
			if err := s.bothHalves(tx, string(id), half, whose); err != nil {
				return err
			}
		}
		if err := changed(tx.Model(&staffRow{}).Where("id = ? AND active", string(id)).UpdateColumns(set)); err != nil {
			return err
		}
		return s.dropAndAudit(tx, id, ev)
	})
	switch {
	case err == nil:
		return cred, nil
	case errors.Is(err, errNotYourHalf), errors.Is(err, errBothHalves):
		return Credentials{}, s.refuse(ctx, ev, err)
	}
	return Credentials{}, err
}

// bothHalves refuses to let somebody show one half of an account who was shown the other, or whom it waits for: whatever
// his role was then, he would have both. The row of a half outlives its showing until that half is made anew.
func (s *Service) bothHalves(tx *gorm.DB, id string, half Half, by string) error {
	other := CodeHalf
	if half == CodeHalf {
		other = PasswordHalf
	}
	var n int64
	err := tx.Model(&handoverRow{}).Where("staff_id = ? AND half = ? AND for_staff = ? AND (taken_at IS NOT NULL OR expires_at > ?)", id, other, by, s.moment()).Count(&n).Error
	switch {
	case err != nil:
		return internal("read", err)
	case n > 0:
		return errBothHalves
	}
	return nil
}

var errBothHalves = ra.Refuse("HCA-8.1.6", "handover-both",
	"Whoever would show this half was shown the other one before, and would have both. Nothing was changed; reset password and authenticator together.", nil)

var errNotYourHalf = ra.Refuse("HCA-8.1.6", "handover-not-yours",
	"Nothing waits to be handed over by you: each half is shown once, by the one it waits for, within three days. Nothing was changed.", nil)

// fresh makes a half, and the columns that it is written to.
func (s *Service) fresh(ctx context.Context, row *staffRow, half Half, name string) (cred Credentials, set map[string]any, err error) {
	now := s.moment()
	cred = Credentials{ID: ra.StaffID(row.ID), Account: row.Account}
	switch half {
	case CodeHalf:
		err = s.freshTOTP(row, &cred)
		return cred, map[string]any{"updated_at": now, "totp_sealed": row.TOTPSealed, "totp_failures": 0}, err
	case PasswordHalf:
	default:
		return cred, nil, ra.Errorf(ra.KindMalformed, "handover-unknown", nil, "There is no such half. Nothing was changed.")
	}
	set = map[string]any{"updated_at": now, "password_at": now, "must_change": true, "failures": 0}
	known, err := s.Sealer.Open(nameColumn(row.ID), row.NameSealed)
	if err != nil {
		return cred, nil, internal("open", err)
	}
	if len(known) == 0 {
		if name = strings.TrimSpace(name); !soundName(name) {
			return cred, nil, errName
		}
		if set["name_sealed"], err = s.Sealer.Seal(nameColumn(row.ID), []byte(name)); err != nil {
			return cred, nil, internal("seal", err)
		}
	}
	err = s.freshPassword(ctx, row, &cred, now)
	set["password"] = row.Password
	return cred, set, err
}

// changed turns an update of no row into a conflict.
func changed(res *gorm.DB) error {
	if res.Error != nil {
		return internal("write", res.Error)
	}
	if res.RowsAffected != 1 {
		return ra.Errorf(ra.KindConflict, "staff-changed", nil, "The account has changed meanwhile. Nothing was changed now; load the page again.")
	}
	return nil
}
