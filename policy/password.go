package policy

import (
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MinPasswordLength is how many characters a password has at least (HCA-8.2.6(1)).
	MinPasswordLength = 8
	// MaxPasswordFailures is how many failures in a row lock a password (HCA-8.2.6(4)).
	MaxPasswordFailures = 5
)

// Password decides whether a password may be set (HCA-8.2.6(1): eight characters or more; (2): not the account).
// Characters are counted, not bytes, and the account in other letter case is still the account.
func Password(account, password string) Decision {
	switch {
	case !utf8.ValidString(password):
		return Refuse("HCA-8.2.6", "password-malformed", "The password is not readable text; choose another one.")
	case utf8.RuneCountInString(password) < MinPasswordLength:
		return Refuse("HCA-8.2.6", "password-too-short", "The password has fewer than eight characters; choose a longer one.")
	case strings.EqualFold(strings.TrimSpace(password), strings.TrimSpace(account)):
		return Refuse("HCA-8.2.6", "password-is-account", "The password is the same as the account; choose another one.")
	}
	return Allow()
}

// PasswordAge tells whether the holder must be reminded to change a password (HCA-8.2.6(3): more than one year
// unchanged). One of unknown age is reminded of.
func PasswordAge(changed, at time.Time) (remind bool) {
	return changed.IsZero() || at.After(changed.AddDate(1, 0, 0))
}

// PasswordLock decides whether a password may be tried at all, after so many failures in a row (HCA-8.2.6(4):
// five lock it until the holder sets a new one).
func PasswordLock(failures int) Decision {
	if failures < 0 || failures >= MaxPasswordFailures {
		return Refuse("HCA-8.2.6", "password-locked", "The password is locked after five failures in a row; set a new one.")
	}
	return Allow()
}

// PasswordInitial decides whether a login may go on under the password it used (HCA-8.2.6(5): one that the
// window gave out is changed at the first login). initial says that the window gave it out.
func PasswordInitial(initial bool) Decision {
	if initial {
		return Refuse("HCA-8.2.6", "password-must-change", "The password was given out by the window; set your own one before going on.")
	}
	return Allow()
}

// PasswordGuess decides whether a password may be set that is among the first a guesser tries. The HCA's rule does not
// ask for it; limits may be tightened (HCA-9).
func PasswordGuess(common bool) Decision {
	if common {
		return Refuse("HCA-9", "password-common", "This password is among the first that anybody would try; choose another one.")
	}
	return Allow()
}
