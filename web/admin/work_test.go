package admin

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/web/session"
)

// The whole of a counter's business: HCA-5.1 from a person's registration to the signed application.
func TestCounterTakesAnApplication(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	rec := b.post("/persons/new", url.Values{"name": {"王大明"}, "national_id": {"a123456789"}, "holder": {"0000000112345678"}, "institution": {string(ownCode)}, "locale": {chinese}})
	person := strings.TrimSuffix(strings.TrimPrefix(rec.Header().Get("Location"), "/persons/"), "?done=person")
	if rec.Code != http.StatusSeeOther || len(person) != 26 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	h.cards["x"] = h.pki.Card(t, cardtest.CardOptions{Name: "王大明", Holder: "0000000112345678"})
	device := h.boundDevice("D-1", ra.PersonID(person), ownCode)
	begin := url.Values{"person": {person}, "device": {string(device)}, "scope": {"EMR-SIGN"}, "key": {"app"}, "algorithm": {"P-256"}}
	if rec := b.post("/applications/new", begin); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-7.3") {
		t.Errorf("with a card that nobody checked: %d", rec.Code)
	}
	card := b.readCard(h.cards["x"], "abc")
	if rec := b.post("/counter/confirm", url.Values{"person": {person}, "card": {card}, "document": {"passport"}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	rec = b.post("/applications/new", url.Values{"person": {person}, "device": {string(device)}, "scope": {"EMR-SIGN", "E-PRESCRIPTION"}, "key": {"app"}, "algorithm": {"P-256"}})
	at := rec.Header().Get("Location")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/counter/") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	text := shownText(t, b.get(at).Body.String())
	sign := func(content string) (int, map[string]any) {
		cms := h.cards["x"].Sign(t, []byte(content), h.now(), "")
		rec := b.post(at+"/sign", url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}, "insertion": {"abc"}})
		var m map[string]any
		h.ok(json.Unmarshal(rec.Body.Bytes(), &m))
		return rec.Code, m
	}
	status, m := sign(text + "x") // HCA-8.1.3
	if f, _ := m["failure"].(map[string]any); status != 422 || f["clause"] != "HCA-8.1.3" || f["rule"] == "" || f["request_id"] == "" {
		t.Fatalf("another text: %d %v", status, m)
	}
	status, m = sign(text)
	if status != 200 || m["state"] != "awaiting-key" || m["label"] != "待產鑰" {
		t.Fatalf("%d %v", status, m)
	}
	if status, m = sign(text); status != 422 { // HCA-8.1.4
		t.Fatalf("a second time: %d %v", status, m)
	}
	rec = b.get(at + "/state")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "awaiting-key") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := b.post(at+"/again", nil); rec.Code != http.StatusConflict {
		t.Errorf("begun again after signing: %d", rec.Code)
	}
	for _, bad := range []string{"", "not base64!", strings.Repeat("A", 100<<10)} {
		if rec := b.post(at+"/sign", url.Values{"signature": {bad}}); rec.Code != 400 {
			t.Errorf("%.10q: %d", bad, rec.Code)
		}
	}
}

// HCA-5.2.1: a holder revokes by card, at the same counter; from the signature on the certificate is being revoked.
func TestCounterTakesARevocation(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	c := h.certificate(p, d, ownCode, ra.CertLive)
	b := h.signIn(session.Clerk)
	if !strings.Contains(b.get("/certificates/"+string(c)).Body.String(), "廢止這張憑證") {
		t.Error("the page does not offer the revocation")
	}
	if strings.Contains(h.signIn(session.Auditor).get("/certificates/"+string(c)).Body.String(), "廢止這張憑證") {
		t.Error("the page offers the revocation to an auditor")
	}
	at := b.post("/certificates/"+string(c)+"/revoke", url.Values{"reason": {"keyCompromise"}}).Header().Get("Location")
	text := shownText(t, b.get(at).Body.String())
	if !strings.HasPrefix(text, "醫事人員行動憑證廢止") || !strings.Contains(text, "reason: keyCompromise") {
		t.Fatalf("%q", text)
	}
	cms := h.cards["0000000112345678"].Sign(t, []byte(text), h.now(), "")
	if rec := b.post(at+"/sign", url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.1.2") {
		t.Errorf("without an insertion: %d %s", rec.Code, rec.Body)
	}
	rec := b.post(at+"/sign", url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}, "insertion": {"abc"}})
	if rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if body := b.get("/certificates/" + string(c)).Body.String(); !strings.Contains(body, "廢止中") || strings.Contains(body, "廢止這張憑證") {
		t.Error("the certificate is not being revoked")
	}
	if rec := b.post("/certificates/"+string(c)+"/revoke", url.Values{"reason": {"superseded"}}); rec.Code != http.StatusConflict {
		t.Errorf("a second revocation: %d", rec.Code)
	}
}

func TestBindingShowsQRThenDigits(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	b := h.signIn(session.Clerk)
	at := "/devices/" + string(d) + "/binding"
	body := b.post(at, nil).Body.String()
	m := regexp.MustCompile(`certwindow:bind#([A-Za-z0-9_-]{43})`).FindStringSubmatch(body)
	if m == nil || !strings.Contains(body, `<svg class="qr"`) {
		t.Fatal(body)
	}
	if strings.Contains(b.get(at).Body.String(), m[1]) {
		t.Error("the one-time code is shown again")
	}
	bound, err := h.registry.PresentBinding(t.Context(), operator, m[1], devices.WindowKeys{}, h.spki(), "{}", nil)
	h.ok(err)
	body = b.get(at).Body.String()
	if !strings.Contains(body, bound.ShortCode[:3]+" "+bound.ShortCode[3:]) || !strings.Contains(b.get(at+"/state").Body.String(), bound.ShortCode) {
		t.Error("the digits are not shown")
	}
	if rec := b.post(at+"/confirm", url.Values{"binding": {bound.ID}, "short_code": {"000000"}}); rec.Code != 422 {
		t.Errorf("other digits: %d", rec.Code)
	}
	if rec := b.post(at+"/confirm", url.Values{"binding": {bound.ID}, "short_code": {bound.ShortCode}}); rec.Code != http.StatusSeeOther {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// Lists go on by a cursor, and their filters stand in the address.
func TestListsPage(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	for range pageRows + 5 {
		h.certificate(p, d, ownCode, ra.CertLive)
	}
	b := h.signIn(session.Auditor)
	link := regexp.MustCompile(`href="([^"]+)" rel="next"`)
	row := regexp.MustCompile(`<td class="code serials"><a href="(/certificates/[0-9A-Z]{26})"`)
	seen := map[string]bool{}
	for at, pages := "/certificates?state=live", 0; at != ""; pages++ {
		body := b.get(at).Body.String()
		for _, m := range row.FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				t.Errorf("%s stands on two pages", m[1])
			}
			seen[m[1]] = true
		}
		m := link.FindStringSubmatch(body)
		if at = ""; m != nil {
			at = html.UnescapeString(m[1])
			if !strings.Contains(at, "state=live") || pages > 3 {
				t.Fatalf("the next page is %s", at)
			}
		}
	}
	if len(seen) != pageRows+5 {
		t.Errorf("%d rows", len(seen))
	}
	if body := b.get("/certificates?state=revoked").Body.String(); row.MatchString(body) {
		t.Error("the filter does not hold")
	}
}

// HCA-8.1.5: a search leaves no name and no id in an address.
func TestSearchKeepsPersonalDataOutOfAddresses(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	b := h.signIn(session.Clerk)
	for _, q := range []string{"王大明", "a123456789"} {
		rec := b.post("/search", url.Values{"q": {q}})
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/persons/"+string(p) {
			t.Errorf("%s: %d %s", q, rec.Code, rec.Header().Get("Location"))
		}
	}
	if rec := b.post("/search", url.Values{"q": {"王小明"}}); rec.Code != 200 || !strings.Contains(rec.Body.String(), "找不到") {
		t.Errorf("%d", rec.Code)
	}
}

func TestFormErrorsKeepWhatWasTypedAndPointToTheField(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	rec := b.post("/persons/new", url.Values{"name": {"王大明"}, "national_id": {"A1"}, "holder": {"H-77"}, "institution": {string(ownCode)}, "locale": {english}})
	body := rec.Body.String()
	for _, want := range []string{`href="#f-national_id"`, `id="f-national_id"`, `value="A1"`, `value="H-77"`, `role="alert"`, rec.Header().Get("X-Request-Id"), `<option value="en" selected>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if rec.Code != 400 {
		t.Error(rec.Code)
	}
	if rec := (&browser{h: h}).post("/login", url.Values{"account": {"clerk"}, "password": {"a typed secret"}, "code": {"123456"}}); rec.Code != 401 ||
		strings.Contains(rec.Body.String(), "a typed secret") || !strings.Contains(rec.Body.String(), `value="clerk"`) {
		t.Errorf("sign-in: %d", rec.Code)
	}
}

// A refusal by a rule shows the rule in plain words with its clause, in the reader's language.
func TestRefusalShowsTheRule(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	b := h.signIn(session.Clerk)
	form := url.Values{"person": {string(p)}, "device": {string(d)}, "key": {"app"}, "scope": {"NOT-APPROVED"}, "algorithm": {"P-256"}}
	body := b.post("/applications/new", form).Body.String()
	if !strings.Contains(body, "HCA-5.1.2") || !strings.Contains(body, "使用範圍經服務窗口同意") {
		t.Error("Chinese: the rule is not shown")
	}
	b.lang = english
	body = b.post("/applications/new", form).Body.String()
	if !strings.Contains(body, "HCA-5.1.2") || !strings.Contains(body, "The scope of use is one the window approved") {
		t.Error("English: the rule is not shown")
	}
}

func TestErrorPageTellsTheRequestID(t *testing.T) {
	h := build(t)
	rec := h.signIn(session.Clerk).get("/nowhere")
	if rec.Code != 404 || !strings.Contains(rec.Body.String(), rec.Header().Get("X-Request-Id")) || !strings.Contains(rec.Body.String(), "</html>") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// The band stands on every page in development, and on none in production.
func TestDevelopmentBand(t *testing.T) {
	h := build(t)
	for _, development := range []bool{true, false} {
		h.site.Development = development
		b := h.signIn(session.Clerk)
		for _, path := range []string{"/login", "/", "/persons", "/nowhere"} {
			if got := strings.Contains(b.get(path).Body.String(), `class="development"`); got != development {
				t.Errorf("%s in development=%v: %v", path, development, got)
			}
		}
	}
}
