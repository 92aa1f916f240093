package hsm_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"certwindow/hsm"
)

func TestSecretNeverPrints(t *testing.T) {
	s := hsm.NewSecret([]byte("hunter2"))
	wrapper := struct{ PIN hsm.Secret }{s}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "pin", s, "all", wrapper)
	j, err := json.Marshal(wrapper)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		log.String(), string(j), s.String(), fmt.Sprintf("%v %+v %#v %s %q %x %X %d", s, s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", wrapper, &wrapper, wrapper), fmt.Sprint(fmt.Errorf("bad %v", s)),
	} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e74") || strings.Contains(out, "104 117") || !strings.Contains(out, "redacted") {
			t.Errorf("the secret shows in %q", out)
		}
	}
	inside := s.Bytes()
	other := s
	other.Destroy()
	if s.Len() != 0 || string(inside) == "hunter2" {
		t.Error("the secret survived Destroy")
	}
}

func TestReadSecretFile(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) string {
		p := filepath.Join(dir, "pin")
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	s, err := hsm.ReadSecretFile(write("1234567\r\n"))
	if err != nil || string(s.Bytes()) != "1234567" {
		t.Fatalf("%q %v", s.Bytes(), err)
	}
	for name, content := range map[string]string{"empty": "\n", "large": strings.Repeat("x", 5000)} {
		if _, err := hsm.ReadSecretFile(write(content)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := hsm.ReadSecretFile(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing file was taken")
	}
}

func TestAlgorithmOf(t *testing.T) {
	for curve, want := range map[elliptic.Curve]hsm.Algorithm{elliptic.P256(): hsm.P256, elliptic.P384(): hsm.P384, elliptic.P521(): ""} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hsm.AlgorithmOf(k.Public()); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", curve.Params().Name, got, err)
		}
	}
	if _, err := hsm.AlgorithmOf(nil); err == nil {
		t.Error("no key has an algorithm")
	}
}
