package attest

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// HCA-6.1: what the secure environment says of the key decides, and what it does not say refuses.
func TestAndroidKeyFacts(t *testing.T) {
	set := func(bytes ...byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: bytes}
	}
	sign := tagged(t, 1, set(2, 1, 2))
	for _, c := range []struct {
		name               string
		software, hardware []asn1.RawValue
		code               string
	}{
		{"imported", nil, []asn1.RawValue{sign, tagged(t, 702, 2)}, CodeOrigin},
		{"securely imported", nil, []asn1.RawValue{sign, tagged(t, 702, 4)}, CodeOrigin},
		{"origin by software's word", []asn1.RawValue{tagged(t, 702, 0)}, []asn1.RawValue{sign}, CodeOrigin},
		{"no purpose", nil, []asn1.RawValue{tagged(t, 702, 0)}, CodePurpose},
		{"decrypts too", nil, []asn1.RawValue{tagged(t, 1, set(2, 1, 2, 2, 1, 1)), tagged(t, 702, 0)}, CodePurpose},
		{"attests other keys", nil, []asn1.RawValue{tagged(t, 1, set(2, 1, 7)), tagged(t, 702, 0)}, CodePurpose},
		{"all applications", nil, signingKey(t, tagged(t, 600, asn1.NullRawValue)), CodeAllApps},
		{"all applications by software", []asn1.RawValue{tagged(t, 600, asn1.NullRawValue)}, signingKey(t), CodeAllApps},
		{"unknown tag", nil, signingKey(t, tagged(t, 602, asn1.NullRawValue)), CodeMalformed},
		{"tag twice", nil, signingKey(t, tagged(t, 702, 0)), CodeMalformed},
		{"origin of another type", nil, []asn1.RawValue{sign, tagged(t, 702, asn1.Enumerated(0))}, CodeMalformed},
		{"unknown origin", nil, []asn1.RawValue{sign, tagged(t, 702, 5)}, CodeMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := fromFactory(t, describe(t, "fresh", c.software, c.hardware), nil)
			_, err := VerifyAndroid(chain.certs(), chain.want(t, "fresh"))
			mustRefuse(t, err, c.code)
		})
	}
}

// One level for key and attestation, and StrongBox only where the vendor certified one (HCA-6.1).
func TestAndroidLevel(t *testing.T) {
	for _, c := range []struct {
		level, keyMint asn1.Enumerated
		organization   string
		want           Level
	}{
		{0, 2, "", LevelSoftware}, {2, 0, "", LevelSoftware}, {0, 0, "", LevelSoftware}, {1, 1, "TEE", LevelTEE}, {1, 1, "StrongBox", LevelTEE},
		{2, 2, "StrongBox", LevelStrongBox}, {2, 2, "TEE", LevelTEE}, {2, 2, "", LevelTEE}, {1, 2, "StrongBox", 0}, {2, 1, "StrongBox", 0},
	} {
		chain := fromFactory(t, describe(t, "", nil, nil), nil)
		chain.batch = certify(t, chain.intermediate, pkix.Name{CommonName: "batch", Organization: []string{c.organization}}, nil)
		chain.leaf = certify(t, chain.batch, pkix.Name{CommonName: "Android Keystore Key"},
			attestation(describeAt(t, c.level, c.keyMint, "fresh", nil, signingKey(t))))
		want := chain.want(t, "fresh")
		for want.MinLevel = LevelTEE; want.MinLevel <= LevelStrongBox; want.MinLevel++ {
			key, err := VerifyAndroid(chain.certs(), want)
			if want.MinLevel > c.want {
				mustRefuse(t, err, CodeLevel)
			} else if err != nil || key.Level != c.want {
				t.Errorf("%+v: %+v, %v", c, key, err)
			}
		}
		want.MinLevel = LevelSoftware // no place is asked for
		if _, err := VerifyAndroid(chain.certs(), want); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Verified boot counts only of a locked device, and only by the secure environment's word, without which nothing counts.
func TestAndroidBoot(t *testing.T) {
	for _, c := range []struct {
		name               string
		software, hardware []asn1.RawValue
		proved, stated     bool
	}{
		{"verified and locked", nil, unbooted(t, boot(t, true, 0)), true, true},
		{"unlocked", nil, unbooted(t, boot(t, false, 0)), false, true},
		{"a system of the owner's", nil, unbooted(t, boot(t, true, 1)), false, true},
		{"unverified", nil, unbooted(t, boot(t, true, 2)), false, true},
		{"failed", nil, unbooted(t, boot(t, true, 3)), false, true},
		{"by software", []asn1.RawValue{boot(t, true, 0)}, unbooted(t), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := fromFactory(t, describe(t, "fresh", c.software, c.hardware), nil)
			want := chain.want(t, "fresh")
			if _, err := VerifyAndroid(chain.certs(), want); (err == nil) != c.stated {
				t.Errorf("verified boot not asked for: %v", err)
			}
			want.RequireVerifiedBoot = true
			_, err := VerifyAndroid(chain.certs(), want)
			if c.proved {
				if err != nil {
					t.Error(err)
				}
				return
			}
			mustRefuse(t, err, CodeBoot)
		})
	}
}

// A user's authentication that software alone promises, or that one list waives, does not count. HCA-8.2.8
func TestAndroidUserAuth(t *testing.T) {
	password := tagged(t, 504, 1)
	for _, c := range []struct {
		name               string
		software, hardware []asn1.RawValue
		proved             bool
	}{
		{"by the secure environment", nil, signingKey(t, password), true},
		{"by software", []asn1.RawValue{password}, signingKey(t), false},
		{"of no kind", nil, signingKey(t, tagged(t, 504, 0)), false},
		{"waived", []asn1.RawValue{tagged(t, 503, asn1.NullRawValue)}, signingKey(t, password), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := fromFactory(t, describe(t, "fresh", c.software, c.hardware), nil)
			want := chain.want(t, "fresh")
			want.RequireUserAuth = true
			_, err := VerifyAndroid(chain.certs(), want)
			if c.proved {
				if err != nil {
					t.Error(err)
				}
				return
			}
			mustRefuse(t, err, CodeUserAuth)
		})
	}
}

// HCA-6.1: exactly the approved app, signed by its own certificate.
func TestAndroidApp(t *testing.T) {
	type info struct {
		Name    []byte
		Version int
	}
	app := func(names ...string) []asn1.RawValue {
		id := struct {
			Packages []info   `asn1:"set"`
			Digests  [][]byte `asn1:"set"`
		}{Digests: [][]byte{[]byte("digest")}}
		for _, name := range names {
			id.Packages = append(id.Packages, info{[]byte(name), 7})
		}
		der, err := asn1.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		return []asn1.RawValue{tagged(t, 709, der)}
	}
	for _, c := range []struct {
		name     string
		software []asn1.RawValue
		digest   string
		ok       bool
	}{
		{"the one", app("tw.app"), "digest", true},
		{"another signer", app("tw.app"), "digesu", false},
		{"another app", app("tw.apq"), "digest", false},
		{"two that share a user id", app("tw.app", "tw.other"), "digest", false},
		{"none named", nil, "digest", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := fromFactory(t, describe(t, "fresh", c.software, signingKey(t)), nil)
			want := chain.want(t, "fresh")
			want.App = &AndroidApp{"tw.app", []byte(c.digest)}
			_, err := VerifyAndroid(chain.certs(), want)
			if c.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			mustRefuse(t, err, CodeApp)
		})
	}
}
