package store

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/ra"
	"certwindow/ra/jobs"
	"certwindow/ra/notify"
	"certwindow/ra/sweep"
)

// notice is one message to a holder (HCA-3.4).
type notice struct {
	ID        string `gorm:"primaryKey"`
	PersonID  ra.PersonID
	Kind      ra.NoticeKind
	Object    string
	State     notify.State
	Attempts  int
	LastError string
	CreatedAt time.Time
	SentAt    *time.Time
}

// Notice stores a notice and the job that sends it, in this transaction: it is never lost, and never sent for
// what did not happen.
func (tx *Tx) Notice(person ra.PersonID, kind ra.NoticeKind, object string) error {
	id, err := tx.s.newID()
	if err != nil {
		return err
	}
	row := notice{ID: id, PersonID: person, Kind: kind, Object: object, State: notify.Queued, CreatedAt: tx.s.now().UTC()}
	if err := tx.db.Create(&row).Error; err != nil {
		return err
	}
	return tx.Enqueue(jobs.Notice{Notice: id})
}

// Tell is Notice inside another room's transaction.
func (s *Store) Tell(db *gorm.DB, person ra.PersonID, kind ra.NoticeKind, object string) error {
	return (&Tx{db: db, s: s}).Notice(person, kind, object)
}

// LoadNotice is one notice.
func (s *Store) LoadNotice(ctx context.Context, id string) (notify.Notice, error) {
	var n notice
	err := mapError(s.db.WithContext(ctx).Where("id = ?", id).Take(&n).Error)
	return notify.Notice{ID: n.ID, Person: n.PersonID, Kind: n.Kind, Object: n.Object, State: n.State, Attempts: n.Attempts, CreatedAt: n.CreatedAt}, err
}

// NoticeTried records an attempt: sent when cause is empty.
func (s *Store) NoticeTried(ctx context.Context, id string, at time.Time, cause string) error {
	set := map[string]any{"attempts": gorm.Expr("attempts + 1"), "last_error": cause}
	if cause == "" {
		set["state"], set["sent_at"] = notify.Sent, at.UTC()
	}
	return mapError(guarded(s.db.WithContext(ctx).Model(&notice{}).Where("id = ? AND state = ?", id, notify.Queued).Updates(set)))
}

// NoticeSilent records that the holder cannot be reached by this channel.
func (s *Store) NoticeSilent(ctx context.Context, id string) error {
	return mapError(guarded(s.db.WithContext(ctx).Model(&notice{}).Where("id = ? AND state = ?", id, notify.Queued).
		Updates(map[string]any{"state": notify.Silent, "last_error": "no address"})))
}

// lease is a right that one replica holds for a while.
type lease struct {
	Name      string `gorm:"primaryKey"`
	Holder    string
	ExpiresAt time.Time
}

// TakeLease takes a named right until a moment, or prolongs it; false when somebody else holds it (HCA-3.6:
// exactly one runner across replicas).
func (tx *Tx) TakeLease(name, who string, now, until time.Time) (bool, error) {
	l := lease{Name: name, Holder: who, ExpiresAt: until.UTC()}
	res := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&l)
	if res.Error != nil || res.RowsAffected == 1 {
		return res.Error == nil, res.Error
	}
	res = tx.db.Model(&lease{}).Where("name = ? AND (holder = ? OR expires_at <= ?)", name, who, now.UTC()).
		Updates(map[string]any{"holder": who, "expires_at": until.UTC()})
	return res.RowsAffected == 1, res.Error
}

// ReleaseLease gives a right back.
func (tx *Tx) ReleaseLease(name, who string) error {
	return tx.db.Where("name = ? AND holder = ?", name, who).Delete(&lease{}).Error
}

// sweepRun is one inventory (HCA-3.6).
type sweepRun struct {
	ID         string `gorm:"primaryKey"`
	StartedAt  time.Time
	FinishedAt *time.Time
	DryRun     bool
	AfterID    string
	Report     string
}

// UnfinishedRun is the run that a crash left behind, if there is one.
func (tx *Tx) UnfinishedRun(dry bool) (sweep.Report, bool, error) {
	var rows []sweepRun
	if err := tx.db.Where("finished_at IS NULL AND dry_run = ?", dry).Order("started_at DESC").Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return sweep.Report{}, false, err
	}
	return rows[0].report()
}

// SaveRun stores how far a run has come.
func (tx *Tx) SaveRun(r sweep.Report) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	row := sweepRun{ID: r.ID, StartedAt: r.StartedAt.UTC(), FinishedAt: utc(r.FinishedAt), DryRun: r.DryRun, AfterID: string(r.After), Report: string(raw)}
	return tx.db.Save(&row).Error
}

// Runs are the latest inventories, newest first.
func (tx *Tx) Runs(limit int) (out []sweep.Report, err error) {
	var rows []sweepRun
	if err := tx.db.Order("started_at DESC").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, row := range rows {
		r, _, err := row.report()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (row sweepRun) report() (r sweep.Report, found bool, err error) {
	return r, true, json.Unmarshal([]byte(row.Report), &r)
}

// ValidAfter is a page of certificates that the HCA holds valid as far as the register knows, in the order of their ids.
func (tx *Tx) ValidAfter(after ra.CertificateID, limit int) (out []ra.Certificate, err error) {
	states := []ra.CertificateState{ra.CertLive, ra.CertSuspended, ra.CertRevoking}
	if err := tx.db.Where("state IN ? AND id > ?", states, after).Order("id").Limit(limit).Find(&out).Error; err != nil {
		return nil, err
	}
	return openAll(tx.s, out, certificateColumns)
}

// CountValid counts them.
func (tx *Tx) CountValid() (int, error) {
	var n int64
	states := []ra.CertificateState{ra.CertLive, ra.CertSuspended, ra.CertRevoking}
	err := tx.db.Model(&ra.Certificate{}).Where("state IN ?", states).Count(&n).Error
	return int(n), err
}

// setting is one fact about the whole installation.
type setting struct {
	Name  string `gorm:"primaryKey"`
	Value string
}

func (setting) TableName() string { return "system" }

// Setting is a fact about the installation; empty when it was never set.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	var rows []setting
	if err := s.db.WithContext(ctx).Where("name = ?", name).Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return "", mapError(err)
	}
	return rows[0].Value, nil
}

// StampSetting sets a fact once and for all, and returns the value that holds: the one that was there first.
func (s *Store) StampSetting(ctx context.Context, name, value string) (string, error) {
	row := setting{Name: name, Value: value}
	if err := s.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
		return "", mapError(err)
	}
	return s.Setting(ctx, name)
}

// PutSetting changes a fact.
func (s *Store) PutSetting(ctx context.Context, name, value string) error {
	row := setting{Name: name, Value: value}
	return mapError(s.db.WithContext(ctx).Save(&row).Error)
}
