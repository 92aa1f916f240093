package window

import (
	"context"

	"certwindow/cmd/certwindow/checker"
	"certwindow/migrations"
)

// Check re-derives from the database what the rules demand, and reports what is not so.
func (w *Window) Check(ctx context.Context, report func(checker.Finding)) (checker.Counts, error) {
	signing, err := w.SigningCertificates()
	if err != nil {
		return checker.Counts{}, err
	}
	_, holder, _, err := cardMarks(w.Config.Card)
	if err != nil {
		return checker.Counts{}, err
	}
	return checker.Run(ctx, checker.Config{DB: w.DB.SQL, Postgres: w.DB.Dialect == migrations.Postgres, At: w.now(), Window: w.Config.Window.Institution,
		Signing: signing, Anchors: w.trust.anchors, Intermediates: w.trust.intermediates, HolderOID: holder, Keys: w.Token,
		Sealer: w.sealer, Report: report})
}
