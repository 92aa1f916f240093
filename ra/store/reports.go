package store

import (
	"context"
	"strconv"
	"time"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/overview"
	"certwindow/ra/sweep"
)

// ReportStore gives the auditor's reports what they list.
type ReportStore struct{ *Store }

// Sweeps are the inventories that began in a span, newest first, with the findings about one institution's
// certificates; all of them when scope is empty (HCA-3.6).
func (s ReportStore) Sweeps(ctx context.Context, scope ra.InstitutionCode, from, to time.Time, limit int) (out []sweep.Report, err error) {
	var rows []sweepRun
	if err := s.db.WithContext(ctx).Where("started_at >= ? AND started_at < ?", from.UTC(), to.UTC()).Order("started_at DESC").Limit(limit).
		Find(&rows).Error; err != nil {
		return nil, mapError(err)
	}
	for _, row := range rows {
		r, err := OverviewStore(s).narrowed(ctx, row, scope)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

// Sweep is one inventory.
func (s ReportStore) Sweep(ctx context.Context, scope ra.InstitutionCode, id string) (sweep.Report, error) {
	var row sweepRun
	if err := s.db.WithContext(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return sweep.Report{}, mapError(err)
	}
	r, err := OverviewStore(s).narrowed(ctx, row, scope)
	if err != nil {
		return sweep.Report{}, err
	}
	return *r, nil
}

// Exemptions are the persons' leaves to hold more than five certificates, the one that ends last first.
func (s ReportStore) Exemptions(ctx context.Context, limit int) (out []overview.Exemption, err error) {
	var rows []holder
	if err := s.db.WithContext(ctx).Where("exempt_until IS NOT NULL").Order("exempt_until DESC, person_id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapError(err)
	}
	for _, h := range rows {
		out = append(out, overview.Exemption{PersonID: h.PersonID, Limit: h.ExemptLimit, Until: h.ExemptUntil.UTC(), Reply: h.ExemptReply})
	}
	return out, nil
}

// Acts are rows of the audit log by what was done, newest first (HCA-8.1.6).
func (s ReportStore) Acts(ctx context.Context, f overview.ActQuery) (out []audit.Record, err error) {
	q := s.db.WithContext(ctx).Where("act IN ? AND at >= ? AND at < ?", f.Acts, f.From.UTC(), f.To.UTC()).Order("seq DESC").Limit(f.Limit)
	if f.Institution != "" {
		q = q.Where("institution = ?", f.Institution)
	}
	var rows []auditEvent
	if err := q.Find(&rows).Error; err != nil {
		return nil, mapError(err)
	}
	for _, r := range rows {
		out = append(out, r.record())
	}
	return out, nil
}

// Exported writes into the audit log that a report left as a file (HCA-8.1.6). No row, no file.
func (s ReportStore) Exported(ctx context.Context, actor ra.Actor, report, format string, rows int) error {
	return s.Update(ctx, func(tx *Tx) error {
		return tx.Audit(ra.Event{At: s.now(), Actor: actor, Act: "report.export", Object: "report/" + report, Institution: actor.Institution, Outcome: ra.OutcomeDone,
			Details: map[string]string{"format": format, "rows": strconv.Itoa(rows)}})
	})
}
