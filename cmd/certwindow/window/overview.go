package window

import (
	"context"
	"fmt"
	"os"
	"time"

	"certwindow/ra/overview"
	"certwindow/ra/store"
	"certwindow/web/admin/pdf"
)

// queueLag is how long a job that is ready may wait for a worker before the queue counts as standing still.
const queueLag = 5 * time.Minute

// overview is what the home page counts: the same checks as /readyz, and whether work is left undone.
func (w *Window) overview() *overview.Service {
	var checks []overview.Check
	for _, c := range w.Checks() {
		checks = append(checks, overview.Check{Name: c.Name, Run: c.Run})
	}
	checks = append(checks, overview.Check{Name: "queue", Run: func(ctx context.Context) error {
		late, err := w.Store.JobsLeft(ctx, w.now().Add(-queueLag))
		if err == nil && late > 0 {
			err = fmt.Errorf("%d jobs are left undone", late)
		}
		return err
	}})
	return overview.New(overview.Config{Store: store.OverviewStore{Store: w.Store}, Checks: checks, Now: w.now,
		Dedicated: func() time.Time { return w.Dedicated.Certificate().NotAfter }})
}

// fonts are those of the reports to print. Without them the window works, and its reports leave as CSV.
func (w *Window) fonts() *pdf.Fonts {
	path := w.Config.Path(w.Config.PDF.Font)
	raw, err := os.ReadFile(path)
	if err == nil {
		var f *pdf.Fonts
		if f, err = pdf.NewFonts(raw); err == nil {
			return f
		}
	}
	w.Log.Warn("pdf.font: reports cannot be given as PDF", "path", path, "cause", err.Error())
	return nil
}
