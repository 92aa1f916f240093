package policy

import "testing"

// HCA-6.1: a device key is bound by what its platform proves, or by the app's word where the window takes that.
func TestDeviceKey(t *testing.T) {
	android := KeyFacts{Proof: "android", Verified: true, ChallengeHeld: true, KeyBound: true, Level: "tee"}
	for _, c := range []struct {
		name string
		f    KeyFacts
		s    KeySetting
		code string
	}{
		{"android", android, KeySetting{RequireUserAuth: true}, ""},
		{"apple", KeyFacts{Proof: "apple", Verified: true, ChallengeHeld: true}, KeySetting{}, ""},
		{"declared", KeyFacts{Proof: "declared"}, KeySetting{AllowDeclared: true}, ""},
		{"declared where it must be proved", KeyFacts{Proof: "declared"}, KeySetting{}, "device-key-not-attested"},
		{"not verified", KeyFacts{Proof: "android", ChallengeHeld: true, Level: "tee"}, KeySetting{AllowDeclared: true}, "attestation-not-verified"},
		{"in a TEE where StrongBox is demanded", android, KeySetting{RequireStrongBox: true}, "strongbox-required"},
		{"a chip", KeyFacts{Proof: "chip", Verified: true, ChallengeHeld: true}, KeySetting{AllowDeclared: true}, "device-key-not-proved"},
		{"nothing", KeyFacts{}, KeySetting{AllowDeclared: true}, "device-key-not-proved"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, DeviceKey(c.f, c.s), "HCA-6.1", c.code) })
	}
}
