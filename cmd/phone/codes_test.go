package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/ra"
)

// HCA-8.2.7: on the command line a holder signs in by a code that was sent, and by his authenticator app, each code once;
// what the app reads is in a file of its owner alone, and no code is printed.
func TestCodesOnTheCommandLine(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	w.Approve(t, devices.App{Platform: ra.PlatformAndroid, Package: "tw.certwindow.phone", Version: "1.0.0"})
	s := shell{t, w}
	person := w.Person(t, 1)
	dir, work := t.TempDir(), t.TempDir()
	s.bind(w.Device(t, "ER-01", person), dir)
	w.Account(t, person, "doctor")
	file := func(name string, text appcred.Secret) string {
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, []byte(text.Reveal()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	otpLogin := func(want int, kind string, code appcred.Secret) {
		t.Helper()
		out, errs := s.run(want, "otp", "--dir", dir, "--account", "doctor", "--kind", kind, "--code-file", file("code", code))
		if strings.Contains(out+errs, code.Reveal()) {
			t.Errorf("the code is printed: %s%s", out, errs)
		}
	}
	s.run(exitYes, "code", "--dir", dir, "--account", "doctor", "--channel", "mail", "--purpose", "login")
	sent := w.LastCode(t)
	otpLogin(exitYes, "code", sent)
	otpLogin(exitNo, "code", sent)
	otpLogin(exitNo, "sms", sent)

	s.run(exitYes, "login", "--dir", dir, "--account", "doctor", "--password-file", file("password", phonetest.Password))
	at := filepath.Join(work, "authenticator")
	if out, errs := s.run(exitYes, "authenticator", "--dir", dir, "--out", at); strings.Contains(out+errs, "otpauth") {
		t.Errorf("the secret is printed: %s%s", out, errs)
	}
	s.run(exitNo, "authenticator", "--dir", dir, "--out", at) // an old file, and with it an old secret, is not written over
	raw, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	key, err := otp.NewKeyFromURL(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(key.Secret(), w.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	otpLogin(exitYes, "totp", appcred.Secret(code))
	otpLogin(exitNo, "totp", appcred.Secret(code))
}
