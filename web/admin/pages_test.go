package admin

import (
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
		`/devices?code="><script>alert(1)</script>`, `/certificates?serial="><script>`} {
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
	b := h.signInAs(h.hire(session.NewStaff{Account: "own.clerk", Role: session.Clerk, Institution: ownCode}))
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

// HCA-8.2.6(5): nothing can be done before the initial password is changed.
func TestInitialPasswordLeadsToItsChange(t *testing.T) {
	h := build(t)
	cred := h.recruit(session.NewStaff{Account: "new.clerk", Role: session.Clerk})
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
