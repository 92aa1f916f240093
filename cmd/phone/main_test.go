package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
	enrolling "certwindow/ra/enrol"
)

// shell runs the command line against a window.
type shell struct {
	t *testing.T
	w *phonetest.Window
}

func (s shell) run(want int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	if got := run(s.t.Context(), args, &out, &errs, s.w.Now); got != want {
		s.t.Errorf("phone %s: exit %d, want %d: %s", strings.Join(args, " "), got, want, &errs)
	}
	return out.String(), errs.String()
}

var shortCode = regexp.MustCompile(`short code: ([0-9]{6})`)

// bind runs "phone bind" and is the clerk meanwhile.
func (s shell) bind(device ra.DeviceID, dir string) {
	s.t.Helper()
	r, out := io.Pipe()
	done := make(chan int, 1)
	qr := s.w.Offer(s.t, device)
	go func() {
		done <- run(s.t.Context(), []string{"bind", "--dir", dir, "--qr", qr}, io.Discard, out, s.w.Now)
		out.Close()
	}()
	var screen []byte
	buf := make([]byte, 256)
	for !shortCode.Match(screen) {
		n, err := r.Read(buf)
		screen = append(screen, buf[:n]...)
		if err != nil {
			s.t.Fatalf("no short code: %s", screen)
		}
	}
	s.w.Confirm(s.t, device, string(shortCode.FindSubmatch(screen)[1]))
	go io.Copy(io.Discard, r)
	if code := <-done; code != exitYes {
		s.t.Fatalf("bind: exit %d: %s", code, screen)
	}
}

// A doctor's whole way on the command line: bind, enrol, sign, and no signature once the key is stopped (HCA-7.2).
func TestCommands(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	w.Approve(t, devices.App{Platform: ra.PlatformAndroid, Package: "tw.certwindow.phone", Version: "1.0.0"})
	s := shell{t, w}
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	dir, work := t.TempDir(), t.TempDir()
	s.run(exitNo, "list", "--dir", dir)
	s.bind(device, dir)
	s.run(exitNo, "list", "--dir", dir) // nobody is signed in
	c0, err := w.Holders.Open(t.Context(), phonetest.Clerk, person, "doctor")
	if err != nil {
		t.Fatal(err)
	}
	secret := func(name, text string) string {
		file := filepath.Join(work, name)
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	initial, own := secret("initial", c0.Password.Reveal()), secret("own", "a password of mine")
	s.run(exitNo, "login", "--dir", dir, "--account", "doctor", "--password-file", own)
	s.run(exitYes, "login", "--dir", dir, "--account", "doctor", "--password-file", initial)
	s.run(exitYes, "passwd", "--dir", dir, "--password-file", initial, "--new-file", own)
	s.run(exitYes, "login", "--dir", dir, "--account", "doctor", "--password-file", own)

	a := w.Apply(t, person, device, ra.KeyApp, "")
	if out, _ := s.run(exitYes, "list", "--dir", dir); !strings.Contains(out, string(a.ID)) {
		t.Errorf("list: %s", out)
	}
	if _, errs := s.run(exitNo, "enrol", "--dir", dir, "--application", string(a.ID), "--wait", "2s"); !strings.Contains(errs, "deadline") {
		t.Errorf("enrol, before the HCA has answered: %s", errs)
	}
	c := w.Issue(t, a.ID)
	if out, _ := s.run(exitYes, "enrol", "--dir", dir, "--application", string(a.ID)); !strings.Contains(out, c.Serial) {
		t.Errorf("enrol: %s", out)
	}

	in, sig := filepath.Join(work, "record.txt"), filepath.Join(work, "record.sig")
	if err := os.WriteFile(in, []byte("a record"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitYes, "sign", "--dir", dir, "--certificate", string(c.ID), "--in", in, "--out", sig)
	raw, err := os.ReadFile(sig)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(c.Chain)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a record"))
	if !ecdsa.VerifyASN1(cert.PublicKey.(*ecdsa.PublicKey), digest[:], raw) {
		t.Error("the signature does not verify")
	}
	if out, _ := s.run(exitYes, "status", "--dir", dir); !strings.Contains(out, "may be used until") {
		t.Errorf("status: %s", out)
	}

	w.SetState(t, c.ID, ra.CertSuspended)
	if _, errs := s.run(exitNo, "sign", "--dir", dir, "--certificate", string(c.ID), "--in", in, "--out", filepath.Join(work, "no.sig")); !strings.Contains(errs, "HCA-7.2") {
		t.Errorf("sign with a suspended certificate: %s", errs)
	}
	if _, err := os.Stat(filepath.Join(work, "no.sig")); err == nil {
		t.Error("a signature was written")
	}
	s.run(exitNo, "status", "--dir", dir)
}

// HCA-7.2, HCA-7.5: a certificate near its end on the command line: told by list, renewed, and used no more.
func TestRenewCommand(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	w.Approve(t, devices.App{Platform: ra.PlatformAndroid, Package: "tw.certwindow.phone", Version: "1.0.0"})
	s := shell{t, w}
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	w.Account(t, person, "doctor")
	dir, work := t.TempDir(), t.TempDir()
	own, in, sig := filepath.Join(work, "own"), filepath.Join(work, "record"), filepath.Join(work, "record.sig")
	for file, text := range map[string]string{own: phonetest.Password.Reveal() + "\n", in: "a record"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login := func() { s.run(exitYes, "login", "--dir", dir, "--account", "doctor", "--password-file", own) }
	s.bind(device, dir)
	login()
	a := w.Apply(t, person, device, ra.KeyApp, "")
	s.run(exitNo, "enrol", "--dir", dir, "--application", string(a.ID), "--wait", "300ms")
	old := w.Issue(t, a.ID)
	s.run(exitYes, "enrol", "--dir", dir, "--application", string(a.ID))
	if out, _ := s.run(exitYes, "list", "--dir", dir); strings.Contains(out, "renewed") {
		t.Errorf("list, a year before: %s", out)
	}
	w.Pass(320 * 24 * time.Hour)
	login()
	if out, _ := s.run(exitYes, "list", "--dir", dir); !strings.Contains(out, "to be renewed") {
		t.Errorf("list, near the end: %s", out)
	}
	if _, errs := s.run(exitNo, "renew", "--dir", dir, "--certificate", string(old.ID)); !strings.Contains(errs, "by card") {
		t.Errorf("renew, before the holder applied: %s", errs)
	}
	b := w.ApplyFor(t, enrolling.New{Person: person, Device: device, Institution: phonetest.Code, Scope: old.Scope, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice, Renews: old.ID})
	s.run(exitNo, "renew", "--dir", dir, "--certificate", string(old.ID), "--wait", "300ms")
	next := w.Issue(t, b.ID)
	if out, _ := s.run(exitYes, "renew", "--dir", dir, "--certificate", string(old.ID)); !strings.Contains(out, next.Serial) {
		t.Errorf("renew, again: %s", out)
	}
	if out, _ := s.run(exitYes, "list", "--dir", dir); !strings.Contains(out, "renewed by "+string(next.ID)) {
		t.Errorf("list, renewed: %s", out)
	}
	if _, errs := s.run(exitYes, "sign", "--dir", dir, "--certificate", string(old.ID), "--in", in, "--out", sig); !strings.Contains(errs, string(next.ID)) {
		t.Errorf("sign with the older: %s", errs)
	}
}

func TestUsage(t *testing.T) {
	s := shell{t, phonetest.New(t, phonetest.Options{})}
	for _, args := range [][]string{{}, {"dance"}, {"bind"}, {"bind", "--dir", "x"}, {"list", "--dir", "x", "--qr", "y"}, {"list", "--dir", "x", "more"},
		{"list", "--dir", "x", "--wait", "-1s"}, {"sign", "--dir", "x", "--certificate", "y", "--in", "z"}} {
		if out, errs := s.run(exitUsage, args...); out != "" || errs == "" {
			t.Errorf("%q: %q, %q", args, out, errs)
		}
	}
	s.run(exitNo, "bind", "--dir", t.TempDir(), "--qr", "https://example.com/")
}
