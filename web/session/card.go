package session

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/consent"
)

// clauseLogin is the rule that a card's signature serves here: nobody gets in who may not.
const clauseLogin policy.Clause = "HCA-8.1.6"

// How a session was begun.
const (
	byPassword = "password"
	byCard     = "card"
)

// holderColumn is what a linked card's holder is searched by.
const holderColumn = "staff.card"

type cardRow struct {
	StaffID      string    `gorm:"column:staff_id;primaryKey"`
	HolderHash   []byte    `gorm:"column:holder_hash"`
	HolderSealed []byte    `gorm:"column:holder_sealed"`
	LinkedAt     time.Time `gorm:"column:linked_at"`
}

func (cardRow) TableName() string { return "staff_cards" }

// CardAttempt is one try to sign in by card.
type CardAttempt struct {
	Browser   Secret // the token that the challenge was made for
	Nonce     string
	Answer    consent.Signature
	Address   string
	RequestID string
}

// refusedCard is the one answer to a card whose signature is good but which opens nothing, so that it tells nobody
// whether the card is linked, or the account locked or stopped.
func refusedCard() error {
	return ra.Errorf(ra.KindUnauthenticated, "card-login-refused", nil,
		"No account can be opened with this card: none is linked to it, or the account is locked or stopped.")
}

// CardLogin signs a member of staff in by IC card (HCA-8.1.4, HCA-8.1.6). The signature is judged before any account is
// looked for; the locks of password and code shut this door as well.
func (s *Service) CardLogin(ctx context.Context, a CardAttempt) (Grant, error) {
	if s.Cards == nil {
		return Grant{}, errNoCards()
	}
	leave, err := s.door.enter(a.Address)
	if err != nil {
		return Grant{}, err
	}
	defer leave()
	now := s.moment()
	if err := s.limitOne(ctx, "address:"+prefixOf(a.Address), limitPerAddress, now); err != nil {
		return Grant{}, err
	}
	ev := ra.Event{At: now, Actor: ra.Actor{Kind: ra.ActorStaff, Address: a.Address, RequestID: a.RequestID},
		Act: "staff.login-card", Object: "staff/unknown", Outcome: ra.OutcomeDone}
	who, err := s.identify(ctx, forLogin, boundTo(a.Browser), a.Nonce, a.Answer, now)
	if err != nil {
		return Grant{}, s.refuseCard(ctx, ev, err, err)
	}
	ev.Details = map[string]string{"signer": who.SignerFingerprint, "message": who.MessageSHA256}
	hash := s.Sealer.Hash(holderColumn, who.Holder)
	row, err := s.byHolder(ctx, hash)
	if err == nil && row != nil {
		ev.Actor.ID, ev.Object, ev.Institution = row.ID, "staff/"+row.ID, ra.InstitutionCode(row.Institution)
		if err := s.limitAccount(ctx, row.Account, now); err != nil {
			return Grant{}, err
		}
		err = s.mayEnter(ctx, *row)
	} else if err == nil {
		err = ra.Errorf(ra.KindRefused, "card-not-linked", nil, "No account is linked to the card.")
	}
	if err == nil {
		var g Grant
		if g, err = s.admitCard(ctx, *row, hash, a.Address, ev, now); err == nil {
			return g, nil
		}
	}
	return Grant{}, s.refuseCard(ctx, ev, err, refusedCard())
}

// refuseCard keeps the true reason in the audit log and gives the answer. An error that judged nothing is passed on.
func (s *Service) refuseCard(ctx context.Context, ev ra.Event, reason, answer error) error {
	if ra.KindOf(reason) != ra.KindRefused {
		return reason
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer stop()
	if err := s.record(ctx, ev.RefusalOf(reason)); err != nil {
		return internal("audit", err)
	}
	return answer
}

func (s *Service) byHolder(ctx context.Context, hash []byte) (*staffRow, error) {
	return s.one(ctx, "id = (SELECT staff_id FROM staff_cards WHERE holder_hash = ?)", hash)
}

// mayEnter refuses an account that is locked, stopped, or of an institution that is not active.
func (s *Service) mayEnter(ctx context.Context, row staffRow) error {
	if err := ra.Refused(policy.PasswordLock(row.Failures)); err != nil {
		return err
	}
	if err := ra.Refused(policy.OTPLock(row.TOTPFailures)); err != nil {
		return err
	}
	if !row.Active {
		return errStopped()
	}
	return s.inService(ctx, row)
}

// admitCard starts a session, in the transaction that finds account and link still as they were judged.
func (s *Service) admitCard(ctx context.Context, row staffRow, holder []byte, address string, ev ra.Event, now time.Time) (Grant, error) {
	g, sr, err := s.newGrant(row, byCard, address, now)
	if err != nil {
		return Grant{}, err
	}
	ev.Actor.Session = g.Session.Name
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// The update takes the account's row, so that who stops it waits and then ends this session too.
		res := tx.Exec(`UPDATE staff SET failures = failures WHERE id = ? AND active AND failures = ? AND totp_failures = ? AND
			EXISTS (SELECT 1 FROM staff_cards WHERE staff_id = staff.id AND holder_hash = ?)`, row.ID, row.Failures, row.TOTPFailures, holder)
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Refuse(clauseLogin, "staff-changed", "The account has changed meanwhile.", nil)
		}
		if err := tx.Create(&sr).Error; err != nil {
			return internal("write", err)
		}
		return s.Audit(tx, ev)
	})
	return g, err
}

// ByPassword tells whether the session was begun by password and code, so that the account's card may be changed in it.
func (x Session) ByPassword() bool { return x.Method == byPassword }

// mayChangeCard refuses to link or unlink a card in a session that a card began: who holds a card for a moment must not
// be able to make it his own way in.
func (x Session) mayChangeCard() error {
	if !x.ByPassword() {
		return ra.Refuse(clauseLogin, "card-needs-password", "Cards are linked and unlinked after signing in with password and code. Nothing was changed.", nil)
	}
	return nil
}

// Card tells since when a card is linked to an account; ok is false when none is.
func (s *Service) Card(ctx context.Context, id ra.StaffID) (since time.Time, ok bool, err error) {
	var r cardRow
	err = s.db.WithContext(ctx).Where("staff_id = ?", string(id)).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, internal("read", err)
	}
	return r.LinkedAt, true, nil
}

// LinkCard links the card that signed a LinkChallenge to the account of the session, whose owner gives the password once
// more. One card opens one account, and an account is opened by one card.
func (s *Service) LinkCard(ctx context.Context, x Session, password Secret, nonce string, a consent.Signature, actor ra.Actor) error {
	if s.Cards == nil {
		return errNoCards()
	}
	ev := s.event(actor, "staff.card-link", x.Staff.ID, x.Staff.Institution)
	if err := x.mayChangeCard(); err != nil {
		return s.refuse(ctx, ev, err)
	}
	if err := s.proveAgain(ctx, x, password); err != nil {
		return s.refuseAgain(ctx, ev, err)
	}
	now := s.moment()
	who, err := s.identify(ctx, forLink, x.hash, nonce, a, now)
	if err != nil {
		return s.refuseCard(ctx, ev, err, err)
	}
	ev.Details = map[string]string{"signer": who.SignerFingerprint, "message": who.MessageSHA256}
	id := string(x.Staff.ID)
	r := cardRow{StaffID: id, HolderHash: s.Sealer.Hash(holderColumn, who.Holder), LinkedAt: now}
	if r.HolderSealed, err = s.Sealer.Seal(holderColumn+"/"+id, []byte(who.Holder)); err != nil {
		return internal("seal", err)
	}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("INSERT INTO staff_cards (staff_id, holder_hash, holder_sealed, linked_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			r.StaffID, r.HolderHash, r.HolderSealed, r.LinkedAt)
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Refuse(clauseLogin, "card-taken", "This card opens another account, or this account has a card already. Nothing was changed.", nil)
		}
		return s.Audit(tx, ev)
	})
	if ra.KindOf(err) == ra.KindRefused {
		return s.refuse(ctx, ev, err)
	}
	return err
}

// UnlinkOwnCard takes the card from the account of the session, whose owner gives the password once more, and ends what
// the card had opened.
func (s *Service) UnlinkOwnCard(ctx context.Context, x Session, password Secret, actor ra.Actor) error {
	ev := s.event(actor, "staff.card-unlink", x.Staff.ID, x.Staff.Institution)
	if err := x.mayChangeCard(); err != nil {
		return s.refuse(ctx, ev, err)
	}
	if err := s.proveAgain(ctx, x, password); err != nil {
		return s.refuseAgain(ctx, ev, err)
	}
	return s.unlink(ctx, x.Staff.ID, x.Staff.Institution, actor)
}

// UnlinkCard takes the card from an account that the actor administers, and ends what it had opened.
func (s *Service) UnlinkCard(ctx context.Context, actor ra.Actor, id ra.StaffID) error {
	row, err := s.visible(ctx, actor, id)
	if err != nil {
		return err
	}
	return s.unlink(ctx, id, ra.InstitutionCode(row.Institution), actor)
}

func (s *Service) unlink(ctx context.Context, id ra.StaffID, institution ra.InstitutionCode, actor ra.Actor) error {
	return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec("DELETE FROM staff_cards WHERE staff_id = ?", string(id))
		if res.Error != nil {
			return internal("write", res.Error)
		}
		if res.RowsAffected != 1 {
			return ra.Errorf(ra.KindConflict, "card-none", nil, "No card is linked to this account. Nothing was changed.")
		}
		if err := s.over(tx, "staff_id = ? AND method = ?", string(id), byCard); err != nil {
			return err
		}
		return s.Audit(tx, s.event(actor, "staff.card-unlink", id, institution))
	})
}
