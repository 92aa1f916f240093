package config

import (
	"errors"
	"fmt"
	"time"

	"certwindow/ra"
)

// Words for what is asked of a platform's phones.
const (
	Recorded = "recorded" // an attestation is judged where one comes, and written down
	Required = "required" // none: nothing is bound, and no key is taken
)

// Attestation says what is asked of phones and chips, and what it is judged by (HCA-6.1, HCA-6.2).
type Attestation struct {
	IOS     string `yaml:"ios"`     // recorded (default) or required
	Android string `yaml:"android"` // recorded (default) or required

	AndroidRoots  string   `yaml:"android_roots"`      // the vendor's roots.json; without it Android's attestations are refused
	AndroidStatus string   `yaml:"android_status"`     // the vendor's status.json, fetched daily; read again when it changes
	StatusAge     Duration `yaml:"android_status_age"` // how old that file may be; default 7 days
	AppleRoots    string   `yaml:"apple_roots"`        // PEM; development alone: in place of Apple's published root
	Chips         string   `yaml:"chips"`              // the list of certified chips; without it the design chip is refused
	MinLevel      string   `yaml:"min_level"`          // tee (default) or strongbox; of Android
	VerifiedBoot  bool     `yaml:"verified_boot"`      // Android's system was verified at boot, on a locked device
	UserAuth      bool     `yaml:"user_auth"`          // a holder's key on Android works only after its user's authentication
}

func (a *Attestation) defaults() {
	if a.IOS == "" {
		a.IOS = Recorded
	}
	if a.Android == "" {
		a.Android = Recorded
	}
	if a.MinLevel == "" {
		a.MinLevel = "tee"
	}
	if a.StatusAge == 0 {
		a.StatusAge = Duration(7 * 24 * time.Hour)
	}
}

func (a *Attestation) check(mode string) error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, x := range [][2]string{{"ios", a.IOS}, {"android", a.Android}} {
		need(x[1] == Recorded || x[1] == Required, "attestation.%s is %q; it is recorded or required", x[0], x[1])
	}
	need(a.MinLevel == "tee" || a.MinLevel == "strongbox", "attestation.min_level is %q; it is tee or strongbox (HCA-6.1)", a.MinLevel)
	need((a.AndroidRoots == "") == (a.AndroidStatus == ""), "attestation: android_roots and android_status go together")
	need(a.Android != Required || a.AndroidRoots != "", "attestation.android is required, and android_roots names nothing to judge by (HCA-6.1)")
	need(a.VerifiedBoot || a.AndroidRoots == "" || mode == Development, "production: attestation.verified_boot must be true; on an unlocked device the system's word for the app proves nothing (HCA-6.1)")
	need(a.AppleRoots == "" || mode == Development, "production: attestation.apple_roots must be empty; Apple's published root counts")
	need(a.StatusAge > 0, "attestation.android_status_age must be above zero")
	return errors.Join(errs...)
}

// Requires tells whether phones of a platform must attest their keys.
func (a Attestation) Requires(p ra.Platform) bool {
	if p == ra.PlatformIOS {
		return a.IOS == Required
	}
	return a.Android == Required
}
