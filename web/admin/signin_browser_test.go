package admin

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"certwindow/web/session"
)

// leaveBrowser forgets the cookies of the session, as a browser that was closed.
func (d *desk) leaveBrowser() {
	d.t.Helper()
	_, err := chromedp.Call(d.ctx, network.ClearBrowserCookies, cdp.Empty{})
	d.ok(err)
}

// later moves the clocks of the server and of the open page.
func (d *desk) later(by time.Duration) {
	d.t.Helper()
	d.wait(by)
	d.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[int64](fmt.Sprintf(`(() => { const now = Date.now; Date.now = () => now() + %d; return Date.now(); })()`, by.Milliseconds())))
		return err
	}))
}

// HCA-8.1.4, HCA-8.1.6, HCA-8.1.1: in a real browser with the real card component, a clerk links the card, is signed out
// for want of use while a form is half filled, signs in again by card, having read the text that is signed, and the form
// is there again.
func TestSignInByCardInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := openDesk(t)
	d.person("王大明", "A123456789", "0000000112345678", ownCode)
	card := d.cards["0000000112345678"]
	const seesCard = `!document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === "已插入"`

	d.do(chromedp.Navigate(d.url + "/account/card"))
	d.until("being asked for a card", `document.querySelector("[data-sign]").disabled && document.querySelector("[data-reader]").textContent === "請插入卡片"`)
	d.reader.insert(card)
	d.until("seeing the card", seesCard)
	d.do(chromedp.SendKeys("#f-current", d.staff[session.Clerk].password))
	d.do(chromedp.Click("[data-sign]"))
	d.until("linking it", `location.search === "?done=card-linked" && document.querySelector("main .state").textContent === "已連結"`)

	d.do(chromedp.Navigate(d.url + "/persons/new"))
	d.until("the form", `document.querySelector("#f-name") !== null`)
	d.do(chromedp.SendKeys("#f-name", "陳半滿"), chromedp.SendKeys("#f-holder", "0000000112345699"))
	d.later(10 * time.Minute)
	d.until("the end", `location.pathname === "/login" && document.body.innerText.includes("您填寫的內容已保留")`)
	d.reader.insert(nil)
	d.do(chromedp.Click(`a[href^="/login/card"]`))
	d.until("being asked for a card", `location.pathname === "/login/card" && document.querySelector("[data-reader]").textContent === "請插入卡片"`)
	d.reader.insert(card)
	d.until("seeing the card", seesCard)
	text, err := chromedp.Run(d.ctx, chromedp.Evaluate[string](`document.querySelector("[data-text]").textContent`))
	d.ok(err)
	d.do(chromedp.Click("[data-sign]"))
	d.until("the form again", `location.pathname === "/persons/new" && document.querySelector("#f-name").value === "陳半滿" && document.querySelector("#f-holder").value === "0000000112345699"`)
	if d.holder.shown() != text {
		t.Errorf("the component showed %q, the page %q", d.holder.shown(), text)
	}
	d.until("saying so", `document.body.innerText.includes("尚未送出")`)

	d.leaveBrowser()
	d.reader.insert(nil)
	other := d.person("陳志明", "B123456780", "0000000112345699", ownCode)
	d.reader.insert(d.cards["0000000112345699"])
	d.do(chromedp.Navigate(d.url + "/login/card"))
	d.until("seeing the other card", seesCard)
	d.do(chromedp.Click("[data-sign]"))
	d.until("refusing a card of nobody's account", `document.body.innerText.includes("這張卡片無法登入")`)
	if rec := d.visitor().get("/persons/" + string(other)); rec.Code != http.StatusSeeOther {
		t.Error(rec.Code)
	}
}

// What was typed is not left in the browser: neither in what it stores nor for who signs in next.
func TestDraftIsNotLeftInTheBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := openDesk(t)
	d.do(chromedp.Navigate(d.url + "/persons/new"))
	d.until("the form", `document.querySelector("#f-name") !== null`)
	d.do(chromedp.SendKeys("#f-name", "陳半滿"))
	d.later(10 * time.Minute)
	d.until("the end", `location.pathname === "/login" && document.body.innerText.includes("您填寫的內容已保留")`)
	d.until("nothing stored", `localStorage.length === 0 && !JSON.stringify({ ...sessionStorage }).includes("半滿")`)
	next := d.signIn(session.InstitutionAdmin)
	yes := true
	_, err := chromedp.Call(d.ctx, network.SetCookie, network.SetCookieParams{Name: session.CookieName, Value: next.cookie[0].Value, URL: d.url, Path: "/", Secure: &yes, HTTPOnly: &yes})
	d.ok(err)
	d.do(chromedp.Navigate(d.url + "/persons/new"))
	d.until("an empty form", `document.querySelector("#f-name") !== null && document.querySelector("#f-name").value === "" && !document.body.innerText.includes("尚未送出")`)
}
