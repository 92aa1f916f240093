package admin

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/consent"
	"certwindow/web/session"
)

// Identify tells whose card signed, for signing in.
func (h *house) Identify(ctx context.Context, want consent.Expected, s consent.Signature) (consent.Identity, error) {
	s, err := s.Over(want.Text, want.Clause)
	if err != nil {
		return consent.Identity{}, err
	}
	want.Bare = s.Bare != nil
	m, err := h.judge(ctx, want, s.CMS)
	if err != nil {
		return consent.Identity{}, err
	}
	return consent.Identity{Holder: m.Holder()}, nil
}

// visitor is a browser in which nobody is signed in, with the cookies that it was given.
func (h *house) visitor() *browser { return &browser{h: h} }

// keep takes the cookies of an answer.
func (b *browser) keep(rec *httptest.ResponseRecorder) {
	b.cookie = append(b.cookie, rec.Result().Cookies()...)
}

var (
	shownNonce = regexp.MustCompile(`name="nonce" value="([^"]+)"`)
	shownSign  = regexp.MustCompile(`(?s)<pre data-text[^>]*>(.*?)</pre>`)
)

// signable is the text that a page shows to be signed, and its nonce.
func (b *browser) signable(rec *httptest.ResponseRecorder) (text []byte, nonce string) {
	b.h.t.Helper()
	t, n := shownSign.FindStringSubmatch(rec.Body.String()), shownNonce.FindStringSubmatch(rec.Body.String())
	if t == nil || n == nil {
		b.h.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return []byte(html.UnescapeString(t[1])), n[1]
}

func (b *browser) cms(c *cardtest.Card, text []byte, nonce string) url.Values {
	return url.Values{"nonce": {nonce}, "component": {"hipki"}, "signature": {base64.StdEncoding.EncodeToString(c.Sign(b.h.t, text, b.h.now(), ""))}, "certificate": {"x"}}
}

func (b *browser) bare(c *cardtest.Card, text []byte, nonce string) url.Values {
	b.h.t.Helper()
	sum := sha256.Sum256(text)
	sig, err := c.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	b.h.ok(err)
	return url.Values{"nonce": {nonce}, "component": {"servisign"}, "signature": {base64.StdEncoding.EncodeToString(sig)},
		"certificate": {base64.StdEncoding.EncodeToString(c.Cert.Raw)}}
}

// linkedClerk is a clerk whose card is linked to the account, through the pages.
func (h *house) linkedClerk() *cardtest.Card {
	h.t.Helper()
	card := h.pki.Card(h.t, cardtest.CardOptions{Name: "林美玲", Holder: "0000000112345678"})
	h.cards["0000000112345678"] = card
	b := h.signIn(session.Clerk)
	text, nonce := b.signable(b.get("/account/card"))
	form := b.cms(card, text, nonce)
	form.Set("current", h.staff[session.Clerk].password)
	if rec := b.post("/account/card", form); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/account/card?done=card-linked" {
		h.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return card
}

// HCA-8.1.4, HCA-8.1.6: through the pages, with either kind of component, a card opens the account it was linked to, in
// the browser that was shown the text, once; a card that is not linked opens nothing.
func TestSignInByCard(t *testing.T) {
	h := build(t)
	card := h.linkedClerk()
	for kind, answer := range map[string]func(*browser, *cardtest.Card, []byte, string) url.Values{"cms": (*browser).cms, "bare": (*browser).bare} {
		b := h.visitor()
		page := b.get("/login/card?next=%2Fpersons%3Fx%3D1")
		b.keep(page)
		text, nonce := b.signable(page)
		if !strings.Contains(string(text), "HCA service window login v1") || !strings.Contains(string(text), "site: https://window.example") {
			t.Fatalf("%s", text)
		}
		form := answer(b, card, text, nonce)
		form.Set("next", "/persons?x=1")
		if rec := h.visitor().post("/login/card", form); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "HCA-8.1.4") {
			t.Errorf("%s in another browser: %d", kind, rec.Code)
		}
		rec := b.post("/login/card", form)
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/persons?x=1" {
			t.Fatalf("%s: %d %s", kind, rec.Code, rec.Body)
		}
		b.keep(rec)
		if rec := b.get("/persons"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "<b>clerk</b>") {
			t.Errorf("%s: %d", kind, rec.Code)
		}
		if rec := b.post("/login/card", form); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "HCA-8.1.4") {
			t.Errorf("%s again: %d", kind, rec.Code)
		}
	}
	other := h.pki.Card(t, cardtest.CardOptions{Name: "陳志明", Holder: "0000000112345699"})
	h.cards["0000000112345699"] = other
	b := h.visitor()
	page := b.get("/login/card")
	b.keep(page)
	text, nonce := b.signable(page)
	rec := b.post("/login/card", b.cms(other, text, nonce))
	if rec.Code != http.StatusUnauthorized || !strings.Contains(rec.Body.String(), "這張卡片無法登入") || rec.Header().Get("Set-Cookie") != "" {
		t.Errorf("a card of nobody: %d %s", rec.Code, rec.Body)
	}
	if again, _ := b.signable(rec); string(again) == string(text) {
		t.Error("the text that was used up is shown again")
	}
	if rec := b.do(post, "/login/card", strings.NewReader("signature=x"), map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-www-form-urlencoded"}); rec.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", rec.Code)
	}
	for _, form := range []url.Values{{}, {"signature": {"!"}}, {"signature": {strings.Repeat("A", 200_000)}}, {"signature": {"MAA="}, "nonce": {"x"}}, {"component": {"servisign"}, "signature": {"MAA="}}} {
		if rec := b.post("/login/card", form); rec.Code != http.StatusBadRequest && rec.Code != http.StatusUnprocessableEntity {
			t.Errorf("%.60v: %d", form, rec.Code)
		}
	}
}

// HCA-8.1.6: an administrator takes the card from an account, and what it had opened ends.
func TestAdministratorUnlinksACard(t *testing.T) {
	h := build(t)
	card := h.linkedClerk()
	b := h.visitor()
	page := b.get("/login/card")
	b.keep(page)
	text, nonce := b.signable(page)
	b.keep(b.post("/login/card", b.cms(card, text, nonce)))
	if rec := b.get("/account/card"); strings.Contains(rec.Body.String(), `action="/account/card/unlink"`) || !strings.Contains(rec.Body.String(), "以帳號、密碼及驗證碼登入後辦理") {
		t.Errorf("a session of the card may change it: %s", rec.Body)
	}
	admin, path := h.signIn(session.WindowAdmin), "/staff/"+string(h.staff[session.Clerk].cred.ID)
	if rec := admin.get(path); !strings.Contains(rec.Body.String(), path+"/card/unlink") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := admin.post(path+"/card/unlink", nil); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	if rec := b.get("/persons"); rec.Code != http.StatusSeeOther || !strings.HasPrefix(rec.Header().Get("Location"), "/login") {
		t.Errorf("still signed in: %d", rec.Code)
	}
}

// HCA-8.1.1, HCA-3.7: everybody of an institution is signed out at once when it is suspended, and nobody signs in.
func TestSuspendedInstitutionIsSignedOut(t *testing.T) {
	h := build(t)
	b := h.signIn(session.InstitutionAdmin)
	if rec := b.get("/persons"); rec.Code != http.StatusOK {
		t.Fatal(rec.Code)
	}
	h.ok(h.db.Gorm.Exec("UPDATE institutions SET active = FALSE WHERE code = ?", string(ownCode)).Error)
	if rec := b.get("/persons"); rec.Code != http.StatusSeeOther {
		t.Errorf("still signed in: %d", rec.Code)
	}
	h.wait(time.Minute)
	s := h.staff[session.InstitutionAdmin]
	_, err := h.accounts.Login(t.Context(), session.Attempt{Account: s.cred.Account, Password: session.Secret(s.password), Code: h.code(s.cred), Address: "192.0.2.1"})
	if ra.AsError(err).Code != "login-refused" {
		t.Errorf("signs in: %v", err)
	}
	if rec := h.signIn(session.Clerk).get("/persons"); rec.Code != http.StatusOK {
		t.Errorf("the whole window's clerk: %d", rec.Code)
	}
}

// HCA-8.1.1: whoever is signed in sees where else his account is open, and ends one of these sessions with his password.
func TestOwnSessions(t *testing.T) {
	h := build(t)
	h.wait(policy.MaxIdle) // the sessions that the house was built in are over
	here := h.signIn(session.Clerk)
	if body := here.get("/account/sessions").Body.String(); !strings.Contains(body, "沒有在其他瀏覽器登入") || strings.Contains(body, `name="session"`) {
		t.Errorf("alone:\n%s", body)
	}
	there, somebody := h.signIn(session.Clerk), h.signIn(session.Auditor)
	body := here.get("/account/sessions").Body.String()
	names := regexp.MustCompile(`name="session" value="([0-9a-f]{16})"`).FindAllStringSubmatch(body, -1)
	if len(names) != 1 || !strings.Contains(body, "192.0.2.1") || !strings.Contains(body, "目前使用中") {
		t.Fatalf("%d other sessions:\n%s", len(names), body)
	}
	end := func(b *browser, password string) int {
		return b.post("/account/sessions", url.Values{"session": {names[0][1]}, "current": {password}}).Code
	}
	if code := end(here, "wrong horse"); code != http.StatusUnprocessableEntity || there.get("/").Code != http.StatusOK {
		t.Errorf("ended without the password: %d", code)
	}
	if code := end(somebody, h.staff[session.Auditor].password); code != http.StatusConflict || there.get("/").Code != http.StatusOK {
		t.Errorf("ended by another: %d", code)
	}
	if code := end(here, h.staff[session.Clerk].password); code != http.StatusSeeOther {
		t.Errorf("not ended: %d", code)
	}
	if rec := there.get("/"); rec.Code != http.StatusSeeOther || !strings.HasPrefix(rec.Header().Get("Location"), "/login") {
		t.Errorf("it goes on: %d", rec.Code)
	}
	if here.get("/").Code != http.StatusOK || somebody.get("/").Code != http.StatusOK {
		t.Error("others ended as well")
	}
	if n := h.count("audit_events WHERE act = 'staff.session-end' AND outcome = 'done'"); n != 1 {
		t.Errorf("%d rows", n)
	}
}
