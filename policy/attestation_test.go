package policy

import (
	"testing"
	"time"
)

var keyNoon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// goodKeys are facts that suffice, by design and proof.
func goodKeys() map[string]KeyFacts {
	return map[string]KeyFacts{
		"android": {Design: "app", Proof: "android", Verified: true, ChallengeHeld: true, KeyBound: true, AppApproved: true,
			Level: "strongbox", UserAuth: true, VerifiedBoot: true},
		"apple": {Design: "app", Proof: "apple", Verified: true, ChallengeHeld: true, KeyBound: true, AppApproved: true},
		"declared": {Design: "app", Proof: "declared", KeyBound: true, AppApproved: true, NoAttestation: true,
			Applied: keyNoon.Add(-time.Minute), Made: keyNoon.Add(-time.Second)},
		"chip": {Design: "chip", Proof: "chip", Verified: true, ChallengeHeld: true, KeyBound: true,
			Chip: &ChipCertification{Scheme: "FIPS 140-2", Level: 2, Number: "1", Expires: keyNoon.Add(time.Second)}},
		"hsm": {Design: "hsm", Proof: "window", Verified: true, KeyBound: true,
			Applied: keyNoon.Add(-time.Minute), Made: keyNoon},
	}
}

// strictest accepts all of goodKeys and demands everything that can be demanded.
var strictest = KeySetting{Designs: []string{"app", "chip", "hsm"}, RequireStrongBox: true, RequireUserAuth: true,
	RequireVerifiedBoot: true, AllowDeclared: true}

// loosest is what the most careless institution can set.
var loosest = KeySetting{Designs: []string{"app", "chip", "hsm"}, AllowDeclared: true, AllowDevelopment: true}

// HCA-6.0 HCA-6.1 HCA-6.2: good proofs are enough, under the strictest setting too.
func TestKeyProofAccepts(t *testing.T) {
	words := map[string]string{"android": "proved", "apple": "proved", "chip": "proved", "declared": "declared", "hsm": "recorded"}
	for name, facts := range goodKeys() {
		for _, setting := range []KeySetting{strictest, loosest} {
			if d := KeyProof(facts, setting, keyNoon); !d.Allowed {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if tie := KeyTie(facts); tie != words[name] {
			t.Errorf("%s is tied by %q", name, tie)
		}
	}
}

// HCA-6.0 HCA-6.1 HCA-6.2: the rule book's floor holds however careless the setting is.
func TestKeyProofFloor(t *testing.T) {
	for _, c := range []struct {
		name, from string
		change     func(*KeyFacts)
		clause     Clause
		code       string
	}{
		{"unknown design", "android", func(f *KeyFacts) { f.Design = "cloud" }, "HCA-6.0", "key-design-not-offered"},
		{"unverified", "android", func(f *KeyFacts) { f.Verified = false }, "HCA-6.1", "attestation-not-verified"},
		{"without the challenge", "android", func(f *KeyFacts) { f.ChallengeHeld = false }, "HCA-6.0", "attestation-of-other-application"},
		{"of another key", "android", func(f *KeyFacts) { f.KeyBound = false }, "HCA-6.0", "key-not-bound"},
		{"by software alone", "android", func(f *KeyFacts) { f.Level = "software" }, "HCA-6.1", "security-level-too-low"},
		{"of no level", "android", func(f *KeyFacts) { f.Level = "" }, "HCA-6.1", "security-level-too-low"},
		{"of an unapproved app", "android", func(f *KeyFacts) { f.AppApproved = false }, "HCA-6.1", "app-not-approved"},
		{"apple unverified", "apple", func(f *KeyFacts) { f.Verified = false }, "HCA-6.1", "attestation-not-verified"},
		{"apple of another key", "apple", func(f *KeyFacts) { f.KeyBound = false }, "HCA-6.0", "key-not-bound"},
		{"apple, unapproved app", "apple", func(f *KeyFacts) { f.AppApproved = false }, "HCA-6.1", "app-not-approved"},
		{"no proof", "android", func(f *KeyFacts) { f.Proof = "" }, "HCA-6.1", "app-key-not-proved"},
		{"a chip's proof for an app key", "chip", func(f *KeyFacts) { f.Design, f.AppApproved = "app", true }, "HCA-6.1", "app-key-not-proved"},
		{"declared where it could be proved", "declared", func(f *KeyFacts) { f.NoAttestation = false }, "HCA-6.1", "app-not-attested"},
		{"declared, made before applying", "declared", func(f *KeyFacts) { f.Made = f.Applied.Add(-time.Second) }, "HCA-6.0", "key-made-before-applying"},
		{"declared, made in the future", "declared", func(f *KeyFacts) { f.Made = keyNoon.Add(time.Second) }, "HCA-6.0", "key-made-before-applying"},
		{"declared, without a time", "declared", func(f *KeyFacts) { f.Made = time.Time{} }, "HCA-6.0", "key-made-before-applying"},
		{"a StrongBox as chip", "android", func(f *KeyFacts) { f.Design = "chip" }, "HCA-6.2", "chip-not-proved"},
		{"an unlisted chip", "chip", func(f *KeyFacts) { f.Chip = nil }, "HCA-6.2", "chip-not-listed"},
		{"a chip of another scheme", "chip", func(f *KeyFacts) { f.Chip.Scheme = "EAL 6" }, "HCA-6.2", "chip-not-listed"},
		{"a chip without a number", "chip", func(f *KeyFacts) { f.Chip.Number = "" }, "HCA-6.2", "chip-not-listed"},
		{"a chip of level 1", "chip", func(f *KeyFacts) { f.Chip.Level = 1 }, "HCA-6.2", "chip-level-too-low"},
		{"a chip expired just now", "chip", func(f *KeyFacts) { f.Chip.Expires = keyNoon }, "HCA-6.2", "chip-certificate-expired"},
		{"a chip unverified", "chip", func(f *KeyFacts) { f.Verified = false }, "HCA-6.2", "attestation-not-verified"},
		{"a chip without challenge or app", "chip", func(f *KeyFacts) { f.ChallengeHeld = false }, "HCA-6.0", "app-not-approved"},
		{"a chip without challenge or time", "chip", func(f *KeyFacts) { f.ChallengeHeld, f.AppApproved = false, true }, "HCA-6.0", "key-made-before-applying"},
		{"an HSM key not ours", "hsm", func(f *KeyFacts) { f.Proof = "android" }, "HCA-6.0", "hsm-key-not-recorded"},
		{"an HSM key made ahead", "hsm", func(f *KeyFacts) { f.Made = f.Applied.Add(-time.Second) }, "HCA-6.0", "key-made-before-applying"},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts := goodKeys()[c.from]
			c.change(&facts)
			if d := KeyProof(facts, loosest, keyNoon); d.Allowed || d.Clause != c.clause || d.Code != c.code || d.Detail == "" {
				t.Errorf("%+v, want %s %s", d, c.clause, c.code)
			}
		})
	}
	if d := KeyProof(KeyFacts{}, KeySetting{}, time.Time{}); d.Allowed {
		t.Error("nothing known, nothing set: allowed")
	}
}

// HCA-9: a setting tightens.
func TestKeyProofSettings(t *testing.T) {
	for _, c := range []struct {
		name, from string
		change     func(*KeyFacts, *KeySetting)
		code       string
	}{
		{"design not offered", "hsm", func(_ *KeyFacts, s *KeySetting) { s.Designs = []string{"app"} }, "key-design-not-offered"},
		{"TEE where StrongBox is demanded", "android", func(f *KeyFacts, s *KeySetting) { f.Level, s.RequireStrongBox = "tee", true }, "strongbox-required"},
		{"no user authentication", "android", func(f *KeyFacts, s *KeySetting) { f.UserAuth, s.RequireUserAuth = false, true }, "user-authentication-required"},
		{"unlocked", "android", func(f *KeyFacts, s *KeySetting) { f.VerifiedBoot, s.RequireVerifiedBoot = false, true }, "verified-boot-required"},
		{"development", "apple", func(f *KeyFacts, s *KeySetting) { f.Development, s.AllowDevelopment = true, false }, "attestation-of-development"},
		{"the app's word", "declared", func(_ *KeyFacts, s *KeySetting) { s.AllowDeclared = false }, "app-not-attested"},
		{"the chip app's word", "chip", func(f *KeyFacts, s *KeySetting) {
			f.ChallengeHeld, f.AppApproved, f.Applied, f.Made = false, true, keyNoon, keyNoon
			s.AllowDeclared = false
		}, "key-time-not-proved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts, setting := goodKeys()[c.from], loosest
			c.change(&facts, &setting)
			if d := KeyProof(facts, setting, keyNoon); d.Allowed || d.Code != c.code {
				t.Errorf("%+v, want %s", d, c.code)
			}
		})
	}
}
