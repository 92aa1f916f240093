package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signatureBench is a folder with keys, a message, and signatures of every scheme and hash.
func signatureBench(t *testing.T) func(name string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, data []byte, err error) {
		t.Helper()
		noErr(t, err)
		noErr(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noErr(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	noErr(t, err)
	spki, err := x509.MarshalPKIXPublicKey(ec.Public())
	put("ec.spki", spki, err)
	spki, err = x509.MarshalPKIXPublicKey(rsaKey.Public())
	put("rsa.spki", spki, err)
	message := []byte("a record")
	put("message", message, nil)
	put("other", []byte("another record"), nil)
	put("empty", nil, nil)
	for name, hash := range map[string]crypto.Hash{"SHA256": crypto.SHA256, "SHA384": crypto.SHA384, "SHA512": crypto.SHA512} {
		h := hash.New()
		h.Write(message)
		digest := h.Sum(nil)
		signature, err := ecdsa.SignASN1(rand.Reader, ec, digest)
		put("ecdsa."+name, signature, err)
		signature, err = rsaKey.Sign(rand.Reader, digest, hash)
		put("pkcs1."+name, signature, err)
		signature, err = rsaKey.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash})
		put("pss."+name, signature, err)
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

// Each flag of verify signature does what its name says; a wrong use says which word was wrong and what is wanted.
func TestVerifySignatureFlags(t *testing.T) {
	path := signatureBench(t)
	args := func(scheme, hash string, more ...string) []string {
		key := "rsa.spki"
		if scheme == "ecdsa" {
			key = "ec.spki"
		}
		return append([]string{"verify", "signature", "--spki", path(key), "--hash", hash, "--scheme", scheme, "--message", path("message"),
			"--signature", path(scheme + "." + hash), "--json"}, more...)
	}
	for _, scheme := range []string{"pkcs1", "pss", "ecdsa"} {
		for _, hash := range []string{"SHA256", "SHA384", "SHA512"} {
			if code, answer := run(t, args(scheme, hash)); code != exitYes {
				t.Errorf("%s %s: %v", scheme, hash, answer)
			}
			for _, more := range [][]string{{"--message", path("other")}, {"--message", path("empty")}, {"--signature", path("empty")}, {"--signature", path("message")},
				{"--spki", path("empty")}, {"--spki", path("message")}} {
				if code, answer := run(t, args(scheme, hash, more...)); code != exitNo || answer["reason"] == "" {
					t.Errorf("%s %s with %v: exit %d, %v", scheme, hash, more, code, answer)
				}
			}
			another := map[string]string{"SHA256": "SHA384", "SHA384": "SHA512", "SHA512": "SHA256"}[hash]
			if code, _ := run(t, args(scheme, hash, "--hash", another)); code != exitNo {
				t.Errorf("%s %s judged by %s: exit %d", scheme, hash, another, code)
			}
		}
	}
	if code, _ := run(t, args("pss", "SHA256", "--scheme", "pkcs1")); code != exitNo {
		t.Errorf("PSS judged as PKCS #1: exit %d", code)
	}
	if code, _ := run(t, args("ecdsa", "SHA256", "--spki", path("rsa.spki"))); code != exitNo {
		t.Errorf("ECDSA under an RSA key: exit %d", code)
	}
}

// What a person reads on standard error of a wrong use: the flag, and what it takes.
func TestVerifyWrongUseSaysWhat(t *testing.T) {
	path := signatureBench(t)
	good := []string{"verify", "signature", "--spki", path("ec.spki"), "--hash", "SHA256", "--scheme", "ecdsa", "--message", path("message"), "--signature", path("ecdsa.SHA256")}
	android := []string{"verify", "attestation", "android", "--chain", path("message"), "--roots", path("message"), "--status", path("message"), "--challenge", "AAAA", "--at", "2026-11-22T04:00:00Z"}
	apple := []string{"verify", "attestation", "apple", "--object", path("message"), "--key-id", "AAAA", "--app-id", "T.b", "--challenge-sha256", strings.Repeat("00", 32),
		"--environment", "production", "--at", "2026-11-22T04:00:00Z"}
	proof := []string{"verify", "evidence", "--in", path("message"), "--anchors", path("message"), "--window-cert", path("message")}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{append(slices.Clone(good), "--hash", "SHA1"), []string{`"SHA1"`, "SHA256, SHA384 or SHA512"}},
		{append(slices.Clone(good), "--scheme", "eddsa"), []string{`"eddsa"`, "pkcs1, pss or ecdsa"}},
		{append(slices.Clone(good), "--message", path("is not there")), []string{"is not there", "no such file"}},
		{append(slices.Clone(good), "--force"), []string{"-force"}},
		{append(slices.Clone(good), "more"), []string{`unexpected argument "more"`}},
		{good[:len(good)-2], []string{"--signature is needed"}},
		{append(slices.Clone(android), "--min-level", "high"), []string{"min-level", "software, tee and strongbox"}},
		{append(slices.Clone(android), "--challenge", "?"), []string{"challenge", "base64"}},
		{append(slices.Clone(android), "--at", "today"), []string{"-at", "today"}},
		{append(slices.Clone(android), "--app", "tw.app"), []string{"--app and --app-digest go together"}},
		{append(slices.Clone(apple), "--challenge-sha256", "0011"), []string{"challenge-sha256", "not 32 bytes"}},
		{append(slices.Clone(apple), "--environment", "test"), []string{"environment", "production nor development"}},
		{apple[:len(apple)-2], []string{"--at is needed"}},
		{append(slices.Clone(proof), "--android-roots", path("message")), []string{"--android-roots and --android-status go together"}},
		{proof[:4], []string{"--anchors is needed"}},
	} {
		var out, errs bytes.Buffer
		code := dispatch(context.Background(), c.args, streams{strings.NewReader(""), &out, &errs})
		for _, text := range c.says {
			if !strings.Contains(errs.String(), text) {
				t.Errorf("%v says %q, and not %q", c.args, &errs, text)
			}
		}
		if code != exitUsage || out.Len() > 0 {
			t.Errorf("%v: exit %d, %q", c.args, code, &out)
		}
	}
	for _, args := range [][]string{good, android, apple, proof} {
		var out, errs bytes.Buffer // without --json: one line for a person
		code := dispatch(context.Background(), args, streams{strings.NewReader(""), &out, &errs})
		line := out.String()
		if strings.Count(line, "\n") != 1 || (code == exitYes) != (line == "valid\n") || code == exitNo && !strings.HasPrefix(line, "not valid: ") {
			t.Errorf("%v: exit %d, %q, %q", args[:3], code, line, &errs)
		}
	}
}
