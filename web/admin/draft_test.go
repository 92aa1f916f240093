package admin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"certwindow/web/session"
)

// typedPerson is a form that was filled in at the counter.
var typedPerson = url.Values{"name": {"王\"大>明"}, "national_id": {"A123456789"}, "holder": {"0000000112345678"}, "institution": {string(otherCode)}, "email": {"a@example.org"},
	"locale": {"en"}, "password": {"hunter2hunter2"}, "card-pin": {"123456"}}

// postOf sends a form from a page of this site, as a browser does.
func (b *browser) postFrom(page, path string, form url.Values) *httptest.ResponseRecorder {
	form = url.Values(http.Header(form).Clone())
	form.Set("csrf", b.csrf)
	return b.do(post, path, strings.NewReader(form.Encode()), map[string]string{"Content-Type": "application/x-www-form-urlencoded",
		"Sec-Fetch-Site": "same-origin", "Referer": "https://window.example" + page})
}

// values are what the fields of a page's form hold.
func values(t *testing.T, page, action string) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	out := url.Values{}
	for f := range doc.Descendants() {
		if f.Data != "form" || actionOf(f, action) != action {
			continue
		}
		for n := range f.Descendants() {
			switch {
			case n.Data == "input" && attribute(n, "type") != "hidden" && attribute(n, "value") != "" && attribute(n, "type") != "radio" && attribute(n, "type") != "checkbox":
				out.Add(attribute(n, "name"), attribute(n, "value"))
			case n.Data == "option" && valueIn(n, "selected", "no") != "no":
				out.Add(attribute(n.Parent, "name"), attribute(n, "value"))
			}
		}
	}
	return out
}

// signedInAgain is a new session of an account in the same browser.
func (b *browser) signedInAgain(r session.Role) *browser { return b.h.signIn(r) }

// HCA-8.1.1: a form that was posted into a session that had ended is kept, without any script, and stands in the page
// again for the same account alone, once, without its secrets.
func TestPostedFormSurvivesTheLogin(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	h.wait(10 * time.Minute)
	rec := b.postFrom("/persons/new", "/persons/new", typedPerson)
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/login?kept=yes&next=%2Fpersons%2Fnew&why=session-idle" {
		t.Fatalf("%d %s", rec.Code, rec.Header().Get("Location"))
	}
	if rec := h.visitor().get(rec.Header().Get("Location")); !strings.Contains(rec.Body.String(), "您填寫的內容已保留") {
		t.Error("the sign-in page does not say that it is kept")
	}
	var kept []byte
	h.ok(h.db.SQL.QueryRow("SELECT sealed FROM drafts").Scan(&kept))
	if strings.Contains(string(kept), "A123456789") {
		t.Error("HCA-8.1.5: the draft lies open in the database")
	}
	if rec := h.signIn(session.InstitutionAdmin).get("/persons/new"); strings.Contains(rec.Body.String(), "A123456789") || strings.Contains(rec.Body.String(), "尚未送出") {
		t.Error("another account sees it")
	}
	again := b.signedInAgain(session.Clerk)
	page := again.get("/persons/new").Body.String()
	got := values(t, page, "/persons/new")
	for _, name := range []string{"name", "national_id", "holder", "email", "institution", "locale"} {
		if got.Get(name) != typedPerson.Get(name) {
			t.Errorf("%s: %q, typed was %q", name, got.Get(name), typedPerson.Get(name))
		}
	}
	if !strings.Contains(page, "尚未送出") || strings.Contains(page, "hunter2") || strings.Contains(page, "123456\"") {
		t.Errorf("%s", page)
	}
	if !strings.Contains(page, `name="csrf" value="`+again.csrf+`"`) {
		t.Error("the form has not the new session's token")
	}
	if page := again.get("/persons/new").Body.String(); strings.Contains(page, "A123456789") {
		t.Error("it is shown a second time")
	}
}

// The same through session.js: sent while the session lives, or after it has ended; it is no use of the session
// (HCA-8.1.1), and nothing for who does not hold the cookie and the form's own token.
func TestHalfFilledFormIsKept(t *testing.T) {
	h := build(t)
	draft := func(b *browser, csrf string, change func(url.Values)) int {
		form := url.Values{"csrf": {csrf}, "page": {"/persons/new"}, "action": {"/persons/new"}, "form": {typedPerson.Encode()}}
		if change != nil {
			change(form)
		}
		return b.do(post, "/session/draft", strings.NewReader(form.Encode()), map[string]string{"Content-Type": "application/x-www-form-urlencoded",
			"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}).Code
	}
	b := h.signIn(session.Clerk)
	h.wait(9 * time.Minute)
	if code := draft(b, b.csrf, nil); code != http.StatusNoContent {
		t.Fatal(code)
	}
	h.wait(time.Minute)
	if rec := b.get("/session"); rec.Code != http.StatusUnauthorized && rec.Code != http.StatusSeeOther {
		t.Fatalf("keeping a draft was a use of the session: %d", rec.Code)
	}
	if code := draft(b, b.csrf, nil); code != http.StatusNoContent {
		t.Errorf("after the end: %d", code)
	}
	again := h.signIn(session.Clerk)
	if !strings.Contains(again.get("/persons/new").Body.String(), "0000000112345678") {
		t.Error("it is not there again")
	}
	for what, code := range map[string]int{
		"a stranger":      draft(h.visitor(), b.csrf, nil),
		"another's token": draft(b, again.csrf, nil),
		"no token":        draft(b, "", nil),
		"no page of ours": draft(b, b.csrf, func(f url.Values) { f.Set("page", "//evil.example/persons/new") }),
		"no such page":    draft(b, b.csrf, func(f url.Values) { f.Set("page", "/nothing") }),
		"no such form":    draft(b, b.csrf, func(f url.Values) { f.Set("action", "/nothing") }),
		"a password form": draft(b, b.csrf, func(f url.Values) { f.Set("page", "/password"); f.Set("action", "/password") }),
		"no text":         draft(b, b.csrf, func(f url.Values) { f.Set("form", "name=%ff") }),
		"too much":        draft(b, b.csrf, func(f url.Values) { f.Set("form", "name="+strings.Repeat("x", 20_000)) }),
	} {
		if code < 400 || code >= 500 {
			t.Errorf("%s: %d", what, code)
		}
	}
	for _, site := range []string{"cross-site", "same-site"} {
		rec := b.do(post, "/session/draft", strings.NewReader(url.Values{"csrf": {b.csrf}, "page": {"/persons/new"}, "action": {"/persons/new"}, "form": {"name=x"}}.Encode()),
			map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": site})
		if rec.Code != http.StatusForbidden {
			t.Errorf("planted %s: %d", site, rec.Code)
		}
		rec = b.do(post, "/persons/new", strings.NewReader("name=x&csrf="+b.csrf), map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": site})
		if rec.Code == http.StatusSeeOther {
			t.Errorf("planted by posting %s: %s", site, rec.Header().Get("Location"))
		}
	}
}

// A second page was open, whose session had ended while its owner signed in again in another: its form is not lost.
func TestFormOfTheSessionBefore(t *testing.T) {
	h := build(t)
	old := h.signIn(session.Clerk)
	h.wait(10 * time.Minute)
	old.get("/persons")
	now := h.signIn(session.Clerk)
	before := now.csrf
	now.csrf = old.csrf
	rec := now.postFrom("/persons/new", "/persons/new", typedPerson)
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/persons/new" {
		t.Fatalf("%d %s", rec.Code, rec.Header().Get("Location"))
	}
	now.csrf = before
	if !strings.Contains(now.get("/persons/new").Body.String(), "0000000112345678") {
		t.Error("it is not there")
	}
	if list := now.get("/persons").Body.String(); strings.Contains(list, "王") {
		t.Error("it was carried out")
	}
	other := h.signIn(session.InstitutionAdmin)
	other.csrf = old.csrf
	if rec := other.postFrom("/persons/new", "/persons/new", typedPerson); rec.Code != http.StatusForbidden {
		t.Errorf("another account's token: %d", rec.Code)
	}
}

// Who leaves means to: nothing is kept after signing out. What was sent is not offered again.
func TestDraftEndsWithSendingOrLeaving(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	h.wait(10 * time.Minute)
	if rec := b.postFrom("/persons/new", "/persons/new", typedPerson); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	h.signIn(session.Clerk).post("/logout", nil)
	if strings.Contains(h.signIn(session.Clerk).get("/persons/new").Body.String(), "0000000112345678") {
		t.Error("kept after signing out")
	}
	left := h.signIn(session.Clerk)
	left.post("/logout", nil)
	if rec := left.postFrom("/persons/new", "/persons/new", typedPerson); rec.Code != http.StatusUnauthorized {
		t.Errorf("posted after signing out: %d", rec.Code)
	}
	gone := h.signIn(session.Clerk)
	h.signIn(session.Clerk).post("/logout/everywhere", nil)
	if rec := gone.postFrom("/persons/new", "/persons/new", typedPerson); rec.Code != http.StatusSeeOther {
		t.Errorf("posted after signing out elsewhere: %d", rec.Code)
	}
	if !strings.Contains(h.signIn(session.Clerk).get("/persons/new").Body.String(), "0000000112345678") {
		t.Error("not kept after signing out elsewhere")
	}
}
