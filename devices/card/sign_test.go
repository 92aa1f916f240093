package card

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// HCA-8.1.3: the person sees exactly the text that is signed, who asks, and whose card it is.
func TestTextIsShown(t *testing.T) {
	r := newRig(t, nil)
	text := "醫事人員行動憑證申辦\nnonce: a+b%25\n"
	a := r.ask(t, "POST", "/sign", form("tbs", text, "pin", "999999"), "Origin", testSite)
	if a.RetCode != CodeOK || a.CardSN != "TP12345678901234" || len(a.Insertion) != 2*insertionBytes {
		t.Fatalf("answer %+v", a)
	}
	p := r.prompt.shown[0]
	if p.Text != text || p.Opaque || p.Origin != testSite || p.Holder != "王小明" || p.CardSN != "TP12345678901234" {
		t.Errorf("shown: %+v", p)
	}
}

// What would not be seen whole as text is shown as opaque, with its digest.
func TestOpaqueContent(t *testing.T) {
	r := newRig(t, nil)
	for name, content := range map[string]string{
		"bytes":            "\xff\x00",
		"control":          "a\rb",
		"bidi override":    "a\u202Eb",
		"zero width space": "a\u200Bb",
		"line separator":   "a\u2028b",
		"too long to show": strings.Repeat("a", maxShown+1),
	} {
		before := len(r.prompt.shown)
		a := r.ask(t, "POST", "/sign", form("tbs", base64.StdEncoding.EncodeToString([]byte(content)), "tbsEncoding", "base64"))
		if a.RetCode != CodeOK {
			t.Errorf("%s: %08x", name, a.RetCode)
			continue
		}
		if p := r.prompt.shown[before]; !p.Opaque || p.Text != "" || len(p.Digest) != 64 {
			t.Errorf("%s: shown %+v", name, p)
		}
	}
}

// Bare signatures: PKCS1 of the content, RAW of a DigestInfo that the caller made.
func TestBareSignatures(t *testing.T) {
	r := newRig(t, nil)
	digest := sha512.Sum384([]byte("text"))
	raw := base64.StdEncoding.EncodeToString(append(hashes[hashSHA384].prefix, digest[:]...))
	for i, c := range []struct{ name, body string }{
		{"PKCS1", form("signatureType", "PKCS1", "hashAlgorithm", "SHA384")},
		{"RAW", form("signatureType", "RAW", "tbs", raw, "tbsEncoding", "base64", "hashAlgorithm", "")},
	} {
		name := c.name
		a := r.ask(t, "POST", "/sign", c.body)
		cert, err := x509.ParseCertificate(a.CertB64)
		if err != nil {
			t.Fatalf("%s: %+v", name, a)
		}
		if err := rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA384, digest[:], a.Signature); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p := r.prompt.shown[i]; p.Opaque != (name == "RAW") || p.Opaque && p.Digest != hex.EncodeToString(digest[:]) {
			t.Errorf("%s: shown %+v", name, p)
		}
	}
}

// The attributes and the signing time that a request asks for.
func TestAttributes(t *testing.T) {
	var got CMSInput
	r := newRig(t, func(c *Config, _ *softModule) {
		c.SignCMS = func(in CMSInput) ([]byte, error) { got = in; return []byte("x"), nil }
		c.Now = func() time.Time { return testTime }
	})
	if a := r.ask(t, "POST", "/sign", form("nonce", "0a王", "withCardSN", "true", "hashAlgorithm", "sha512")); a.RetCode != CodeOK {
		t.Fatalf("%+v", a)
	}
	want := []Attribute{{oidRandomNonce, []byte("\x0c\x050a王")}, {oidCardNumber, []byte("\x0c\x10TP12345678901234")}}
	if len(got.Attributes) != 2 || string(got.Attributes[0].Value) != string(want[0].Value) || got.Attributes[0].OID != want[0].OID ||
		string(got.Attributes[1].Value) != string(want[1].Value) || got.Attributes[1].OID != want[1].OID {
		t.Errorf("attributes %q", got.Attributes)
	}
	if !got.SigningTime.Equal(testTime) || got.Hash != crypto.SHA512 {
		t.Errorf("signing time %v, hash %v", got.SigningTime, got.Hash)
	}
	r.ask(t, "POST", "/sign", form("withSigningTime", "false", "nonce", absent))
	if !got.SigningTime.IsZero() || len(got.Attributes) != 0 {
		t.Errorf("signing time %v, attributes %q", got.SigningTime, got.Attributes)
	}
}

// Every code that a request can end with, and that nobody is asked for a PIN for nothing.
func TestCodes(t *testing.T) {
	rv := func(v uint) error { return &ModuleError{"C_Test", v} }
	set := func(op string, err error) func(*softModule) { return func(m *softModule) { m.fail[op] = err } }
	cases := []struct {
		name  string
		body  string
		setup func(*softModule)
		code  Code
		last  int64
		asked bool
	}{
		{"no tbs", form("tbs", ""), nil, CodeNoData, 0, false},
		{"empty base64", form("tbs", "\n", "tbsEncoding", "base64"), nil, CodeNoData, 0, false},
		{"not base64", form("tbs", "*", "tbsEncoding", "base64"), nil, CodeBase64, 0, false},
		{"not JSON", "tbsPackage=x", nil, CodeBadJSON, 0, false},
		{"too large", strings.Repeat("x", maxBody+1), nil, CodeTooLarge, 0, false},
		{"SHA-1", form("hashAlgorithm", "SHA1"), nil, CodeBadParameter, 0, false},
		{"long nonce", form("nonce", strings.Repeat("n", maxNonce+1)), nil, CodeBadParameter, 0, false},
		{"unknown type", form("signatureType", "PKCS9"), nil, CodeSignType, 0, false},
		{"RAW that is no DigestInfo", form("signatureType", "RAW"), nil, CodeSignContent, 0, false},
		{"secondary card", form("withSCAP", "true"), nil, CodeUnsupported, 0, false},
		{"no reader", form(), func(m *softModule) { m.slots = nil }, CodeNoReader, 0, false},
		{"other reader", form("slotDescription", "Reader 9"), nil, CodeNoReader, 0, false},
		{"no card", form(), func(m *softModule) { m.slots[0].Present, m.slots[0].Token = false, nil }, CodeNoCard, 0, false},
		{"readers cannot be listed", form(), set("slots", rv(5)), CodeReaderInfo, 5, false},
		{"no session", form(), set("open", rv(0x54)), CodeSession, 0x54, false},
		{"no certificates", form(), set("certs", rv(0x30)), CodeCertificate, 0x30, false},
		{"no signing certificate", form(), func(m *softModule) { m.certs = m.certs[:2] }, CodeCertNotFound, 0, false},
		{"other key", form("keyidb64", "eHg="), nil, CodeKeyNotFound, 0, false},
		{"key id is not base64", form("keyidb64", "*"), nil, CodeBase64, 0, false},
		{"PIN is locked", form(), func(m *softModule) { m.slots[0].Token.Flags |= flagPINLocked }, CodeLogin, rvPINLocked, false},
		{"expired", form("checkValidity", "true"), nil, CodeExpired, 0, false},
		{"login fails", form(), set("login", rv(0x30)), CodeLogin, 0x30, true},
		{"PIN length by the card", form(), set("login", rv(rvPINLenRange)), CodeLogin, rvPINLenRange, true},
		{"no key", form(), set("signer", rv(0x60)), CodeKey, 0x60, true},
		{"signing fails", form(), func(m *softModule) { m.onSign = func() error { return rv(6) } }, CodeSignFailed, 6, true},
	}
	for _, c := range cases {
		r := newRig(t, func(cfg *Config, m *softModule) {
			cfg.Now = func() time.Time { return testTime.AddDate(2, 0, 0) }
			if c.setup != nil {
				c.setup(m)
			}
		})
		a := r.ask(t, "POST", "/sign", c.body)
		if a.Func != "sign" || a.RetCode != c.code || a.LastError != c.last || a.Message == "" || (c.last != 0) != (a.Message2 != "") {
			t.Errorf("%s: %+v", c.name, a)
		}
		if (len(r.prompt.shown) == 1) != c.asked {
			t.Errorf("%s: the person was asked %d times", c.name, len(r.prompt.shown))
		}
	}
}

func TestNotYetValid(t *testing.T) {
	r := newRig(t, func(c *Config, _ *softModule) { c.Now = func() time.Time { return testTime.AddDate(-2, 0, 0) } })
	if a := r.ask(t, "POST", "/sign", form("checkValidity", "true")); a.RetCode != CodeNotYetValid {
		t.Errorf("%08x", a.RetCode)
	}
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeOK {
		t.Errorf("dates were judged though nobody asked: %08x", a.RetCode)
	}
}

func TestOtherMethods(t *testing.T) {
	r := newRig(t, nil)
	if a := r.ask(t, "GET", "/sign", ""); a.RetCode != CodeUnsupported {
		t.Errorf("GET: %08x", a.RetCode)
	}
	if a := r.ask(t, "POST", "/decrypt", form()); a.RetCode != CodeUnsupported || a.Func != "decrypt" {
		t.Errorf("decrypt: %+v", a)
	}
}

// A key other than the certificate's would sign what nobody can verify.
func TestKeyOfAnotherCertificate(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(_ *Config, m *softModule) { m.key = other })
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeKey {
		t.Errorf("%08x", a.RetCode)
	}
}

// keyidb64 names another key of the card.
func TestNamedKey(t *testing.T) {
	r := newRig(t, nil)
	a := r.ask(t, "POST", "/sign", form("keyidb64", base64.StdEncoding.EncodeToString([]byte("KEYX")), "slotDescription", "Reader 0"))
	if a.RetCode != CodeOK || string(a.CertB64) != string(r.mod.certs[0].DER) {
		t.Errorf("%08x", a.RetCode)
	}
}

// Wrong PINs count down to the lock, and the count is told as pages know it.
func TestTriesLeft(t *testing.T) {
	for tries, want := range map[int][]int64{
		3: {lastErrorTwoTryLeft, lastErrorOneTryLeft, rvPINLocked, rvPINLocked},
		0: {rvPINIncorrect, lastErrorOneTryLeft, rvPINLocked, rvPINLocked},
	} {
		r := newRig(t, func(c *Config, _ *softModule) { c.PINTries = tries })
		r.prompt.pin = "111111"
		for i, last := range want {
			if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeLogin || a.LastError != last {
				t.Errorf("tries %d, wrong PIN %d: %08x, %d", tries, i+1, a.RetCode, a.LastError)
			}
		}
		if r.mod.logins != 3 || len(r.prompt.shown) != 3 {
			t.Errorf("a locked card was asked: %d logins, %d questions", r.mod.logins, len(r.prompt.shown))
		}
		if !r.prompt.shown[2].FinalTry || r.prompt.shown[1].FinalTry {
			t.Error("the last try was not announced, or another was")
		}
	}
}

// A PIN that cannot be right costs no try; no PIN and a no have codes of their own.
func TestPINAnswers(t *testing.T) {
	r := newRig(t, nil)
	for pin, want := range map[string]int64{"12345": rvPINLenRange, "123456789": rvPINLenRange} {
		r.prompt.pin = pin
		if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeLogin || a.LastError != want {
			t.Errorf("PIN of %d: %08x, %x", len(pin), a.RetCode, a.LastError)
		}
	}
	r.prompt.pin = ""
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodePINEmpty {
		t.Errorf("no PIN: %08x", a.RetCode)
	}
	r.prompt.err = ErrCancelled
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeCancelled {
		t.Errorf("cancelled: %08x", a.RetCode)
	}
	r.prompt.err = errors.New("no display")
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodePINEmpty {
		t.Errorf("no window: %08x", a.RetCode)
	}
	if r.mod.logins != 0 {
		t.Errorf("%d tries were spent", r.mod.logins)
	}
}

// Where a site may send the PIN itself, nobody is asked; the next site still is not allowed to.
func TestPINFromPage(t *testing.T) {
	const other = "https://other.example"
	r := newRig(t, func(c *Config, _ *softModule) {
		c.Origins, c.PINFromPage, c.Prompter = append(c.Origins, other), []string{testSite, DirectClient}, nil
	})
	for _, header := range [][]string{{"Origin", testSite}, nil} {
		if a := r.ask(t, "POST", "/sign", form("pin", testPIN), header...); a.RetCode != CodeOK {
			t.Errorf("%v: %08x", header, a.RetCode)
		}
	}
	if a := r.ask(t, "POST", "/sign", form(), "Origin", testSite); a.RetCode != CodePINEmpty {
		t.Errorf("no PIN: %08x", a.RetCode)
	}
	if a := r.ask(t, "POST", "/sign", form("pin", testPIN), "Origin", other); a.RetCode != CodePINEmpty {
		t.Errorf("a site that may not: %08x", a.RetCode)
	}
}

// HCA-8.1.5: neither the PIN nor the text gets into the log, whatever goes wrong with the request.
func TestLogHoldsNoSecrets(t *testing.T) {
	const text = "text-of-the-holder"
	r := newRig(t, func(c *Config, _ *softModule) { c.PINFromPage = []string{DirectClient} })
	wrong := "97531864"
	for _, body := range []string{
		form("tbs", text, "pin", testPIN), form("tbs", text, "pin", wrong), form("tbs", text, "pin", wrong+wrong),
		`{"tbs":"` + text + `","pin":"` + wrong, `{"pin":` + wrong + `,"tbs":"` + text + `","pin":2}`, "tbsPackage={" + wrong + text + "}",
		form("tbs", text, "pin", wrong, "signatureType", wrong), form("tbs", text, "pin", wrong, "keyidb64", "*"+wrong),
		form("tbs", text, "pin", wrong, "hashAlgorithm", wrong), "tbsPackage=%zz" + wrong,
	} {
		r.ask(t, "POST", "/sign", body)
	}
	log := r.log.String()
	if !strings.Contains(log, "ret_code=0x76100006") || !strings.Contains(log, "ret_code=0x0") {
		t.Fatal("the log does not tell what happened: " + log)
	}
	for _, secret := range []string{testPIN, wrong, text} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}
