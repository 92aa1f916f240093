package admin

import (
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/web/session"
)

// list declares one list of the pages: its columns, what it can be filtered and sorted by, and how a page of it is read.
// What is asked of it stands in the address, so that a list can be sent to a colleague; personal data never does
// (HCA-8.1.5): people are looked for by the search box. Its routes are made by routes.
type list[R any] struct {
	path    string // of its page, without the slash
	title   string // its name, a key of the catalogue
	none    string // what is said where it is empty, a key
	columns []column[R]
	filters []filter
	orders  []order              // the first is its own; empty: it is not sorted
	add     string               // the words of the button to path+"/new"; empty: there is none
	bulk    func(a asked) string // where what it finds is worked on all at once; nil or empty: nowhere
	hint    string               // words above the list: what it does not find, and why
	wide    bool
	arrange func(a asked) string // the order that a filter goes with, alone; empty: any. Nil: each goes with each
	read    func(p *page, a asked) ([]R, error)
	count   func(p *page, a asked) (int, error) // as far as ra.CountUpTo and one more
	mark    func(by string, r R) ra.Mark        // where a row stands in an order
}

// column is one column of a list. The heading of one with an order sorts by it.
type column[R any] struct {
	label string // a key of the catalogue
	class string // "num" is aligned right; "code", "when", "short", "wrap" as the style sheet has them
	by    string
	cell  func(p *page, r R) cell
}

// order is one order of a list and the way it goes when it is first asked for.
type order struct {
	by   string
	desc bool
}

// filter is one field above a list.
type filter struct {
	name, label string
	kind        string // "select", "text", "day", or "about": an object's id, which links bring
	options     func(p *page) []option
	shown       func(p *page, id string) string // the words for an "about"
}

// cell is what a row has in a column: Text in the export, and on the page as well where there is no HTML.
type cell struct {
	Text string
	HTML template.HTML
	Path string // what it leads to
}

// asked is what somebody asks of a list.
type asked struct {
	values map[string]string
	order  ra.Order
	limit  int
}

func (a asked) get(name string) string { return a.values[name] }

// day is midnight in Taipei of the day in a filter, so many days later; zero where the filter is empty.
func (a asked) day(name string, later int) time.Time {
	t, err := day(a.values[name])
	if err != nil || t.IsZero() {
		return time.Time{}
	}
	return t.AddDate(0, 0, later)
}

// pageRows is how many rows a page of a list has.
const pageRows = 50

// maxFilter is how long a filter's or a cursor's text may be.
const maxFilter, maxCursor = 100, 600

// known is the value when it is one of those, and empty otherwise.
func known[T ~string](value string, all []T) T {
	for _, x := range all {
		if string(x) == value {
			return x
		}
	}
	return ""
}

// choices are the options of a filter, the first of them every one.
func choices[T ~string](p *page, family string, all []T) []option {
	out := []option{{Label: p.words().say("filter.all")}}
	for _, x := range all {
		out = append(out, option{Value: string(x), Label: p.words().say(family + string(x))})
	}
	return out
}

// routes are the list's page, shown by itself unless show is another page that holds it, and its export.
func (l *list[R]) routes(roles []session.Role, show func(*page) error) []route {
	if show == nil {
		show = l.show
	}
	return []route{{method: get, path: "/" + l.path, handle: show, roles: roles},
		{method: post, path: "/" + l.path + "/export", handle: l.export, roles: roles}}
}

// cursor is a place in a list as an address has it. It holds the order, so that it cannot be taken for a place in another.
type cursor struct {
	Sort string `json:"s"`
	Key  string `json:"k,omitempty"`
	ID   string `json:"i"`
}

func (c cursor) String() string {
	raw, err := json.Marshal(c)
	if err != nil { // three strings
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// readCursor reads what String wrote. What else somebody writes is refused, and what he forges is no more than a place:
// which rows he may see is decided without it.
func readCursor(s, sort string) (*ra.Mark, error) {
	if s == "" {
		return nil, nil
	}
	bad := ra.Errorf(ra.KindMalformed, "cursor", nil, "The place in the list cannot be read.")
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(s) > maxCursor {
		return nil, bad
	}
	var c cursor
	if err := json.Unmarshal(raw, &c); err != nil || c.Sort != sort || c.ID == "" || !isText(c.Key) || !isText(c.ID) {
		return nil, bad
	}
	return &ra.Mark{Key: c.Key, ID: c.ID}, nil
}

// sortOf is an order as an address has it.
func sortOf(o ra.Order) string {
	if o.Desc {
		return "-" + o.By
	}
	return o.By
}

// asked reads what the address, or an export's form, asks for. What no filter knows is refused: a link that says less than
// it seems to would show more than was meant.
func (l *list[R]) asked(p *page) (asked, error) {
	a := asked{values: map[string]string{}, limit: pageRows}
	for _, f := range l.filters {
		v := strings.TrimSpace(p.FormValue(f.name))
		if v == "" {
			continue
		}
		_, badDay := day(v)
		own := string(p.who.Staff.Institution)
		switch {
		case f.name == "institution" && own != "" && v != own:
			return a, ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
		case len(v) > maxFilter, f.kind == "day" && badDay != nil,
			f.kind == "select" && !slices.ContainsFunc(f.options(p), func(o option) bool { return o.Value == v }):
			return a, ra.Errorf(ra.KindMalformed, "filter-unknown", nil, "The list cannot be filtered by what the address says.")
		}
		a.values[f.name] = v
	}
	if len(l.orders) > 0 {
		a.order = ra.Order{By: l.orders[0].by, Desc: l.orders[0].desc}
	}
	if s := p.FormValue("sort"); s != "" {
		by, desc := strings.CutPrefix(s, "-")
		if !slices.ContainsFunc(l.orders, func(o order) bool { return o.by == by }) {
			return a, ra.Errorf(ra.KindMalformed, "order-unknown", nil, "The list has no such order.")
		}
		a.order = ra.Order{By: by, Desc: desc}
	}
	if l.arrange != nil {
		if by := l.arrange(a); by != "" && by != a.order.By {
			a.order = ra.Order{By: by}
		}
	}
	var err error
	a.order.After, err = readCursor(p.FormValue("after"), sortOf(a.order))
	return a, err
}

// address is the list's own with other values; empty ones are left out.
func (l *list[R]) address(a asked, set map[string]string) string {
	q := url.Values{}
	for k, v := range a.values {
		q.Set(k, v)
	}
	if len(l.orders) > 0 && (a.order.By != l.orders[0].by || a.order.Desc != l.orders[0].desc) {
		q.Set("sort", sortOf(a.order))
	}
	for k, v := range set {
		if q.Set(k, v); v == "" {
			q.Del(k)
		}
	}
	if len(q) == 0 {
		return "/" + l.path
	}
	return "/" + l.path + "?" + q.Encode()
}

// listData is a page of a list, ready to be shown by the template "list".
type listData struct {
	Path, None, Hint, Add string
	Bulk                  string // where what the list finds is worked on all at once
	Fields                []input
	About                 []about
	Head                  []heading
	Rows                  [][]cell
	Classes               []string
	Count                 string
	First, Next           string   // addresses; empty where there is nothing to go to
	Kept, Hidden          []option // what the export's form brings along, and what the filters' form does
	CSRF                  string
	Cap                   int
	Filtered              bool
}

// heading is a column's heading, and where it leads to sort by it.
type heading struct {
	Label, Class, Path, Sorted string
}

// about says of which one thing a list is, and where it leads without that.
type about struct {
	Label, Text, Path string
}

// page reads the page of the list that is asked for.
func (l *list[R]) page(p *page) (listData, error) {
	a, err := l.asked(p)
	if err != nil {
		return listData{}, err
	}
	a.limit = pageRows + 1
	rows, err := l.read(p, a)
	if err != nil {
		return listData{}, err
	}
	d := listData{Path: "/" + l.path, None: l.none, CSRF: p.who.CSRF, Cap: exportRows, Filtered: len(a.values) > 0}
	if l.hint != "" {
		d.Hint = p.words().say(l.hint)
	}
	if l.add != "" && p.may(get, "/"+l.path+"/new") {
		d.Add = l.add
	}
	if l.bulk != nil && p.may(get, "/bulks/new") {
		d.Bulk = l.bulk(a)
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		m := l.mark(a.order.By, rows[pageRows-1])
		d.Next = l.address(a, map[string]string{"after": cursor{sortOf(a.order), m.Key, m.ID}.String()})
	}
	if a.order.After != nil {
		d.First = l.address(a, nil)
	}
	if d.Count, err = l.counted(p, a); err != nil {
		return d, err
	}
	l.fields(p, a, &d)
	for _, c := range l.columns {
		d.Head, d.Classes = append(d.Head, l.heading(p, a, c)), append(d.Classes, c.class)
	}
	for _, r := range rows {
		line := make([]cell, 0, len(l.columns))
		for _, c := range l.columns {
			line = append(line, c.cell(p, r))
		}
		d.Rows = append(d.Rows, line)
	}
	return d, nil
}

// counted says how many rows there are: exactly, or that there are more than so many.
func (l *list[R]) counted(p *page, a asked) (string, error) {
	n, err := l.count(p, a)
	if err != nil || n == 0 {
		return "", err
	}
	if n > ra.CountUpTo {
		return p.words().say("list.count-more", ra.CountUpTo), nil
	}
	return p.words().say("list.count", n), nil
}

// fields are the filters as they are set.
func (l *list[R]) fields(p *page, a asked, d *listData) {
	form := url.Values{}
	for k, v := range a.values {
		form.Set(k, v)
		d.Kept = append(d.Kept, option{Value: v, Label: k})
	}
	if len(l.orders) > 0 {
		sort := option{Value: sortOf(a.order), Label: "sort"}
		d.Kept, d.Hidden = append(d.Kept, sort), append(d.Hidden, sort)
	}
	for _, f := range l.filters {
		if f.name == "institution" && p.who.Staff.Institution != "" {
			continue // his own, without being asked
		}
		switch f.kind {
		case "about":
			if id := a.values[f.name]; id != "" {
				d.Hidden = append(d.Hidden, option{Value: id, Label: f.name})
				d.About = append(d.About, about{p.words().say(f.label), f.shown(p, id), l.address(a, map[string]string{f.name: ""})})
			}
		case "select":
			d.Fields = append(d.Fields, view{Form: form}.input(p.words(), "select", f.name, f.label, f.options(p)))
		case "day":
			d.Fields = append(d.Fields, view{Form: form}.input(p.words(), "day", f.name, f.label, nil))
		default:
			d.Fields = append(d.Fields, view{Form: form}.input(p.words(), "text", f.name, f.label, nil))
		}
	}
}

// heading leads to the list sorted by its column: the way the order goes at first, and then the other way.
func (l *list[R]) heading(p *page, a asked, c column[R]) heading {
	h := heading{Label: p.words().say(c.label), Class: c.class}
	i := slices.IndexFunc(l.orders, func(o order) bool { return c.by != "" && o.by == c.by })
	if i < 0 {
		return h
	}
	to := ra.Order{By: c.by, Desc: l.orders[i].desc}
	if a.order.By == c.by {
		h.Sorted = "ascending"
		if to.Desc = !a.order.Desc; a.order.Desc {
			h.Sorted = "descending"
		}
	}
	other := a
	other.order = to
	h.Path = l.address(other, nil)
	return h
}

// show answers with the list on its own page.
func (l *list[R]) show(p *page) error {
	d, err := l.page(p)
	if err != nil {
		return err
	}
	name := "list"
	if l.wide {
		name = "list-wide"
	}
	return p.show(http.StatusOK, name, view{Title: l.title, Data: d})
}

// next is the present address with the cursor moved, of a page that is no declared list.
func (p *page) next(cursor, value string) string {
	q := p.QueryParams()
	q.Del("done")
	q.Set(cursor, value)
	return p.Request().URL.Path + "?" + q.Encode()
}
