package browser

import (
	"archive/zip"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"certwindow/cmd/demo/stage"
)

// A clerk signs in and brings a holder from the first search to a certificate in force, and from there to its
// revocation, in a real browser, by keyboard alone: what the holder is shown is what the window issued, what his
// card signs and what the evidence holds (HCA-8.1.3, HCA-3.3); a wrong PIN is told in words; and another person's
// card is refused by the rule that it breaks (HCA-5.1.1).
func TestCounter(t *testing.T) {
	w := opened(t)
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			b := w.newTab(t, lang)
			b.signIn(b.newStaff("clerk"))
			key, device := "app", w.cast.IPhone
			if lang == english {
				key, device = "hsm", w.cast.Tablet
			}
			application := b.begin(device, key)
			shown := b.shown()
			b.foreignCard(application)
			b.wrongPIN()
			certificate := b.enrol(device, application)
			b.evidenceHolds(application, shown)
			revocation, shown := b.revoke(certificate)
			b.evidenceHolds(revocation, shown)
			if n := b.opened(b.Agent + "/popupForm"); n != 4 {
				t.Errorf("the component's window was opened %d times, not 4", n)
			}
		})
	}
}

// begin finds the person and makes an application, whose id it returns.
func (b *tab) begin(device, key string) string {
	b.t.Helper()
	b.shortcut("/")
	b.until("the search by one key", `document.activeElement.matches("[data-search]")`)
	b.press("A123456789" + kb.Enter)
	b.until("the person's page", fmt.Sprintf(`location.pathname === "/persons/%s"`, b.cast.Wang))
	b.enter(`a[href^="/applications/new"]`)
	b.until("the form", `document.querySelector("input[name=scope]") !== null`)
	b.choose("device", device)
	b.tick("scope", "EMR-SIGN")
	b.choose("key", key)
	b.choose("algorithm", "P-256")
	b.enter("main button.main")
	b.until("the counter", `location.pathname.startsWith("/counter/") && document.querySelector("[data-text]") !== null`)
	return path.Base(ask[string](b, "location.pathname"))
}

// shown is the text on the screen. What the eye sees is what the card gets.
func (b *tab) shown() string {
	b.t.Helper()
	text := ask[string](b, `document.querySelector("[data-text]").textContent`)
	seen := ask[string](b, `document.querySelector("[data-text]").innerText`)
	if text == "" || strings.TrimRight(seen, "\n") != strings.TrimRight(text, "\n") {
		b.t.Fatalf("signed would be:\n%q\nseen is:\n%q", text, seen)
	}
	return text
}

// insert puts a card into the reader, and has the page look anew.
func (b *tab) insert(card string) {
	b.t.Helper()
	b.allow(b.Agent) // the component is restarted for it, and the page looks meanwhile wherever it may be
	b.allow(b.ServiSign)
	b.ok(b.InsertCard(b.ctx, card))
	b.to(ask[string](b, "location.pathname"))
	b.seesCard()
}

// seesCard waits until the page knows of the card and lets it sign.
func (b *tab) seesCard() {
	b.t.Helper()
	b.until("seeing the card", fmt.Sprintf(`!document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === %s`, quoted(b.say("counter.card.present"))))
}

// sign types a PIN and starts the signature, by Enter where the PIN is typed or by the button.
func (b *tab) sign(pin string) {
	b.t.Helper()
	b.write("[data-pin]", pin)
	if b.lang == english {
		b.tabTo("[data-sign]")
	}
	b.press(kb.Enter)
}

// refusal waits until the page refuses, and returns what it says.
func (b *tab) refusal() string {
	b.t.Helper()
	b.until("a refusal", `!document.querySelector("[data-refusal]").hidden && document.querySelector("[data-refusal-text]").textContent !== ""`)
	return ask[string](b, `document.querySelector("[data-refusal]").innerText`)
}

// HCA-5.1.1: the card must be the person's own, and the page names the rule.
func (b *tab) foreignCard(application string) {
	b.t.Helper()
	b.insert(b.cast.ChenCard)
	b.allow("/counter/" + application + "/sign")
	b.sign(stage.CardPIN)
	if said := b.refusal(); !strings.Contains(said, "HCA-5.1.1") {
		b.t.Errorf("the refusal names no clause: %s", said)
	}
	if !ask[bool](b, `document.querySelector("[data-refusal-words]").textContent.length > 10`) {
		b.t.Error("the refusal does not put its rule into words")
	}
	b.inspect("the counter, refusing", 200)
	b.insert(b.cast.WangCard)
}

func (b *tab) wrongPIN() {
	b.t.Helper()
	b.sign("000000")
	said := b.refusal()
	for _, key := range []string{"card.pin-wrong", "card.pin-two", "card.pin-one"} {
		if strings.Contains(said, b.say(key)) {
			return
		}
	}
	b.t.Errorf("a wrong PIN is told as: %s", said)
}

// state is the script that tells whether the counter has come to a state.
func state(s string) string {
	return fmt.Sprintf(`document.querySelector("[data-counter]").dataset.state === %q`, s)
}

// enrol signs and follows the application on the page to its certificate, whose id it returns.
func (b *tab) enrol(device, application string) string {
	b.t.Helper()
	b.sign(stage.CardPIN)
	b.until("waiting for the phone", state("awaiting-key"))
	if here := ask[string](b, `document.querySelector(".steps .here").textContent`); here != b.say("state.application.awaiting-key") {
		b.t.Errorf("while the phone is awaited, the step is %q", here)
	}
	b.ok(b.story.PhoneEnrols(b.ctx, device, application))
	b.finish()
	b.until("a certificate in force", certificateState(b.say("state.certificate.live")))
	return path.Base(ask[string](b, "location.pathname"))
}

// finish waits for the end on the counter page, where the focus is on the next person, and goes on to the certificate.
func (b *tab) finish() {
	b.t.Helper()
	b.until("completion", state("completed"))
	b.until("the next person", `document.activeElement.matches("[data-next]")`)
	b.enter("[data-result]")
	b.until("the certificate", `location.pathname.startsWith("/certificates/") && document.querySelector("main .state") !== null`)
}

// certificateState is the script that tells whether a certificate's page shows a state.
func certificateState(word string) string {
	return fmt.Sprintf(`document.querySelector("main .states .state").textContent === %s`, quoted(word))
}

// HCA-5.2.1: revocation is asked for with the card too. It returns the application's id and the text that was shown.
func (b *tab) revoke(certificate string) (application, shown string) {
	b.t.Helper()
	b.enter(fmt.Sprintf(`form[action="/certificates/%s/revoke"] button`, certificate))
	b.until("the counter", `location.pathname.startsWith("/counter/") && document.querySelector("[data-text]") !== null`)
	application, shown = path.Base(ask[string](b, "location.pathname")), b.shown()
	b.seesCard()
	b.sign(stage.CardPIN)
	b.finish()
	b.until("the certificate revoked", certificateState(b.say("state.certificate.revoked")))
	if at := path.Base(ask[string](b, "location.pathname")); at != certificate {
		b.t.Errorf("the counter leads to certificate %s, not %s", at, certificate)
	}
	return application, shown
}

// evidenceHolds compares the text that was issued, as the evidence holds it years later, with what the holder was
// shown before he signed.
func (b *tab) evidenceHolds(application, shown string) {
	b.t.Helper()
	file := b.Path("evidence-" + application + ".zip")
	_, err := b.Run(b.ctx, "certwindow", "evidence", "--config", b.Config(), "--application", application, "--out", file)
	b.ok(err)
	z, err := zip.OpenReader(file)
	b.ok(err)
	defer z.Close()
	text, err := z.Open("text.txt")
	b.ok(err)
	defer text.Close()
	issued, err := io.ReadAll(io.LimitReader(text, 1<<20))
	b.ok(err)
	if string(issued) != shown {
		b.t.Errorf("issued and signed:\n%q\nshown:\n%q", issued, shown)
	}
}
