package factor

import (
	"crypto/subtle"
	"encoding/base32"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// Codes are RFC 6238 as every authenticator app makes them.
const (
	codePeriod  = 30 // seconds
	codeSkew    = 1  // steps before and after the present one
	secretBytes = 20
)

// NewSecret makes a secret for an authenticator app (RFC 4226 section 4: 160 bits), in base32.
func NewSecret(rand io.Reader) (Secret, error) {
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", randomless(err)
	}
	return Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)), nil
}

// OTPAuth is the address that an authenticator app reads from a QR code.
func OTPAuth(issuer, account string, secret Secret) Secret {
	q := url.Values{"secret": {secret.Reveal()}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return Secret("otpauth://totp/" + url.PathEscape(issuer+":"+account) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20"))
}

// StepOf finds the time step that a code belongs to, among the present one and its neighbours; zero when it
// belongs to none.
func StepOf(secret, code Secret, now time.Time) int64 {
	digits := strings.ReplaceAll(code.Reveal(), " ", "")
	if len(digits) != 6 {
		return 0
	}
	var found int64
	for d := int64(-codeSkew); d <= codeSkew; d++ {
		at := now.Add(time.Duration(d) * codePeriod * time.Second)
		want, err := totp.GenerateCodeCustom(secret.Reveal(), at, totp.ValidateOpts{Period: codePeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(digits)) == 1 {
			found = at.Unix() / codePeriod
		}
	}
	return found
}

// hotpAhead is how many counters a generator may have been pressed ahead (RFC 4226 section 7.4).
const hotpAhead = 10

// CounterOf finds the counter that a code of a counter-based generator belongs to, from next on; below zero when it
// belongs to none (RFC 4226).
func CounterOf(secret, code Secret, next int64) int64 {
	digits := strings.ReplaceAll(code.Reveal(), " ", "")
	found := int64(-1)
	if len(digits) != 6 || next < 0 {
		return found
	}
	for c := next + hotpAhead - 1; c >= next; c-- {
		want, err := hotp.GenerateCodeCustom(secret.Reveal(), uint64(c), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return -1
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(digits)) == 1 {
			found = c
		}
	}
	return found
}

// ValidSecret tells whether a generator's secret can be one: 160 bits or more, at most 512, in base32.
func ValidSecret(secret Secret) bool {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(secret.Reveal()), "="))
	return err == nil && len(raw) >= secretBytes && len(raw) <= 64
}
