package window

import (
	"context"
	"crypto/rand"

	"certwindow/hsm/p11"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/web/session"
)

// openAccounts opens the staff's accounts. They sign in by password and code, or by a card that is judged as a
// holder's is (HCA-8.1.6); an account of an institution that is not active signs in by neither.
func (w *Window) openAccounts(context.Context) (err error) {
	w.Accounts, err = session.New(w.DB.Gorm, session.Deps{Sealer: w.sealer, Now: w.now, Rand: rand.Reader, Audit: store.AppendEvent,
		Idle: w.Settings.Life(policy.Idle), Longest: w.Settings.Life(policy.SessionLife), Issuer: w.Config.Window.Name,
		Pepper: func(ctx context.Context, data []byte) ([]byte, error) { return w.Token.MAC(ctx, p11.MACLabel, data) },
		Cards:  &session.Cards{Judge: w.cards, Window: ra.InstitutionCode(w.Config.Window.Institution), Site: w.Config.PublicURL},
		Institution: func(ctx context.Context, code ra.InstitutionCode) (bool, error) {
			i, err := w.register.InstitutionFacts(w.DB.Gorm.WithContext(ctx), code)
			return i.Active, err
		}})
	return err
}
