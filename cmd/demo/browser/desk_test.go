package browser

import (
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"certwindow/cmd/demo/stage"
)

// mostKeys is what a clerk may need from "next, please" to the certificate, for a person and a device already known.
const mostKeys = 8

// The counter from "next, please" to the certificate and on to the next holder, by keyboard alone, with the card
// component as a process of its own: in Chinese with HiPKI's protocol and the PIN typed on the page, in English with
// HCAServiSign's, where the component shows the text and asks for the PIN itself (HCA-8.1.2, HCA-8.1.3).
func TestDesk(t *testing.T) {
	w := opened(t)
	t.Cleanup(func() { w.SetCounter(stage.Counter{}) })
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			b := w.newTab(t, lang)
			b.allow(w.Agent) // the component is restarted with every card
			b.allow(w.ServiSign)
			b.signIn(b.newStaff("clerk"))
			counter := stage.Counter{}
			if lang == english {
				counter = stage.Counter{ServiSign: true, Holder: b.pinentry()}
			}
			w.SetCounter(counter)
			b.card("")
			certificate := b.fromNextToDone()
			b.nextHolder()
			b.revokedAtTheDesk(certificate)
			b.deviceAtTheDesk()
			if shown, err := os.ReadFile(w.Path("holder.shown")); lang == english && (err != nil || !strings.Contains(string(shown), "HCA mobile certificate revocation v1")) {
				t.Errorf("the component showed its holder %q (%v)", shown, err)
			}
		})
	}
}

// pinentry is a program that plays the holder: it keeps what it is shown and types his PIN.
func (b *tab) pinentry() string {
	b.t.Helper()
	file := b.Path("holder")
	script := fmt.Sprintf("#!/bin/sh\necho OK ready\nwhile read -r line; do\n  printf '%%s\\n' \"$line\" >> '%s.shown'\n  case \"$line\" in\n    GETPIN*) echo 'D %s'; echo OK ;;\n    BYE*) echo OK; exit ;;\n    *) echo OK ;;\n  esac\ndone\n", file, stage.CardPIN)
	b.ok(os.WriteFile(file, []byte(script), 0o700))
	return file
}

// card changes what is in the reader, while the page looks on.
func (b *tab) card(label string) {
	b.t.Helper()
	b.ok(b.InsertCard(b.ctx, label))
}

// reload loads the page anew in the middle of the work.
func (b *tab) reload() {
	b.t.Helper()
	b.do("loading anew", chromedp.Reload())
}

// waits until the focus is on the element, where the clerk can see it: whoever works by keyboard has nothing else to go by.
func (b *tab) waits(what, selector string) {
	b.t.Helper()
	b.until(what, fmt.Sprintf(`(() => { const e = document.activeElement, s = getComputedStyle(e); return e.matches(%s) && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; })()`, quoted(selector)))
}

// consents has the holder give his PIN where he is asked for it, and the clerk press one key.
func (b *tab) consents() {
	b.t.Helper()
	b.until("the card ready", fmt.Sprintf(`!document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === %s`, quoted(b.say("counter.card.present"))))
	b.waits("the focus where the PIN is typed", "[data-pin]")
	if b.lang == chinese {
		keys := b.keys
		b.press(stage.CardPIN)
		b.keys = keys // the holder's, not the clerk's
	}
	b.press(kb.Enter)
}

// fromNextToDone counts the clerk's keys to the certificate, whose id it returns. Every step survives a reload.
func (b *tab) fromNextToDone() string {
	b.t.Helper()
	b.to("/counter")
	b.waits("the focus on the next person", "[data-next]")
	b.inspect("the counter, nobody there", 200)
	begun, keys := time.Now(), b.keys
	b.press(kb.Enter)
	b.until("waiting for a card", `location.search === "?next=1" && !document.querySelector("[data-wait]").hidden`)
	b.reload()
	b.until("waiting after a reload", `!document.querySelector("[data-wait]").hidden`)
	b.card(b.cast.WangCard)
	b.waits("the person", "[data-begin] button")
	b.reload()
	b.waits("the person after a reload", "[data-begin] button")
	b.inspect("the counter, a person", 200)
	device := ask[string](b, `document.querySelector("[data-begin] input[name=device]").value`)
	b.press(kb.Enter)
	b.until("the text", `document.querySelector("[data-text]") !== null`)
	b.reload()
	b.until("the text after a reload", `document.querySelector("[data-text]") !== null`)
	b.readable()
	application := path.Base(ask[string](b, "location.pathname"))
	b.consents()
	b.until("waiting for the phone", state("awaiting-key"))
	b.ok(b.story.PhoneEnrols(b.ctx, device, application))
	b.until("the certificate", state("completed"))
	if n := b.keys - keys; n > mostKeys {
		b.t.Errorf("%d keys from next to done", n)
	} else {
		b.t.Logf("%d keys and %.1f s from next to done, three reloads and the phone's part included", n, time.Since(begun).Seconds())
	}
	b.waits("the focus on the next person", "[data-next]")
	return path.Base(ask[string](b, `document.querySelector("[data-result]").getAttribute("href")`))
}

// readable measures the signed text on the counter's monitor: it turns to face the holder, who reads it at a metre and
// a half (HCA-8.1.3).
func (b *tab) readable() {
	b.t.Helper()
	b.size(1440, 900)
	defer b.size(wide, 800)
	type text struct {
		Size       float64
		Wide, Over int
	}
	v := ask[text](b, `(() => {
	  const e = document.querySelector("[data-text]"), root = document.documentElement;
	  return {Size: parseFloat(getComputedStyle(e).fontSize), Wide: e.scrollWidth - e.clientWidth, Over: root.scrollWidth - root.clientWidth};
	})()`)
	if v.Size < 24 || v.Wide > 0 || v.Over > 0 {
		b.t.Errorf("the signed text has letters of %.1f pixels, and is %d and %d pixels too wide", v.Size, v.Wide, v.Over)
	}
}

// nextHolder goes on with one key: not with the card that is still there, and what is begun with the next card ends
// when it is taken out.
func (b *tab) nextHolder() {
	b.t.Helper()
	b.press(kb.Enter)
	b.until("asking for the card before to be taken out", fmt.Sprintf(`location.search === "?next=1" && document.querySelector("[data-reader]").textContent === %s`, quoted(b.say("counter.card.change"))))
	b.card("")
	b.until("an empty reader", fmt.Sprintf(`document.querySelector("[data-reader]").textContent === %s`, quoted(b.say("counter.card.absent"))))
	b.card(b.cast.ChenCard)
	b.until("the next holder", fmt.Sprintf(`new URLSearchParams(location.search).get("person") === %s`, quoted(b.cast.Chen)))
	b.waits("his application", "[data-begin] button")
	if !ask[bool](b, `document.querySelector("[data-begin] input[name=scope]:checked") !== null`) {
		b.tick("scope", "EMR-SIGN")
	}
	b.enter("[data-begin] button")
	b.until("his text", `document.querySelector("[data-sign]") !== null && !document.querySelector("[data-sign]").disabled`)
	b.card("")
	b.until("the end of the operation", state("voided"))
	b.until("saying why", fmt.Sprintf(`!document.querySelector("[data-refusal]").hidden && document.querySelector("[data-refusal-text]").textContent === %s`, quoted(b.say("card.removed"))))
	b.inspect("the counter, the card taken out", 200)
}

// revokedAtTheDesk has the first holder come back and end his certificate by his card (HCA-5.2.1).
func (b *tab) revokedAtTheDesk(certificate string) {
	b.t.Helper()
	b.to("/counter?next=1")
	b.card(b.cast.WangCard)
	b.waits("the person", "[data-begin] button")
	b.enter(fmt.Sprintf(`form[action="/counter/revoke"]:has(input[value=%q]) button`, certificate))
	b.until("the text", `document.querySelector("[data-text]") !== null && document.querySelector("[data-text]").textContent.includes("HCA mobile certificate revocation v1")`)
	b.consents()
	b.finish()
	b.until("the certificate revoked", certificateState(b.say("state.certificate.revoked")))
	if at := path.Base(ask[string](b, "location.pathname")); at != certificate {
		b.t.Errorf("the counter leads to certificate %s, not %s", at, certificate)
	}
}

// deviceAtTheDesk registers a device of the holder's and binds his phone to it without leaving the counter: the QR, then,
// without a click, the code that both screens show (HCA-4.1).
func (b *tab) deviceAtTheDesk() {
	b.t.Helper()
	b.to("/counter?next=1")
	b.until("asking for the card before to be taken out", fmt.Sprintf(`document.querySelector("[data-reader]").textContent === %s`, quoted(b.say("counter.card.change"))))
	b.card(b.cast.WangCard)
	b.waits("the person", "[data-begin] button")
	b.enter(".what details > summary")
	b.write("#f-code", "DESK-"+strings.ToUpper(b.lang[:2]))
	b.choose("platform", "ios")
	b.write("#f-model", "iPhone 17")
	b.press(kb.Enter)
	b.waits("the binding", `form[action="/counter/bind"] button`)
	b.press(kb.Enter)
	b.until("the QR", `document.querySelector(".qr") !== null`)
	b.inspect("the counter, a QR", 200)
	code, err := b.story.Scan(b.ctx, ask[string](b, `document.querySelector("[data-bind-text]").textContent`))
	b.ok(err)
	b.waits("the phone's code", `form[action="/counter/bind/decide"] button[value=yes]`)
	b.inspect("the counter, a code", 200)
	if shown := ask[string](b, `document.querySelector(".short-code").textContent.replace(/\s/g, "")`); shown != code {
		b.t.Errorf("the page shows the code %s, the phone %s", shown, code)
	}
	b.press(kb.Enter)
	b.waits("the device bound, and the application one key away", "[data-begin] button")
}
