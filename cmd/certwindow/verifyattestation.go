package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"certwindow/devices/attest"
)

// attestationVerdict is what both commands print: whether the attestation counts, why not, and what it says.
type attestationVerdict struct {
	Valid       bool   `json:"valid"`
	Reason      string `json:"reason"`
	Attestation any    `json:"attestation"` // null where nothing could be parsed; unproved where valid is false
}

// attestationFlags are the flags that both commands have.
type attestationFlags struct {
	*verifyFlags
	at *time.Time
}

func newAttestationFlags(name string, s streams) attestationFlags {
	f := newVerifyFlags(name, s)
	return attestationFlags{f, f.moment("at", "the moment of judging, `RFC3339`")}
}

// base64Flag adds a flag of bytes in base64, standard or URL, padded or not.
func (f attestationFlags) base64Flag(name, usage string) *[]byte {
	value := new([]byte)
	f.Func(name, usage, func(text string) error {
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		data, err := base64.RawStdEncoding.DecodeString(plain)
		if err == nil && len(data) == 0 {
			err = errors.New("it is empty")
		}
		*value = data
		return err
	})
	return value
}

// verifyAttestationAndroid judges an Android Key Attestation chain off line.
func verifyAttestationAndroid(_ context.Context, args []string, s streams) int {
	f := newAttestationFlags("verify attestation android", s)
	chainPath := f.String("chain", "", "the attestation's certificates, the leaf first, `PEM`")
	rootsPath := f.String("roots", "", "the vendor's roots, `JSON`")
	statusPath := f.String("status", "", "the vendor's status list, `JSON`")
	want := attest.AndroidWant{MinLevel: attest.LevelTEE}
	challenge := f.base64Flag("challenge", "the challenge that the attestation must hold, `B64`")
	f.Func("min-level", "software, tee or strongbox (tee)", func(text string) error {
		levels := map[string]attest.Level{"software": attest.LevelSoftware, "tee": attest.LevelTEE, "strongbox": attest.LevelStrongBox}
		level, known := levels[text]
		if !known {
			return errors.New("it is none of software, tee and strongbox")
		}
		want.MinLevel = level
		return nil
	})
	f.BoolVar(&want.RequireUserAuth, "require-user-auth", false, "the key must need its user's authentication")
	f.BoolVar(&want.RequireVerifiedBoot, "require-verified-boot", false, "the device must be verified at boot and locked")
	app := f.String("app", "", "the application that must own the key, `PACKAGE`")
	digest := f.base64Flag("app-digest", "SHA-256 of the certificate that signs it, `B64`")
	if code, done := f.parse(args, s, "chain", "roots", "status", "challenge", "at"); done {
		return code
	}
	if (*app == "") != (len(*digest) == 0) {
		f.misused(errors.New("--app and --app-digest go together"))
	}
	chain := f.read(*chainPath, attest.MaxObject)
	roots := f.read(*rootsPath, attest.MaxRootsFile)
	status := f.read(*statusPath, attest.MaxStatusFile)
	if code, done := f.usable(s); done {
		return code
	}
	want.Challenge, want.At = *challenge, *f.at
	if *app != "" {
		want.App = &attest.AndroidApp{Package: *app, SigningDigest: *digest}
	}
	claimed, err := judgeAndroid(chain, roots, status, want)
	return conclude(s, f.asJSON, attestationVerdict{err == nil, reasonOf(err), claimed}, err)
}

// judgeAndroid parses the files and judges. What the leaf claims is returned even where it is refused, since
// whoever has to find out why needs it most then.
func judgeAndroid(chainPEM, rootsJSON, statusJSON []byte, want attest.AndroidWant) (claimed any, err error) {
	chain, err := attest.ParseChain(chainPEM)
	if err != nil {
		return nil, err
	}
	if description, err := attest.ReadAndroid(chain); err == nil && description != nil {
		claimed = description
	}
	if want.Roots, err = attest.ParseAndroidRoots(rootsJSON); err != nil {
		return claimed, err
	}
	if want.Status, err = attest.ParseAndroidStatus(statusJSON); err != nil {
		return claimed, err
	}
	_, err = attest.VerifyAndroid(chain, want)
	return claimed, err
}

// verifyAttestationApple judges an Apple App Attest object off line.
func verifyAttestationApple(_ context.Context, args []string, s streams) int {
	f := newAttestationFlags("verify attestation apple", s)
	objectPath := f.String("object", "", "the attestation object, CBOR, `FILE`")
	keyID := f.base64Flag("key-id", "the key id that the app gave, `B64`")
	var want attest.AppleWant
	f.StringVar(&want.AppID, "app-id", "", "the app, `TEAM.BUNDLE`")
	f.Func("challenge-sha256", "SHA-256 of what the app was asked to attest, `HEX`", func(text string) error {
		sum, err := hex.DecodeString(text)
		if err == nil && len(sum) != len(want.ClientDataHash) {
			err = errors.New("it is not 32 bytes")
		}
		copy(want.ClientDataHash[:], sum)
		return err
	})
	f.Func("environment", "production or development", func(text string) error {
		want.Environment = attest.AppleEnvironment(text)
		if want.Environment != attest.AppleProduction && want.Environment != attest.AppleDevelopment {
			return errors.New("it is neither production nor development")
		}
		return nil
	})
	if code, done := f.parse(args, s, "object", "key-id", "app-id", "challenge-sha256", "environment", "at"); done {
		return code
	}
	object := f.read(*objectPath, attest.MaxObject)
	if code, done := f.usable(s); done {
		return code
	}
	want.KeyID, want.At = *keyID, *f.at
	proved, err := judgeApple(object, want)
	return conclude(s, f.asJSON, attestationVerdict{err == nil, reasonOf(err), proved}, err)
}

// judgeApple judges by Apple's published root. Nothing of a refused object is returned.
func judgeApple(object []byte, want attest.AppleWant) (proved any, err error) {
	if want.Roots, err = attest.AppleRoots(); err != nil {
		return nil, err
	}
	key, err := attest.VerifyApple(object, want)
	if err != nil {
		return nil, err
	}
	return key, nil
}
