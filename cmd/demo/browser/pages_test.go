package browser

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// visit is what a page says of itself.
type visit struct {
	Status     int
	Lang       string
	Words      []string // of the visible text and of what is read out, one by one
	Furniture  []string // texts that are the page's own and no data
	Links      []string // addresses of this window, without fragment
	Wide       int      // pixels by which the document is wider than its window
	Widest     string   // an element that sticks out
	Title      string
	Headings   int      // of the first level
	Up         bool     // there is a way one step back
	Main       []string // the main actions that can be seen
	Unlabelled []string // fields that nothing names
	Mute       []string // forms that nothing sends
	Focus      string   // the class of what has the focus
	Bytes      int      // of the page itself
	Hosts      []string // that anything was fetched from
}

const look = `(() => {
  const root = document.documentElement;
  const read = [document.title, document.body.innerText];
  for (const e of document.querySelectorAll("[aria-label],[title],[placeholder],[alt]"))
    for (const a of ["aria-label", "title", "placeholder", "alt"]) read.push(e.getAttribute(a) || "");
  const out = [...document.querySelectorAll("body *")].find((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest(".table, .unseen, .away, .skip, pre, [hidden]") && e.checkVisibility());
  const own = [...document.querySelectorAll("h2, th, dt:not(.code), button, legend, nav a, .up a, .hint, main > .actions a, summary")].filter((e) => e.offsetParent && !e.lang && !e.closest(".code, code, [translate=no]"));
  const seen = (e) => e.offsetParent !== null;
  const main = document.querySelector("main") || document.body;
  const loaded = performance.getEntriesByType("navigation")[0];
  return {
    Status: loaded.responseStatus,
    Lang: root.lang,
    Words: read.join(" ").split(/\s+/),
    Furniture: own.map((e) => e.textContent.trim()).filter(Boolean),
    Links: [...document.links].filter((a) => a.origin === location.origin && !a.hasAttribute("download")).map((a) => a.pathname + a.search),
    Wide: root.scrollWidth - root.clientWidth,
    Widest: out ? out.outerHTML.slice(0, 200) : "",
    Title: document.title,
    Headings: [...document.querySelectorAll("h1")].filter(seen).length,
    Up: document.querySelector(".up a") !== null,
    Main: [...main.querySelectorAll(".main")].filter(seen).map((e) => e.textContent.trim()),
    Unlabelled: [...document.querySelectorAll("input:not([type=hidden]), select, textarea")].filter((e) => seen(e) && ![...(e.labels || [])].some((l) => l.textContent.trim())).map((e) => e.outerHTML),
    Mute: [...document.forms].filter((f) => !f.querySelector("button, input[type=submit]")).map((f) => f.outerHTML.slice(0, 200)),
    Focus: document.activeElement ? document.activeElement.className : "",
    Bytes: loaded.decodedBodySize,
    Hosts: [...new Set(performance.getEntriesByType("resource").map((r) => new URL(r.name).origin))],
  };
})()`

// A narrow telephone, and the counter's monitor.
const narrow, wide = 360, 1280

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

// heaviest is how many bytes a page may have, uncompressed and without the style sheet and scripts that the browser keeps.
const heaviest = 100 << 10

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
	if v.Wide > 0 || n.Wide > 0 || n.Widest != "" {
		b.t.Errorf("%s sticks out: by %d pixels at %d, %s; by %d at %d, %s", where, v.Wide, wide, v.Widest, n.Wide, narrow, n.Widest)
	}
	b.reads(where, v, n)
	b.works(where, v)
	return v
}

// reads judges a page's language and words, in a wide and in a narrow window.
func (b *tab) reads(where string, v, n visit) {
	b.t.Helper()
	if v.Lang != b.lang {
		b.t.Errorf("%s is in %s", where, v.Lang)
	}
	if v.Title == "" || v.Headings != 1 {
		b.t.Errorf("%s has the title %q and %d headings", where, v.Title, v.Headings)
	}
	for _, word := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(v.Words, n.Words)))) {
		if b.isKey(word) {
			b.t.Errorf("%s shows the message key %s", where, word)
		}
	}
	for _, text := range v.Furniture {
		if foreign(text, b.lang) {
			b.t.Errorf("%s says in another language: %q", where, text)
		}
	}
}

// works judges what a page lets somebody do: one main action, every field named, nothing dangerous under the finger;
// and what it costs.
func (b *tab) works(where string, v visit) {
	b.t.Helper()
	if len(v.Main) > 1 {
		b.t.Errorf("%s has %d main actions: %s", where, len(v.Main), strings.Join(v.Main, ", "))
	}
	for _, field := range v.Unlabelled {
		b.t.Errorf("%s: nothing names the field %s", where, field)
	}
	for _, form := range v.Mute {
		b.t.Errorf("%s: nothing sends the form %s", where, form)
	}
	if strings.Contains(v.Focus, "danger") {
		b.t.Errorf("%s begins with the focus on a dangerous action", where)
	}
	if v.Bytes > heaviest {
		b.t.Errorf("%s has %d bytes", where, v.Bytes)
	}
	for _, host := range v.Hosts {
		if host != b.URL && host != b.Agent && host != b.ServiSign {
			b.t.Errorf("%s asks %s for something", where, host)
		}
	}
}

var dotted = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$`)

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
