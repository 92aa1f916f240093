package appcred_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/devices/appcred"
	"certwindow/ra"
)

// HCA-8.2.6(1), (2): eight characters or more, and not the account.
func TestPasswordRules(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		c, err := w.Open(t.Context(), w.clerk, w.chen, "dr.chen.hua")
		if err != nil {
			t.Fatal(err)
		}
		g := w.login("dr.chen.hua", pw(c.Password))
		for next, code := range map[appcred.Secret]string{"seven77": "password-too-short", "Dr.Chen.Hua": "password-is-account", c.Password: "password-same",
			appcred.Secret(strings.Repeat("x", 2000)): "password-same"} {
			refused(t, next.Reveal()[:5], w.ChangePassword(t.Context(), w.phone, g.Token, g.Login, c.Password, next), code)
		}
		refused(t, "wrong present one", w.ChangePassword(t.Context(), w.phone, g.Token, g.Login, "wrong wrong", "a good password"), "password-wrong")
	})
}

// HCA-8.2.6(3): after a year the holder is reminded.
func TestPasswordReminder(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		if w.login("chen", pw("correct horse")).Login.Remind {
			t.Error("reminded on the first day")
		}
		w.Clock.Advance(366 * 24 * time.Hour)
		if !w.login("chen", pw("correct horse")).Login.Remind {
			t.Error("not reminded after a year")
		}
	})
}

// HCA-8.2.6(4): five failures in a row lock the password; the counter and the card open it again.
func TestFiveFailuresLockAndReset(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		for range 4 {
			_, err := w.try("chen", pw("wrong horse"))
			refused(t, "wrong", err, "login-refused")
		}
		w.login("chen", pw("correct horse")) // a success ends the row
		for range 5 {
			w.try("chen", pw("wrong horse"))
		}
		_, err := w.try("chen", pw("correct horse"))
		refused(t, "locked", err, "login-refused")
		if why := w.lastWhy(); why != "password-locked" {
			t.Errorf("the log says %s", why)
		}
		own := appcred.Card{Holder: "1000", Signer: "ab", Message: "cd"}
		_, err = w.ResetByCard(t.Context(), w.phone, own, "battery staple")
		refused(t, "a card that the counter has not linked to him", err, "card-unchecked")
		w.checkCard(w.chen, "陳小華", "1000")
		for _, holder := range []string{"", "2000", "9999"} { // nobody's, of one without an account, a stranger's
			if _, err := w.ResetByCard(t.Context(), w.phone, appcred.Card{Holder: holder}, "battery staple"); err == nil {
				t.Errorf("the card of %q resets", holder)
			}
		}
		_, err = w.ResetByCard(t.Context(), w.phone, own, "short")
		refused(t, "a short password", err, "password-too-short")
		if _, err := w.try("chen", pw("battery staple")); err == nil {
			t.Error("a refused reset set the password")
		}
		if account, err := w.ResetByCard(t.Context(), w.phone, own, "battery staple"); err != nil || account != "chen" {
			t.Fatal(account, err)
		}
		if g := w.login("chen", pw("battery staple")); g.Login.MustChange {
			t.Error("a password of one's own is to be changed")
		}
		c, err := w.Open(t.Context(), w.clerk, w.chen, "")
		if err != nil || c.Account != "chen" {
			t.Fatal(err, c)
		}
		_, err = w.try("chen", pw("battery staple"))
		refused(t, "the old one after a reset", err, "login-refused")
		w.login("chen", pw(c.Password))
		stranger := ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "9999999999"}
		if _, err := w.Open(t.Context(), stranger, w.chen, ""); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("another institution resets: %v", err)
		}
	})
}

// HCA-8.1.6: one person stops an account at once: no login goes on, no proof is good, a biometric one neither, until the
// holder was identified again.
func TestStoppedAccount(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		stranger := ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "9999999999"}
		if err := w.Stop(t.Context(), stranger, w.chen); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("another institution stops: %v", err)
		}
		if err := w.Stop(t.Context(), w.clerk, w.chen); err != nil {
			t.Fatal(err)
		}
		_, err := w.Authenticate(t.Context(), g.Token, w.tablet, "tp")
		refused(t, "the login goes on", err, "no-login")
		_, err = w.try("chen", pw("correct horse"))
		refused(t, "a new login", err, "login-refused")
		if why := w.lastWhy(); why != "account-stopped" {
			t.Errorf("the log says %s", why)
		}
		err = w.ProveAct(t.Context(), w.chen, w.facts(w.tablet, w.chen), []appcred.Proof{pw("correct horse")}, "an act")
		refused(t, "a signature", err, "account-stopped")
		c, err := w.Open(t.Context(), w.clerk, w.chen, "")
		if err != nil {
			t.Fatal(err)
		}
		w.login("chen", pw(c.Password))
	})
}

// HCA-8.2.6(4): of many guesses at once not one more than five is judged.
func TestFiveFailuresUnderConcurrency(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() { w.try("chen", pw("wrong horse")) })
		}
		wg.Wait()
		judged := 0
		for _, why := range w.whys("account.login") {
			if why == "password-wrong" {
				judged++
			}
		}
		if judged > 5 {
			t.Errorf("%d guesses were judged", judged)
		}
		if _, err := w.try("chen", pw("correct horse")); err == nil {
			t.Error("not locked")
		}
	})
}

// HCA-8.2.6(5): an initial password opens nothing but its own change.
func TestInitialPassword(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		c, err := w.Open(t.Context(), w.clerk, w.chen, "chen")
		if err != nil {
			t.Fatal(err)
		}
		g := w.login("chen", pw(c.Password))
		if !g.Login.MustChange {
			t.Error("it is not said that it must be changed")
		}
		err = w.ProveAct(t.Context(), w.chen, w.facts(w.tablet, w.chen), []appcred.Proof{pw(c.Password)}, "an act")
		refused(t, "a signature", err, "password-must-change")
		if err := w.ChangePassword(t.Context(), w.phone, g.Token, g.Login, c.Password, "correct horse"); err != nil {
			t.Fatal(err)
		}
		if l, err := w.Authenticate(t.Context(), g.Token, w.tablet, "tp"); err != nil || l.MustChange {
			t.Errorf("%v %+v", err, l)
		}
	})
}

// HCA-8.2.6(6), HCA-8.1.5: the database holds neither password nor secret nor code.
func TestStoredSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		secret, address, err := w.SetUpTOTP(t.Context(), w.phone, g.Login)
		if err != nil || !strings.HasPrefix(address.Reveal(), "otpauth://totp/") {
			t.Fatal(err)
		}
		if err := w.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.Mail); err != nil {
			t.Fatal(err)
		}
		sent := w.lastCode()
		for _, table := range []string{"holder_accounts", "holder_codes", "holder_logins", "audit_events"} {
			var rows []map[string]any
			if err := w.db.Gorm.Table(table).Find(&rows).Error; err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				for column, v := range r {
					text, _ := v.(string)
					if b, ok := v.([]byte); ok {
						text = string(b)
					}
					for _, s := range []appcred.Secret{"correct horse", secret, sent, g.Token} {
						if len(text) < 200 && (text == s.Reveal() || strings.Contains(text, s.Reveal()) && len(s) > 6) {
							t.Errorf("%s.%s holds a secret", table, column)
						}
					}
				}
			}
		}
	})
}

// Who asks cannot tell whether an account exists, is locked, or is of a person who does not use this device.
func TestAnswersAreAlike(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		stranger := w.doctor("C123456781", "吳明", "3000")
		if _, err := w.Open(t.Context(), w.clerk, stranger, "wuming"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			w.try("chen", pw("wrong horse"))
		}
		var first string
		for _, name := range []string{"nobody", "chen", "wuming", "", strings.Repeat("x", 5000)} {
			_, err := w.try(name, pw("correct horse"))
			if err == nil {
				t.Fatalf("%.9s signs in", name)
			}
			if first == "" {
				first = err.Error()
			}
			if err.Error() != first {
				t.Errorf("%.9s: %v, %s", name, err, first)
			}
			if err := w.SendCode(t.Context(), w.phone, name, w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
				t.Errorf("%.9s: a code is asked for: %v", name, err)
			}
		}
		w.Close()
		if len(w.sent.codes) != 1 || w.sent.to[0].Person != w.chen {
			t.Errorf("sent to %v", w.sent.to)
		}
	})
}
