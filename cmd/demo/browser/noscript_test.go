package browser

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// With scripts switched off a clerk signs in, finds a person and opens a form. What each page shows without them is seen
// to by TestPages; the counter alone needs them, for the card.
func TestWorkWithoutScripts(t *testing.T) {
	w := opened(t)
	b := w.newTab(t, chinese)
	b.to("/login")
	b.scripts(false)
	b.signIn(b.newStaff("clerk"))
	b.to("/")
	b.write("#q", "王小明")
	b.press(kb.Enter)
	b.until("finding the person", `location.pathname.startsWith("/persons/") && document.body.innerText.includes("王○明")`)
	b.enter(`a[href^="/applications/new"]`)
	b.until("the form", `document.querySelector("input[name=scope]") !== null`)
}
