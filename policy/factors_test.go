package policy

import (
	"testing"
	"time"
)

// HCA-7.4, HCA-8.2.8(1), HCA-8.2.8(2): which proofs are enough, on which device, at which institution.
func TestHolderProofs(t *testing.T) {
	face := []string{"fingerprint", "face"}
	for name, c := range map[string]struct {
		p    Proofs
		code string
	}{
		"nothing":               {Proofs{}, "factor-missing"},
		"password":              {Proofs{Kinds: []string{"password"}}, ""},
		"code, shared":          {Proofs{Kinds: []string{"code"}, Shared: true}, ""},
		"unknown":               {Proofs{Kinds: []string{"password", "smile"}}, "factor-unknown"},
		"face":                  {Proofs{Kinds: []string{"biometric"}, Biometric: "face", Accepted: face}, ""},
		"face, shared":          {Proofs{Kinds: []string{"biometric"}, Biometric: "face", Accepted: face, Shared: true}, "biometric-alone"},
		"twice face, shared":    {Proofs{Kinds: []string{"biometric", "biometric"}, Biometric: "face", Accepted: face, Shared: true}, "biometric-alone"},
		"face and code, shared": {Proofs{Kinds: []string{"biometric", "totp"}, Biometric: "face", Accepted: face, Shared: true}, ""},
		"voice not accepted":    {Proofs{Kinds: []string{"biometric"}, Biometric: "voice", Accepted: face}, "biometric-kind"},
		"no such kind accepted": {Proofs{Kinds: []string{"biometric"}, Biometric: "gait", Accepted: []string{"gait"}}, "biometric-kind"},
		"none accepted":         {Proofs{Kinds: []string{"password", "biometric"}, Biometric: "face"}, "biometric-kind"},
	} {
		if d := HolderProofs(c.p); d.Allowed != (c.code == "") || d.Code != c.code {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// HCA-7.4: a proof is added soon after a login, or not at all.
func TestNewProof(t *testing.T) {
	for since, allowed := range map[time.Duration]bool{0: true, FreshLogin - 1: true, FreshLogin: false, time.Hour: false, -1: false} {
		if d := NewProof(since); d.Allowed != allowed || !allowed && d.Code != "login-old" {
			t.Errorf("%v: %+v", since, d)
		}
	}
}
