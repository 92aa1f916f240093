package appcred_test

import (
	"testing"
	"time"

	"certwindow/devices/appcred"
	"certwindow/policy"
	"certwindow/ra"
)

// HCA-7.3, HCA-8.2.6(4), HCA-8.2.7(2): nothing that is tried on a device counts against an account whose holder does not
// use that device, so that one phone cannot lock the doctors of a whole hospital out; and the answer is the usual one.
func TestAnotherDeviceLocksNobodyOut(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		w.account(w.lin, "lin", "battery staple")
		strange := w.device("WARD-9", false, w.lin)
		phone := ra.Actor{Kind: ra.ActorDevice, ID: string(strange)}
		for range 6 {
			for _, p := range []appcred.Proof{pw("a wrong one"), code("123456"), {Kind: policy.FactorTOTP, Value: "123456"}} {
				_, err := w.Login(t.Context(), phone, appcred.Attempt{Account: "chen", Device: strange, Proofs: []appcred.Proof{p}})
				refused(t, p.Kind, err, "login-refused")
			}
		}
		_, err := w.Login(t.Context(), phone, appcred.Attempt{Account: "chen", Device: strange, Proofs: []appcred.Proof{pw("correct horse")}})
		refused(t, "the right password", err, "login-refused")
		if why := w.lastWhy(); why != "not-a-device-user" {
			t.Errorf("the log says %q", why)
		}
		if st, _, err := w.Account(t.Context(), w.chen); err != nil || st.PasswordLocked || st.CodesLocked {
			t.Errorf("%+v, %v", st, err)
		}
		w.login("chen", pw("correct horse"))
	})
}

// HCA-8.2.6(4): a login that ended meanwhile changes no password, and does not begin again by it.
func TestEndedLoginChangesNoPassword(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		if err := w.Logout(t.Context(), w.phone, g.Token, g.Login); err != nil {
			t.Fatal(err)
		}
		err := w.ChangePassword(t.Context(), w.phone, g.Token, g.Login, "correct horse", "another horse")
		refused(t, "after the end", err, "no-login")
		if _, err := w.Authenticate(t.Context(), g.Token, w.tablet, "tp"); err == nil {
			t.Error("the login goes on")
		}
		w.login("chen", pw("correct horse"))
	})
}

// HCA-7.4: who picks up a device at which somebody is signed in cannot make a proof of his own for that account: a new
// one takes a login of a few minutes ago.
func TestNewProofNeedsAFreshLogin(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		w.Clock.Advance(policy.FreshLogin)
		if _, err := w.Authenticate(t.Context(), g.Token, w.tablet, "tp"); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.SetUpTOTP(t.Context(), w.phone, g.Login)
		refused(t, "an authenticator app", err, "login-old")
		_, spki := w.key()
		err = w.AddBiometric(t.Context(), w.phone, g.Login, "face", spki, []byte{1}, "x")
		refused(t, "a biometric key", err, "login-old")
		g = w.login("chen", pw("correct horse"))
		w.Clock.Advance(policy.FreshLogin - time.Second)
		if _, _, err := w.SetUpTOTP(t.Context(), w.phone, g.Login); err != nil {
			t.Errorf("within the time: %v", err)
		}
	})
}
