package admin

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"time"

	"certwindow/web/admin/pdf"
)

// attachment names the file that a report is kept as.
func (p *page) attachment(s *sheet, ending string) {
	name := fmt.Sprintf("%s-%s.%s", s.Name, p.site.Now().In(taipei).Format("20060102-1504"), ending)
	p.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	p.Response().Header().Set("Cache-Control", "no-store")
}

// csv gives the whole report as RFC 4180 has it, in UTF-8 with the mark by which a spreadsheet knows it.
func (p *page) csv(s *sheet) error {
	var out bytes.Buffer
	out.WriteString("\ufeff")
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	line := make([]string, 0, len(s.Head))
	for _, c := range s.Head {
		line = append(line, c.Head)
	}
	_ = w.Write(line) // a buffer takes everything
	for _, r := range s.Rows {
		line = line[:0]
		for _, c := range r {
			line = append(line, harmless(c.Text))
		}
		_ = w.Write(line)
	}
	if w.Flush(); w.Error() != nil {
		return w.Error()
	}
	p.attachment(s, "csv")
	return p.Blob(http.StatusOK, "text/csv; charset=utf-8", out.Bytes())
}

// pdf gives the report to keep or to print, up to so many rows.
func (p *page) pdf(s *sheet) error {
	w := p.words()
	t := pdf.Table{Title: w.say("sheet."+s.Name) + " · " + w.say("site.short"), Columns: s.Head, At: p.site.Now().Truncate(time.Second),
		Page: func(n int) string { return w.say("report.page", n) }}
	for _, f := range s.Fields {
		t.Lines = append(t.Lines, f.Label+": "+f.Text)
	}
	t.Lines = append(t.Lines, w.say("report.made", stampOf(p.site.Now()), p.who.Staff.Account))
	rows := s.Rows[:min(len(s.Rows), rowsOfPDF)]
	if len(s.Rows) > len(rows) || s.More {
		t.Lines = append(t.Lines, w.say("report.cut", len(rows)))
	}
	for _, r := range rows {
		line := make([]string, 0, len(r))
		for _, c := range r {
			line = append(line, c.Text)
		}
		t.Rows = append(t.Rows, line)
	}
	var out bytes.Buffer
	if err := pdf.Write(&out, p.site.PDF, t); err != nil {
		return err
	}
	p.attachment(s, "pdf")
	return p.Blob(http.StatusOK, "application/pdf", out.Bytes())
}
