package attest

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// corporaRoot is the folder of material that others made, whether it is there or not.
func corporaRoot() string {
	root := os.Getenv("CERTWINDOW_CORPORA")
	for dir, _ := os.Getwd(); root == "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			root = filepath.Join(dir, "..", "shared", "corpora")
		}
	}
	return root
}

// corporaOrEmpty is that folder for seeds of fuzz targets, empty when it is not there.
func corporaOrEmpty() string {
	if _, err := os.Stat(corporaRoot()); err != nil {
		return ""
	}
	return corporaRoot()
}

// corpora is a path in that folder; without it a test skips, and with CI set it fails.
func corpora(t testing.TB, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{corporaRoot()}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the test material is missing: %v", err)
		}
		t.Skipf("the test material is missing: %v", err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// device is one attestation of a real phone with the parse that the vendor's verifier prints.
type device struct {
	name     string
	pem      []byte
	expected []byte
}

// devices are all the chains of the corpora.
func devices(t testing.TB) []device {
	t.Helper()
	dir := corpora(t, "android-key-attestation")
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.pem"))
	if err != nil || len(paths) < 9 {
		t.Fatalf("%d chains found, %v", len(paths), err)
	}
	var all []device
	for _, path := range paths {
		name, _ := filepath.Rel(dir, path)
		all = append(all, device{name[:len(name)-len(".pem")], read(t, path),
			read(t, path[:len(path)-len(".pem")]+".json")})
	}
	return all
}

// want is what the chain of a device shows, an hour after its youngest certificate begins.
func want(t testing.TB, d device) AndroidWant {
	t.Helper()
	dir := corpora(t, "android-key-attestation")
	roots, err := ParseAndroidRoots(read(t, filepath.Join(dir, "roots.json")))
	if err != nil {
		t.Fatal(err)
	}
	status, err := ParseAndroidStatus(read(t, filepath.Join(dir, "status.json")))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		AttestationChallenge []byte `json:"attestationChallenge"`
	}
	if err := json.Unmarshal(d.expected, &expected); err != nil {
		t.Fatal(err)
	}
	chain, err := ParseChain(d.pem)
	if err != nil {
		t.Fatal(err)
	}
	var at time.Time
	for _, cert := range chain {
		if cert.NotBefore.After(at) {
			at = cert.NotBefore
		}
	}
	return AndroidWant{Roots: roots, Status: status, Challenge: expected.AttestationChallenge, At: at.Add(time.Hour)}
}

func unbase64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
