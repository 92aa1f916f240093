package policy

import (
	"testing"
)

// HCA-5.2.2(1)(2)(3): each of the clause's cases is a named ground with a reason that RFC 5280 knows.
func TestGrounds(t *testing.T) {
	want := map[string]struct {
		number int
		reason string
	}{
		"device-broken":       {1, "cessationOfOperation"},
		"key-compromised":     {1, "keyCompromise"},
		"key-misused":         {1, "keyCompromise"},
		"device-lost":         {2, "keyCompromise"},
		"device-scrapped":     {2, "cessationOfOperation"},
		"person-left":         {2, "affiliationChanged"},
		"person-died":         {2, "cessationOfOperation"},
		"no-permission":       {2, "privilegeWithdrawn"},
		"carrier-not-allowed": {3, "privilegeWithdrawn"},
	}
	all := Grounds()
	if len(all) != len(want) {
		t.Fatalf("%d grounds, want %d", len(all), len(want))
	}
	last := 1
	for _, g := range all {
		w, ok := want[g.Name]
		if !ok || g.Case != w.number || g.Reason != w.reason || g.Title == "" {
			t.Errorf("ground %+v, want %+v", g, w)
		}
		if g.Case < last {
			t.Errorf("%s is out of the clause's order", g.Name)
		}
		last = g.Case
		if got, ok := GroundOf(g.Name); !ok || got != g {
			t.Errorf("GroundOf(%q) = %+v, %v", g.Name, got, ok)
		}
	}
	all[0].Name = "changed"
	if _, ok := GroundOf("changed"); ok {
		t.Error("a caller changed the grounds")
	}
	for _, name := range []string{"", "other", "Device-Lost"} {
		if g, ok := GroundOf(name); ok {
			t.Errorf("GroundOf(%q) = %+v", name, g)
		}
	}
}

// HCA-5.2.2: a person needs a note and a second person, the sweep a proof, and nobody else revokes.
func TestRevokeWithoutConsent(t *testing.T) {
	for _, c := range []struct {
		name      string
		ground    string
		startedBy string
		approvals int
		note      string
		proved    bool
		code      string
	}{
		{"a person, approved", "device-lost", "person", 1, "reported by phone", false, ""},
		{"a person alone", "device-lost", "person", 0, "reported by phone", false, "approval-required"},
		{"a person alone, though proved", "device-lost", "person", 0, "reported by phone", true, "approval-required"},
		{"approvals below nothing", "device-lost", "person", -1, "reported by phone", false, "approval-required"},
		{"without a note", "device-lost", "person", 1, "", false, "note-required"},
		{"with a blank note", "device-lost", "person", 1, " \t\n", false, "note-required"},
		{"the sweep, proved", "person-left", "sweep", 0, "", true, ""},
		{"the sweep, not proved", "person-left", "sweep", 2, "note", false, "ground-not-proved"},
		{"an unknown ground", "dislike", "person", 1, "note", false, "ground-unknown"},
		{"an unknown ground, proved", "", "sweep", 0, "", true, "ground-unknown"},
		{"started by nobody", "person-left", "", 1, "note", true, "starter-unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDecision(t, RevokeWithoutConsent(c.ground, c.startedBy, c.approvals, c.note, c.proved), "HCA-5.2.2", c.code)
		})
	}
	for _, g := range Grounds() {
		wantDecision(t, RevokeWithoutConsent(g.Name, "person", 1, "seen", false), "HCA-5.2.2", "")
		wantDecision(t, RevokeWithoutConsent(g.Name, "sweep", 0, "", true), "HCA-5.2.2", "")
	}
}

// HCA-3.6: over either cap the sweep revokes nothing.
func TestSweepCap(t *testing.T) {
	for _, c := range []struct {
		name                           string
		found, live, percent, absolute int
		code                           string
	}{
		{"nothing found", 0, 1000, 5, 100, ""},
		{"nothing found, all caps shut", 0, 0, 0, 0, ""},
		{"at the share", 50, 1000, 5, 100, ""},
		{"over the share", 51, 1000, 5, 100, "sweep-over-cap"},
		{"at the number", 100, 10000, 5, 100, ""},
		{"over the number", 101, 10000, 5, 100, "sweep-over-cap"},
		{"one of few", 1, 3, 5, 100, ""},
		{"two of few", 2, 3, 5, 100, "sweep-over-cap"},
		{"all of them, allowed", 7, 7, 100, 7, ""},
		{"share of nothing", 1, 1000, 0, 100, "sweep-over-cap"},
		{"number nothing", 1, 1000, 5, 0, "sweep-over-cap"},
		{"more than there are", 4, 3, 100, 100, "sweep-facts-invalid"},
		{"some of none", 1, 0, 100, 100, "sweep-facts-invalid"},
		{"less than nothing", -1, 3, 100, 100, "sweep-facts-invalid"},
		{"nothing of less", 0, -1, 100, 100, "sweep-facts-invalid"},
		{"share above all", 1, 3, 101, 100, "sweep-facts-invalid"},
		{"share below none", 1, 3, -1, 100, "sweep-facts-invalid"},
		{"number below none", 1, 3, 5, -1, "sweep-facts-invalid"},
		{"no overflow", maxInt, maxInt, 99, maxInt, "sweep-over-cap"},
		{"no overflow either", maxInt, maxInt, 100, maxInt, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDecision(t, SweepCap(c.found, c.live, c.percent, c.absolute), "HCA-3.6", c.code)
		})
	}
}

const maxInt = int(^uint(0) >> 1)
