package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"certwindow/cmd/demo/stage"
	"certwindow/web/admin"
	"certwindow/web/session"
)

// places are the addresses at which the walk looks for the pages of the table whose addresses hold a parameter. A page
// without one is missed by the walk, and the walk says so.
func (w *window) places() map[string][]string {
	f, approvals := w.furniture, []string{w.furniture.Proposal}
	return map[string][]string{
		"/persons/:id": {"/persons/" + w.cast.Wang, f.Person}, "/devices/:id": {"/devices/" + w.cast.IPhone, "/devices/" + w.cast.Tablet},
		"/devices/:id/binding": {"/devices/" + w.cast.Spare + "/binding"}, "/devices/:id/replace": {"/devices/" + w.cast.Spare + "/replace"}, "/applications/:id": {"/applications/" + w.application},
		"/counter/:id": {"/counter/" + w.application}, "/certificates/:id": {"/certificates/" + w.certificate}, "/approvals/:id": approvals,
		"/apps/:id": {f.App}, "/imports/:id": {f.Import, f.Broken}, "/clients/:id": {f.Client}, "/bulks/:id": {f.Bulk},
		"/bulks/new": {"/bulks/new", "/bulks/new?institution=" + stage.Window + "&state=live"}, "/institutions/:code": {f.Institution}, "/institutions/:code/standing": {f.Institution + "/standing"},
		"/scopes/:code": {"/scopes/EMR-SIGN"}, "/settings/:name": {"/settings/idle"}, "/staff/:id": {f.Staff}, "/help/:name": {"/help/counter", "/help/search"}, "/reports/sweeps/:id": {f.Sweep},
		"/reports/:name":    {"/reports/clauses", "/reports/sweeps", "/reports/approvals", "/reports/exemptions", "/reports/lookups", "/reports/master-key", "/reports/exports"},
		"/applications/new": {"/applications/new?person=" + w.cast.Wang}, "/counter": {"/counter", "/counter?person=" + w.cast.Wang},
	}
}

// wholeWindow are pages that the administrator walks to though a clerk may open some of them: those of his own institution.
var wholeWindow = []string{"/approvals/:id", "/institutions/:code"}

// noPage are lines of the table that answer GET with something else than a page.
var noPage = []string{"/session", "/ceremonies/:id/record"}

// Every page of the table, in both languages, as somebody who may open it: it answers, is wholly in its language, has
// one heading, at most one main action and a way back, names every field, can be used with a screen reader, in light
// and in dark, fits a telephone of 360 pixels, works without scripts, and asks nobody else for anything. A page that is
// added to the table is walked to by itself.
func TestPages(t *testing.T) {
	w := opened(t)
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			tabs := map[session.Role]*tab{}
			for _, role := range []session.Role{session.Clerk, session.WindowAdmin} {
				tabs[role] = w.newTab(t, lang)
				tabs[role].signIn(tabs[role].newStaff(string(role)))
			}
			stranger := w.newTab(t, lang)
			stranger.strangersPages()
			for _, page := range admin.Pages() {
				if slices.Contains(noPage, page.Path) {
					continue
				}
				who := stranger
				for _, role := range []session.Role{session.WindowAdmin, session.Clerk} {
					if slices.Contains(page.Roles, role) && (who == stranger || !slices.Contains(wholeWindow, page.Path)) {
						who = tabs[role]
					}
				}
				if len(page.Roles) > 0 && who == stranger {
					t.Errorf("nobody of the walk may open %s", page.Path)
					continue
				}
				who.walk(page.Path)
			}
			tabs[session.Clerk].errorPages()
			if lang == chinese { // there is one spare phone
				tabs[session.Clerk].bindingPages()
			}
		})
	}
}

// walk judges the page of one line of the table.
func (b *tab) walk(path string) {
	b.t.Helper()
	all, ok := b.places()[path]
	if !ok {
		all = []string{path}
	}
	if !ok && strings.Contains(path, ":") || slices.Contains(all, "") {
		b.t.Errorf("the walk knows no %s", path)
		return
	}
	for _, where := range all {
		b.to(where)
		v := b.inspect(where, 200)
		if deep := strings.Count(path, "/") > 1 && path != "/login/card"; deep && !v.Up {
			b.t.Errorf("%s has no way one step back", where)
		}
		b.follow(where, v.Links)
		b.bare(where)
	}
}

// follow asks for what a page links to, each address once.
func (b *tab) follow(where string, links []string) {
	b.t.Helper()
	for _, link := range links {
		if _, known := b.followed.LoadOrStore(b.lang+link, true); known || strings.HasPrefix(link, "/static/") {
			continue
		}
		if status := ask[int](b, fmt.Sprintf(`fetch(%s).then((r) => r.status)`, quoted(link))); status != 200 {
			b.t.Errorf("%s leads to %s, which answers %d", where, link, status)
		}
	}
}

// scripts switches them on or off.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	b.ok(err)
}

// bare looks at a page as those see it whom nothing but its HTML reaches.
func (b *tab) bare(where string) {
	b.t.Helper()
	b.scripts(false)
	defer b.scripts(true)
	b.to(where)
	v := ask[visit](b, look)
	if v.Status != 200 || v.Headings != 1 || len(v.Words) < 12 || len(v.Mute) > 0 || v.Wide > 0 {
		b.t.Errorf("%s without scripts: status %d, %d headings, %d words, %d forms that nothing sends, %d pixels too wide", where, v.Status, v.Headings, len(v.Words), len(v.Mute), v.Wide)
	}
}

// What is kept by browsers and what is not: the style sheet and the scripts for a year, under a name that changes with
// them; a page with anybody's data never.
func TestWhatBrowsersKeep(t *testing.T) {
	w := opened(t)
	b := w.newTab(t, chinese)
	b.signIn(b.newStaff("clerk"))
	b.to("/persons/" + w.cast.Wang)
	kept := `Promise.all([...document.querySelectorAll("link[rel=stylesheet], script[src]")].map((e) => fetch(e.href || e.src).then((r) => r.headers.get("Cache-Control"))))`
	all := ask[[]string](b, kept)
	if len(all) < 2 {
		t.Errorf("the page has %d assets", len(all))
	}
	for _, header := range all {
		if !strings.Contains(header, "max-age=31536000") || !strings.Contains(header, "immutable") {
			t.Errorf("an asset is kept by %q", header)
		}
	}
	if header := ask[string](b, `fetch(location.href).then((r) => r.headers.get("Cache-Control") || "")`); !strings.Contains(header, "no-store") {
		t.Errorf("a person's page is kept by %q", header)
	}
}

// What is wrong with a form stands at the head of the page as a link to the field, which has the mistake beside it and
// still holds what was typed.
func TestErrorsLeadToTheirFields(t *testing.T) {
	w := opened(t)
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			clerk, boss := w.newTab(t, lang), w.newTab(t, lang)
			clerk.signIn(clerk.newStaff("clerk"))
			boss.signIn(boss.newStaff("window-admin"))
			for _, x := range []struct {
				who                 *tab
				where, field, value string
			}{
				{clerk, "/persons/new", "national_id", "A12345"}, {clerk, "/devices/new?person=" + w.cast.Wang, "code", "A B"}, {boss, "/institutions/new", "code", "X"},
				{boss, "/scopes/new", "code", "x y"}, {boss, "/apps/new", "package", "no package"}, {boss, "/staff/new", "account", "ß"},
			} {
				x.who.mistake(x.where, x.field, x.value)
			}
		})
	}
}

// mistake sends a form with one wrong value.
func (b *tab) mistake(where, field, value string) {
	b.t.Helper()
	b.to(where)
	b.until("the form", fmt.Sprintf(`document.querySelector("#f-%s") !== null`, field))
	path, _, _ := strings.Cut(where, "?")
	b.allow(path)
	ask[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector("#f-%s"); e.value = %s; e.form.noValidate = true; e.form.querySelector("button.main, button:not(.plain)").click(); return true; })()`, field, quoted(value)))
	b.until("being refused at "+where, `document.querySelector(".wrong-summary h2") !== null`)
	b.inspect(where+", refused", ask[int](b, `performance.getEntriesByType("navigation")[0].responseStatus`))
	type shown struct {
		There               bool
		Target, Kept, Error string
	}
	v := ask[shown](b, fmt.Sprintf(`(() => {
	  const to = document.querySelector(".wrong-summary a[href^='#f-']"), e = to && document.querySelector(to.getAttribute("href"));
	  const error = e && document.getElementById(e.getAttribute("aria-describedby") || "");
	  return {There: Boolean(e), Target: to ? to.hash : "", Kept: document.querySelector("#f-%s").value, Error: error ? error.textContent : ""};
	})()`, field))
	if !v.There || v.Kept != value || v.Error == "" {
		b.t.Errorf("%s with %s=%q: the summary leads to %q, where it says %q; the field holds %q", where, field, value, v.Target, v.Error, v.Kept)
	}
}
