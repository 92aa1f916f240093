package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
)

// buffer is a log that is written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// agent is a running cardagent.
type agent struct {
	addr string // host and port
	log  *buffer
}

// startAgent runs the program on a free port; it must stop cleanly after the test.
func startAgent(t *testing.T, args ...string) *agent {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	a := &agent{log: &buffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- run(ctx, append(args, "--listen", "127.0.0.1:0", "--ready-file", ready), a.log) }()
	t.Cleanup(func() {
		cancel()
		select {
		case code := <-done:
			if code != 0 {
				t.Errorf("cardagent ended with %d:\n%s", code, a.log)
			}
		case <-time.After(20 * time.Second):
			t.Error("cardagent does not stop")
		}
	})
	waitFor(t, "cardagent is ready", func() bool {
		b, err := os.ReadFile(ready)
		a.addr = strings.TrimSpace(string(b))
		return err == nil
	})
	return a
}

// waitFor polls until something is true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// answer is what a page looks at.
type answer struct {
	Func      string `json:"func"`
	RetCode   uint32 `json:"ret_code"`
	LastError int64  `json:"last_error"`
	Signature []byte `json:"signature"`
	CertB64   []byte `json:"certb64"`
	CardSN    string `json:"cardSN"`
	Insertion string `json:"insertion"`
	Slots     []struct {
		SlotDescription string          `json:"slotDescription"`
		Token           json.RawMessage `json:"token"`
	} `json:"slots"`
}

// post sends a request as a program without a browser does.
func (a *agent) post(t *testing.T, path string, members map[string]string) answer {
	t.Helper()
	if members == nil {
		members = map[string]string{}
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.PostForm("http://"+a.addr+path, url.Values{"tbsPackage": {string(text)}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s, %v", resp.StatusCode, body, err)
	}
	var got answer
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return got
}

// certify makes a holder's certificate, self-signed, for the signer's key.
func certify(t *testing.T, signer crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Country: []string{"TW"}, CommonName: "王小明", SerialNumber: "0000000112345678"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// softCard is a SoftHSM token that plays a card: one RSA key with its certificate.
func softCard(t *testing.T) (place p11test.Place, cert []byte) {
	t.Helper()
	place = p11test.Empty(t)
	if err := p11.InitToken(place.Module, place.Label, place.SOPIN, place.UserPIN); err != nil {
		t.Fatal(err)
	}
	token, err := p11.Open(t.Context(), place.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	signer, err := token.GenerateKeyPair(t.Context(), "SIGN", hsm.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	cert = certify(t, signer)
	if err := token.ImportCertificate(t.Context(), "SIGN", cert); err != nil {
		t.Fatal(err)
	}
	return place, cert
}

// scriptedPINEntry is a pinentry that answers with a PIN and writes down what it was to show.
func scriptedPINEntry(t *testing.T, pin string) (path string, seen func() string) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "pinentry"), filepath.Join(dir, "seen")
	script := "#!/bin/sh\necho OK\nwhile IFS= read -r line; do printf '%s\\n' \"$line\" >>'" + log + "'\n" +
		"case \"$line\" in GETPIN) echo 'D " + pin + "'; echo OK ;; *) echo OK ;; esac; done\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, func() string {
		b, err := os.ReadFile(log)
		if err != nil {
			return ""
		}
		return strings.NewReplacer("%0A", "\n", "%25", "%").Replace(string(b))
	}
}

// opensslVerify has OpenSSL verify a message under the certificate and returns its content.
func opensslVerify(t *testing.T, message, cert []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	in, ca, out := filepath.Join(dir, "in"), filepath.Join(dir, "ca"), filepath.Join(dir, "out")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for path, b := range map[string][]byte{in: message, ca: block} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", in, "-CAfile", ca, "-purpose", "any", "-out", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, text)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// need finds a file of an installed package, or skips; under CI its absence is a failure.
func need(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			unavailable(t, err)
		}
	}
}

func unavailable(t *testing.T, why error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
