package admin

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"certwindow/ra"
)

// exportRows is how many rows an export has at most, and exportPage how many of them are in memory at a time.
const exportRows, exportPage = 50_000, 200

// exportTime is how long a page of an export may take to be sent.
const exportTime = time.Minute

// export sends the very list that is shown, from its beginning: the same filters, order and masks. It is an act: before
// the first row leaves, the log says who exports what, and after the last one how many rows it was (HCA-8.1.6).
func (l *list[R]) export(p *page) error {
	a, err := l.asked(p)
	if err != nil {
		return err
	}
	a.order.After, a.limit = nil, exportPage
	e := ra.Event{Actor: p.actor(), Act: "list.export", Object: "list/" + l.path, Institution: p.who.Staff.Institution, Clause: "HCA-8.1.5",
		Details: map[string]string{"sort": sortOf(a.order)}}
	for k, v := range a.values {
		if e.Details[k] = v; strings.ContainsFunc(v, func(r rune) bool { return r > unicode.MaxASCII }) {
			e.Details[k] = "…" // no code has such letters, and a name that somebody typed stays out of the log
		}
	}
	if err := p.site.Record(p.ctx(), e, nil); err != nil {
		return err
	}
	h := p.Response().Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%s.csv"`, l.path, p.site.Now().In(taipei).Format("20060102-1504")))
	h.Set("Cache-Control", "no-store")
	p.Response().WriteHeader(http.StatusOK)
	n, failed := l.write(p, a)
	e.Act, e.Details = "list.exported", map[string]string{"rows": strconv.Itoa(n)}
	// The answer has begun, so that an error can be told in the file and the log alone.
	return p.site.Record(p.ctx(), e, failed)
}

// write sends the rows page by page.
func (l *list[R]) write(p *page, a asked) (n int, err error) {
	if _, err := p.Response().Write([]byte("\ufeff")); err != nil { // else Excel takes UTF-8 for something else
		return 0, err
	}
	w := csv.NewWriter(p.Response())
	w.UseCRLF = true
	head := make([]string, 0, len(l.columns))
	for _, c := range l.columns {
		head = append(head, harmless(p.words().say(c.label)))
	}
	if err := w.Write(head); err != nil {
		return 0, err
	}
	deadline := http.NewResponseController(p.Response())
	for {
		_ = deadline.SetWriteDeadline(time.Now().Add(exportTime)) // a writer without one has nothing to prolong
		rows, err := l.read(p, a)
		if err != nil {
			return n, l.close(w, p.words().say("list.export-broken"), err)
		}
		for _, r := range rows[:min(len(rows), exportRows-n)] {
			n++
			line := make([]string, 0, len(l.columns))
			for _, c := range l.columns {
				line = append(line, harmless(c.cell(p, r).Text))
			}
			if err := w.Write(line); err != nil {
				return n, err
			}
		}
		if w.Flush(); w.Error() != nil {
			return n, w.Error()
		}
		p.Response().Flush()
		if len(rows) < a.limit {
			return n, nil
		}
		if n == exportRows {
			return n, l.close(w, p.words().say("list.export-cut", exportRows), nil)
		}
		m := l.mark(a.order.By, rows[len(rows)-1])
		a.order.After = &m
	}
}

// close ends a file that does not hold the whole list with a line that says so.
func (l *list[R]) close(w *csv.Writer, words string, cause error) error {
	if err := w.Write([]string{words}); err != nil {
		return err
	}
	w.Flush()
	if cause != nil {
		return cause
	}
	return w.Error()
}

// harmless keeps a spreadsheet from taking a text for a formula: one that begins like one gets an apostrophe before it,
// which shows it as it is.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") ||
		strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		return "'" + s
	}
	return s
}
