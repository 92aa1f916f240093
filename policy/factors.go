package policy

import (
	"slices"
	"time"
)

// The kinds of proof by which a holder shows on a phone that it is he (HCA-7.4).
const (
	FactorPassword  = "password"
	FactorTOTP      = "totp"      // of an authenticator app
	FactorHOTP      = "hotp"      // of a counter-based code generator
	FactorCode      = "code"      // sent by SMS, e-mail or push
	FactorBiometric = "biometric" // a key that the platform uses after verifying its user
)

// Biometrics are the kinds of HCA-8.2.8(1).
var Biometrics = []string{"fingerprint", "face", "iris", "voice", "palm-print", "vein", "signature"}

// Proofs are what a holder gave to show that it is he.
type Proofs struct {
	Kinds     []string
	Biometric string   // the kind that a biometric proof says it is of
	Accepted  []string // the biometric kinds that the institution accepts by its risk (HCA-8.2.8(2))
	Shared    bool     // several persons use the device
}

// HolderProofs decides whether the proofs are enough for one holder on one device: at least one (HCA-7.4), a biometric
// one only of a kind that the institution accepts, and never alone on a shared device, since any finger enrolled in it
// opens it (HCA-8.2.8).
func HolderProofs(p Proofs) Decision {
	known := []string{FactorPassword, FactorTOTP, FactorHOTP, FactorCode, FactorBiometric}
	others := 0
	for _, k := range p.Kinds {
		switch {
		case !slices.Contains(known, k):
			return Refuse("HCA-7.4", "factor-unknown", "A proof of this kind is not known; use the password, a code or the biometric key.")
		case k == FactorBiometric && (!slices.Contains(Biometrics, p.Biometric) || !slices.Contains(p.Accepted, p.Biometric)):
			return Refuse("HCA-8.2.8", "biometric-kind", "This kind of biometric proof is not accepted at the institution; use the password or a code.")
		case k != FactorBiometric:
			others++
		}
	}
	switch {
	case len(p.Kinds) == 0:
		return Refuse("HCA-7.4", "factor-missing", "The account's password, a code or a biometric proof is needed.")
	case others == 0 && p.Shared:
		return Refuse("HCA-8.2.8", "biometric-alone", "On a shared device a biometric proof alone does not tell whose it is; give the password or a code as well.")
	}
	return Allow()
}

// FreshLogin is for how long after a login a holder may add a proof to his account.
const FreshLogin = 5 * time.Minute

// NewProof decides whether a holder may add a proof, so long after he signed in: whoever finds a device at which
// somebody is signed in must not make it his own way in (HCA-7.4; ASVS 5.0 section 7.5.1).
func NewProof(since time.Duration) Decision {
	if since < 0 || since >= FreshLogin {
		return Refuse("HCA-7.4", "login-old", "A new proof is added within five minutes of signing in. Nothing was changed; sign in again first.")
	}
	return Allow()
}
