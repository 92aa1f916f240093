package browser

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// visit is what a page says of itself.
type visit struct {
	Status    int
	Lang      string
	Words     []string // of the visible text and of what is read out, one by one
	Furniture []string // texts that are the page's own and no data
	Links     []string // addresses of this window, without fragment
	Wide      int      // pixels by which the document is wider than its window
	Widest    string   // an element that sticks out
	Title     string
}

const look = `(() => {
  const root = document.documentElement;
  const read = [document.title, document.body.innerText];
  for (const e of document.querySelectorAll("[aria-label],[title],[placeholder],[alt]"))
    for (const a of ["aria-label", "title", "placeholder", "alt"]) read.push(e.getAttribute(a) || "");
  const out = [...document.querySelectorAll("body *")].find((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest("nav, .table, .skip, [hidden]"));
  const own = [...document.querySelectorAll("h2, th, dt, button, legend, nav a, .up a, .hint, main > .actions a, summary")].filter((e) => e.offsetParent && !e.lang);
  return {
    Status: performance.getEntriesByType("navigation")[0].responseStatus,
    Lang: root.lang,
    Words: read.join(" ").split(/\s+/),
    Furniture: own.map((e) => e.textContent.trim()).filter(Boolean),
    Links: [...document.links].filter((a) => a.origin === location.origin && !a.hasAttribute("download")).map((a) => a.pathname + a.search),
    Wide: root.scrollWidth - root.clientWidth,
    Widest: out ? out.outerHTML.slice(0, 200) : "",
    Title: document.title,
  };
})()`

// A narrow telephone, and the counter's monitor.
const narrow, wide = 360, 1280

// Every page that a role can reach answers, in both languages, is wholly in the language that it says it is in,
// can be used with a screen reader, in light and in dark, and fits a telephone.
func TestPages(t *testing.T) {
	w := opened(t)
	for _, lang := range []string{chinese, english} {
		t.Run(lang, func(t *testing.T) {
			for _, role := range []string{"clerk", "window-admin"} {
				t.Run(role, func(t *testing.T) {
					t.Parallel()
					b := w.newTab(t, lang)
					b.strangersPages()
					b.signIn(b.newStaff(role))
					seen := b.crawl()
					if role == "clerk" {
						b.bindingPages()
					}
					b.errorPages()
					for _, must := range reachable[role] {
						if !slices.Contains(seen, must) {
							t.Errorf("no link leads to %s; links lead to\n%s", must, strings.Join(seen, "\n"))
						}
					}
				})
			}
		})
	}
}

// reachable are the pages that a role must come to by following links alone.
var reachable = map[string][]string{
	"clerk": {"/", "/persons", "/persons/new", "/persons/#", "/devices", "/devices/new", "/devices/#", "/devices/#/binding", "/applications",
		"/applications/new?person", "/applications/#", "/applications?state", "/counter/#", "/certificates", "/certificates/#", "/institutions", "/scopes", "/password", "/help", "/help/computer", "/help/counter"},
	"window-admin": {"/", "/persons", "/persons/#", "/devices", "/devices/#", "/applications", "/applications/#", "/certificates", "/certificates/#",
		"/institutions", "/institutions/new", "/scopes", "/scopes/new", "/staff", "/staff/new", "/settings", "/ceremonies", "/staff/#", "/audit", "/password",
		"/help", "/reports", "/reports/clauses", "/reports/sweeps", "/reports/approvals", "/reports/exemptions", "/reports/lookups", "/reports/master-key", "/reports/exports"},
}

// strangersPages looks at what is to be seen without a session.
func (b *tab) strangersPages() {
	b.t.Helper()
	b.to("/login")
	b.speak()
	b.inspect("/login", 200)
	b.allow("/login")
	b.write("#f-account", "nobody")
	b.write("#f-password", "wrong password")
	b.write("#f-code", "000000")
	b.enter("main button.main")
	b.until("being refused", `document.querySelector(".wrong-summary") !== null`)
	b.inspect("/login, refused", 401)
	b.to("/login")
}

// bindingPages ties a phone to a device: the QR, then, without a click, the code that both screens show (HCA-4.1).
func (b *tab) bindingPages() {
	b.t.Helper()
	b.to("/devices/" + b.cast.Spare + "/binding")
	b.enter(`form[action$="/binding"] button`)
	b.until("the QR", `document.querySelector(".qr") !== null`)
	b.inspect("the binding's QR", 200)
	code, err := b.story.Scan(b.ctx, ask[string](b, `document.querySelector("[data-bind-text]").textContent`))
	b.ok(err)
	b.until("the phone's code", `document.querySelector(".short-code") !== null`)
	b.inspect("the binding's code", 200)
	if shown := ask[string](b, `document.querySelector(".short-code").textContent.replace(/\s/g, "")`); shown != code {
		b.t.Errorf("the page shows the code %s, the phone %s", shown, code)
	}
	b.enter(`form[action$="/confirm"] button`)
	b.until("the device bound", fmt.Sprintf(`location.pathname === "/devices/%s"`, b.cast.Spare))
}

// errorPages looks at what is shown when something is not there, or not as it should be.
func (b *tab) errorPages() {
	b.t.Helper()
	for _, where := range []string{"/no-such-page", "/persons/01ARZ3NDEKTSV4RRFFQ69G5FAV"} {
		b.allow(where)
		b.to(where)
		b.inspect(where, 404)
		if !ask[bool](b, `/[0-9A-Z]{26}/.test(document.querySelector("main").innerText)`) {
			b.t.Errorf("%s shows no number to read out on the telephone", where)
		}
	}
}

var identifiers = regexp.MustCompile(`/[0-9A-Z]{26}`)

// shape is an address without what differs from one object to the next: ids and values.
func shape(address string) string {
	where, query, _ := strings.Cut(identifiers.ReplaceAllString(address, "/#"), "?")
	if query == "" {
		return where
	}
	var names []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	return where + "?" + strings.Join(slices.Compact(names), "&")
}

// crawl follows every link from the first page. It looks at one page of each shape, two where they show an object,
// and asks for the rest, which must be there too. It returns the shapes.
func (b *tab) crawl() (shapes []string) {
	b.t.Helper()
	queue, known, looked := []string{"/"}, map[string]bool{"/": true}, map[string]int{}
	open := "/applications/" + b.application // among many, the one that leads on to the counter
	queue, known[open] = append(queue, open), true
	for len(queue) > 0 && b.t.Context().Err() == nil {
		where := queue[0]
		queue = queue[1:]
		form := shape(where)
		most := 1
		if strings.Contains(form, "#") {
			most = 2
		}
		if looked[form] >= most {
			if status := ask[int](b, fmt.Sprintf(`fetch(%s).then((r) => r.status)`, quoted(where))); status != 200 {
				b.t.Errorf("a link leads to %s, which answers %d", where, status)
			}
			continue
		}
		looked[form]++
		b.to(where)
		for _, link := range b.inspect(where, 200).Links {
			if !known[link] {
				known[link] = true
				queue = append(queue, link)
			}
		}
	}
	for form := range looked {
		shapes = append(shapes, form)
	}
	slices.Sort(shapes)
	return shapes
}

// inspect judges the page that is open.
func (b *tab) inspect(where string, status int) visit {
	b.t.Helper()
	b.size(wide, 800)
	b.accessible(where)
	v := ask[visit](b, look)
	b.size(narrow, 740)
	n := ask[visit](b, look)
	if v.Status != status {
		b.t.Errorf("%s answers %d, not %d", where, v.Status, status)
	}
	if v.Wide > 0 || n.Wide > 0 {
		b.t.Errorf("%s sticks out: by %d pixels at %d, %s; by %d at %d, %s", where, v.Wide, wide, v.Widest, n.Wide, narrow, n.Widest)
	}
	if v.Lang != b.lang {
		b.t.Errorf("%s is in %s", where, v.Lang)
	}
	if v.Title == "" {
		b.t.Errorf("%s has no title", where)
	}
	for _, word := range slices.Concat(v.Words, n.Words) {
		if b.isKey(word) {
			b.t.Errorf("%s shows the message key %s", where, word)
		}
	}
	for _, text := range v.Furniture {
		if foreign(text, b.lang) {
			b.t.Errorf("%s says in another language: %q", where, text)
		}
	}
	return v
}

var dotted = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[A-Za-z0-9-]+)+$`)

// isKey tells whether a word looks like the name of a message: dotted, and beginning as some message's name does.
func (b *tab) isKey(word string) bool {
	first, _, ok := strings.Cut(word, ".")
	if !ok || !dotted.MatchString(word) {
		return false
	}
	for key := range b.words[english] {
		if strings.HasPrefix(key, first+".") {
			return true
		}
	}
	return false
}

var (
	han     = regexp.MustCompile(`\p{Han}`)
	letters = regexp.MustCompile(`[a-z]{3}`)
)

// foreign tells whether a text is not in the language: Chinese in English, or words of English without Chinese.
func foreign(text, lang string) bool {
	if lang == english {
		return han.MatchString(text)
	}
	return letters.MatchString(text) && !han.MatchString(text)
}
