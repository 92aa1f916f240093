package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"certwindow/migrations"
	"certwindow/ra"
	"certwindow/ra/notify"
	"certwindow/ra/overview"
	"certwindow/ra/sweep"
)

// OverviewStore gives package overview its numbers.
type OverviewStore struct{ *Store }

// gormSession begins a new statement from what a query holds so far.
var gormSession = gorm.Session{}

var _ overview.Store = OverviewStore{}

// Tally implements overview.Store. Each statement reads one index from end to end and no row of the table.
func (s OverviewStore) Tally(ctx context.Context, at time.Time) (t overview.Tally, err error) {
	t.At = at
	db := s.db.WithContext(ctx)
	live := db.Model(&ra.Certificate{}).Where("state = 'live'") // as the partial index says it, for SQLite to take it
	if err := live.Session(&gormSession).Select("institution, key_design, COUNT(*) AS count").Group("institution, key_design").
		Order("institution, key_design").Scan(&t.Live).Error; err != nil {
		return t, mapError(err)
	}
	y, m, _ := at.In(overview.Taipei).Date()
	end := time.Date(y, m+overview.MonthsAhead, 1, 0, 0, 0, 0, overview.Taipei)
	month, months := s.calendar("not_after", "month")
	if err := live.Session(&gormSession).Select("institution, "+month+" AS month, COUNT(*) AS count").Where("not_after >= ? AND not_after < ?", at.UTC(), end.UTC()).
		Group("institution, " + months).Order("institution, month").Scan(&t.Ending).Error; err != nil {
		return t, mapError(err)
	}
	if t.Days, err = s.days(ctx, at); err != nil {
		return t, err
	}
	for i, within := range overview.Horizon {
		q := live.Session(&gormSession).Select("institution, COUNT(*) AS count").Where("not_after >= ? AND not_after < ?", at.UTC(), at.UTC().AddDate(0, 0, within))
		if i+1 < len(overview.Horizon) {
			q = q.Where("not_after >= ?", at.UTC().AddDate(0, 0, overview.Horizon[i+1]))
		}
		var rows []overview.Soon
		if err := q.Group("institution").Order("institution").Scan(&rows).Error; err != nil {
			return t, mapError(err)
		}
		for _, r := range rows {
			r.Within = within
			t.Soon = append(t.Soon, r)
		}
	}
	return t, nil
}

// days counts the enrolments and the revocations of the last days, today among them.
func (s OverviewStore) days(ctx context.Context, at time.Time) ([]overview.Day, error) {
	y, m, d := at.In(overview.Taipei).Date()
	since := time.Date(y, m, d, 0, 0, 0, 0, overview.Taipei).AddDate(0, 0, 1-overview.DaysBack)
	type key struct {
		institution ra.InstitutionCode
		day         string
	}
	found := map[key]*overview.Day{}
	for _, column := range []string{"created_at", "revoked_at"} {
		day, days := s.calendar(column, "day")
		var rows []overview.Day
		if err := s.db.WithContext(ctx).Model(&ra.Certificate{}).Select("institution, "+day+" AS day, COUNT(*) AS enrolled").
			Where(column+" >= ?", since.UTC()).Group("institution, " + days).Scan(&rows).Error; err != nil {
			return nil, mapError(err)
		}
		for _, r := range rows {
			k := key{r.Institution, r.Day}
			if found[k] == nil {
				found[k] = &overview.Day{Institution: r.Institution, Day: r.Day}
			}
			if column == "created_at" {
				found[k].Enrolled = r.Enrolled
			} else {
				found[k].Revoked = r.Enrolled
			}
		}
	}
	out := make([]overview.Day, 0, len(found))
	for _, d := range found {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b overview.Day) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Institution, b.Institution))
	})
	return out, nil
}

// calendar is the day or the month in Taipei of a time's column, as text, and what rows are grouped by for it: making
// text of each of millions of rows would take longer than all the rest.
func (s *Store) calendar(column, unit string) (text, group string) {
	if s.dialect == migrations.Postgres {
		group = fmt.Sprintf("DATE_TRUNC('%s', %s AT TIME ZONE INTERVAL '8 hours')", unit, column)
		return fmt.Sprintf("TO_CHAR(%s, '%s')", group, map[string]string{"day": "YYYY-MM-DD", "month": "YYYY-MM"}[unit]), group
	}
	text = fmt.Sprintf("STRFTIME('%s', %s, '+8 hours')", map[string]string{"day": "%Y-%m-%d", "month": "%Y-%m"}[unit], column)
	return text, text
}

// Stuck implements overview.Store.
func (s OverviewStore) Stuck(ctx context.Context, scope ra.InstitutionCode, before map[ra.ApplicationState]time.Time, limit int) ([]overview.Stuck, error) {
	var out []overview.Stuck
	for state, at := range before {
		q := s.db.WithContext(ctx).Model(&ra.Application{}).Where("state = ? AND updated_at <= ?", state, at.UTC()).Order("updated_at").Limit(limit)
		if scope != "" {
			q = q.Where("institution = ?", scope)
		}
		var rows []overview.Stuck
		if err := q.Find(&rows).Error; err != nil {
			return nil, mapError(err)
		}
		out = append(out, rows...)
	}
	slices.SortFunc(out, func(a, b overview.Stuck) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out[:min(len(out), limit)], nil
}

// LastSweep implements overview.Store.
func (s OverviewStore) LastSweep(ctx context.Context, scope ra.InstitutionCode) (*sweep.Report, error) {
	var rows []sweepRun
	err := s.db.WithContext(ctx).Where("finished_at IS NOT NULL AND dry_run = ?", false).Order("started_at DESC").Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, mapError(err)
	}
	return s.narrowed(ctx, rows[0], scope)
}

// narrowed is a run with the findings about one institution's certificates; all of them when scope is empty.
func (s OverviewStore) narrowed(ctx context.Context, row sweepRun, scope ra.InstitutionCode) (*sweep.Report, error) {
	r, _, err := row.report()
	if err != nil {
		return nil, mapError(err)
	}
	if scope == "" {
		return &r, nil
	}
	own := map[ra.CertificateID]bool{}
	for chunk := range slices.Chunk(r.Findings, 500) {
		ids := make([]ra.CertificateID, 0, len(chunk))
		for _, f := range chunk {
			ids = append(ids, f.Certificate)
		}
		var found []ra.CertificateID
		if err := s.db.WithContext(ctx).Model(&ra.Certificate{}).Where("id IN ? AND institution = ?", ids, scope).Pluck("id", &found).Error; err != nil {
			return nil, mapError(err)
		}
		for _, id := range found {
			own[id] = true
		}
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f sweep.Finding) bool { return !own[f.Certificate] })
	return &r, nil
}

// FailingNotices implements overview.Store.
func (s OverviewStore) FailingNotices(ctx context.Context) (overview.Notices, error) {
	var oldest []notice
	q := s.db.WithContext(ctx).Where("state = ? AND attempts > 0", notify.Queued)
	if err := q.Session(&gormSession).Order("created_at").Limit(1).Find(&oldest).Error; err != nil || len(oldest) == 0 {
		return overview.Notices{}, mapError(err)
	}
	var n int64
	err := q.Session(&gormSession).Model(&notice{}).Count(&n).Error
	return overview.Notices{Failing: int(n), Oldest: oldest[0].CreatedAt.UTC()}, mapError(err)
}

// JobsLeft counts the jobs that have been ready since before a moment, and that nobody has taken.
func (s *Store) JobsLeft(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := s.db.WithContext(ctx).Table("river_job").Where("state = 'available' AND scheduled_at < ?", before.UTC()).Count(&n).Error
	return int(n), mapError(err)
}

// SignedUpTo implements overview.Store.
func (s OverviewStore) SignedUpTo(ctx context.Context) (overview.Checkpoint, error) {
	db := s.db.WithContext(ctx)
	var head auditHead
	if err := db.Take(&head, 1).Error; err != nil {
		return overview.Checkpoint{}, mapError(err)
	}
	var last []auditCheckpoint
	if err := db.Select("seq, at").Order("seq DESC").Limit(1).Find(&last).Error; err != nil || len(last) == 0 {
		return overview.Checkpoint{Unsigned: head.Seq}, mapError(err)
	}
	return overview.Checkpoint{At: last[0].At.UTC(), Unsigned: max(head.Seq-last[0].Seq, 0)}, nil
}
