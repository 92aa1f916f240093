package admin

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// finds waits until the page of the computer has tested everything, and tells which of the findings are not there.
func (d *desk) finds(what string, want map[string]string) {
	d.t.Helper()
	d.do(chromedp.Navigate(d.url + "/help/computer"))
	d.until("testing "+what, `document.querySelector("[data-tests]").dataset.done === "yes"`)
	for test, found := range want {
		got, err := chromedp.Run(d.ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector('[data-test="%s"]').dataset.found`, test)))
		d.ok(err)
		if got != found {
			d.t.Errorf("%s: the page finds of the %s %q, not %q", what, test, got, found)
		}
	}
}

// HCA-8.1.2: the page of the computer says which part does not work: no card, a card, and no component.
func TestComputerPageSaysWhatIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := openDesk(t)
	d.person("王大明", "A123456789", "0000000112345678", ownCode)
	d.finds("an empty reader", map[string]string{"browser": "browser-ok", "component": "component-hipki", "trust": "trust-ok", "reader": "reader-ok", "card": "card-none"})
	d.reader.insert(d.cards["0000000112345678"])
	d.finds("a card", map[string]string{"component": "component-hipki", "reader": "reader-ok", "card": "card-ok"})
	d.agent.CloseClientConnections()
	d.agent.Close()
	d.finds("no component", map[string]string{"browser": "browser-ok", "component": "component-none", "reader": "skipped", "card": "skipped"})
	d.until("the words for it", `document.querySelector('[data-test="component"] [data-found]').textContent.includes("元件")`)
}

// A browser lets a page of a public address reach the component only after a permission; the page says that this is
// what is missing, and not the component.
func TestComputerPageOfAPublicAddress(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := openDeskAt(t, true)
	d.finds("a public page", map[string]string{"browser": "browser-ok", "card": "skipped"})
	got, err := chromedp.Run(d.ctx, chromedp.Evaluate[string](`document.querySelector('[data-test="component"]').dataset.found + " " + document.querySelector('[data-test="permission"]').dataset.found`))
	d.ok(err)
	if got != "component-blocked permission-prompt" && got != "component-denied permission-denied" {
		t.Errorf("the page finds %s", got)
	}
}
