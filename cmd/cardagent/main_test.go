package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"certwindow/hsm/p11/p11test"
	"certwindow/ra/cms"
)

const consent = "醫事人員行動憑證申辦 HCA mobile certificate enrolment v1\nnonce: a+b%25&c\nscope: EMR-SIGN\n"

// A card signs what a page sends; OpenSSL and the window's own reader agree with it.
func TestSign(t *testing.T) {
	need(t, "/usr/bin/openssl")
	place, cert := softCard(t)
	a := startAgent(t, "--module", place.Module, "--pinentry", "", "--pin-from-page", "direct")
	info := a.post(t, "/pkcs11info?withcert=true", nil)
	if info.RetCode != 0 || !strings.Contains(string(info.Slots[0].Token), `"usage":"digitalSignature"`) {
		t.Fatalf("%+v", info)
	}
	for _, hash := range []string{"SHA256", "SHA384", "SHA512"} {
		got := a.post(t, "/sign", map[string]string{
			"tbs": consent, "pin": p11test.UserPIN, "hashAlgorithm": hash, "signatureType": "PKCS7", "withCardSN": "true",
			"nonce": "0123456789ABCDEF", "slotDescription": info.Slots[0].SlotDescription,
		})
		if got.RetCode != 0 || !bytes.Equal(got.CertB64, cert) || got.CardSN == "" || len(got.Insertion) != 32 {
			t.Fatalf("%s: %+v", hash, got)
		}
		if content := opensslVerify(t, got.Signature, cert); string(content) != consent {
			t.Errorf("%s: content %q", hash, content)
		}
		sd, err := cms.Open(got.Signature, cms.OpenOptions{})
		if err != nil {
			t.Fatalf("%s: %v", hash, err)
		}
		nonce, _ := sd.Attribute(cms.OIDRandomNonce)
		number, _ := sd.Attribute(cms.OIDCardNumber)
		if string(nonce) != "\x0c\x100123456789ABCDEF" || !bytes.Equal(number, cms.UTF8String(got.CardSN)) {
			t.Errorf("%s: nonce %q, card number %q", hash, nonce, number)
		}
	}
	got := a.post(t, "/sign", map[string]string{"tbs": consent, "pin": p11test.UserPIN, "hashAlgorithm": "SHA256", "signatureType": "PKCS1"})
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(consent))
	if err := rsa.VerifyPKCS1v15(c.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], got.Signature); err != nil {
		t.Error("bare signature:", err)
	}
}

// A wrong PIN is told as pages know it, and after it the right one works. A right one before it is not
// remembered, and no PIN is in the log.
func TestWrongPIN(t *testing.T) {
	place, _ := softCard(t)
	a := startAgent(t, "--module", place.Module, "--pinentry", "", "--pin-from-page", "direct", "--pin-tries", "0")
	for i, pin := range []string{"7654321", p11test.UserPIN, "7654321", p11test.UserPIN} {
		got := a.post(t, "/sign", map[string]string{"tbs": consent, "pin": pin})
		switch {
		case i%2 == 0 && (got.RetCode != 0x76100006 || got.LastError != 0xA0):
			t.Errorf("wrong PIN, request %d: %08x, last_error %x", i, got.RetCode, got.LastError)
		case i%2 == 1 && got.RetCode != 0:
			t.Errorf("right PIN, request %d: %08x, last_error %x", i, got.RetCode, got.LastError)
		}
		if strings.Contains(a.log.String(), pin) {
			t.Error("the log holds a PIN:\n" + a.log.String())
		}
	}
	if got := a.post(t, "/sign", map[string]string{"tbs": consent, "pin": "123"}); got.RetCode != 0x76100006 || got.LastError != 0xA2 {
		t.Errorf("short PIN: %08x, %x", got.RetCode, got.LastError)
	}
}

// By default the agent asks for the PIN itself, and the text in the window is the text that is signed; what
// the page sends as PIN is not used. (HCA-8.1.3)
func TestPINWindow(t *testing.T) {
	need(t, "/usr/bin/openssl")
	place, cert := softCard(t)
	path, seen := scriptedPINEntry(t, p11test.UserPIN)
	a := startAgent(t, "--module", place.Module, "--pinentry", path)
	got := a.post(t, "/sign", map[string]string{"tbs": consent, "pin": "0000000"})
	if got.RetCode != 0 {
		t.Fatalf("%08x: %s", got.RetCode, a.log)
	}
	if content := opensslVerify(t, got.Signature, cert); !strings.Contains(seen(), string(content)) || string(content) != consent {
		t.Errorf("shown: %s\nsigned: %s", seen(), content)
	}
	if strings.Contains(a.log.String(), p11test.UserPIN) {
		t.Error("the log holds the PIN")
	}
	resp, err := http.Get("http://" + a.addr + "/selfTest.htm")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if page, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(page), "digitalSignature") {
		t.Errorf("self test: %s, %v", page, err)
	}
}

func TestWrongUse(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("module = /nowhere.so\nunknown = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no module":            nil,
		"unknown flag":         {"--nonsense"},
		"argument":             {"--module", "x", "more"},
		"address of a network": {"--module", "x", "--listen", "0.0.0.0:0"},
		"nobody gives a PIN":   {"--module", "x", "--pinentry", ""},
		"unknown setting":      {"--config", config},
		"no such file":         {"--module", "x", "--config", filepath.Join(dir, "none")},
	} {
		if code := run(t.Context(), args, io.Discard); code != 2 {
			t.Errorf("%s: exit %d", name, code)
		}
	}
	if code := run(t.Context(), []string{"--module", filepath.Join(dir, "none.so")}, io.Discard); code != 1 {
		t.Errorf("no such module: exit %d", code)
	}
	if code := run(t.Context(), []string{"--help"}, io.Discard); code != 0 {
		t.Errorf("help: exit %d", code)
	}
}

// What only shows when it starts: a site without TLS, an address that is taken.
func TestCannotStart(t *testing.T) {
	place := p11test.Empty(t)
	a := startAgent(t, "--module", place.Module)
	for name, args := range map[string][]string{
		"site without TLS": {"--origin", "http://window.example", "--listen", "127.0.0.1:0"},
		"address taken":    {"--listen", a.addr},
	} {
		if code := run(t.Context(), append(args, "--module", place.Module), io.Discard); code != 1 {
			t.Errorf("%s: exit %d", name, code)
		}
	}
}

// The file of --config holds the same settings; a flag wins, and lists are joined. Sites that were added
// at /addDomain come from their own file.
func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	config, sites := filepath.Join(dir, "config"), filepath.Join(dir, "sites")
	text := "# counter 3\n\nmodule = /file.so\npin-tries = 5\norigin = https://a.example\norigin = https://b.example\norigins-file = " + sites + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := appendLine(sites, "https://d.example"); err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions([]string{"--config", config, "--module", "/flag.so", "--origin", "https://c.example"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.module != "/flag.so" || o.pinTries != 5 || o.origins.String() != "https://c.example https://a.example https://b.example https://d.example" {
		t.Errorf("%+v", o)
	}
}
