package admin

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/web/problem"
	"certwindow/web/session"
)

type tmpl = template.Template

// view is what every template gets.
type view struct {
	Title    string // a key of the catalogue
	Heading  string // shown in place of the title's words, e.g. a masked name
	Up       string // the page one step back, for Esc and for the line above the heading
	UpTitle  string // a key of the catalogue
	Done     string // a key of the catalogue: what was just done
	Form     url.Values
	Problem  *shown
	Restored bool // what was typed in an earlier session stands in the form again
	Scripts  []string
	Data     any

	Lang        string
	Other       string // the language to switch to
	Path        string
	Development bool
	SignedIn    bool
	Who         session.Staff
	CSRF        string
	IdleSeconds int
	Nav, Office []link
	Deep        bool   // this page is one of the office's
	Help        string // the help page that fits this one
	RequestID   string
	Card        string // the card components that the site uses, each kind=origin
	page        *page
}

// shown is a problem in words.
type shown struct {
	Title, Text      string
	Clause           policy.Clause
	Rule             string // what the clause says, in plain words
	Code, RequestID  string
	Field, FieldText string // the form's field that is to be mended, and its label's key
}

type link struct {
	Path, Label string
	Here        bool
}

// sections are the navigation, in its order: the work of every day, and behind one more step the office itself. Each
// is shown to those who may open it.
var sections, office = []string{"/counter", "/persons", "/devices", "/applications", "/certificates", "/approvals"},
	[]string{"/institutions", "/scopes", "/apps", "/clients", "/staff", "/settings", "/ceremonies", "/imports", "/bulks", "/exchange", "/unmasked", "/retention", "/reports", "/audit"}

func (s *Site) loadTemplates() (map[string]map[string]*tmpl, error) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]*tmpl{}
	for lang := range s.words {
		base, err := template.New("layout.html").Funcs(s.funcs(lang)).ParseFS(files, "templates/layout.html", "templates/parts.html")
		if err != nil {
			return nil, err
		}
		out[lang] = map[string]*tmpl{}
		for _, n := range names {
			name := strings.TrimSuffix(path.Base(n), ".html")
			if name == "layout" || name == "parts" {
				continue
			}
			t, err := base.Clone()
			if err == nil {
				t, err = t.ParseFS(files, n)
			}
			if err != nil {
				return nil, err
			}
			out[lang][name] = t
		}
	}
	return out, nil
}

// funcs are what templates may call, in one language.
func (s *Site) funcs(lang string) template.FuncMap {
	w := s.words[lang]
	stamp := func(t time.Time) template.HTML { return s.stamp(w, t) }
	return template.FuncMap{
		"t":     w.say,
		"asset": s.assetPath,
		"date":  stamp,
		"ago":   func(t time.Time) string { return w.ago(t, s.Now()) },
		"maybe": func(t *time.Time) template.HTML {
			if t == nil {
				return ""
			}
			return stamp(*t)
		},
		"state": func(kind string, v any) template.HTML { return w.state(kind, fmt.Sprint(v)) },
		"word":  func(family string, v any) string { return w.say(family + "." + fmt.Sprint(v)) },
		"act":   w.act,
		"fact":  w.fact,
		"note":  w.note,
		"input": func(v view, kind, name, label string) input { return v.input(w, kind, name, label, nil) },
		"choice": func(v view, name, label string, options []option) input {
			return v.input(w, "select", name, label, options)
		},
		"may":     func(v view, method, path string) bool { return v.page.may(method, path) },
		"leaves":  func() []string { return leaveReasons },
		"reports": func() []ra.DeviceEvent { return reports },
		"signing": func(v view, text any) map[string]any { return map[string]any{"CSRF": v.CSRF, "Text": text, "View": v} },
		"rows":    func(list any, names map[ra.PersonID]string) rows { return rows{list, names} },
		"join":    func(list []string) string { return strings.Join(list, ", ") },
	}
}

// stamp is a time as pages show it, with the relative one beside.
func (s *Site) stamp(w catalogue, t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.UTC().Format(time.RFC3339),
		template.HTMLEscapeString(w.ago(t, s.Now())), t.In(taipei).Format(stampFormat)))
}

// rows are a list's rows, with the holders' masked names where it shows them.
type rows struct {
	List  any
	Names map[ra.PersonID]string
}

// act names an act of the audit log; one without words of its own shows as it is written.
func (c catalogue) act(act string) string {
	if m, ok := c.find("act." + act); ok {
		return m
	}
	return act
}

// note is a certificate's note: a ground of HCA-5.2.2 in words, else what somebody typed.
func (c catalogue) note(note string) string {
	if m, ok := c.find("ground." + note); ok {
		return m
	}
	return note
}

// looks is the shape of each state's label, beside its word: never colour alone.
var looks = map[string]string{
	"live": "good", "bound": "good", "completed": "good", "confirmed": "good", "active": "good", "linked": "good", "approved": "good", "done": "good",
	"awaiting-signature": "wait", "awaiting-key": "wait", "requested": "wait", "sent": "wait", "revoking": "wait", "offered": "wait",
	"presented": "wait", "proposed": "wait", "registered": "wait", "initial": "wait",
	"fresh": "wait", "running": "wait", "finished": "good", "wrong": "bad",
	"disputed": "bad", "refused": "bad", "failed": "bad", "lost": "bad", "broken": "bad", "suspended": "bad", "rejected": "bad", "locked": "bad",
	"stopped": "bad", "withdrawn": "bad", "usable": "good",
}

// state is a state's word in its shape.
func (c catalogue) state(kind, v string) template.HTML {
	look := looks[v]
	if look == "" {
		look = "over"
	}
	return template.HTML(fmt.Sprintf(`<span class="state %s">%s</span>`, look, template.HTMLEscapeString(c.say("state."+kind+"."+v))))
}

// option is one choice of a select or radio field.
type option struct {
	Value, Label string
	Chosen       bool
}

// input is one field of a form.
type input struct {
	Kind, Name, Label, Hint, Value, Error string
	Options                               []option
}

func (v view) input(w catalogue, kind, name, label string, options []option) input {
	in := input{Kind: kind, Name: name, Label: w.say(label), Value: v.Form.Get(name), Options: slices.Clone(options)}
	in.Hint, _ = w.find(label + ".hint")
	for i := range in.Options {
		in.Options[i].Chosen = slices.Contains(v.Form[name], in.Options[i].Value)
	}
	if v.Problem != nil && v.Problem.Field == name {
		in.Error = v.Problem.Text
	}
	return in
}

func (p *page) words() catalogue { return p.site.words[p.lang] }

// show renders a page.
func (p *page) show(status int, name string, v view) error {
	r := p.Request()
	v.page, v.Lang, v.Other, v.Path = p, p.lang, english, r.URL.RequestURI()
	if p.lang == english {
		v.Other = chinese
	}
	if r.Method != http.MethodGet {
		v.Path = r.URL.Path // what a form posted cannot be asked for again
	}
	v.Development, v.SignedIn, v.Card, v.RequestID = p.site.Development, p.signedIn, p.site.card, problem.RequestID(p)
	if done := p.QueryParam("done"); v.Done == "" && done != "" {
		if _, ok := p.words().find("done." + done); ok {
			v.Done = "done." + done
		}
	}
	if p.signedIn {
		v.Who, v.CSRF, v.IdleSeconds = p.who.Staff, p.who.CSRF, int(p.who.EndsAt().Sub(p.site.Now()).Seconds())
		v.Nav, v.Office, v.Help = p.links(sections), p.links(office), p.helpPath()
		v.Deep = slices.ContainsFunc(v.Office, func(l link) bool { return l.Here })
	}
	body, err := p.draw(status, name, v)
	if err != nil {
		return err
	}
	return p.HTMLBlob(status, body)
}

// draw makes the page, with what its reader had typed into it when his last session ended.
func (p *page) draw(status int, name string, v view) ([]byte, error) {
	t, ok := p.site.pages[p.lang][name]
	if !ok {
		return nil, fmt.Errorf("admin: no template %q", name)
	}
	r := p.Request()
	if p.signedIn && status == http.StatusOK && r.Method == http.MethodGet && r.Header.Get("Sec-Purpose") == "" {
		d, typed, err := p.site.Accounts.TakeDraft(p.ctx(), p.who, v.Path)
		if err != nil {
			return nil, err
		}
		if typed {
			v.Restored = true
			var out bytes.Buffer
			if err := t.Execute(&out, v); err != nil {
				return nil, err
			}
			if body, ok := restore(out.Bytes(), d); ok {
				return body, nil
			}
			v.Restored = false
		}
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// links are the sections that the one who asks may open.
func (p *page) links(paths []string) (out []link) {
	for _, s := range paths {
		if s == "/exchange" && !p.site.Exchange.ByHand() {
			continue
		}
		if p.may(get, s) && !p.who.Staff.MustChange {
			out = append(out, link{s, "nav." + s[1:], strings.HasPrefix(p.Request().URL.Path, s)})
		}
	}
	return out
}

// explain puts a problem into words: the code's own where the catalogue has them, else the error's sentence.
func (p *page) explain(d problem.Document) *shown {
	w := p.words()
	x := &shown{Text: d.Detail, Clause: d.Clause, Code: d.Code, RequestID: d.RequestID, Title: w.say("problem.other")}
	kind := d.Type[strings.LastIndexByte(d.Type, ':')+1:]
	if m, ok := w.find("problem." + kind); ok {
		x.Title = m
	}
	if m, ok := w.find("code." + d.Code); ok {
		x.Text = m
	}
	x.Rule = ruleOf(d.Clause, p.lang)
	return x
}

// ruleOf is what a clause says, in plain words.
func ruleOf(id policy.Clause, lang string) string {
	for _, e := range policy.Clauses() {
		if e.ID != id {
			continue
		}
		if lang == english {
			return e.Title
		}
		return e.TitleZH
	}
	return ""
}

// ErrorPage shows a problem to a person; the server calls it for every error that reaches it.
func (s *Site) ErrorPage(c echo.Context, d problem.Document) error {
	p := &page{Context: c, site: s, lang: languageOf(c.Request())}
	c.Response().Header().Set("Content-Security-Policy", s.csp)
	problem.TellToWait(c, d)
	if token := session.TokenOf(c.Request()); token != "" {
		if x, err := s.Accounts.Authenticate(p.ctx(), token, true); err == nil {
			p.who, p.signedIn = x, true
		}
	}
	return p.show(d.Status, "problem", view{Title: "problem.title", Problem: p.explain(d)})
}

// again shows a form once more with what was typed and what is to be mended. fields names, for an error's
// code, the form's field and its label; errors that a form cannot mend are passed on.
func (p *page) again(err error, name string, v view, fields map[string][2]string) error {
	switch ra.KindOf(err) {
	case ra.KindMalformed, ra.KindRefused, ra.KindConflict, ra.KindTooMany, ra.KindUnauthenticated:
	default:
		return err
	}
	problem.Log(p, p.site.Log, err)
	d := problem.Of(err, problem.RequestID(p))
	problem.TellToWait(p, d)
	v.Problem = p.explain(d)
	if f, ok := fields[d.Code]; ok {
		v.Problem.Field, v.Problem.FieldText = f[0], f[1]
	}
	if v.Form == nil {
		v.Form = p.form()
	}
	return p.show(d.Status, name, v)
}

// form is what was posted, without secrets.
func (p *page) form() url.Values {
	if err := p.Request().ParseForm(); err != nil {
		return url.Values{}
	}
	return session.Typed(p.Request().PostForm)
}

// done goes on to a page that says what was done.
func (p *page) done(path, what string) error {
	return p.Redirect(http.StatusSeeOther, path+"?done="+what)
}

func (p *page) staticFile() error {
	a, ok := p.site.static[p.Param("name")]
	if !ok {
		return echo.ErrNotFound
	}
	p.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	return p.Blob(http.StatusOK, a.kind, a.body)
}
