package admin

import (
	"cmp"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"certwindow/ra"
	"certwindow/ra/overview"
	"certwindow/web/admin/chart"
)

// figure is a chart under the question that it answers, with its numbers as text.
type figure struct {
	Question, Answer string
	SVG              template.HTML
	Legend           []string // of two series, in their order
	Head             []string // of the numbers' columns, the labels' first
	Rows             [][]string
}

// mostRows is how many institutions the chart names; the rest is one line.
const mostRows = 8

// charts draws what a tally says.
func (p *page) charts(t overview.Tally) ([]figure, error) {
	out := []figure{p.daysFigure(t), p.endingFigure(t), p.designFigure(t)}
	if p.who.Staff.Institution == "" {
		f, err := p.institutionFigure(t)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (p *page) daysFigure(t overview.Tally) figure {
	w := p.words()
	type day struct{ enrolled, revoked int }
	by := map[string]day{}
	total := day{}
	for _, d := range t.Days {
		x := by[d.Day]
		by[d.Day] = day{x.enrolled + d.Enrolled, x.revoked + d.Revoked}
		total = day{total.enrolled + d.Enrolled, total.revoked + d.Revoked}
	}
	f := figure{Question: w.say("chart.days"), Answer: w.say("chart.days.answer", thousands(total.enrolled), thousands(total.revoked)),
		Legend: []string{w.say("chart.enrolled"), w.say("chart.revoked")}, Head: []string{w.say("chart.day"), w.say("chart.enrolled"), w.say("chart.revoked")}}
	c := chart.Columns{ID: "chart-days", Title: f.Question, Desc: f.Answer, Every: 7, Series: []chart.Series{{Name: f.Legend[0]}, {Name: f.Legend[1]}}}
	first := t.At.In(taipei).AddDate(0, 0, 1-overview.DaysBack)
	for i := range overview.DaysBack {
		at := first.AddDate(0, 0, i)
		d := by[at.Format(time.DateOnly)]
		c.Labels = append(c.Labels, at.Format("01-02"))
		c.Series[0].Values, c.Series[1].Values = append(c.Series[0].Values, d.enrolled), append(c.Series[1].Values, d.revoked)
		f.Rows = append(f.Rows, []string{at.Format(time.DateOnly), thousands(d.enrolled), thousands(d.revoked)})
	}
	f.SVG = c.SVG()
	return f
}

func (p *page) endingFigure(t overview.Tally) figure {
	w := p.words()
	by, total := map[string]int{}, 0
	for _, e := range t.Ending {
		by[e.Month] += e.Count
		total += e.Count
	}
	f := figure{Question: w.say("chart.ending"), Answer: w.say("chart.ending.answer", thousands(total)), Head: []string{w.say("chart.month"), w.say("chart.certificates")}}
	c := chart.Columns{ID: "chart-ending", Title: f.Question, Desc: f.Answer, Every: 3, Series: []chart.Series{{}}}
	at := t.At.In(taipei)
	for i := range overview.MonthsAhead {
		month := time.Date(at.Year(), at.Month()+time.Month(i), 1, 0, 0, 0, 0, taipei).Format("2006-01")
		c.Labels, c.Series[0].Values = append(c.Labels, month), append(c.Series[0].Values, by[month])
		f.Rows = append(f.Rows, []string{month, thousands(by[month])})
	}
	f.SVG = c.SVG()
	return f
}

func (p *page) designFigure(t overview.Tally) figure {
	w := p.words()
	by, total := map[ra.KeyDesign]int{}, 0
	for _, l := range t.Live {
		by[l.KeyDesign] += l.Count
		total += l.Count
	}
	f := figure{Question: w.say("chart.design"), Answer: w.say("chart.live.answer", thousands(total)), Head: []string{w.say("application.key"), w.say("chart.certificates")}}
	c := chart.Rows{ID: "chart-design", Title: f.Question, Desc: f.Answer}
	for _, d := range []ra.KeyDesign{ra.KeyApp, ra.KeyChip, ra.KeyHSM} {
		c.Rows = append(c.Rows, chart.Row{Label: w.say("key." + string(d)), Value: by[d]})
	}
	return f.drawn(c)
}

// institutionFigure names the institutions that have most, and sums up the rest.
func (p *page) institutionFigure(t overview.Tally) (figure, error) {
	w := p.words()
	list, err := p.site.Registry.Institutions(p.ctx(), p.actor())
	if err != nil {
		return figure{}, err
	}
	names := map[ra.InstitutionCode]string{}
	for _, i := range list {
		names[i.Code] = i.Name
	}
	by, total := map[ra.InstitutionCode]int{}, 0
	for _, l := range t.Live {
		by[l.Institution] += l.Count
		total += l.Count
	}
	var rows []chart.Row
	for code, n := range by {
		rows = append(rows, chart.Row{Label: cmp.Or(names[code], string(code)), Value: n})
	}
	slices.SortFunc(rows, func(a, b chart.Row) int { return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Label, b.Label)) })
	if len(rows) > mostRows {
		rest := chart.Row{Label: w.say("chart.others", len(rows)-mostRows+1)}
		for _, r := range rows[mostRows-1:] {
			rest.Value += r.Value
		}
		rows = append(rows[:mostRows-1], rest)
	}
	f := figure{Question: w.say("chart.institution"), Answer: w.say("chart.institution.answer", thousands(total), len(by)),
		Head: []string{w.say("application.institution"), w.say("chart.certificates")}}
	return f.drawn(chart.Rows{ID: "chart-institution", Title: f.Question, Desc: f.Answer, Rows: rows}), nil
}

// drawn is the figure of lying bars.
func (f figure) drawn(c chart.Rows) figure {
	f.SVG = c.SVG()
	for _, r := range c.Rows {
		f.Rows = append(f.Rows, []string{r.Label, thousands(r.Value)})
	}
	return f
}

// thousands writes a number with a comma after each three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return strings.TrimSpace(s)
}
