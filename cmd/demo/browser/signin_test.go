package browser

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"certwindow/cmd/demo/stage"
)

// HCA-8.1.4, HCA-8.1.6: with real processes and a card in a real token, by keyboard alone, a clerk links his card to his
// account and signs in with it; and what he had typed into a form when he was signed out from another place is there
// again after he has (HCA-8.1.1), though the form was posted.
func TestSignInByCard(t *testing.T) {
	w := opened(t)
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			b := w.newTab(t, lang)
			clerk := b.newStaff("clerk")
			b.signIn(clerk)
			b.to("/account/card")
			b.insert(map[string]string{chinese: b.cast.ChenCard, english: b.cast.WangCard}[lang]) // one card, one account
			b.write("#f-current", clerk.Password+"-and-mine")
			b.inspect("linking a card", 200)
			b.sign(stage.CardPIN)
			b.until("the card linked", `location.search === "?done=card-linked"`)
			b.to("/persons/new")
			b.until("the form", `document.querySelector("#f-name") !== null`)
			b.write("#f-name", "陳半滿")
			b.write("#f-national_id", "A100000001")

			other := w.newTab(t, lang)
			other.byCard()
			other.to("/account/sessions")
			other.inspect("two sessions", 200)
			other.enter(`form[action="/logout/everywhere"] button`)
			other.until("being signed out", `location.pathname === "/login"`)

			b.write("#f-holder", "0000000112349999")
			b.press(kb.Enter)
			b.until("being asked to sign in, the form kept", `location.pathname === "/login" && document.body.innerText.includes(`+quoted(b.say("login.kept"))+`)`)
			b.enter(`a[href^="/login/card"]`)
			b.until("the text to sign", `location.pathname === "/login/card"`)
			b.seesCard()
			b.inspect("signing in by card", 200)
			b.sign(stage.CardPIN)
			b.until("the form again", `location.pathname === "/persons/new" && document.querySelector("#f-name").value === "陳半滿" && document.querySelector("#f-holder").value === "0000000112349999"`)
			b.inspect("a form that was kept", 200)
		})
	}
}

// byCard signs in with the card that is in the reader.
func (b *tab) byCard() {
	b.t.Helper()
	b.to("/login/card")
	b.speak()
	b.until("the text to sign", `document.querySelector("[data-text]") !== null`)
	b.seesCard()
	b.sign(stage.CardPIN)
	b.until("being signed in", `location.pathname === "/" && document.querySelector("nav") !== null`)
}
