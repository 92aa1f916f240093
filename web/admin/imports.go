package admin

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/intake"
	"certwindow/web/admin/mask"
)

var importRoutes = []route{
	{method: get, path: "/imports", handle: (*page).imports, roles: registrar},
	{method: post, path: "/imports", handle: (*page).previewImport, roles: registrar, upload: true},
	{method: get, path: "/imports/:id", handle: (*page).oneImport, roles: registrar},
	{method: get, path: "/imports/:id/progress", handle: (*page).oneImport, roles: registrar, poll: true},
	{method: post, path: "/imports/:id/start", handle: (*page).startImport, roles: registrar},
	{method: post, path: "/imports/:id/stop", handle: (*page).stopImport, roles: registrar},
}

// Imports take tables in that people bring; intake.Service is one.
type Imports interface {
	Preview(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, f intake.File) (intake.Import, error)
	Import(ctx context.Context, actor ra.Actor, id string) (intake.Import, error)
	Imports(ctx context.Context, actor ra.Actor, q intake.Query) ([]intake.Import, error)
	Lines(ctx context.Context, actor ra.Actor, id string, q intake.LineQuery) ([]intake.Line, error)
	Start(ctx context.Context, actor ra.Actor, id string, shown int) error
	Stop(ctx context.Context, actor ra.Actor, id string) error
}

var importStates = []intake.State{intake.Previewed, intake.Running, intake.Stopped, intake.Finished}

func (p *page) imports() error { return p.importsWith(nil) }

// importsWith lists what was brought, above it the form to bring more; after an error with what was chosen.
func (p *page) importsWith(failed error) error {
	q := intake.Query{Before: p.QueryParam("before"), Limit: pageRows + 1}
	list, err := p.site.Imports.Imports(p.ctx(), p.actor(), q)
	if err != nil {
		return err
	}
	d := map[string]any{"More": "", "Kinds": choices(p, "import.kind.", intake.Kinds)[1:], "Columns": intake.Columns}
	if len(list) > pageRows {
		list = list[:pageRows]
		d["More"] = p.next("before", list[pageRows-1].ID)
	}
	d["List"] = list
	if d["Institutions"], err = p.institutionChoice(); err != nil {
		return err
	}
	scopes, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return err
	}
	d["Scopes"] = append([]option{{Label: "–"}}, scopeOptions(scopes)...)
	v := view{Title: "imports.title", Data: d, Form: url.Values{"kind": {string(intake.Persons)}}}
	if failed == nil {
		return p.show(http.StatusOK, "imports", v)
	}
	v.Form = p.form()
	return p.again(failed, "imports", v, importFields)
}

// importFields are the fields that the errors of a file belong to.
var importFields = map[string][2]string{"file-missing": {"file", "import.file"}, "import-kind": {"kind", "import.kind"}, "sheet-empty": {"file", "import.file"},
	"sheet-large": {"file", "import.file"}, "sheet-rows": {"file", "import.file"}, "sheet-encoding": {"file", "import.file"}, "sheet-header": {"file", "import.file"},
	"sheet-column": {"file", "import.file"}, "sheet-quote": {"file", "import.file"}, "sheet-zip": {"file", "import.file"}}

func (p *page) previewImport() error {
	name, raw, err := p.upload("file")
	if err != nil {
		return p.importsWith(err)
	}
	f := intake.File{Kind: intake.Kind(p.FormValue("kind")), Name: name, Content: raw}
	if f.Kind == intake.Certificates {
		f.Defaults = map[string]string{"scope": p.FormValue("scope")}
	}
	i, err := p.site.Imports.Preview(p.ctx(), p.actor(), ra.InstitutionCode(p.FormValue("institution")), f)
	if err != nil {
		return p.importsWith(err)
	}
	return p.Redirect(http.StatusSeeOther, "/imports/"+i.ID)
}

// importLine is a line as the page shows it: masked, and with the words of what is wrong.
type importLine struct {
	intake.Line
	About, Path, Text string
}

// importData is one import: the preview, the work, and what became of each line.
type importData struct {
	intake.Import
	Lines  []importLine
	More   string
	Counts []importCount
	Chosen intake.Verdict
	Left   int // lines to take in
	Who    string
	By     string // who confirmed it; empty: nobody yet
	Path   string
	Again  string // where a page that waits looks next
}

// importCount is how many lines stand in a verdict, with where to see them.
type importCount struct {
	Verdict intake.Verdict
	Count   int
	Path    string
}

func (p *page) oneImport() error { return p.oneImportWith(nil) }

func (p *page) oneImportWith(failed error) error {
	i, err := p.site.Imports.Import(p.ctx(), p.actor(), p.Param("id"))
	if err != nil {
		return err
	}
	path, accounts := "/imports/"+i.ID, map[string]string{}
	d := importData{Import: i, Path: path, Left: i.Fresh - i.Done - i.Failed, Who: p.account(accounts, i.CreatedBy), By: p.account(accounts, i.StartedBy),
		Chosen: known(p.QueryParam("verdict"), intake.Verdicts)}
	for _, c := range []importCount{{Verdict: intake.Wrong, Count: i.Wrong}, {Verdict: intake.Failed, Count: i.Failed}, {Verdict: intake.Fresh, Count: d.Left},
		{Verdict: intake.Known, Count: i.Known}, {Verdict: intake.Done, Count: i.Done}} {
		c.Path = path + "?verdict=" + string(c.Verdict)
		d.Counts = append(d.Counts, c)
	}
	if i.State == intake.Running {
		d.Again = path + "/progress"
	}
	after, _ := strconv.Atoi(p.QueryParam("after")) // what is no number begins at the beginning
	lines, err := p.site.Imports.Lines(p.ctx(), p.actor(), i.ID, intake.LineQuery{Verdict: d.Chosen, After: max(after, 0), Limit: pageRows + 1})
	if err != nil {
		return err
	}
	if len(lines) > pageRows {
		lines = lines[:pageRows]
		q := url.Values{"after": {strconv.Itoa(lines[pageRows-1].Line)}}
		if d.Chosen != "" {
			q.Set("verdict", string(d.Chosen))
		}
		d.More = path + "?" + q.Encode()
	}
	for _, l := range lines {
		d.Lines = append(d.Lines, p.importLine(i.Kind, l))
	}
	v := view{Title: "import.one", Heading: p.words().say("import.kind." + string(i.Kind)), Up: "/imports", UpTitle: "imports.title", Data: d}
	if failed == nil {
		return p.show(http.StatusOK, "import", v)
	}
	return p.again(failed, "import", v, nil)
}

// importLine masks a line, and says what is wrong with it.
func (p *page) importLine(kind intake.Kind, l intake.Line) importLine {
	out := importLine{Line: l}
	switch {
	case len(l.Cells) == 0:
	case kind == intake.Persons:
		out.About = mask.Name(l.Cells["name"]) + " " + mask.ID(l.Cells["national_id"])
	case kind == intake.Staffing:
		out.About = mask.ID(l.Cells["person"]) + " " + printable(l.Cells["event"])
	case kind == intake.Devices:
		out.About = printable(l.Cells["code"] + " " + l.Cells["model"])
	default:
		out.About = serialOf(l.Cells["certificate"])
	}
	if thing, id, ok := strings.Cut(l.Object, "/"); ok && p.may(get, pagesOf[thing]+":id") {
		out.Path = pagesOf[thing] + id
	}
	if l.Code == "" {
		return out
	}
	w := p.words()
	out.Text = l.Detail
	if m, ok := w.find("code." + l.Code); ok {
		out.Text = m
	}
	if l.Code == "import-twice" {
		out.Text = w.say("import.twice", l.Detail)
	}
	return out
}

// serialOf names a certificate by its serial number; of one that cannot be read it says nothing.
func serialOf(cell string) string {
	raw := []byte(cell)
	if der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(cell), "")); err == nil {
		raw = der
	}
	list, err := certpath.ParseCertificates(raw)
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0].SerialNumber.Text(16)
}

func (p *page) startImport() error {
	n, _ := strconv.Atoi(p.FormValue("count")) // what is no number is not what was shown
	if err := p.site.Imports.Start(p.ctx(), p.actor(), p.Param("id"), n); err != nil {
		return p.oneImportWith(err)
	}
	return p.Redirect(http.StatusSeeOther, "/imports/"+p.Param("id"))
}

func (p *page) stopImport() error {
	if err := p.site.Imports.Stop(p.ctx(), p.actor(), p.Param("id")); err != nil {
		return p.oneImportWith(err)
	}
	return p.Redirect(http.StatusSeeOther, "/imports/"+p.Param("id"))
}
