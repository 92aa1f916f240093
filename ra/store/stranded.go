package store

import (
	"context"
	"encoding/json"
	"time"

	"certwindow/ra"
	"certwindow/ra/jobs"
)

// strandedAfter is far above the longest wait between two steps of an exchange, an hour: a request that nothing has
// touched for so long has either a job that waits, or none.
const strandedAfter = 2 * time.Hour

// TakeUpStranded takes up again the requests to the HCA that have no job: the queue gives a job up after ten thousand attempts,
// a month of them, and an operator may have deleted one. They are never lost (HCA-3.4).
func (s *Store) TakeUpStranded(ctx context.Context) (taken int, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		var open []ra.Application
		states := []ra.ApplicationState{ra.AppRequested, ra.AppSent}
		err := tx.db.Select("id", "institution").Where("state IN ? AND updated_at < ?", states, s.now().UTC().Add(-strandedAfter)).Order("id").Limit(200).Find(&open).Error
		if err != nil || len(open) == 0 {
			return err
		}
		waiting, err := tx.exchanges()
		if err != nil {
			return err
		}
		for _, a := range open {
			if waiting[a.ID] {
				continue
			}
			taken++
			if err := tx.Enqueue(jobs.Exchange{Application: a.ID}); err != nil {
				return err
			}
			if err := tx.Audit(ra.Event{At: s.now(), Actor: ra.Actor{Kind: ra.ActorSystem, ID: "lapse"}, Act: "exchange.requeue",
				Object: "application/" + string(a.ID), Institution: a.Institution, Outcome: ra.OutcomeDone, Clause: "HCA-3.4"}); err != nil {
				return err
			}
		}
		return nil
	})
	return taken, err
}

// exchanges are the applications whose request has a job that is not over.
func (tx *Tx) exchanges() (map[ra.ApplicationID]bool, error) {
	var rows []struct{ Args []byte }
	states := []string{"available", "pending", "retryable", "running", "scheduled"}
	if err := tx.db.Table("river_job").Select("args").Where("kind = ? AND state IN ?", jobs.Exchange{}.Kind(), states).Scan(&rows).Error; err != nil {
		return nil, err
	}
	out := make(map[ra.ApplicationID]bool, len(rows))
	for _, r := range rows {
		var j jobs.Exchange
		if err := json.Unmarshal(r.Args, &j); err != nil {
			return nil, err
		}
		out[j.Application] = true
	}
	return out, nil
}
