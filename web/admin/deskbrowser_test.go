package admin

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"certwindow/ra"
)

// press is one key of the clerk's keyboard; the desk counts them.
func (d *desk) press(count *int, key string) {
	d.t.Helper()
	*count++
	d.do(chromedp.KeyEvent(key))
}

func (d *desk) eval(script string) string {
	d.t.Helper()
	text, err := chromedp.Run(d.ctx, chromedp.Evaluate[string](script))
	d.ok(err)
	return text
}

// HCA-5.1.1, HCA-8.1.2, HCA-8.1.3: with both components and in both languages, by keyboard alone and with at most eight
// keys from "next, please" to the signature of a person and device already known; every step survives a reload; the
// component shows what the window issued; and the next holder has to put in a card of his own.
func TestTheCounterByKeyboard(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	for kind, lang := range map[string]string{"hipki": chinese, "servisign": english} {
		t.Run(kind+" "+lang, func(t *testing.T) { byKeyboard(t, kind, lang) })
	}
}

func byKeyboard(t *testing.T, kind, lang string) {
	d := openDesk(t)
	if kind == "servisign" { // the same component, by its other protocol
		d.site.CardComponent, d.site.ServiSign = "", []string{d.site.CardComponent}
		_, err := d.site.readComponents()
		d.ok(err)
	}
	_, err := chromedp.Call(d.ctx, network.SetCookie, network.SetCookieParams{Name: languageCookie, Value: lang, URL: d.url, Path: "/"})
	d.ok(err)
	wang, chen := d.person("王大明", "A123456789", "0000000112345678", ownCode), d.person("陳志明", "B123456780", "0000000112345699", ownCode)
	d.application(wang, d.boundDevice("D-1", wang, ownCode)) // what he chose last is preselected
	d.boundDevice("D-2", chen, ownCode)

	keys := 0
	d.do(chromedp.Navigate(d.url + "/counter"))
	d.until("the focus on the next person", `document.activeElement.matches("[data-next]")`)
	d.press(&keys, kb.Enter)
	d.until("waiting for a card", `location.search === "?next=1" && !document.querySelector("[data-wait]").hidden`)
	d.do(chromedp.Reload())
	d.until("waiting after a reload", `document.querySelector("[data-wait]") !== null && !document.querySelector("[data-wait]").hidden`)
	d.reader.insert(d.cards["0000000112345678"])
	d.until("the person", `document.querySelector("h1.person") !== null && document.activeElement.matches("[data-begin] button")`)
	d.do(chromedp.Reload())
	d.until("the person after a reload", `document.querySelector("h1.person") !== null && document.activeElement.matches("[data-begin] button")`)
	d.press(&keys, kb.Enter)
	const toSign = `document.querySelector("[data-sign]") !== null && !document.querySelector("[data-sign]").disabled && document.activeElement.matches("[data-sign]")`
	d.until("the text", toSign)
	d.do(chromedp.Reload())
	d.until("the text after a reload", toSign)
	text := d.eval(`document.querySelector("[data-text]").textContent`)
	d.press(&keys, kb.Enter)
	d.until("the signature", `document.querySelector("[data-counter]").dataset.state === "awaiting-key"`)
	if d.holder.shown() != text || text == "" {
		t.Errorf("the component showed %q", d.holder.shown())
	}
	if keys > 8 {
		t.Errorf("%d keys from next to done", keys)
	}
	t.Logf("%d keys from next to done", keys)
	a, err := d.enrol.Application(t.Context(), operator, ra.ApplicationID(d.eval(`document.querySelector("[data-counter]").dataset.counter`)))
	if err != nil || a.ConsentBare != (kind == "servisign") || a.Insertion == "" || string(a.Text) != text {
		t.Errorf("bare %v, insertion %q, %v", a.ConsentBare, a.Insertion, err)
	}

	// The next holder: not with the card that is still in the reader.
	d.do(chromedp.Navigate(d.url + "/counter?next=1"))
	d.until("asking for the card before to be taken out", fmt.Sprintf(`document.querySelector("[data-reader]").textContent === %q`, d.site.words[lang].say("counter.card.change")))
	d.reader.insert(nil)
	d.until("an empty reader", fmt.Sprintf(`document.querySelector("[data-reader]").textContent === %q`, d.site.words[lang].say("counter.card.absent")))
	d.reader.insert(d.cards["0000000112345699"])
	d.until("the next person", `document.activeElement.matches("[data-begin] button") || document.querySelector("[data-begin]") !== null`)
	clause := "HCA-8.1.3"
	if kind == "servisign" {
		clause = "HCA-5.1.1" // a bare signature holds no text of its own: over another one it is no signature
	}
	d.removedInTheMiddle(chen, clause)
}

// removedInTheMiddle begins for a person, alters the page's text, and then takes the card out.
func (d *desk) removedInTheMiddle(who ra.PersonID, clause string) {
	d.t.Helper()
	at, err := url.Parse(d.eval(`location.href`))
	d.ok(err)
	if at.Query().Get("person") != string(who) {
		d.t.Errorf("the counter shows %s", at)
	}
	d.do(chromedp.Click("[data-begin] button"))
	d.until("the text", `document.querySelector("[data-sign]") !== null && !document.querySelector("[data-sign]").disabled`)
	_, err = chromedp.Run(d.ctx, chromedp.Evaluate[bool](`(() => { document.querySelector("[data-text]").textContent += "x"; return true; })()`))
	d.ok(err)
	d.do(chromedp.Click("[data-sign]"))
	d.until("refusing an altered text", fmt.Sprintf(refused, clause))
	if shown := d.holder.shown(); shown == "" || shown[len(shown)-1] != 'x' {
		d.t.Error("the component did not show what it was given to sign")
	}
	id := d.eval(`document.querySelector("[data-counter]").dataset.counter`)
	d.reader.insert(nil)
	d.until("the end of the operation", `document.querySelector("[data-counter]").dataset.state === "voided"`)
	a, err := d.enrol.Application(d.t.Context(), operator, ra.ApplicationID(id))
	if err != nil || a.State != ra.AppVoided {
		d.t.Errorf("%s %v", a.State, err)
	}
}
