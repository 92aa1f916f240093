package attest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// HCA-6.0 HCA-6.1: attestations of real phones count, and one made by software alone does not.
func TestAndroidDevices(t *testing.T) {
	for _, d := range devices(t) {
		t.Run(d.name, func(t *testing.T) {
			chain, err := ParseChain(d.pem)
			if err != nil {
				t.Fatal(err)
			}
			key, err := VerifyAndroid(chain, want(t, d))
			if strings.HasPrefix(d.name, "marlin") {
				if r := asRefusals(err); key != nil || !r.Has(CodeLevel) || !r.Has(CodeRoot) {
					t.Fatalf("a software attestation gave %v, %v", key, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if wantLevel := map[bool]Level{true: LevelStrongBox, false: LevelTEE}[strings.Contains(d.name, "/SB_")]; key.Level != wantLevel {
				t.Errorf("level %s, want %s", key.Level, wantLevel)
			}
			if key.UserAuth != strings.Contains(d.name, "USERAUTH") {
				t.Errorf("user authentication %v", key.UserAuth)
			}
			if key.VerifiedBoot != strings.HasPrefix(d.name, "caiman") {
				t.Errorf("verified boot %v", key.VerifiedBoot)
			}
		})
	}
}

// The parse is the one that the vendor's verifier prints, field by field.
func TestKeyDescriptionJSON(t *testing.T) {
	for _, d := range devices(t) {
		t.Run(d.name, func(t *testing.T) {
			chain, err := ParseChain(d.pem)
			if err != nil {
				t.Fatal(err)
			}
			description, err := ReadAndroid(chain)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(description)
			if err != nil {
				t.Fatal(err)
			}
			var got, expected any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(d.expected, &expected); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, expected) {
				t.Errorf("got  %s\nwant %s", text, d.expected)
			}
		})
	}
}

func BenchmarkVerifyAndroid(b *testing.B) {
	for _, d := range devices(b) {
		if d.name != "akita/sdk34/TEE_EC_NONE" {
			continue
		}
		want := want(b, d)
		for b.Loop() {
			chain, err := ParseChain(d.pem)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := VerifyAndroid(chain, want); err != nil {
				b.Fatal(err)
			}
		}
	}
}
