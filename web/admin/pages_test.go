package admin

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	nethtml "golang.org/x/net/html"

	"certwindow/ra"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/enrol"
	"certwindow/web/session"
)

// HCA-8.1.6: every route is in the table, and refuses every role that the table does not name.
func TestEveryRouteRefusesWhomTheTableDoesNotName(t *testing.T) {
	h := build(t)
	own := map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}
	byRole := map[session.Role]*browser{}
	for _, r := range session.Roles {
		byRole[r] = h.signIn(r)
	}
	nobody := &browser{h: h}
	seen := 0
	for _, x := range h.echo.Routes() {
		if own[x.Path] {
			continue
		}
		i := slices.IndexFunc(routes, func(r route) bool { return r.method == x.Method && r.path == x.Path })
		if i < 0 {
			t.Errorf("%s %s is not in the table", x.Method, x.Path)
			continue
		}
		seen++
		r := routes[i]
		path := strings.NewReplacer(":id", "01JD00000000000000000000ZZ", ":code", "NONE", ":name", "none").Replace(r.path)
		if !r.open {
			if rec := nobody.do(r.method, path, nil, nil); rec.Code != http.StatusSeeOther && rec.Code != http.StatusUnauthorized {
				t.Errorf("%s %s answers a stranger with %d", r.method, r.path, rec.Code)
			}
		}
		for role, b := range byRole {
			if r.open || strings.HasPrefix(r.path, "/logout") {
				continue
			}
			rec := b.get(path)
			if r.method == post {
				rec = b.post(path, nil)
			}
			refused := rec.Code == http.StatusForbidden && strings.Contains(rec.Body.String(), "HCA-8.1.6") && strings.Contains(rec.Body.String(), "角色")
			if refused == r.allows(role) {
				t.Errorf("%s %s as %s: %d, table says allowed=%v", r.method, r.path, role, rec.Code, r.allows(role))
			}
		}
	}
	if seen != len(routes) {
		t.Errorf("%d of %d routes are registered", seen, len(routes))
	}
}

// A route without roles that is not open is refused to everybody.
func TestRouteWithoutRolesIsRefused(t *testing.T) {
	for _, role := range session.Roles {
		if (route{}).allows(role) {
			t.Errorf("%s", role)
		}
	}
	for _, r := range routes {
		if r.open && len(r.roles) > 0 || !r.open && len(r.roles) == 0 {
			t.Errorf("%s %s is both or neither open and for roles", r.method, r.path)
		}
	}
}

func TestUnsafeMethodsNeedTheFormTokenOfThisSite(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	for _, r := range routes {
		if r.method != post || r.open {
			continue
		}
		path := strings.NewReplacer(":id", "x", ":code", "x").Replace(r.path)
		form := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
		if rec := b.do(post, path, strings.NewReader("csrf=wrong"), form); rec.Code != http.StatusForbidden {
			t.Errorf("%s without the token: %d", r.path, rec.Code)
		}
		form["Sec-Fetch-Site"] = "cross-site"
		if rec := b.do(post, path, strings.NewReader("csrf="+url.QueryEscape(b.csrf)), form); rec.Code != http.StatusForbidden {
			t.Errorf("%s from another site: %d", r.path, rec.Code)
		}
	}
	cross := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site"}
	if rec := (&browser{h: h}).do(post, "/login", strings.NewReader("account=clerk"), cross); rec.Code != http.StatusForbidden {
		t.Errorf("sign-in from another site: %d", rec.Code)
	}
}

// codeIn finds what a browser would run, or take as style, in a page: nothing but our own files may be.
func codeIn(t *testing.T, page string) (found []string) {
	t.Helper()
	tok := nethtml.NewTokenizer(strings.NewReader(page))
	for {
		switch tok.Next() {
		case nethtml.ErrorToken:
			return found
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			x := tok.Token()
			own := false
			for _, a := range x.Attr {
				own = own || x.Data == "script" && a.Key == "src" && strings.HasPrefix(a.Val, "/static/")
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") {
					found = append(found, x.String())
				}
			}
			if x.Data == "style" || x.Data == "img" || x.Data == "script" && !own {
				found = append(found, x.String())
			}
		}
	}
}

// Stored text of anybody's is text on every page, whatever it looks like.
func TestStoredFieldsCannotBecomeCode(t *testing.T) {
	h := build(t)
	const evil = `<script>alert(1)</script>"><img src=x onerror=alert(2)>`
	p := h.person("王"+evil, "A123456789", `x'"><b>`, ownCode)
	d := h.boundDevice(`D-1"><svg onload=alert(3)>`, p, ownCode)
	a, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: p, Device: d, Institution: ownCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	b := h.signIn(session.Clerk)
	for _, path := range []string{"/persons", "/persons/" + string(p), "/devices", "/devices/" + string(d), "/devices/" + string(d) + "/binding", "/devices/new?person=" + string(p),
		"/applications", "/applications/" + string(a.ID), "/applications/new?person=" + string(p), "/counter/" + string(a.ID), `/login?next=//evil.example&why="><script>`,
		`/devices?code="><script>alert(1)</script>&state=<b>`, `/certificates?serial="><script>`} {
		rec := b.get(path)
		if rec.Code != 200 {
			t.Errorf("%s: %d", path, rec.Code)
		}
		body := rec.Body.String()
		for _, x := range codeIn(t, body) {
			t.Errorf("%s holds %s", path, x)
		}
		if strings.Contains(body, `name="next" value="//evil`) || strings.Contains(body, `href="//evil`) {
			t.Errorf("%s leads to another site", path)
		}
	}
	// HCA-8.1.3: the text on the counter is the text to be signed, byte for byte, names and all.
	if got := shownText(t, b.get("/counter/"+string(a.ID)).Body.String()); got != string(a.Text) {
		t.Errorf("shown %q\nissued %q", got, a.Text)
	}
}

var preText = regexp.MustCompile(`(?s)<pre data-text[^>]*>(.*?)</pre>`)

func shownText(t *testing.T, body string) string {
	t.Helper()
	m := preText.FindStringSubmatch(body)
	if m == nil {
		t.Fatal("there is no text to be signed on the page")
	}
	return html.UnescapeString(m[1])
}

func TestSecurityHeadersOfPages(t *testing.T) {
	h := build(t)
	head := h.signIn(session.Clerk).get("/").Header()
	csp := head.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "style-src 'self'", "script-src 'self'", "img-src 'self' data:", "form-action 'self'",
		"frame-ancestors 'none'", "connect-src 'self' http://localhost:61161"} {
		if !strings.Contains(csp, want) {
			t.Errorf("%q lacks %q", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") || head.Get("Cross-Origin-Opener-Policy") != "same-origin-allow-popups" {
		t.Errorf("%v", head)
	}
}

// HCA-8.1.5: names, national ids, card numbers, telephone and e-mail are masked on every page but the text that
// the holder himself signs.
func TestPersonalDataIsMasked(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	a, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: p, Device: d, Institution: ownCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	for _, role := range session.Roles {
		b := h.signIn(role)
		for _, path := range []string{"/persons", "/persons/" + string(p), "/devices/" + string(d), "/applications/" + string(a.ID), "/audit", "/audit?object=person/" + string(p), "/staff",
			"/staff/" + string(h.staff[session.Clerk].cred.ID)} {
			body := b.get(path).Body.String()
			for _, secret := range []string{"王大明", "A123456789", "0000000112345678", "doctor@example.org", "0912345678", "林美玲"} {
				if strings.Contains(body, secret) {
					t.Errorf("%s as %s shows %s", path, role, secret)
				}
			}
		}
	}
	body := h.signIn(session.Clerk).get("/persons/" + string(p)).Body.String()
	for _, want := range []string{"王○明", "A12****789", "00********5678", "d***@example.org", "0912****678"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// HCA-3.7, HCA-8.1.6: an institution's staff see and touch nothing of another institution.
func TestInstitutionsAreKeptApart(t *testing.T) {
	h := build(t)
	theirs := h.person("陳志明", "B123456780", "0000000112345699", otherCode)
	device := h.boundDevice("D-OTHER", theirs, otherCode)
	a, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: theirs, Device: device, Institution: otherCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	b := h.signInAs(h.hire(session.NewStaff{Account: "own.clerk", Name: "x", Role: session.Clerk, Institution: ownCode}))
	for _, path := range []string{"/persons/" + string(theirs), "/devices/" + string(device), "/applications/" + string(a.ID), "/counter/" + string(a.ID),
		"/applications/new?person=" + string(theirs), "/devices/" + string(device) + "/binding"} {
		if rec := b.get(path); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	for _, path := range []string{"/persons", "/devices", "/applications", "/institutions", "/audit"} {
		if body := b.get(path).Body.String(); strings.Contains(body, "D-OTHER") || strings.Contains(body, string(theirs)) || strings.Contains(body, string(otherCode)) {
			t.Errorf("%s shows another institution", path)
		}
	}
	for path, form := range map[string]url.Values{
		"/devices/" + string(device) + "/report":         {"event": {"lose"}},
		"/persons/" + string(theirs) + "/leave":          {"institution": {string(otherCode)}, "reason": {"left"}},
		"/applications/" + string(a.ID) + "/cancel":      nil,
		"/devices/" + string(device) + "/users":          {"person": {string(theirs)}},
		"/counter/" + string(a.ID) + "/again":            nil,
		"/devices/" + string(device) + "/binding":        nil,
		"/devices/" + string(device) + "/users/remove":   {"person": {string(theirs)}},
		"/devices/" + string(device) + "/binding/reject": {"binding": {"x"}},
	} {
		if rec := b.post(path, form); rec.Code < 400 {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

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

// HCA-8.2.6(5): nothing can be done before the initial password is changed.
func TestInitialPasswordLeadsToItsChange(t *testing.T) {
	h := build(t)
	cred, err := h.accounts.CreateStaff(t.Context(), operator, session.NewStaff{Account: "new.clerk", Name: "x", Role: session.Clerk})
	h.ok(err)
	b := h.signInAs(staffer{cred, cred.Password.Reveal()})
	for _, r := range routes {
		if r.open || r.first || !r.allows(session.Clerk) {
			continue
		}
		path := strings.NewReplacer(":id", "x", ":code", "x").Replace(r.path)
		rec := b.get(path)
		if r.method == post {
			rec = b.post(path, nil)
		}
		if !(rec.Code == http.StatusSeeOther && rec.Header().Get("Location") == "/password") && rec.Code != http.StatusForbidden {
			t.Errorf("%s %s: %d", r.method, r.path, rec.Code)
		}
	}
	rec := b.post("/password", url.Values{"current": {cred.Password.Reveal()}, "next": {"a new password"}, "repeat": {"a new password"}})
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(rec.Header().Get("Set-Cookie"), session.CookieName+"=") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// HCA-8.1.1: the polls of the open pages keep no session alive.
func TestPollsDoNotKeepTheSessionAlive(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	for range 9 {
		h.wait(time.Minute)
		for _, r := range routes {
			if r.poll {
				b.get(strings.ReplaceAll(r.path, ":id", "x"))
			}
		}
	}
	var left struct{ Seconds int }
	rec := b.get("/session")
	h.ok(json.Unmarshal(rec.Body.Bytes(), &left))
	if left.Seconds != 60 {
		t.Errorf("%d seconds are left after nine minutes of polling", left.Seconds)
	}
	b.do(post, "/session/stay", strings.NewReader(""), map[string]string{"X-CSRF-Token": b.csrf, "Accept": "application/json", "Sec-Fetch-Site": "same-origin"})
	h.wait(9 * time.Minute)
	if rec := b.get("/session"); rec.Code != 200 {
		t.Errorf("after the click to stay: %d", rec.Code)
	}
	h.wait(time.Minute)
	if rec := b.get("/persons?state=x"); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/login?next=%2Fpersons%3Fstate%3Dx&why=session-idle" {
		t.Errorf("after ten minutes: %d %s", rec.Code, rec.Header().Get("Location"))
	}
}

// A link in a colleague's web mail does not bring the strict cookie; the page loads itself again to get it.
func TestLinksFromElsewhereComeBackWithTheCookie(t *testing.T) {
	h := build(t)
	rec := (&browser{h: h}).do(get, "/certificates?state=live", nil, map[string]string{"Sec-Fetch-Site": "cross-site"})
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `http-equiv="refresh" content="0"`) {
		t.Errorf("%d", rec.Code)
	}
}

func TestNextLeadsNowhereElse(t *testing.T) {
	for next, want := range map[string]string{"/persons?x=1": "/persons?x=1", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "": "/",
		"javascript:alert(1)": "/", "/a\r\nSet-Cookie: x": "/"} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q", next, got)
		}
	}
}

// HCA-8.1.5: a search leaves no name and no id in an address.
func TestSearchKeepsPersonalDataOutOfAddresses(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	b := h.signIn(session.Clerk)
	for _, q := range []string{"王大明", "a123456789"} {
		rec := b.post("/persons/search", url.Values{"q": {q}})
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/persons/"+string(p) {
			t.Errorf("%s: %d %s", q, rec.Code, rec.Header().Get("Location"))
		}
	}
	if rec := b.post("/persons/search", url.Values{"q": {"王小明"}}); rec.Code != 200 || !strings.Contains(rec.Body.String(), "找不到") {
		t.Errorf("%d", rec.Code)
	}
}

func TestAccountsAreMadeAndStopped(t *testing.T) {
	h := build(t)
	b := h.signIn(session.WindowAdmin)
	rec := b.post("/staff/new", url.Values{"account": {"new.one"}, "name": {"陳志明"}, "role": {"clerk"}})
	m := regexp.MustCompile(`href="/staff/([0-9A-Z]{26})"`).FindStringSubmatch(rec.Body.String())
	if rec.Code != 200 || m == nil || !strings.Contains(rec.Body.String(), `<svg class="qr"`) {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := b.post("/staff/new", url.Values{"account": {"new.two"}, "name": {"x"}, "role": {"approver"}, "contractor": {"yes"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-3.2") {
		t.Errorf("a contractor as approver: %d", rec.Code)
	}
	if rec := b.post("/staff/"+m[1]+"/reset", url.Values{"reset-code": {"yes"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.2.7") {
		t.Errorf("reset without identification: %d", rec.Code)
	}
	if rec := b.post("/staff/"+m[1]+"/active", nil); rec.Code != http.StatusSeeOther {
		t.Errorf("stop: %d", rec.Code)
	}
	if body := b.get("/staff/" + m[1]).Body.String(); !strings.Contains(body, "已停用") {
		t.Error("the page does not say that the account is stopped")
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
	bound, err := h.registry.PresentBinding(t.Context(), operator, m[1], h.spki(), "{}")
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

func TestNewRefusesWhatIsMissing(t *testing.T) {
	h := build(t)
	for name, change := range map[string]func(*Config){"registry": func(c *Config) { c.Registry = nil }, "card": func(c *Config) { c.CardComponent = "localhost" },
		"card path": func(c *Config) { c.CardComponent = "http://localhost:1/; script-src *" }} {
		cfg := h.site.Config
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
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
	rec := b.post(at+"/sign", url.Values{"signature": {base64.StdEncoding.EncodeToString(cms)}})
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
	row := regexp.MustCompile(`<a class="serial" href="(/certificates/[0-9A-Z]{26})"`)
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
