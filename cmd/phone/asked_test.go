package main

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// signing is a phone on whose command line a doctor is signed in, with a key in the HSM.
func (s shell) signing(dir string) (c ra.Certificate, locked, own string) {
	s.t.Helper()
	s.w.Approve(s.t, devices.App{Platform: ra.PlatformAndroid, Package: "tw.certwindow.phone", Version: "1.0.0"})
	person := s.w.Person(s.t, 1)
	device := s.w.Device(s.t, "ER-01", person)
	s.bind(device, dir)
	s.w.Account(s.t, person, "doctor")
	work := s.t.TempDir()
	locked, own = filepath.Join(work, "locked"), filepath.Join(work, "own")
	for file, text := range map[string]string{locked: "of the phone's own", own: phonetest.Password.Reveal()} {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.run(exitYes, "login", "--dir", dir, "--account", "doctor", "--password-file", own)
	a := s.w.Apply(s.t, person, device, ra.KeyHSM, "P-256")
	s.run(exitNo, "enrol", "--dir", dir, "--application", string(a.ID), "--password-file", locked, "--wait", "2s") // not issued yet
	c = s.w.Issue(s.t, a.ID)
	s.run(exitYes, "enrol", "--dir", dir, "--application", string(a.ID), "--password-file", locked)
	return c, locked, own
}

var askedID = regexp.MustCompile(`(?m)^(?:authorisation|access) ([0-9A-Z]{26}) `)

// HCA-6.3.5, HCA-7.4: what a system asks for is told to the phone that waits, shown in that system's words, and released or
// denied by the holder, on the command line as in an app.
func TestAsked(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{HSM: true})
	s, dir := shell{t, w}, t.TempDir()
	c, locked, own := s.signing(dir)
	w.RegisterSystem(t, "his", w.NewSystem(t), "https://his.example/back")
	ask := func(title string) string {
		t.Helper()
		sum := sha256.Sum256([]byte(title))
		a, _, err := w.Sign.Request(t.Context(), ra.Actor{Kind: ra.ActorClient, ID: "his", Address: "127.0.0.1"}, remotesign.Ask{Client: "his", Certificate: c.ID, Scope: "EMR-SIGN",
			HashAlgorithm: "SHA-256", Items: []remotesign.Item{{Hash: sum[:], Title: title, Patients: 3, Source: "EMR"}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(a.ID)
	}
	if _, errs := s.run(exitNo, "asked", "--dir", dir, "--wait", "2s"); !strings.Contains(errs, "deadline") {
		t.Errorf("nobody asks: %s", errs)
	}
	id := ask("出院病歷")
	out, _ := s.run(exitYes, "asked", "--dir", dir)
	if m := askedID.FindStringSubmatch(out); m == nil || m[1] != id || !strings.Contains(out, "出院病歷, patients: 3, from EMR") {
		t.Fatalf("asked: %s", out)
	}
	s.run(exitNo, "release", "--dir", dir, "--authorisation", id, "--password-file", own, "--account-password-file", own) // does not unlock the key
	out, _ = s.run(exitYes, "release", "--dir", dir, "--authorisation", id, "--password-file", locked, "--account-password-file", own)
	if !strings.Contains(out, "released to his: 1") {
		t.Errorf("release: %s", out)
	}
	s.run(exitNo, "release", "--dir", dir, "--authorisation", id, "--password-file", locked, "--account-password-file", own)
	s.run(exitYes, "deny", "--dir", dir, "--authorisation", ask("another"))

	r, _, err := w.Grants.Begin(t.Context(), ra.Actor{Kind: ra.ActorClient}, oauth.Asked{Client: "his", Redirect: "https://his.example/back", Scope: oauth.Service,
		Challenge: strings.Repeat("a", 43), Account: "doctor"})
	if err != nil {
		t.Fatal(err)
	}
	out, _ = s.run(exitYes, "asked", "--dir", dir)
	if m := askedID.FindStringSubmatch(out); m == nil || m[1] != r.ID || !strings.Contains(out, r.ShortCode) {
		t.Errorf("asked for access: %s", out)
	}
	s.run(exitNo, "access", "--dir", dir, "--request", r.ID, "--answer", "perhaps")
	s.run(exitYes, "access", "--dir", dir, "--request", r.ID, "--answer", "yes")
	s.run(exitNo, "access", "--dir", dir, "--request", r.ID, "--answer", "no") // answered before
}
