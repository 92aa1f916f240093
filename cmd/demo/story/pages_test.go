package story

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// handsOver is the one page that shows a holder's initial password, to the clerk who hands it over.
var handsOver = regexp.MustCompile(`^/persons/[^/]+/account$`)

// toSystem are the addresses that hand secrets to systems: they are no pages.
var toSystem = regexp.MustCompile(`^/(csc/|oauth2/token$)`)

// HCA-8.2.6, HCA-8.2.7: no page that anybody was shown, and nothing that a page's script was told, holds a password, a
// code, a token, a PIN or a key.
func pagesHoldNoSecret(t *testing.T, s *Story, w *watcher) {
	var list []secret
	for _, x := range secretsOf(t, s, w) {
		if x.never {
			list = append(list, x)
		}
	}
	pages := 0
	for _, x := range w.all() {
		path := x.Request.URL.Path
		if x.Status >= http.StatusBadRequest || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/static/") || handsOver.MatchString(path) || toSystem.MatchString(path) {
			continue
		}
		pages++
		text := []byte(html.UnescapeString(string(x.Body)))
		for _, x := range list {
			if x.in(text) {
				t.Errorf("the page %s shows a %s: %s", path, x.what, around(text, x))
			}
		}
	}
	if pages < 100 || len(list) < 20 {
		t.Errorf("only %d pages were searched for %d secrets", pages, len(list))
	}
}
