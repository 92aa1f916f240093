package store

import (
	"context"
	"time"

	"certwindow/ra"
	"certwindow/ra/notify"
)

// Depth is how much is under way, for whoever watches the window at night.
type Depth struct {
	Applications map[ra.ApplicationState]int // open ones
	Jobs         map[string]int              // of the queue, by state; finished ones left out
	Notices      int                         // not sent yet
	SweptAt      *time.Time                  // when the last inventory that changes things ended
}

// Depth counts what is under way.
func (s *Store) Depth(ctx context.Context) (d Depth, err error) {
	d.Applications, d.Jobs = map[ra.ApplicationState]int{}, map[string]int{}
	db := s.db.WithContext(ctx)
	var rows []struct {
		State string
		N     int
	}
	open := []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppAwaitingKey, ra.AppRequested, ra.AppSent, ra.AppDisputed}
	if err := db.Model(&ra.Application{}).Select("state, COUNT(*) AS n").Where("state IN ?", open).Group("state").Scan(&rows).Error; err != nil {
		return d, mapError(err)
	}
	for _, state := range open {
		d.Applications[state] = 0
	}
	for _, r := range rows {
		d.Applications[ra.ApplicationState(r.State)] = r.N
	}
	rows = nil
	states := []string{"available", "pending", "retryable", "running", "scheduled"}
	if err := db.Table("river_job").Select("state, COUNT(*) AS n").Where("state IN ?", states).Group("state").Scan(&rows).Error; err != nil {
		return d, mapError(err)
	}
	for _, state := range states {
		d.Jobs[state] = 0
	}
	for _, r := range rows {
		d.Jobs[r.State] = r.N
	}
	var notices int64
	if err := db.Model(&notice{}).Where("state = ?", notify.Queued).Count(&notices).Error; err != nil {
		return d, mapError(err)
	}
	d.Notices = int(notices)
	var run []sweepRun
	err = db.Where("dry_run = ? AND finished_at IS NOT NULL", false).Order("finished_at DESC").Limit(1).Find(&run).Error
	if err == nil && len(run) == 1 {
		d.SweptAt = run[0].FinishedAt
	}
	return d, mapError(err)
}
