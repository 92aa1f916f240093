package admin

import (
	"net/http"
	"strings"
	"testing"

	"certwindow/devices/appcred"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/web/session"
)

// HCA-8.2.6(4): a holder sets a new password by his own card, without anybody of the staff: in the browser that was shown
// the text, once; a card that is linked to nobody, and a text for signing in, set nothing.
func TestNewPasswordByCard(t *testing.T) {
	h := build(t)
	const holder = "0000000112345678"
	person := h.person("王大明", "A123456789", holder, ownCode)
	card := h.cards[holder]
	clerk := h.signIn(session.Clerk)
	if r := clerk.post("/persons/"+string(person)+"/account", map[string][]string{"account": {"dr.wang"}, "identified": {"yes"}}); r.Code != 200 {
		t.Fatal(r.Code)
	}
	b := h.visitor()
	shown := b.get("/new-password")
	b.keep(shown)
	text, nonce := b.signable(shown)
	if !strings.Contains(string(text), "password reset v1") || !strings.Contains(string(text), "site: https://window.example") {
		t.Fatalf("%s", text)
	}
	form := b.cms(card, text, nonce)
	form.Set("next", "correct horse battery")
	form.Set("repeat", "correct horse batter")
	if r := b.post("/new-password", form); r.Code != 400 || strings.Contains(r.Body.String(), "correct horse") {
		t.Errorf("two different passwords: %d %s", r.Code, r.Body)
	}
	form.Set("repeat", "correct horse battery")
	if r := h.visitor().post("/new-password", form); r.Code != 422 || !strings.Contains(r.Body.String(), "HCA-8.1.4") {
		t.Errorf("in another browser: %d", r.Code)
	}
	if r := b.post("/login/card", form); r.Code != 422 {
		t.Errorf("the text of a new password signs in: %d", r.Code)
	}
	if r := b.post("/new-password", form); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "dr.wang") {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if r := b.post("/new-password", form); r.Code != 422 || !strings.Contains(r.Body.String(), "HCA-8.1.4") {
		t.Errorf("the same once more: %d", r.Code)
	}
	st, _, err := h.site.Holders.(*appcred.Service).Account(t.Context(), person)
	if err != nil || st.MustChange || st.PasswordLocked {
		t.Errorf("the account stands %+v %v", st, err)
	}

	attempt := func(where string, card *cardtest.Card, next string) int {
		t.Helper()
		v := h.visitor()
		shown := v.get(where)
		v.keep(shown)
		text, nonce := v.signable(shown)
		form := v.bare(card, text, nonce)
		form.Set("next", next)
		form.Set("repeat", next)
		return v.post("/new-password", form).Code
	}
	other := h.pki.Card(t, cardtest.CardOptions{Name: "陳志明", Holder: "0000000112345699"})
	h.cards["0000000112345699"] = other
	if code := attempt("/new-password", other, "correct horse battery"); code != 422 {
		t.Errorf("a card of nobody's: %d", code)
	}
	if code := attempt("/login/card", card, "correct horse battery"); code != 422 {
		t.Errorf("a text for signing in: %d", code)
	}
	if code := attempt("/new-password", card, "short"); code != 422 {
		t.Errorf("a short password: %d", code)
	}
	if code := attempt("/new-password", card, "battery staple horse"); code != 200 {
		t.Errorf("with the bare signature of the other component: %d", code)
	}
}
