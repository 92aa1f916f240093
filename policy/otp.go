package policy

import "time"

const (
	// MaxOTPFailures is how many failures in a row lock one-time passwords (HCA-8.2.7(2)).
	MaxOTPFailures = 3
	// MaxOTPLife is how long a one-time password sent by SMS, e-mail or push is good (HCA-8.2.7(1)).
	MaxOTPLife = 5 * time.Minute
)

// OTPLock decides whether a one-time password may be tried at all, after so many failures in a row
// (HCA-8.2.7(2): three lock it until the person is identified again).
func OTPLock(failures int) Decision {
	if failures < 0 || failures >= MaxOTPFailures {
		return Refuse("HCA-8.2.7", "otp-locked",
			"One-time passwords are locked after three failures in a row; identify yourself again at the counter or with the card.")
	}
	return Allow()
}

// OTPLife decides whether a one-time password that was sent is still good (HCA-8.2.7(1): five minutes at most).
// It is good from sent until, but not at, expires.
func OTPLife(sent, expires, at time.Time) Decision {
	switch {
	case !sent.Before(expires) || expires.Sub(sent) > MaxOTPLife || at.Before(sent):
		return Refuse("HCA-8.2.7", "otp-life-invalid", "The one-time password's times cannot be right; have a new one sent.")
	case !at.Before(expires):
		return Refuse("HCA-8.2.7", "otp-expired", "The one-time password has expired; have a new one sent.")
	}
	return Allow()
}
