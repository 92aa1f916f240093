package card

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// adapter is a page's side of HCAServiSign's protocol, as its adapter script writes it.
type adapter struct {
	t       *testing.T
	r       *rig
	site    string
	session string
	last    serviAnswer
}

func (a *adapter) send(name string, args map[string]any) string {
	a.t.Helper()
	call := map[string]any{"functionname": name, "sessionid": a.session, "AdapterJsonKeyCheck": true, "ServiSignTabMode": 0}
	for k, v := range args {
		if text, ok := v.(string); ok {
			call[k+"_ServiSignBase64Flag"] = true
			v = url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text)))
		}
		call[k] = v
	}
	text, err := json.Marshal(call)
	if err != nil {
		a.t.Fatal(err)
	}
	_, body := a.r.call(a.t, "POST", "/", "Parameter="+url.QueryEscape(base64.StdEncoding.EncodeToString(text)), "Origin", a.site)
	if err := json.Unmarshal(body, &a.last); err != nil {
		a.t.Fatalf("%s: %v: %s", name, err, body)
	}
	return a.plain(a.last.Result)
}

func (a *adapter) plain(b64 string) string {
	a.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(raw)
}

func (a *adapter) code() string { return a.send("ATL_GetErrorCode", nil) }

func newAdapter(t *testing.T, r *rig) *adapter {
	a := &adapter{t: t, r: r, site: testSite}
	if got := a.send("Echo", nil); got != "" && got != "0" {
		t.Fatalf("echo: %s", got)
	}
	a.session = a.plain(a.last.SessionID)
	if a.session == "" || a.send("ATL_InitModule", map[string]any{"moduleName": "HCAPKCS11.dll", "initArgs": ""}) == "0" {
		t.Fatal("no session or no module")
	}
	return a
}

func (a *adapter) open(pin string) string {
	return a.send("ATL_InitSession", map[string]any{"ulModuleHandle": 1, "iFlags": 6, "userPin": pin})
}

func (a *adapter) sign(text string) string {
	return a.send("ATL_MakeSignatureEx2", map[string]any{"ulModuleHandle": 1, "ulSessionHandle": 1, "ulAlgorithm": 64, "ulEndianness": 0,
		"b64Data": base64.StdEncoding.EncodeToString([]byte(text)), "ulPvKeyObject": 1})
}

// HCA-8.1.3: by the second protocol too, the component shows the text and asks for the PIN itself, and what comes is
// a bare signature over that text by the certificate that it names.
func TestServiSign(t *testing.T) {
	r := newRig(t, nil)
	a := newAdapter(t, r)
	der, err := base64.StdEncoding.DecodeString(a.send("ATL_GetCertificateFromGPKICard", map[string]any{"ulModuleHandle": 1, "ulSessionHandle": 0, "iCertId": 1, "readerName": ""}))
	if err != nil || !slices.Equal(der, r.mod.certs[2].DER) {
		t.Errorf("the certificate: %v", err)
	}
	if sn := a.send("ATL_GetHCACardSN", nil); sn != "TP12345678901234" {
		t.Errorf("card %q", sn)
	}
	if got := a.sign("one text"); got != "" || a.code() != "9063" {
		t.Errorf("signed without a session: %q", got)
	}
	if a.open("000000") != "1" { // what the page sends as a PIN is forgotten
		t.Fatalf("no session: %s", a.code())
	}
	if a.send("ATL_GetKeyObjectHandle", map[string]any{"iKeyType": 0, "key_id": "", "param": "1"}) != "1" {
		t.Error("no key")
	}
	for _, text := range []string{"one text", "醫事人員 + & % text"} {
		value, err := base64.StdEncoding.DecodeString(a.sign(text))
		sum := sha256.Sum256([]byte(text))
		if err != nil || rsa.VerifyPKCS1v15(&testKey().PublicKey, crypto.SHA256, sum[:], value) != nil {
			t.Errorf("%q: the signature does not hold (%v, code %s)", text, err, a.code())
		}
		if shown := r.prompt.shown[len(r.prompt.shown)-1]; shown.Text != text || shown.Origin != testSite {
			t.Errorf("shown was %q", shown.Text)
		}
		if len(a.last.Insertion) != 32 {
			t.Errorf("insertion %q", a.last.Insertion)
		}
	}
	a.send("ATL_CloseSession", nil)
	if got := a.sign("one text"); got != "" || a.code() != "9063" {
		t.Error("signed after the end of the session")
	}
}

// HCA-8.1.6: another site is told nothing and can use no session of a trusted one.
func TestServiSignStrangers(t *testing.T) {
	r := newRig(t, func(c *Config, _ *softModule) { c.Origins = append(c.Origins, "https://second.example") })
	a := newAdapter(t, r)
	a.open("")
	for site, want := range map[string]string{"https://evil.example": "61908", "https://second.example": ""} {
		b := &adapter{t: t, r: r, site: site, session: a.session}
		if got := b.sign("one text"); got != want {
			t.Errorf("%s: %q", site, got)
		}
	}
	if len(r.prompt.shown) != 0 {
		t.Error("somebody was asked for a PIN")
	}
}

// HCA-8.1.2: the card that the session was opened with must stay; another session begins with another card.
func TestServiSignRemoval(t *testing.T) {
	r := newRig(t, nil)
	a := newAdapter(t, r)
	a.open("")
	r.prompt.seen = make(chan struct{}, 1)
	r.prompt.setWait(true)
	go func() {
		<-r.prompt.seen
		r.mod.set(func(m *softModule) { m.slots[0].Present, m.slots[0].Token = false, nil })
	}()
	if got := a.sign("one text"); got != "" || a.code() != "9018" {
		t.Errorf("signed %q, code %s", got, a.code())
	}
	if a.send("ATL_GetHCACardSN", nil) != "" || a.code() != "9056" {
		t.Errorf("an empty reader is told as %s", a.code())
	}
	if got := a.open(""); got != "0" || a.code() != "9056" {
		t.Errorf("a session without a card: %s", got)
	}
}

// A site that may send the PIN has it tried when the session opens, and wrong, short and locked ones told apart.
func TestServiSignPINFromPage(t *testing.T) {
	r := newRig(t, func(c *Config, _ *softModule) { c.PINFromPage = []string{testSite} })
	a := newAdapter(t, r)
	if a.open("12") != "0" || a.code() != "9041" || r.mod.logins != 0 {
		t.Errorf("short: %s", a.code())
	}
	if a.open("000000") != "0" || a.code() != "9039" {
		t.Errorf("wrong: %s", a.code())
	}
	if a.open(testPIN) != "1" || a.sign("one text") == "" {
		t.Errorf("right: %s", a.code())
	}
	if got := a.sign("a second text"); got != "" {
		t.Error("the PIN was kept for a second signature")
	}
	for range 3 {
		a.open("000000")
	}
	if a.open(testPIN) != "0" || a.code() != "9043" {
		t.Errorf("locked: %s", a.code())
	}
	if len(r.prompt.shown) != 0 || strings.Contains(r.log.String(), testPIN) {
		t.Error("the person was asked, or the PIN was logged")
	}
}

// An idle session ends, and their number is bounded.
func TestServiSignSessions(t *testing.T) {
	s := serviSessions{all: map[string]*serviSession{}}
	for i := range maxServiSessions {
		if !s.open(string(rune('a'+i)), "x", testTime) {
			t.Fatal("too few")
		}
	}
	if s.open("z", "x", testTime) || s.of("a", "y", testTime) != nil || s.of("a", "x", testTime.Add(servisignLife+time.Second)) != nil {
		t.Error("a session too many, another site's, or one that was idle")
	}
	if !s.open("z", "x", testTime.Add(servisignLife+time.Second)) || len(s.all) != 1 {
		t.Error("idle sessions are kept")
	}
}

// Whatever is sent as a call, the component answers and does not fall over.
func FuzzParseParameter(f *testing.F) {
	f.Add([]byte("Parameter=" + base64.StdEncoding.EncodeToString([]byte(`{"functionname":"Echo"}`))))
	f.Add([]byte("Parameter=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(`{"a_ServiSignBase64Flag":true,"a":"QUI%2B"}`)))))
	f.Add([]byte("Parameter=%"))
	f.Fuzz(func(t *testing.T, body []byte) {
		call, err := parseParameter(body)
		if (call == nil) != (err != nil) {
			t.Error("an answer and an error")
		}
	})
}
