package admin

import (
	"context"
	"errors"
	"os"
	"time"

	"certwindow/ra/overview"
	"certwindow/ra/store"
	"certwindow/web/admin/pdf"
)

// dedicatedDays is how far off the end of the house's dedicated certificate is.
const dedicatedDays = 90

// overview counts over the house's own store. Its HCA does not answer.
func (h *house) overview() *overview.Service {
	answers := func(context.Context) error { return nil }
	end := h.at.AddDate(0, 0, dedicatedDays)
	return overview.New(overview.Config{Store: store.OverviewStore{Store: h.store}, Now: h.now, Dedicated: func() time.Time { return end },
		Checks: []overview.Check{{Name: "database", Run: answers}, {Name: "hsm", Run: answers},
			{Name: "hca", Run: func(context.Context) error { return errors.New("no route") }}, {Name: "queue", Run: answers}}})
}

// fonts are those of the system, where it has them.
func (h *house) fonts() *pdf.Fonts {
	raw, err := os.ReadFile("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf")
	if err != nil {
		return nil
	}
	f, err := pdf.NewFonts(raw)
	h.ok(err)
	return f
}
