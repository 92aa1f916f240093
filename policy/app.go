package policy

import (
	"slices"
	"strconv"
	"strings"
)

// App is what a device last said of the app that it runs, beside what the window knows of that version.
type App struct {
	Reported       bool     // it was said under the device's present binding
	State          string   // of the version on file: proposed, approved or withdrawn; empty: there is none
	OSVersion      string   // as the device said it
	MinOS          string   // the lowest that the version was approved for
	Scopes         []string // what the version was approved for; empty: every approved scope
	CarrierPresent bool     // the certificates' carrier is in place
	Tampered       bool     // the device is rooted, emulated or under a debugger, as the app itself found
}

// AppVersion decides whether the app on a device may use certificates of the scope given (HCA-2.6): beside what
// AppOnDevice asks, the version was approved for it.
func AppVersion(a App, scope []string) Decision {
	if d := AppOnDevice(a); !d.Allowed {
		return d
	}
	if len(a.Scopes) > 0 && !slices.ContainsFunc(scope, func(s string) bool { return slices.Contains(a.Scopes, s) }) {
		return Refuse("HCA-2.6", "app-scope", "This app version was not approved for the certificate's scope of use; use the app that was.")
	}
	return Allow()
}

// AppOnDevice decides whether an app may use any certificate there: only a version that the window reviewed and
// approved (HCA-2.6, HCA-8.2.1), on a device that keeps the app's own protection (HCA-6.1), with the carrier in place
// (HCA-7.1). A device that has said nothing is refused.
func AppOnDevice(a App) Decision {
	switch {
	case !a.Reported:
		return Refuse("HCA-8.2.1", "app-not-reported", "The device has not said which app version it runs; the app must check in first.")
	case a.State == "withdrawn":
		return Refuse("HCA-8.2.1", "app-withdrawn", "This app version was withdrawn; update the app.")
	case a.State != "approved":
		return Refuse("HCA-8.2.1", "app-not-approved", "This app version is not approved by the window; install an approved one.")
	case VersionLess(a.OSVersion, a.MinOS):
		return Refuse("HCA-6.1", "os-too-old", "The device's system is older than the app version was approved for; update the system.")
	case a.Tampered:
		return Refuse("HCA-6.1", "device-tampered", "The app found the device rooted, emulated or under a debugger, so that it cannot protect a key; use another device.")
	case !a.CarrierPresent:
		return Refuse("HCA-7.1", "carrier-missing", "The certificate's carrier is not in the device; put it back and let the app check in.")
	}
	return Allow()
}

// VersionLess tells whether version a comes before b: the numbers between dots, one after the other, a missing one
// counting as zero. What follows the numbers ("-beta") is left out of account. A version that begins with no number
// comes before every other.
func VersionLess(a, b string) bool {
	x, y := numbers(a), numbers(b)
	for i := range max(len(x), len(y)) {
		var m, n uint64
		if i < len(x) {
			m = x[i]
		}
		if i < len(y) {
			n = y[i]
		}
		if m != n {
			return m < n
		}
	}
	return false
}

func numbers(version string) (out []uint64) {
	for part := range strings.SplitSeq(version, ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		digits := part
		if end >= 0 {
			digits = part[:end]
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			return out
		}
		out = append(out, n)
		if end >= 0 {
			return out
		}
	}
	return out
}
