package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// attestationCorpora is a path among the material that others made; see devices/attest for the rule.
func attestationCorpora(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("CERTWINDOW_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the test material is missing: %v", err)
		}
		t.Skipf("the test material is missing: %v", err)
	}
	return path
}

// runAttestation runs the command and decodes its one JSON object.
func runAttestation(t *testing.T, args ...string) (code int, verdict map[string]any) {
	t.Helper()
	var out, errs bytes.Buffer
	code = dispatch(context.Background(), append(append([]string{"verify", "attestation"}, args...), "--json"), streams{strings.NewReader(""), &out, &errs})
	if code == exitUsage {
		if out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("wrong use printed %q and %q", out.String(), errs.String())
		}
		return code, nil
	}
	decoder := json.NewDecoder(&out)
	if err := decoder.Decode(&verdict); err != nil || decoder.More() {
		t.Fatalf("not one JSON object: %v", err)
	}
	if valid := verdict["valid"].(bool); valid != (code == exitYes) || valid != (verdict["reason"] == "") {
		t.Errorf("exit code %d with %v, %v", code, verdict["valid"], verdict["reason"])
	}
	return code, verdict
}

// androidArgs are the flags that accept the akita phone of the corpora.
func androidArgs(t *testing.T, more ...string) []string {
	dir := attestationCorpora(t, "android-key-attestation")
	return append([]string{"android", "--chain", filepath.Join(dir, "akita", "sdk34", "TEE_EC_NONE.pem"),
		"--roots", filepath.Join(dir, "roots.json"), "--status", filepath.Join(dir, "status.json"),
		"--challenge", "Y2hhbGxlbmdl", "--at", "2024-09-12T00:00:00Z"}, more...)
}

func TestVerifyAttestationAndroid(t *testing.T) {
	dir := attestationCorpora(t, "android-key-attestation")
	code, verdict := runAttestation(t, androidArgs(t)...)
	if code != exitYes {
		t.Fatal(verdict["reason"])
	}
	data, err := os.ReadFile(filepath.Join(dir, "akita", "sdk34", "TEE_EC_NONE.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]any
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(verdict["attestation"], any(expected)) {
		t.Errorf("attestation %v", verdict["attestation"])
	}
	empty := filepath.Join(t.TempDir(), "empty")
	large := filepath.Join(t.TempDir(), "large")
	for path, size := range map[string]int{empty: 0, large: 1 << 20} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		more   []string
		code   int
		reason string
	}{
		{"software level", []string{"--chain", filepath.Join(dir, "marlin", "sdk29", "TEE_EC_NONE.pem")}, exitNo, "SOFTWARE"},
		{"url base64 with padding", []string{"--challenge", "Y2hhbGxlbmdl=="}, exitYes, ""},
		{"another challenge", []string{"--challenge", "_-8"}, exitNo, "challenge"},
		{"strongbox", []string{"--min-level", "strongbox"}, exitNo, "level"},
		{"software", []string{"--min-level", "software"}, exitYes, ""},
		{"user", []string{"--require-user-auth"}, exitNo, "authentication"},
		{"boot", []string{"--require-verified-boot"}, exitNo, "boot"},
		{"app", []string{"--app", "com.google.wireless.android.security.attestationverifier.collector", "--app-digest", "EDk47kU35Z6O55L2VFBPuDRvxrNG0LvEQV/DOfz8jsE="}, exitYes, ""},
		{"another app", []string{"--app", "tw.app", "--app-digest", "EDk47kU35Z6O55L2VFBPuDRvxrNG0LvEQV_DOfz8jsE"}, exitNo, "tw.app"},
		{"later", []string{"--at", "2026-09-12T00:00:00Z"}, exitNo, "valid from"},
		{"empty chain", []string{"--chain", empty}, exitNo, "no certificate"},
		{"large chain", []string{"--chain", large}, exitNo, "more than"},
		{"empty roots", []string{"--roots", empty}, exitNo, "roots"},
		{"empty status", []string{"--status", empty}, exitNo, "status"},
		{"no such file", []string{"--chain", empty + "x"}, exitUsage, ""},
		{"a folder", []string{"--roots", dir}, exitUsage, ""},
		{"no base64", []string{"--challenge", "?"}, exitUsage, ""},
		{"empty challenge", []string{"--challenge", ""}, exitUsage, ""},
		{"no time", []string{"--at", "yesterday"}, exitUsage, ""},
		{"no level", []string{"--min-level", "high"}, exitUsage, ""},
		{"app without digest", []string{"--app", "tw.app"}, exitUsage, ""},
		{"unknown flag", []string{"--force"}, exitUsage, ""},
		{"an argument", []string{"more"}, exitUsage, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, verdict := runAttestation(t, androidArgs(t, c.more...)...)
			if code != c.code {
				t.Fatalf("exit code %d, %v", code, verdict)
			}
			if reason, _ := verdict["reason"].(string); !strings.Contains(reason, c.reason) {
				t.Errorf("reason %q", reason)
			}
		})
	}
	if code, _ := runAttestation(t, "android", "--at", "2024-09-12T00:00:00Z"); code != exitUsage {
		t.Errorf("without its flags: exit code %d", code)
	}
}

func TestVerifyAttestationApple(t *testing.T) {
	// The values stand in the corpora's YAML; its first attestationBase64 is the object.
	data, err := os.ReadFile(attestationCorpora(t, "apple-app-attest", "ios-14.4.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "attestationBase64: ")
	text, _, _ := strings.Cut(rest, "\n")
	object, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(path, object, 0o600); err != nil {
		t.Fatal(err)
	}
	args := func(more ...string) []string {
		return append([]string{"apple", "--object", path, "--key-id", "YmbJO4x5nEHUvncp9zdWuVZjNBEMgJn3cdSToAXQe3M=",
			"--app-id", "6MURL8TA57.de.vincent-haupert.apple-appattest-poc",
			"--challenge-sha256", "8be65cca515ad097c953967d18d635d86dd78a142ed3d077526bed11c6bec67b",
			"--environment", "development", "--at", "2021-01-23T12:13:33Z"}, more...)
	}
	for _, c := range []struct {
		name string
		more []string
		code int
	}{
		{"as it is", nil, exitYes},
		{"production", []string{"--environment", "production"}, exitNo},
		{"another app", []string{"--app-id", "6MURL8TA57.other"}, exitNo},
		{"another key id", []string{"--key-id", "AAAA"}, exitNo},
		{"another challenge", []string{"--challenge-sha256", strings.Repeat("00", 32)}, exitNo},
		{"later", []string{"--at", "2021-02-23T12:13:33Z"}, exitNo},
		{"not an object", []string{"--object", attestationCorpora(t, "README.md")}, exitNo},
		{"no such file", []string{"--object", path + "x"}, exitUsage},
		{"short hash", []string{"--challenge-sha256", "00"}, exitUsage},
		{"no environment", []string{"--environment", "test"}, exitUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, verdict := runAttestation(t, args(c.more...)...)
			if code != c.code {
				t.Fatalf("exit code %d, %v", code, verdict)
			}
			if code == exitYes && verdict["attestation"].(map[string]any)["receipt"] == "" {
				t.Error("no receipt")
			}
		})
	}
}
