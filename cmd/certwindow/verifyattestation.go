package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
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

// print writes the verdict as one JSON object, or as one line for a person, and gives the exit code.
func (v attestationVerdict) print(s streams, asJSON bool) int {
	code := exitYes
	if !v.Valid {
		code = exitNo
	}
	if !asJSON {
		if v.Valid {
			fmt.Fprintln(s.out, "valid")
		} else {
			fmt.Fprintln(s.out, "not valid:", v.Reason)
		}
		return code
	}
	if err := json.NewEncoder(s.out).Encode(v); err != nil {
		fmt.Fprintln(s.err, "certwindow: writing the verdict:", err)
		return exitNo
	}
	return code
}

// attestationFlags are the flags of one command and the wrong use that was found in them.
type attestationFlags struct {
	*flag.FlagSet
	asJSON bool
	at     time.Time
	wrong  error // the first flag or path that cannot be used
}

func newAttestationFlags(name string, s streams) *attestationFlags {
	f := &attestationFlags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(s.err)
	f.BoolVar(&f.asJSON, "json", false, "print one JSON object")
	f.Func("at", "the moment of judging, `RFC3339`", func(text string) (err error) {
		f.at, err = time.Parse(time.RFC3339, text)
		return err
	})
	return f
}

// parse reads the arguments. done means that the command ends here, with that exit code.
func (f *attestationFlags) parse(args []string, s streams, needed ...string) (code int, done bool) {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitYes, true
	case err != nil: // the flag package has said why
		return exitUsage, true
	}
	given := map[string]bool{}
	f.Visit(func(one *flag.Flag) { given[one.Name] = true })
	if f.NArg() > 0 {
		f.misused(fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	for _, name := range append(needed, "at") {
		if !given[name] {
			f.misused(fmt.Errorf("--%s is needed", name))
		}
	}
	return f.usable(s)
}

// misused keeps the first thing that was wrong.
func (f *attestationFlags) misused(err error) {
	if f.wrong == nil {
		f.wrong = err
	}
}

// usable ends the command when something in its use was wrong.
func (f *attestationFlags) usable(s streams) (code int, done bool) {
	if f.wrong == nil {
		return 0, false
	}
	fmt.Fprintf(s.err, "certwindow %s: %v\n", f.Name(), f.wrong)
	return exitUsage, true
}

// read is a file's content, one byte more than limit at most: whoever parses it refuses what is too large.
func (f *attestationFlags) read(path string, limit int64) []byte {
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(file, limit+1)); err == nil {
			return data
		}
	}
	f.misused(err)
	return nil
}

// base64Flag adds a flag of bytes in base64, standard or URL, padded or not.
func (f *attestationFlags) base64Flag(name, usage string) *[]byte {
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
	if code, done := f.parse(args, s, "chain", "roots", "status", "challenge"); done {
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
	want.Challenge, want.At = *challenge, f.at
	if *app != "" {
		want.App = &attest.AndroidApp{Package: *app, SigningDigest: *digest}
	}
	return judgeAndroid(chain, roots, status, want).print(s, f.asJSON)
}

// judgeAndroid parses the files and judges. What the leaf claims is printed even where it is refused, since
// whoever has to find out why needs it most then.
func judgeAndroid(chainPEM, rootsJSON, statusJSON []byte, want attest.AndroidWant) attestationVerdict {
	var verdict attestationVerdict
	chain, err := attest.ParseChain(chainPEM)
	if err != nil {
		verdict.Reason = err.Error()
		return verdict
	}
	if claimed, err := attest.ReadAndroid(chain); err == nil && claimed != nil {
		verdict.Attestation = claimed
	}
	if want.Roots, err = attest.ParseAndroidRoots(rootsJSON); err != nil {
		verdict.Reason = err.Error()
		return verdict
	}
	if want.Status, err = attest.ParseAndroidStatus(statusJSON); err != nil {
		verdict.Reason = err.Error()
		return verdict
	}
	if _, err = attest.VerifyAndroid(chain, want); err != nil {
		verdict.Reason = err.Error()
		return verdict
	}
	verdict.Valid = true
	return verdict
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
	if code, done := f.parse(args, s, "object", "key-id", "app-id", "challenge-sha256", "environment"); done {
		return code
	}
	object := f.read(*objectPath, attest.MaxObject)
	if code, done := f.usable(s); done {
		return code
	}
	want.KeyID, want.At = *keyID, f.at
	var verdict attestationVerdict
	roots, err := attest.AppleRoots()
	if err == nil {
		want.Roots = roots
		var key *attest.AppleKey
		if key, err = attest.VerifyApple(object, want); err == nil {
			verdict.Valid, verdict.Attestation = true, key
		}
	}
	if err != nil {
		verdict.Reason = err.Error()
	}
	return verdict.print(s, f.asJSON)
}
