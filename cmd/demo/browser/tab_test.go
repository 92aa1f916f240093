package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/pquerna/otp/totp"

	"certwindow/cmd/demo/stage"
)

// The pages' languages.
const (
	chinese = "zh-Hant-TW"
	english = "en"
)

// tab is one browser profile with one page open, and an ear for whatever the browser complains of.
type tab struct {
	*window
	t    *testing.T
	ctx  context.Context
	lang string
	keys int // that were pressed

	mu      sync.Mutex
	wrong   []string // complaints that no test expected
	allowed []string // parts of addresses whose failure a test has provoked
	popups  map[target.ID]string
}

// patience is how long anything that a page does may take, on a machine that has other things to do; tabLife how long a
// test may play on one page.
const patience, tabLife = 20 * time.Second, 5 * time.Minute

// newTab opens one with cookies of its own. When the test ends, the browser must have had nothing to complain of.
func (w *window) newTab(t *testing.T, lang string) *tab {
	t.Helper()
	b := &tab{window: w, t: t, lang: lang, popups: map[target.ID]string{}}
	ctx, stop := chromedp.NewContext(w.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b.ok(chromedp.Do(ctx)) // opens it: were this done under a deadline of its own, the page would end with it
	ctx, end := context.WithTimeout(ctx, tabLife)
	t.Cleanup(end)
	b.ctx = ctx
	// A page that is not in front matches no :focus, whatever has it: with several tabs, or after a popup, the focus would
	// be there and could not be seen.
	_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.ok(err)
	b.ok(chromedp.Listen(ctx, b.hear))
	b.ok(chromedp.ListenBrowser(ctx, b.hear))
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, audits.Enable} {
		_, err := chromedp.Call(ctx, enable, cdp.Empty{})
		b.ok(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			t.Errorf("the browser complains: %s", w)
		}
	})
	return b
}

// hear keeps errors and warnings of the console, exceptions, and what the content security policy blocked.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complain(e.Entry.URL, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.complain("", fmt.Sprintf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.complain("", fmt.Sprintf("console: %v", e.Args))
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			b.complain("", fmt.Sprintf("content security policy: %+v", e.Issue.Details.ContentSecurityPolicyIssueDetails))
		}
	case *target.EventTargetCreated:
		b.popups[e.TargetInfo.TargetID] = e.TargetInfo.URL
	case *target.EventTargetInfoChanged:
		b.popups[e.TargetInfo.TargetID] = e.TargetInfo.URL
	}
}

func (b *tab) complain(address, what string) {
	for _, part := range b.allowed {
		if strings.Contains(address, part) {
			return
		}
	}
	b.wrong = append(b.wrong, what)
}

// allow expects the browser to report failed requests to addresses with this part.
func (b *tab) allow(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, part)
}

// opened counts the windows that have been opened at an address.
func (b *tab) opened(address string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.popups {
		if url == address {
			n++
		}
	}
	return n
}

func (b *tab) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// do does something in the browser, and fails where that takes too long.
func (b *tab) do(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, action); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// to loads a page of the window.
func (b *tab) to(where string) {
	b.t.Helper()
	b.do(where, chromedp.Navigate(b.URL+where))
}

// ask evaluates a script, which may be a promise.
func ask[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v in %.200s", err, script)
	}
	return v
}

// until waits for a script's answer to be true on a page that is there with all its scripts. The page may change
// meanwhile.
func (b *tab) until(what, script string) {
	b.t.Helper()
	script = `document.readyState === "complete" && (` + script + `)`
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	for ; ctx.Err() == nil; time.Sleep(30 * time.Millisecond) {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script)); err == nil && ok {
			return
		}
	}
	b.t.Fatalf("%s did not happen; %s says:\n%s\n%s", what, ask[string](b, "location.href"), ask[string](b, "document.body.innerText"), b.Tail("certwindow"))
}

// media has the page believe in a colour scheme.
func (b *tab) media(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.ok(err)
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do("resizing", chromedp.EmulateViewport(width, height))
}

// The keyboard, which is all that the tests of the counter have.

func (b *tab) press(keys string) {
	b.t.Helper()
	b.keys += utf8.RuneCountInString(keys)
	b.do("pressing a key", chromedp.KeyEvent(keys))
}

// shortcut presses one key as a keyboard does: a page that takes it for itself keeps it from being typed too.
func (b *tab) shortcut(key string) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: kind, Key: key}
		if kind == input.DispatchKeyEventTypeKeyDown {
			p.Text = key
		}
		_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, p)
		b.ok(err)
	}
}

// tabTo presses Tab until the focus is on the element, and insists that it can be seen there.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	here := fmt.Sprintf(`document.activeElement.matches(%s)`, quoted(selector))
	for range 120 {
		if ask[bool](b, here) {
			if !ask[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
				b.t.Errorf("the focus on %s cannot be seen", selector)
			}
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("the keyboard does not reach %s on %s:\n%s", selector, ask[string](b, "location.href"), ask[string](b, "document.body.innerText"))
}

// enter goes to a link or button by Tab and presses Enter on it.
func (b *tab) enter(selector string) {
	b.t.Helper()
	b.tabTo(selector)
	b.press(kb.Enter)
}

// write goes to a field by Tab and types.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.tabTo(selector)
	b.press(text)
}

// choose goes to a group of radio buttons by Tab and to one of them by the arrows.
func (b *tab) choose(name, value string) {
	b.t.Helper()
	b.tabTo(fmt.Sprintf(`input[name=%q]`, name))
	chosen := fmt.Sprintf(`document.activeElement.value === %s && document.activeElement.checked`, quoted(value))
	if ask[bool](b, fmt.Sprintf(`document.activeElement.value === %s`, quoted(value))) {
		b.press(" ")
	}
	for range 12 {
		if ask[bool](b, chosen) {
			return
		}
		b.press(kb.ArrowDown)
	}
	b.t.Fatalf("%s cannot be chosen for %s", value, name)
}

// tick goes to a check box by Tab and ticks it.
func (b *tab) tick(name, value string) {
	b.t.Helper()
	selector := fmt.Sprintf(`input[name=%q][value=%q]`, name, value)
	b.tabTo(selector)
	b.press(" ")
	if !ask[bool](b, `document.activeElement.checked`) {
		b.t.Fatalf("%s %s cannot be ticked", name, value)
	}
}

// newStaff makes an account, whose first one-time code is not used up yet.
func (b *tab) newStaff(role string) stage.Account {
	b.t.Helper()
	institution := ""
	if role == "clerk" {
		institution = stage.Window
	}
	// One at a time: they are all made in the administrator's one session.
	b.staff.Lock()
	defer b.staff.Unlock()
	b.accounts++
	a, err := b.story.AddStaff(b.ctx, fmt.Sprintf("%s-%d", role, b.accounts), "林測試", role, institution)
	b.ok(err)
	return a
}

// signIn signs a member of staff in by keyboard, in the tab's language, and changes the initial password.
func (b *tab) signIn(a stage.Account) {
	b.t.Helper()
	b.to("/login")
	b.speak()
	b.write("#f-account", a.Account)
	b.write("#f-password", a.Password)
	code, err := totp.GenerateCode(a.TOTP, time.Now())
	b.ok(err)
	b.write("#f-code", code)
	b.press(kb.Enter)
	b.until("being asked for a password of one's own", `location.pathname === "/password" && document.querySelector("#f-next") !== null`)
	b.write("#f-current", a.Password)
	b.write("#f-next", a.Password+"-and-mine")
	b.write("#f-repeat", a.Password+"-and-mine")
	b.press(kb.Enter)
	b.until("being signed in", `location.pathname !== "/password" && document.querySelector("nav") !== null`)
}

// speak switches the page to the tab's language when it is another one's.
func (b *tab) speak() {
	b.t.Helper()
	is := fmt.Sprintf(`document.documentElement.lang === %s`, quoted(b.lang))
	if !ask[bool](b, is) {
		b.enter(fmt.Sprintf(`button[lang=%q]`, b.lang))
		b.until("the other language", is)
	}
}

// say is a message of the pages in the tab's language.
func (b *tab) say(key string) string {
	b.t.Helper()
	m, ok := b.words[b.lang][key]
	if !ok {
		b.t.Fatalf("there is no message %s", key)
	}
	return m
}

// quoted is a text as a script writes it.
func quoted(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(raw)
}
