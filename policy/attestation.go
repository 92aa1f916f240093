package policy

import (
	"slices"
	"time"
)

// KeyFacts is what is known of a key that somebody wants certified: the design applied for, and what was
// verified of how the key came to be. Anything not established stays at its zero value, which refuses.
type KeyFacts struct {
	Design string // "app", "chip" or "hsm", as in the text the card signed
	Proof  string // "android", "apple", "chip", "declared" (the app says so) or "window" (the HSM's own record)

	Verified      bool // the proof's signatures, chain, status and origin were verified; true of a window's own record
	ChallengeHeld bool // the proof, made when the key was made, holds the application's challenge
	KeyBound      bool // what is proved or declared is of the very key in the request
	AppApproved   bool // the app version that made the key is reviewed and approved, as far as the proof can show
	NoAttestation bool // the device's platform offers no attestation, or none that the window asks for

	Level        string // of an Android proof: "software", "tee" or "strongbox"
	UserAuth     bool   // the key works only after its user's authentication
	VerifiedBoot bool   // verified at boot and locked
	Development  bool   // the proof is of a vendor's development environment

	Chip *ChipCertification // of a chip's proof: the model's entry in the list; nil when it is not listed

	Applied time.Time // when the holder applied, by card
	Made    time.Time // when the key was made, as recorded or declared
}

// ChipCertification is a listed chip model's certificate.
type ChipCertification struct {
	Scheme  string // one of ChipSchemes
	Level   int
	Number  string
	Expires time.Time
}

// ChipSchemes are the certification schemes that HCA-6.2 names, FIPS 140-3 being the successor of 140-2.
func ChipSchemes() []string {
	return []string{"CNS 15135", "ISO 19790", "FIPS 140-2", "FIPS 140-3"}
}

// minChipLevel is HCA-6.2's "level 2 or better".
const minChipLevel = 2

// KeySetting is what an institution demands. Its zero value offers no design; each field can only tighten the
// rule book, except the two Allow fields, which admit what the rule book admits but a careful office may not.
type KeySetting struct {
	Designs             []string // the key designs offered
	RequireStrongBox    bool     // an Android key must live in a separate security processor
	RequireUserAuth     bool
	RequireVerifiedBoot bool
	AllowDeclared       bool // accept the approved app's word where the platform or chip cannot prove (HCA-6.0)
	AllowDevelopment    bool // accept a vendor's development environment; never set in production mode
}

// KeyProof decides whether what is known of a key is enough for its design (HCA-6.0, HCA-6.1, HCA-6.2).
// The certification of the HSM itself is HCA-6.3.1 and another rule's.
func KeyProof(f KeyFacts, s KeySetting, at time.Time) Decision {
	if !slices.Contains(s.Designs, f.Design) {
		return Refuse("HCA-6.0", "key-design-not-offered", "The institution does not offer this key design; choose one that it offers.")
	}
	switch f.Design {
	case "app":
		return All(appKey(f, s), madeAfterApplying(f, s, at))
	case "chip":
		return All(chipKey(f, at), madeAfterApplying(f, s, at))
	case "hsm":
		return All(hsmKey(f), madeAfterApplying(f, s, at))
	}
	return Refuse("HCA-6.0", "key-design-unknown", "The key design is none of app, chip and hsm.")
}

// KeyTie is the word that the evidence uses for how a key is tied to its application: "proved" by an
// attestation, "declared" by the approved app, or "recorded" by the window itself (HCA-6.0).
func KeyTie(f KeyFacts) string {
	switch {
	case f.Proof == "window":
		return "recorded"
	case f.Verified && f.ChallengeHeld && f.KeyBound && f.Proof != "declared":
		return "proved"
	}
	return "declared"
}

// madeAfterApplying is HCA-6.0: no key is made before the holder has applied. A challenge that was issued with
// the application proves it; without one the recorded or declared time has to lie between.
func madeAfterApplying(f KeyFacts, s KeySetting, at time.Time) Decision {
	if !f.KeyBound {
		return Refuse("HCA-6.0", "key-not-bound", "What is known of the key's making is not of the key in the request; make the key again.")
	}
	tie := KeyTie(f)
	if tie == "proved" {
		return Allow()
	}
	if tie == "declared" && !s.AllowDeclared {
		return Refuse("HCA-6.0", "key-time-not-proved", "Nothing proves that the key was made for this application; make it again on a device that can attest it.")
	}
	if f.Applied.IsZero() || f.Made.IsZero() || f.Made.Before(f.Applied) || f.Made.After(at) {
		return Refuse("HCA-6.0", "key-made-before-applying", "The key was not made after the holder applied; make a new one.")
	}
	return Allow()
}

// appKey is HCA-6.1: made and kept by an approved app, with no way to copy it out.
func appKey(f KeyFacts, s KeySetting) Decision {
	if !f.AppApproved {
		return Refuse("HCA-6.1", "app-not-approved", "The key was not made by an approved version of the app; update the app and apply again.")
	}
	switch f.Proof {
	case "android":
		return androidKey(f, s)
	case "apple":
		return attested(f, s)
	case "declared":
		if f.NoAttestation && s.AllowDeclared {
			return Allow()
		}
		return Refuse("HCA-6.1", "app-not-attested", "The platform can attest the app and its key, so the app's word alone is not enough.")
	}
	return Refuse("HCA-6.1", "app-key-not-proved", "Nothing proves that an approved app made and keeps this key.")
}

// attested is what every platform's proof has to be.
func attested(f KeyFacts, s KeySetting) Decision {
	switch {
	case !f.Verified:
		return Refuse("HCA-6.1", "attestation-not-verified", "The key's attestation did not verify; make the key again.")
	case !f.ChallengeHeld:
		return Refuse("HCA-6.0", "attestation-of-other-application", "The key's attestation does not hold this application's challenge; make the key again.")
	case f.Development && !s.AllowDevelopment:
		return Refuse("HCA-6.1", "attestation-of-development", "The attestation is of a development build; install the app from its official place.")
	}
	return Allow()
}

// androidKey adds what an Android proof can say. A key that software alone keeps is refused whatever the
// institution sets: its attestation is made by what it should be protected from.
func androidKey(f KeyFacts, s KeySetting) Decision {
	if d := attested(f, s); !d.Allowed {
		return d
	}
	switch {
	case f.Level != "tee" && f.Level != "strongbox":
		return Refuse("HCA-6.1", "security-level-too-low", "The key is kept by software alone; use a device with a secure environment.")
	case s.RequireStrongBox && f.Level != "strongbox":
		return Refuse("HCA-6.1", "strongbox-required", "The institution demands a separate security processor; use a device that has one.")
	case s.RequireUserAuth && !f.UserAuth:
		return Refuse("HCA-6.1", "user-authentication-required", "The key works without its user's authentication; set a screen lock and apply again.")
	case s.RequireVerifiedBoot && !f.VerifiedBoot:
		return Refuse("HCA-6.1", "verified-boot-required", "The device is unlocked or its system was changed; use a device in its original state.")
	}
	return Allow()
}

// chipKey is HCA-6.2: only a listed chip, by its own proof. A TEE or StrongBox is not a chip.
func chipKey(f KeyFacts, at time.Time) Decision {
	switch {
	case f.Proof != "chip":
		return Refuse("HCA-6.2", "chip-not-proved", "No listed secure chip vouches for this key; a phone's own secure environment counts as the app design.")
	case !f.Verified:
		return Refuse("HCA-6.2", "attestation-not-verified", "The chip's proof of the key did not verify; make the key again.")
	case f.Chip == nil || f.Chip.Number == "" || !slices.Contains(ChipSchemes(), f.Chip.Scheme):
		return Refuse("HCA-6.2", "chip-not-listed", "The chip model is not on the list of certified ones; use a listed chip.")
	case f.Chip.Level < minChipLevel:
		return Refuse("HCA-6.2", "chip-level-too-low", "The chip model is certified below level 2; use a listed chip of level 2 or better.")
	case !at.Before(f.Chip.Expires):
		return Refuse("HCA-6.2", "chip-certificate-expired", "The chip model's certification has expired; use a chip whose certification is in force.")
	case !f.AppApproved && !f.ChallengeHeld:
		return Refuse("HCA-6.0", "app-not-approved", "The chip's proof holds no challenge and no approved app stands behind it.")
	}
	return Allow()
}

// hsmKey: the window makes these keys itself, so its record is the only proof there can be.
func hsmKey(f KeyFacts) Decision {
	if f.Proof != "window" || !f.Verified {
		return Refuse("HCA-6.0", "hsm-key-not-recorded", "The window has no record of making this key in its HSM.")
	}
	return Allow()
}
