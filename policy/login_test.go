package policy

import (
	"testing"
	"time"
)

// HCA-8.2.6(1): eight characters or more, whatever their size in bytes.
func TestPasswordLength(t *testing.T) {
	for password, code := range map[string]string{
		"": "password-too-short", "1234567": "password-too-short", "醫事人員憑證密": "password-too-short",
		"12345678": "", "醫事人員憑證密碼": "",
		"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8": "password-malformed",
	} {
		t.Run(password, func(t *testing.T) { wantDecision(t, Password("clerk", password), "HCA-8.2.6", code) })
	}
}

// HCA-8.2.6(2): not the account, also not in other letter case or with blanks around it.
func TestPasswordNotAccount(t *testing.T) {
	for password, code := range map[string]string{
		"chen.meiling": "password-is-account", "Chen.MeiLing": "password-is-account", " chen.meiling ": "password-is-account",
		"chen.meiling1": "", "gniliem.nehc": "",
	} {
		t.Run(password, func(t *testing.T) { wantDecision(t, Password("chen.meiling", password), "HCA-8.2.6", code) })
	}
}

// HCA-8.2.6(3): a reminder when more than one year has passed.
func TestPasswordAge(t *testing.T) {
	changed := time.Date(2024, 2, 29, 8, 0, 0, 0, time.UTC)
	year := time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		changed, at time.Time
		remind      bool
	}{
		{"today", changed, changed, false},
		{"after a year to the second", changed, year, false},
		{"after more than a year", changed, year.Add(time.Second), true},
		{"never known to have changed", time.Time{}, year, true},
	} {
		if got := PasswordAge(c.changed, c.at); got != c.remind {
			t.Errorf("%s: %v, want %v", c.name, got, c.remind)
		}
	}
}

// HCA-8.2.6(4): five failures in a row lock the password.
func TestPasswordLock(t *testing.T) {
	for failures, code := range map[int]string{0: "", 4: "", 5: "password-locked", 6: "password-locked", -1: "password-locked"} {
		wantDecision(t, PasswordLock(failures), "HCA-8.2.6", code)
	}
}

// HCA-8.2.6(5): a password that the window gave out is changed at the first login.
func TestPasswordInitial(t *testing.T) {
	wantDecision(t, PasswordInitial(true), "HCA-8.2.6", "password-must-change")
	wantDecision(t, PasswordInitial(false), "HCA-8.2.6", "")
}

// HCA-8.2.7(1): a one-time password that was sent lives five minutes at most.
func TestOTPLife(t *testing.T) {
	for _, c := range []struct {
		name string
		life time.Duration
		at   time.Time
		code string
	}{
		{"at once", MaxOTPLife, noon, ""},
		{"at the last moment", MaxOTPLife, noon.Add(MaxOTPLife - 1), ""},
		{"at its end", MaxOTPLife, noon.Add(MaxOTPLife), "otp-expired"},
		{"after a shorter life", time.Minute, noon.Add(time.Minute), "otp-expired"},
		{"too long a life", MaxOTPLife + 1, noon, "otp-life-invalid"},
		{"no life", 0, noon, "otp-life-invalid"},
		{"before it was sent", MaxOTPLife, noon.Add(-1), "otp-life-invalid"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, OTPLife(noon, noon.Add(c.life), c.at), "HCA-8.2.7", c.code) })
	}
}

// HCA-8.2.7(2): three failures lock one-time passwords.
func TestOTPLock(t *testing.T) {
	for failures, code := range map[int]string{0: "", 2: "", 3: "otp-locked", 4: "otp-locked", -1: "otp-locked"} {
		wantDecision(t, OTPLock(failures), "HCA-8.2.7", code)
	}
}
