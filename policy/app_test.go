package policy

import "testing"

// HCA-2.6, HCA-6.1, HCA-7.1, HCA-8.2.1: only an approved version, on a sound device, with the carrier in place.
func TestAppVersion(t *testing.T) {
	good := App{Reported: true, State: "approved", OSVersion: "17.4.1", MinOS: "17", CarrierPresent: true}
	with := func(change func(*App)) App {
		a := good
		change(&a)
		return a
	}
	for _, c := range []struct {
		name   string
		a      App
		clause Clause
		code   string
	}{
		{"approved", good, "", ""},
		{"no facts", App{}, "HCA-8.2.1", "app-not-reported"},
		{"unknown version", with(func(a *App) { a.State = "" }), "HCA-8.2.1", "app-not-approved"},
		{"not yet approved", with(func(a *App) { a.State = "proposed" }), "HCA-8.2.1", "app-not-approved"},
		{"an unknown state", with(func(a *App) { a.State = "APPROVED" }), "HCA-8.2.1", "app-not-approved"},
		{"withdrawn", with(func(a *App) { a.State = "withdrawn" }), "HCA-8.2.1", "app-withdrawn"},
		{"old system", with(func(a *App) { a.OSVersion = "16.9" }), "HCA-6.1", "os-too-old"},
		{"a system that is no number", with(func(a *App) { a.OSVersion = "latest" }), "HCA-6.1", "os-too-old"},
		{"rooted", with(func(a *App) { a.Tampered = true }), "HCA-6.1", "device-tampered"},
		{"without its card", with(func(a *App) { a.CarrierPresent = false }), "HCA-7.1", "carrier-missing"},
		{"for this scope", with(func(a *App) { a.Scopes = []string{"EMR-SIGN"} }), "", ""},
		{"for another scope", with(func(a *App) { a.Scopes = []string{"E-PRESCRIPTION"} }), "HCA-2.6", "app-scope"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, AppVersion(c.a, []string{"EMR-SIGN"}), c.clause, c.code) })
	}
}

// HCA-8.2.1: versions are compared as numbers, and what is none comes first.
func TestVersionLess(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.9", "1.10", true}, {"1.10", "1.9", false}, {"2", "2.0.0", false}, {"2.0.0", "2", false}, {"2", "2.0.1", true}, {"", "1", true},
		{"beta", "0.1", true}, {"1.2-beta", "1.2", false}, {"1.2", "1.3-beta", true}, {"99999999999999999999999", "1", true}, {"", "", false},
	} {
		if got := VersionLess(c.a, c.b); got != c.want {
			t.Errorf("%q before %q: %v", c.a, c.b, got)
		}
	}
}
