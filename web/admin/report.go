package admin

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/overview"
	"certwindow/ra/sweep"
	"certwindow/web/admin/pdf"
)

var reportRoutes = []route{
	{method: get, path: "/reports", handle: (*page).reports, roles: auditors},
	{method: get, path: "/reports/:name", handle: (*page).report, roles: auditors},
	{method: get, path: "/reports/sweeps/:id", handle: (*page).sweepReport, roles: auditors},
}

// Records are what the auditor's reports list; store.ReportStore is one.
type Records interface {
	Sweeps(ctx context.Context, scope ra.InstitutionCode, from, to time.Time, limit int) ([]sweep.Report, error)
	Sweep(ctx context.Context, scope ra.InstitutionCode, id string) (sweep.Report, error)
	Exemptions(ctx context.Context, limit int) ([]overview.Exemption, error)
	Acts(ctx context.Context, q overview.ActQuery) ([]audit.Record, error)
	// Exported writes into the audit log that a report leaves as a file.
	Exported(ctx context.Context, actor ra.Actor, report, format string, rows int) error
}

// sheetCell is one field of a report.
type sheetCell struct {
	Text string
	Path string // the page of what it names
}

// sheet is a report: the same rows on the screen, as CSV and as PDF.
type sheet struct {
	Name   string // in its address, and of its words: sheet.NAME
	Path   string
	Head   []pdf.Column
	Rows   [][]sheetCell
	More   bool // there are more rows than a report may hold
	Dated  bool // it tells of a span of days
	From   time.Time
	To     time.Time // the last day, which is in it
	Fields []fact
}

// fact is a line above a report's rows.
type fact struct{ Label, Text string }

// Bounds of one report.
const (
	mostRowsOfReport = 10000
	rowsOnScreen     = 200
	rowsOfPDF        = 2000
	reportDays       = 90 // told of where nobody says which
)

// sheets are the reports in the order in which they are offered.
var sheets = []struct {
	name  string
	dated bool
	fill  func(*page, *sheet) error
}{
	{"clauses", false, (*page).fillClauses},
	{"sweeps", true, (*page).fillSweeps},
	{"approvals", true, (*page).fillApprovals},
	{"exemptions", false, (*page).fillExemptions},
	{"lookups", true, (*page).fillLookups},
	{"master-key", true, (*page).fillMasterKey},
	{"exports", true, (*page).fillExports},
}

func sheetNames() (out []string) {
	for _, s := range sheets {
		out = append(out, s.name)
	}
	return out
}

// reports offers them.
func (p *page) reports() error {
	return p.show(http.StatusOK, "reports", view{Title: "reports.title", Data: sheetNames()})
}

// report shows one, or gives it as a file.
func (p *page) report() error {
	i := slices.Index(sheetNames(), p.Param("name"))
	if i < 0 {
		return echo.ErrNotFound
	}
	s := &sheet{Name: sheets[i].name, Path: "/reports/" + sheets[i].name, Dated: sheets[i].dated}
	v := view{Title: "sheet." + s.Name, Up: "/reports", UpTitle: "reports.title", Form: p.QueryParams(), Data: s}
	if err := p.span(s); err != nil {
		return p.again(err, "report", v, map[string][2]string{"date-malformed": {"from", "report.from"}})
	}
	if err := sheets[i].fill(p, s); err != nil {
		return err
	}
	return p.give(s, v)
}

// span reads the days that are asked for; the last ninety where none are.
func (p *page) span(s *sheet) error {
	if !s.Dated {
		return nil
	}
	y, m, d := p.site.Now().In(taipei).Date()
	s.To = time.Date(y, m, d, 0, 0, 0, 0, taipei)
	s.From = s.To.AddDate(0, 0, 1-reportDays)
	for name, at := range map[string]*time.Time{"from": &s.From, "to": &s.To} {
		asked, err := day(p.QueryParam(name))
		if err != nil {
			return err
		}
		if !asked.IsZero() {
			*at = asked
		}
	}
	s.Fields = append(s.Fields, fact{p.words().say("report.span"), s.From.Format(time.DateOnly) + " – " + s.To.Format(time.DateOnly)})
	return nil
}

// until is the first moment after the span.
func (s *sheet) until() time.Time { return s.To.AddDate(0, 0, 1) }

// give answers with the report in the form that is asked for. A file leaves only once the log says so.
func (p *page) give(s *sheet, v view) error {
	if len(s.Rows) > mostRowsOfReport {
		s.Rows, s.More = s.Rows[:mostRowsOfReport], true
	}
	format := p.QueryParam("format")
	if format == "csv" || format == "pdf" {
		if format == "pdf" && p.site.PDF == nil {
			return ra.Errorf(ra.KindUnavailable, "no-font", nil, "The font for PDF is not there. Take the report as CSV, or have pdf.font set.")
		}
		if err := p.site.Records.Exported(p.ctx(), p.actor(), s.Name, format, len(s.Rows)); err != nil {
			return err
		}
		if format == "csv" {
			return p.csv(s)
		}
		return p.pdf(s)
	}
	v.Data = sheetView{s, s.Rows[:min(len(s.Rows), rowsOnScreen)], p.address("csv"), p.address("pdf"), p.site.PDF != nil}
	return p.show(http.StatusOK, "report", v)
}

// sheetView is a report on the screen.
type sheetView struct {
	*sheet
	Shown    [][]sheetCell
	CSV, PDF string // the same report as a file
	CanPDF   bool
}

// address is the present report's as a file.
func (p *page) address(format string) string {
	q := p.QueryParams()
	q.Del("done")
	q.Set("format", format)
	return p.Request().URL.Path + "?" + q.Encode()
}

// columns names a report's columns: words of sheet.col, each with its share of a printed page. A name that begins
// with a hash is a number's.
func (p *page) columns(s *sheet, names ...sheetColumn) {
	for _, c := range names {
		s.Head = append(s.Head, pdf.Column{Head: p.words().say("sheet.col." + c.name), Share: c.share, Right: c.number})
	}
}

type sheetColumn struct {
	name   string
	share  float64
	number bool
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(taipei).Format(stampFormat)
}
