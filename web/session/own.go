package session

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
)

// Opened is one session of an account, as its owner is shown it.
type Opened struct {
	Name      string // names it in the audit log; not its token
	Method    string
	Address   string
	StartedAt time.Time
	LastUsed  time.Time
	This      bool // the one that asks
}

// Sessions are the sessions of the account that go on, newest first.
func (s *Service) Sessions(ctx context.Context, x Session) ([]Opened, error) {
	rows, err := s.openOf(s.db.WithContext(ctx), x)
	if err != nil {
		return nil, err
	}
	out := make([]Opened, 0, len(rows))
	for _, r := range rows {
		out = append(out, Opened{Name: s.nameOf(r), Method: r.Method, Address: r.Address, StartedAt: r.StartedAt, LastUsed: r.LastUsedAt,
			This: string(r.Hash) == string(x.hash)})
	}
	return out, nil
}

func (s *Service) openOf(db *gorm.DB, x Session) (rows []sessionRow, err error) {
	now := s.moment()
	err = db.Where("staff_id = ? AND last_used_at > ? AND started_at > ?", string(x.Staff.ID), now.Add(-s.Idle()), now.Add(-s.Longest())).
		Order("started_at DESC").Find(&rows).Error
	if err != nil {
		return nil, internal("read", err)
	}
	return rows, nil
}

// EndSession ends one session of the account, by its name, after its owner has given the password once more: whoever finds
// a browser open must not shut its owner out.
func (s *Service) EndSession(ctx context.Context, x Session, name string, password Secret, actor ra.Actor) error {
	ev := s.event(actor, "staff.session-end", x.Staff.ID, x.Staff.Institution)
	if err := s.proveAgain(ctx, x, password); err != nil {
		return s.refuseAgain(ctx, ev, err)
	}
	ev.Details = map[string]string{"session": name}
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		rows, err := s.openOf(tx, x)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r sessionRow) bool { return s.nameOf(r) == name })
		if i < 0 {
			return ra.Errorf(ra.KindConflict, "session-over", nil, "There is no such session of this account any more. Nothing was changed.")
		}
		if err := s.over(tx, "hash = ?", rows[i].Hash); err != nil {
			return err
		}
		return s.Audit(tx, ev)
	})
}

// proveAgain has the one who is signed in give the password once more, before what opens the account is changed. A wrong
// one counts like any other (HCA-8.2.6(4)).
func (s *Service) proveAgain(ctx context.Context, x Session, password Secret) error {
	row, err := s.byID(ctx, x.Staff.ID)
	if err != nil {
		return err
	}
	return s.isPassword(ctx, row, password)
}

// isPassword counts a try and judges it.
func (s *Service) isPassword(ctx context.Context, row staffRow, password Secret) error {
	if err := s.reserve(ctx, row.ID, passwordTries); err != nil {
		return err
	}
	right, err := s.hasher.Matches(ctx, password, row.Password)
	if err != nil {
		return err
	}
	if !right {
		return ra.Refuse("HCA-8.2.6", "password-wrong", "The present password is wrong. Nothing was changed.", nil)
	}
	return s.clear(ctx, row.ID, passwordTries)
}

// refuseAgain writes a refusal down; an error that judged nothing is passed on.
func (s *Service) refuseAgain(ctx context.Context, ev ra.Event, err error) error {
	if ra.KindOf(err) != ra.KindRefused {
		return err
	}
	return s.refuse(ctx, ev, err)
}
