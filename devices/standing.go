package devices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"certwindow/ra"
)

// InstitutionEvent is what can become of an institution (HCA-3.7).
type InstitutionEvent string

const (
	InstitutionSuspended InstitutionEvent = "suspended" // 停業
	InstitutionDissolved InstitutionEvent = "dissolved" // 解散
	InstitutionRevoked   InstitutionEvent = "revoked"   // 開業執照撤銷
	InstitutionCancelled InstitutionEvent = "cancelled" // 開業執照廢止
	InstitutionResumed   InstitutionEvent = "resumed"   // 復業
)

// InstitutionEvents are all of them, in the order in which pages show them.
var InstitutionEvents = []InstitutionEvent{InstitutionSuspended, InstitutionDissolved, InstitutionRevoked, InstitutionCancelled, InstitutionResumed}

// Institution is one of those that the actor may see.
func (s *Service) Institution(ctx context.Context, actor ra.Actor, code ra.InstitutionCode) (i Institution, err error) {
	if actor.Institution != "" && actor.Institution != code {
		return i, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
	}
	err = s.store.View(ctx, func(tx Tx) error {
		i, err = tx.Institution(code)
		return err
	})
	return i, err
}

// SetStanding records what became of an institution. While it may not practise, its staff are signed out and kept out,
// nobody is enrolled for it, and the sweep, which is started, revokes what was issued for it; all of that rests on the
// register's word and begins with this transaction (HCA-3.7).
func (s *Service) SetStanding(ctx context.Context, actor ra.Actor, code ra.InstitutionCode, event InstitutionEvent) error {
	details := map[string]string{"event": string(event)}
	return s.act(ctx, actor, "institution.standing", "institution/"+string(code), code, details, func(tx Tx) error {
		i, err := s.own(tx, actor, code)
		if err != nil {
			return err
		}
		switch event {
		case InstitutionSuspended, InstitutionDissolved, InstitutionRevoked, InstitutionCancelled:
			if !i.Active {
				return ra.Errorf(ra.KindConflict, "institution-stopped", nil, "The institution is stopped already. Nothing was changed.")
			}
		case InstitutionResumed:
			if i.Active {
				return ra.Errorf(ra.KindConflict, "institution-active", nil, "The institution is active. Nothing was changed.")
			}
		default:
			return ra.Errorf(ra.KindMalformed, "institution-event", nil, "Say what became of the institution. Nothing was changed.")
		}
		i.Active = event == InstitutionResumed
		if err := tx.SaveInstitution(i); err != nil {
			return err
		}
		return tx.StartSweep()
	})
}

// RecordAgreement replaces the agreement on file. From the day on which it ends nobody is enrolled any more (HCA-3.7).
func (s *Service) RecordAgreement(ctx context.Context, actor ra.Actor, code ra.InstitutionCode, agreement string, from, to time.Time) error {
	agreement = strings.ToLower(strings.TrimSpace(agreement))
	return s.act(ctx, actor, "institution.agreement", "institution/"+string(code), code, map[string]string{"sha256": agreement}, func(tx Tx) error {
		i, err := s.own(tx, actor, code)
		if err != nil {
			return err
		}
		if sum, err := hex.DecodeString(agreement); err != nil || len(sum) != sha256.Size {
			return ra.Errorf(ra.KindMalformed, "agreement-malformed", err, "The agreement's SHA-256 is 64 hexadecimal digits. Nothing was changed.")
		}
		if from.IsZero() || !to.IsZero() && !to.After(from) {
			return ra.Errorf(ra.KindMalformed, "agreement-dates", nil, "An agreement begins on a day, and ends after it or not at all. Nothing was changed.")
		}
		i.Agreement, i.AgreedFrom, i.AgreedTo = agreement, from, to
		return tx.SaveInstitution(i)
	})
}

// own reads an institution for the window's own staff, who alone change it.
func (s *Service) own(tx Tx, actor ra.Actor, code ra.InstitutionCode) (Institution, error) {
	if actor.Institution != "" {
		return Institution{}, forbidden()
	}
	return tx.Institution(code)
}
