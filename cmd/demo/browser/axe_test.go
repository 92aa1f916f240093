package browser

import (
	_ "embed"
	"strings"

	"github.com/chromedp/chromedp"
)

// axe is axe-core, which judges a page by WCAG. It comes unchanged, with its licences beside it, and runs in tests
// alone.
//
//go:embed testdata/axe/axe.min.js
var axe string

// fault is something on a page that keeps somebody from using it.
type fault struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// violations runs rules on the page that is open and gives what they find.
const (
	allRules = `axe.run(document, {resultTypes: ["violations"], runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}})`
	colours  = `axe.run(document, {resultTypes: ["violations"], runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}})`
	asFaults = `.then((r) => r.violations.map((v) => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map((n) => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`
)

// parts is what a page is made of: its kinds of elements. Two pages of the same parts look and sound alike.
const parts = `[...new Set([...document.querySelectorAll("*:not([hidden])")].map((e) => [e.tagName, e.className, e.type, e.name, e.getAttribute("role")].join(" ")))].sort().join("\n")`

// accessible runs axe on the page that is open, unless one of the same parts has been judged: all rules in light,
// and those of colour in dark, where nothing else is different.
func (b *tab) accessible(where string) {
	b.t.Helper()
	made := ask[string](b, parts)
	for scheme, rules := range map[string]string{"light": allRules, "dark": colours} {
		key := scheme + made
		if scheme == "light" {
			key = b.lang + key
		}
		if _, judged := b.judged.LoadOrStore(key, true); judged {
			continue
		}
		b.media(scheme)
		b.do("loading axe", chromedp.Evaluate[chromedp.Void](axe))
		for _, f := range ask[[]fault](b, rules+asFaults) {
			var nodes []string
			for _, n := range f.Nodes {
				nodes = append(nodes, n.HTML+"\n      "+strings.ReplaceAll(n.FailureSummary, "\n", " "))
			}
			b.t.Errorf("%s, %s: %s (%s): %s\n   %s", where, scheme, f.ID, f.Impact, f.Help, strings.Join(nodes, "\n   "))
		}
	}
	b.media("light")
}
