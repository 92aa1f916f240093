package card

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// HCA-8.1.6: only trusted sites reach the card; how each kind of caller is known.
func TestCallers(t *testing.T) {
	r := newRig(t, nil)
	self := r.http.URL
	cases := []struct {
		name   string
		header []string
		want   Code
	}{
		{"program without a browser", nil, CodeOK},
		{"typed address", []string{"Sec-Fetch-Site", "none"}, CodeOK},
		{"trusted site itself", []string{"Origin", testSite}, CodeOK},
		{"other site", []string{"Origin", "https://evil.example"}, CodeUntrustedSite},
		{"other port of a trusted site", []string{"Origin", testSite + ":8443"}, CodeUntrustedSite},
		{"trusted name without TLS", []string{"Origin", "http://window.example"}, CodeUntrustedSite},
		{"name that begins like a trusted one", []string{"Origin", testSite + ".evil.example"}, CodeUntrustedSite},
		{"sandboxed page", []string{"Origin", "null"}, CodeUntrustedSite},
		{"other page on this computer", []string{"Origin", "http://localhost:9"}, CodeUntrustedSite},
		{"other site that names a trusted opener", []string{"Origin", "https://evil.example", openerHeader, testSite}, CodeUntrustedSite},
		{"cross-site without origin", []string{"Sec-Fetch-Site", "cross-site"}, CodeUntrustedSite},
		{"popup of a trusted site", []string{"Origin", self, openerHeader, testSite}, CodeOK},
		{"popup of a trusted site, no origin sent", []string{"Sec-Fetch-Site", "same-origin", openerHeader, testSite}, CodeOK},
		{"popup of another site", []string{"Origin", self, openerHeader, "https://evil.example"}, CodeUntrustedSite},
		{"popup of a sandboxed page", []string{"Origin", self, openerHeader, "null"}, CodeUntrustedSite},
		{"own page without opener", []string{"Origin", self}, CodeUntrustedSite},
	}
	for _, c := range cases {
		for path, body := range map[string]string{"/sign": form(), "/pkcs11info": ""} {
			if a := r.ask(t, "POST", path, body, c.header...); a.RetCode != c.want {
				t.Errorf("%s, %s: ret_code %08x, not %08x", c.name, path, a.RetCode, c.want)
			}
		}
	}
	if len(r.prompt.shown) != 5 {
		t.Errorf("%d people were asked for a PIN, not 5", len(r.prompt.shown))
	}
}

func TestDirectClientsCanBeRefused(t *testing.T) {
	r := newRig(t, func(c *Config, _ *softModule) { c.RefuseDirect = true })
	if a := r.ask(t, "POST", "/sign", form()); a.RetCode != CodeUntrustedSite {
		t.Errorf("ret_code %08x", a.RetCode)
	}
}

// A name server that points another name at this computer gets no answer (DNS rebinding).
func TestForeignHostName(t *testing.T) {
	r := newRig(t, nil)
	for _, host := range []string{"evil.example", "evil.example:61161", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1"} {
		resp, _ := r.call(t, "GET", "/pkcs11info", "", "Host", host)
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: status %d", host, resp.StatusCode)
		}
	}
	for _, host := range []string{"localhost:61161", "127.0.0.1", "[::1]:61161"} {
		if a := r.ask(t, "GET", "/pkcs11info", "", "Host", host); a.RetCode != CodeOK {
			t.Errorf("%s: %08x", host, a.RetCode)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"https://Window.Example":        "https://window.example",
		"https://window.example:443/":   "https://window.example",
		"http://localhost:8080":         "http://localhost:8080",
		"http://[::1]:80":               "http://[::1]",
		"http://window.example":         "",
		"https://":                      "",
		"https://*.example":             "",
		"https://user@window.example":   "",
		"https://window.example/path":   "",
		"https://window.example?x":      "",
		"https://窗口.example":            "",
		"ftp://window.example":          "",
		"window.example":                "",
		"https://window.example\nx.com": "",
	} {
		got, err := ParseOrigin(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestConfigurationRefused(t *testing.T) {
	good := Config{Module: newSoftModule(t), SignCMS: func(CMSInput) ([]byte, error) { return nil, nil }}
	if _, err := NewServer(good); err == nil {
		t.Error("a server without clock, randomness and log was made")
	}
	r := newRig(t, nil)
	bad := r.cfg
	bad.PINFromPage = []string{"https://other.example"}
	if _, err := NewServer(bad); err == nil {
		t.Error("a site that is not trusted may send PINs")
	}
	bad = r.cfg
	bad.Origins = []string{"http://window.example"}
	if _, err := NewServer(bad); err == nil {
		t.Error("a site without TLS is trusted")
	}
}

// /pkcs11info as pages read it.
func TestInfo(t *testing.T) {
	r := newRig(t, func(_ *Config, m *softModule) {
		m.slots = append(m.slots, Slot{ID: 8, Description: "Reader 1"}, Slot{ID: 9, Description: "Reader 2", Present: true})
	})
	resp, body := r.call(t, "GET", "/pkcs11info?withcert=true", "", "Origin", testSite)
	if h := resp.Header.Get("Access-Control-Allow-Origin"); h != testSite {
		t.Errorf("a trusted page cannot read this: %q", h)
	}
	if other, said := r.call(t, "GET", "/pkcs11info?withcert=true", "", "Origin", "https://other.example"); other.Header.Get("Access-Control-Allow-Origin") != "" ||
		strings.Contains(string(said), "certb64") {
		t.Errorf("another page could read this: %s", said)
	}
	for _, b := range body {
		if b > 0x7E {
			t.Fatal("the answer is not ASCII alone")
		}
	}
	var a infoAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatal(err)
	}
	if a.Func != "pkcs11info" || a.CryptokiVersion != "2.04" || a.ManufacturerID != "測試" || len(a.Slots) != 3 || len(a.InstalledModule) == 0 {
		t.Errorf("library: %+v", a)
	}
	if a.Slots[1].Token != nil || a.Slots[2].Token != unknownToken {
		t.Errorf("empty reader: %v, unreadable card: %v", a.Slots[1].Token, a.Slots[2].Token)
	}
	token, err := json.Marshal(a.Slots[0].Token)
	if err != nil {
		t.Fatal(err)
	}
	var tok tokenText
	if err := json.Unmarshal(token, &tok); err != nil {
		t.Fatal(err)
	}
	if tok.SerialNumber != "TP12345678901234" || tok.MinPINLen != 6 || tok.MaxPINLen != 8 || len(tok.Model) != 16 || len(tok.Certs) != 3 || len(tok.Keys) != 1 {
		t.Errorf("token: %s", token)
	}
	c := tok.Certs[2]
	want := certText{
		CertB64: c.CertB64, Thumbprint: c.Thumbprint, ID: "U0lHTg==", Label: "cert1", Usage: "digitalSignature",
		SubjectDN: "C=TW,CN=王小明,serialNumber=0000000112345678", SubjectCN: "王小明", SubjectID: "6789",
		IssuerDN: "C=TW,CN=王小明,serialNumber=0000000112345678", SN: "0ABC", SignatureAlgorithm: "1.2.840.113549.1.1.11",
		NotBefore: "251122040000Z", NotAfter: "271122040000Z", NotBeforeT: testTime.AddDate(-1, 0, 0).Unix(),
		NotAfterT: testTime.AddDate(1, 0, 0).Unix(), HolderRank: "primary",
	}
	if c != want {
		t.Errorf("certificate:\n%+v\nnot\n%+v", c, want)
	}
	if u := tok.Certs[0].Usage; u != "keyEncipherment|dataEncipherment" {
		t.Errorf("usage %q", u)
	}
	if len(c.Thumbprint) != 40 || strings.ToUpper(c.Thumbprint) != c.Thumbprint {
		t.Errorf("thumbprint %q", c.Thumbprint)
	}
}

func TestInfoWithoutCertificates(t *testing.T) {
	r := newRig(t, nil)
	a := r.ask(t, "GET", "/pkcs11info", "")
	if s := string(a.Slots[0].Token); !strings.Contains(s, "TP12345678901234") || !strings.Contains(s, `"certs":[]`) {
		t.Errorf("token: %s", s)
	}
	if string(a.Crypto) != "2.04" {
		t.Errorf("cryptokiVersion %s is not that number", a.Crypto)
	}
	r.mod.set(func(m *softModule) { m.slots = nil })
	if a = r.ask(t, "GET", "/pkcs11info", ""); a.RetCode != CodeNoReader || a.Slots == nil || len(a.Slots) != 0 {
		t.Errorf("no reader: %+v", a)
	}
}

// GetUserCert of one reader.
func TestInfoOfOneReader(t *testing.T) {
	r := newRig(t, func(_ *Config, m *softModule) { m.slots = append(m.slots, Slot{ID: 8, Description: "Reader 1"}) })
	a := r.ask(t, "POST", "/pkcs11info?withcert=true", `tbsPackage={"func":"GetUserCert","slotDescription":"Reader 1"}`)
	if len(a.Slots) != 1 || a.Slots[0].SlotDescription != "Reader 1" {
		t.Errorf("slots: %+v", a.Slots)
	}
}

// readImage takes the text out of the image as the pages' canvas code does: blue, green, red of each pixel,
// up to a pixel whose blue is zero.
func readImage(t *testing.T, img []byte) string {
	t.Helper()
	le := binary.LittleEndian
	if len(img) != 6054 || string(img[:2]) != "BM" || le.Uint32(img[2:]) != 6054 || le.Uint32(img[18:]) != 2000 ||
		le.Uint32(img[22:]) != 1 || le.Uint16(img[28:]) != 24 {
		t.Fatalf("header % x of %d bytes", img[:bmpHeader], len(img))
	}
	var text []byte
	for p := img[le.Uint32(img[10:]):]; len(p) >= 3 && p[0] != 0; p = p[3:] {
		text = append(text, p[:3]...)
	}
	return strings.TrimRight(string(text), "\x00")
}

// The image is for every page, the card's number for trusted sites alone (HCA-8.1.5).
func TestImage(t *testing.T) {
	r := newRig(t, nil)
	for origin, number := range map[string]bool{testSite: true, "https://evil.example": false} {
		resp, img := r.call(t, "GET", "/p11Image.bmp?"+"cache=1", "", "Origin", origin)
		if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: no page of another origin can read it", origin)
		}
		var a answer
		text := readImage(t, img)
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.Func != "pkcs11info" || a.Slots[0].SlotDescription != "Reader 0" {
			t.Errorf("%s: %v: %s", origin, err, text)
		}
		if strings.Contains(text, "TP12345678901234") != number {
			t.Errorf("%s: card number told: %t", origin, !number)
		}
	}
}

// More readers than the image can hold: it stays valid JSON and says that some are missing.
func TestImageOfManyReaders(t *testing.T) {
	r := newRig(t, func(_ *Config, m *softModule) {
		for i := range uint(20) {
			m.slots = append(m.slots, Slot{ID: 20 + i, Description: strings.Repeat("讀", 60)})
		}
	})
	_, img := r.call(t, "GET", "/p11Image.bmp", "")
	var a infoAnswer
	if err := json.Unmarshal([]byte(readImage(t, img)), &a); err != nil || !a.Truncated || len(a.Slots) == 0 {
		t.Errorf("%v, truncated %t, %d readers", err, a.Truncated, len(a.Slots))
	}
}

func TestPages(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/popupForm", "/ChtPopupForm", "/popup.js", "/addDomain?domain=x", "/adddomain.js", "/selfTest.htm"} {
		resp, body := r.call(t, "GET", path, "")
		if resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s can be framed", path)
		}
	}
}

func TestSelfTest(t *testing.T) {
	r := newRig(t, nil)
	_, body := r.call(t, "GET", "/selfTest.htm", "")
	for _, want := range []string{"Reader 0", "TP12345678901234", "cert1", "Ready", "Within its dates"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("self test does not say %q", want)
		}
	}
	r.mod.set(func(m *softModule) { m.slots[0].Present, m.slots[0].Token = false, nil })
	if _, body = r.call(t, "GET", "/selfTest.htm", ""); !strings.Contains(string(body), "No card") {
		t.Error("self test does not see that the card is gone")
	}
}

// A site is added only by the person here, in the component's own window, and then is trusted as that origin.
func TestAddDomain(t *testing.T) {
	var kept []string
	r := newRig(t, func(c *Config, _ *softModule) {
		c.AddOrigin = func(o string) error { kept = append(kept, o); return nil }
	})
	const site = "https://new.example:8443"
	own := []string{"Origin", r.http.URL, openerHeader, site}
	if a := r.ask(t, "POST", "/addDomain?domain=new.example", "", "Origin", site, openerHeader, site); a.RetCode != CodeUntrustedSite {
		t.Errorf("a site adds itself without the popup: %08x", a.RetCode)
	}
	r.prompt.err = ErrCancelled
	if a := r.ask(t, "POST", "/addDomain?domain=new.example", "", own...); a.RetCode != CodeCancelled || len(kept) != 0 {
		t.Errorf("the person said no: %08x, %v", a.RetCode, kept)
	}
	r.prompt.err = nil
	if a := r.ask(t, "POST", "/addDomain?domain=new.example", "", own...); a.RetCode != CodeOK || len(kept) != 1 || kept[0] != site {
		t.Errorf("the person said yes: %08x, %v", a.RetCode, kept)
	}
	if !strings.Contains(r.prompt.asked[0], site) {
		t.Errorf("the question does not name the site: %q", r.prompt.asked[0])
	}
	if a := r.ask(t, "POST", "/pkcs11info", "", "Origin", site); a.RetCode != CodeOK {
		t.Errorf("the site that was added is refused: %08x", a.RetCode)
	}
	if a := r.ask(t, "POST", "/addDomain?domain=a%20b", "", own...); a.RetCode != CodeForbiddenDomain {
		t.Errorf("no host name: %08x", a.RetCode)
	}
	plain := newRig(t, nil)
	if a := plain.ask(t, "POST", "/addDomain?domain=new.example", "", "Origin", plain.http.URL, openerHeader, site); a.RetCode != CodeForbiddenDomain {
		t.Errorf("adding is not allowed here: %08x", a.RetCode)
	}
}
