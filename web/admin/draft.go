package admin

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"certwindow/ra"
	"certwindow/web/problem"
	"certwindow/web/session"
)

// What was typed when a session ended is there again after the same account has signed in. It lies on the server,
// sealed, and comes there in two ways: a form that was posted into the ended session is kept in place of being
// refused, which needs no script, and session.js sends what is half filled when the end is near or has come.
var draftRoutes = []route{
	{method: post, path: "/session/draft", handle: (*page).keepDraft, open: true},
}

// keepDraft takes what session.js sends. It belongs to a session that may be over; its cookie and its form token say
// whose it was.
func (p *page) keepDraft() error {
	d := session.Draft{Page: p.FormValue("page"), Action: p.FormValue("action")}
	fields, err := url.ParseQuery(p.FormValue("form"))
	if err == nil {
		for _, values := range fields {
			if slices.ContainsFunc(values, func(v string) bool { return !isText(v) }) {
				err = http.ErrNotSupported
			}
		}
	}
	to, known := p.site.routeOf(post, d.Action)
	if err != nil || !known || !to.kept() || !p.site.shows(d.Page) {
		return ra.Errorf(ra.KindMalformed, "draft-unknown", err, "There is no such form to keep.")
	}
	d.Fields = fields
	if err := p.site.Accounts.KeepDraft(p.ctx(), session.TokenOf(p.Request()), p.FormValue(session.FormField), d); err != nil {
		return err
	}
	return p.NoContent(http.StatusNoContent)
}

// keepPosted keeps a form that was posted without a session, and tells the page that shows it again. ok is false when
// it was no form of ours, or of nobody who was signed in lately.
func (p *page) keepPosted(r route) (page string, ok bool) {
	d, ok := p.posted(r)
	if !ok {
		return "", false
	}
	if err := p.site.Accounts.KeepDraft(p.ctx(), session.TokenOf(p.Request()), p.FormValue(session.FormField), d); err != nil {
		problem.Log(p, p.site.Log, err)
		return "", false
	}
	return d.Page, true
}

// keepFromBefore keeps a form of an earlier session that was posted into this one, of the same account.
func (p *page) keepFromBefore(r route) (page string, ok bool) {
	d, ok := p.posted(r)
	if !ok {
		return "", false
	}
	if err := p.site.Accounts.KeepFromBefore(p.ctx(), p.who, p.FormValue(session.FormField), d); err != nil {
		problem.Log(p, p.site.Log, err)
		return "", false
	}
	return d.Page, true
}

// posted is the form of this request, where it is one that a page of this site may show again.
func (p *page) posted(r route) (d session.Draft, ok bool) {
	req := p.Request()
	if r.method != post || !r.kept() || !problem.WantsPage(req) || session.SameOrigin(req) != nil || p.readable(maxForm) != nil {
		return d, false
	}
	d = session.Draft{Action: req.URL.Path, Fields: req.PostForm, Page: req.URL.Path}
	if from, err := url.Parse(req.Referer()); err == nil && from.Host == req.Host && p.site.shows(from.RequestURI()) {
		d.Page = from.RequestURI()
	}
	return d, p.site.shows(d.Page)
}

// kept tells whether what is posted to the route may be kept for its sender.
func (r route) kept() bool { return !r.open && !r.poll && !r.private && !r.upload && !r.first }

// shows tells whether a local address is that of a page that a form can stand on.
func (s *Site) shows(address string) bool {
	u, err := url.Parse(address)
	if err != nil || localPath(address) != address {
		return false
	}
	r, ok := s.routeOf(get, u.Path)
	return ok && !r.open && !r.poll
}

// routeOf finds the line of the table that a path belongs to. One without parameters comes first.
func (s *Site) routeOf(method, path string) (found route, ok bool) {
	for _, r := range s.table {
		if r.method != method || !matches(r.path, path) {
			continue
		}
		if !strings.Contains(r.path, ":") {
			return r, true
		}
		if !ok {
			found, ok = r, true
		}
	}
	return found, ok
}

func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], ":") || got[i] == "") {
			return false
		}
	}
	return true
}

// restore puts a draft into the form of a finished page that it was typed into. ok is false when the page has no
// such form.
func restore(page []byte, d session.Draft) (out []byte, ok bool) {
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return page, false
	}
	form := formFor(doc, d)
	if form == nil {
		return page, false
	}
	left := url.Values{}
	for name, values := range d.Fields {
		left[name] = slices.Clone(values)
	}
	for n := range form.Descendants() {
		fill(n, left)
	}
	setAttribute(form, "data-restored", "")
	var b bytes.Buffer
	if err := html.Render(&b, doc); err != nil {
		return page, false
	}
	return b.Bytes(), true
}

// formFor is the form that posts to the draft's action; among several, the first whose hidden fields are the draft's.
func formFor(doc *html.Node, d session.Draft) (first *html.Node) {
	for n := range doc.Descendants() {
		if n.DataAtom != atom.Form || actionOf(n, d.Page) != d.Action || !strings.EqualFold(attribute(n, "method"), post) {
			continue
		}
		same := true
		for c := range n.Descendants() {
			name := attribute(c, "name")
			if c.DataAtom == atom.Input && attribute(c, "type") == "hidden" && d.Fields.Has(name) && !slices.Contains(d.Fields[name], attribute(c, "value")) {
				same = false
			}
		}
		if same {
			return n
		}
		if first == nil {
			first = n
		}
	}
	return first
}

// actionOf is the path that a form is posted to: the page's own where it names none.
func actionOf(form *html.Node, page string) string {
	address := attribute(form, "action")
	if address == "" {
		address = page
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// fill gives one field what was typed into it. Hidden fields, files and secrets stay as the page made them.
func fill(n *html.Node, left url.Values) {
	name := attribute(n, "name")
	switch n.DataAtom {
	case atom.Input:
		switch strings.ToLower(attribute(n, "type")) {
		case "checkbox", "radio":
			removeAttribute(n, "checked")
			if slices.Contains(left[name], valueOf(n, "on")) {
				setAttribute(n, "checked", "")
			}
		case "hidden", "password", "file", "submit", "button", "image", "reset":
		default:
			if v := left[name]; len(v) > 0 && attribute(n, "autocomplete") != "one-time-code" {
				setAttribute(n, "value", v[0])
				left[name] = v[1:]
			}
		}
	case atom.Textarea:
		if v := left[name]; len(v) > 0 {
			for n.FirstChild != nil {
				n.RemoveChild(n.FirstChild)
			}
			n.AppendChild(&html.Node{Type: html.TextNode, Data: strings.ReplaceAll(v[0], "\r\n", "\n")})
			left[name] = v[1:]
		}
	case atom.Select:
		for o := range n.Descendants() {
			if o.DataAtom != atom.Option || len(left[name]) == 0 {
				continue
			}
			removeAttribute(o, "selected")
			if slices.Contains(left[name], valueOf(o, "")) {
				setAttribute(o, "selected", "")
			}
		}
	}
}

func attribute(n *html.Node, key string) string { return valueIn(n, key, "") }

// valueOf is a choice's value; one that states none has another.
func valueOf(n *html.Node, otherwise string) string { return valueIn(n, "value", otherwise) }

func valueIn(n *html.Node, key, otherwise string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return otherwise
}

func setAttribute(n *html.Node, key, value string) {
	removeAttribute(n, key)
	n.Attr = append(n.Attr, html.Attribute{Key: key, Val: value})
}

func removeAttribute(n *html.Node, key string) {
	n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}
