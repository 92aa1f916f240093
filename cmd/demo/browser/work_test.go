package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"certwindow/cmd/demo/story"
)

// office is the staff of one language, each in a browser profile of his own, and what they work on: a holder with three
// certificates, whom nothing else in these tests knows.
type office struct {
	clerk, helpdesk, boss, approver *tab
	holder                          story.Newcomer
	n                               int // of the office: what has to be unlike in the other language is named by it
}

// What the staff do on an ordinary day, in both languages, by filling the forms and clicking the buttons: each task ends
// on a page that shows its result.
func TestWork(t *testing.T) {
	w := opened(t)
	for n, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			holder, err := w.story.Welcome(t.Context(), n+1, 3)
			if err != nil {
				t.Fatal(err)
			}
			o := &office{holder: holder, n: n + 1}
			for role, who := range map[string]**tab{"clerk": &o.clerk, "helpdesk": &o.helpdesk, "window-admin": &o.boss, "approver": &o.approver} {
				*who = w.newTab(t, lang)
				(*who).signIn((*who).newStaff(role))
			}
			begun := time.Now()
			for _, task := range []struct {
				name string
				do   func(*office)
			}{
				{"import", (*office).imports}, {"revocation", (*office).revokesByTwo}, {"dispute", (*office).settles}, {"ceremony", (*office).plansCeremony}, {"exemption", (*office).exempts}, {"setting", (*office).tightens},
				{"app", (*office).putsAppOnFile}, {"account", (*office).makesAccount}, {"unmask one", (*office).unmasksOne}, {"unmask a list", (*office).unmasksList},
				{"remind", (*office).reminds}, {"revoke many", (*office).revokesMany}, {"audit log", (*office).readsLog}, {"reports", (*office).reads},
				{"search", (*office).searches}, {"institution", (*office).stopsInstitution}, {"leaving", (*office).endsPractice},
			} {
				t.Run(task.name, func(t *testing.T) {
					for _, b := range []*tab{o.clerk, o.helpdesk, o.boss, o.approver} {
						outer := b.t
						b.t = t
						defer func() { b.t = outer }()
					}
					task.do(o)
				})
			}
			t.Logf("the tasks took %.1f s", time.Since(begun).Seconds())
		})
	}
}

// field is a form's visible field.
func field(name string) string { return fmt.Sprintf(`main [name=%q]:not([type=hidden])`, name) }

// sender is the button that sends the form of a field.
func sender(name string) string {
	return fmt.Sprintf(`main form:has(%s) button`, field(name)[len("main "):])
}

// fill gives a field its value in the way that its kind takes it: by a click, by choosing, from a file or by typing.
func (b *tab) fill(name, value string) {
	b.t.Helper()
	selector := field(name)
	b.until("a field "+name, fmt.Sprintf(`document.querySelector(%s) !== null`, quoted(selector)))
	switch ask[string](b, fmt.Sprintf(`document.querySelector(%s).type`, quoted(selector))) {
	case "radio", "checkbox":
		b.do(name, chromedp.Click(fmt.Sprintf(`%s[value=%q]`, selector, value)))
	case "select-one":
		if !ask[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.focus(); e.value = %s; return e.value === %[2]s; })()`, quoted(selector), quoted(value))) {
			b.t.Fatalf("%s cannot be chosen for %s", value, name)
		}
	case "file":
		b.do(name, chromedp.SetUploadFiles(selector, []string{value}))
	default:
		ask[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.focus(); e.select(); return true; })()`, quoted(selector)))
		_, err := chromedp.Call(b.ctx, input.InsertText, input.InsertTextParams{Text: value})
		b.ok(err)
	}
}

// clicks clicks something that leads to another page, and waits until that page is there, in the language of the tab, and
// as it should be.
func (b *tab) clicks(selector, what, then string) {
	b.t.Helper()
	ask[bool](b, `window.before = true`)
	b.do(what, chromedp.Click(selector))
	b.until(what, fmt.Sprintf(`!window.before && document.documentElement.lang === %s && (%s)`, quoted(b.lang), then))
}

// done is a page that says that what was asked for has been done.
const done = `document.querySelector("main .done") !== null && document.querySelector(".wrong-summary") === null`

// stands is a page whose object is in a state, by the name of its word.
func (b *tab) stands(state string) string {
	b.t.Helper()
	return fmt.Sprintf(`[...document.querySelectorAll("main .states .state")].some((e) => e.textContent === %s)`, quoted(b.say("state."+state)))
}

// eventually loads a page anew until it is as it should be: what the window does by itself takes its time.
func (b *tab) eventually(where, what, script string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		b.to(where)
		if ask[bool](b, script) {
			return
		}
	}
	b.t.Fatalf("%s did not happen; %s says:\n%s\n%s", what, where, ask[string](b, "document.body.innerText"), b.Tail("certwindow"))
}

// here is the address of the page that is open.
func (b *tab) here() string {
	b.t.Helper()
	return ask[string](b, "location.pathname")
}

// proposes sends the form of a field, which has to make a proposal, and has the approver approve what it shows (HCA-8.1.6).
// The approver's page is left open.
func (o *office) proposes(by *tab, button string) {
	by.t.Helper()
	by.clicks(button, "a proposal", `location.pathname.startsWith("/approvals/") && `+done)
	where := by.here()
	if !ask[bool](by, `document.querySelector('form[action$="/approve"]') === null`) {
		by.t.Errorf("%s offers its proposer to approve", where)
	}
	o.approver.to(where)
	o.approver.clicks(`main form[action$="/approve"] button`, "an approval", done+" && "+o.approver.stands("approval.approved"))
}

// downloads clicks something that leads to a file, and gives its bytes.
func (b *tab) downloads(selector, ending string) []byte {
	b.t.Helper()
	about, err := chromedp.Call(b.ctx, target.GetTargetInfo, target.GetTargetInfoParams{})
	b.ok(err)
	dir := b.t.TempDir()
	_, err = chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow,
		BrowserContextID: about.TargetInfo.BrowserContextID, DownloadPath: dir})
	b.ok(err)
	b.do("downloading", chromedp.Click(selector))
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		names, err := filepath.Glob(filepath.Join(dir, "*."+ending))
		b.ok(err)
		if len(names) == 1 {
			raw, err := os.ReadFile(names[0])
			b.ok(err)
			if len(raw) > 0 {
				return raw
			}
		}
	}
	b.t.Fatalf("no %s came; %s says:\n%s", ending, b.here(), ask[string](b, "document.body.innerText"))
	return nil
}

// says tells whether the page that is open has a text anywhere in its main part.
func says(text string) string {
	return fmt.Sprintf(`document.querySelector("main").innerText.includes(%s)`, quoted(text))
}

// table puts lines into a file that a form can take.
func (b *tab) table(lines ...string) string {
	b.t.Helper()
	name := filepath.Join(b.t.TempDir(), "table.csv")
	b.ok(os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return name
}
