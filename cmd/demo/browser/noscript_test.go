package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// bare is what a page has to have for those whom nothing but its HTML reaches.
type bare struct {
	Status   int
	Headings int
	Words    int // letters of the main part
	Links    []string
}

const bareLook = `({
  Status: performance.getEntriesByType("navigation")[0].responseStatus,
  Headings: document.querySelectorAll("h1").length,
  Words: document.querySelector("main").innerText.length,
  Links: [...document.links].filter((a) => a.origin === location.origin && !a.hasAttribute("download")).map((a) => a.pathname + a.search),
})`

// Every page works with scripts switched off: signing in, finding a person, and each page that links lead to. The
// counter alone needs them, for the card; it too is there, with its heading and its text.
func TestPagesWithoutScripts(t *testing.T) {
	w := opened(t)
	for _, role := range []string{"clerk", "window-admin"} {
		t.Run(role, func(t *testing.T) {
			b := w.newTab(t, chinese)
			b.to("/login")
			_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			b.ok(err)
			b.signIn(b.newStaff(role))
			if role == "clerk" {
				b.to("/")
				b.write("#q", "王大明")
				b.press(kb.Enter)
				b.until("finding the person", `location.pathname.startsWith("/persons") && document.querySelector('a[href^="/persons/"], h1') !== null && document.body.innerText.includes("王○明")`)
			}
			queue, known := []string{"/"}, map[string]bool{"/": true}
			shapes := map[string]int{}
			for len(queue) > 0 && t.Context().Err() == nil {
				where := queue[0]
				queue = queue[1:]
				if shapes[shape(where)]++; shapes[shape(where)] > 1 {
					continue
				}
				b.to(where)
				v := ask[bare](b, bareLook)
				if v.Status != 200 || v.Headings != 1 || v.Words < 2 {
					t.Errorf("%s without scripts: status %d, %d headings, %d letters", where, v.Status, v.Headings, v.Words)
				}
				for _, link := range v.Links {
					if !known[link] && !strings.HasPrefix(link, "/logout") {
						known[link] = true
						queue = append(queue, link)
					}
				}
			}
			if len(shapes) < 12 {
				t.Errorf("links lead to %d kinds of pages alone", len(shapes))
			}
		})
	}
}
