package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"certwindow/ra"
	"certwindow/ra/bulk"
)

// BulkStore gives work on many certificates its transactions.
type BulkStore struct{ *Store }

var _ bulk.Store = BulkStore{}

// Update implements bulk.Store.
func (s BulkStore) Update(ctx context.Context, fn func(bulk.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements bulk.Store.
func (s BulkStore) View(ctx context.Context, fn func(bulk.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// bulkRow is one piece of work.
type bulkRow struct {
	ID          string `gorm:"primaryKey"`
	Kind        bulk.Kind
	State       bulk.State
	Institution ra.InstitutionCode
	Expires     string
	Standing    ra.CertificateState
	Device      ra.DeviceState
	Ground      string
	Note        string
	List        string
	Total       int
	Done        int
	Skipped     int
	Proposal    string
	CreatedBy   string
	ApprovedBy  string
	StoppedBy   string
	CreatedAt   time.Time
	EndedAt     *time.Time
}

func (bulkRow) TableName() string { return "bulks" }

func (r bulkRow) bulk() (b bulk.Bulk, err error) {
	b = bulk.Bulk{ID: r.ID, Kind: r.Kind, State: r.State, Ground: r.Ground, Note: r.Note, List: r.List, Total: r.Total, Done: r.Done, Skipped: r.Skipped,
		Proposal: r.Proposal, CreatedBy: r.CreatedBy, ApprovedBy: r.ApprovedBy, StoppedBy: r.StoppedBy, CreatedAt: r.CreatedAt, EndedAt: r.EndedAt,
		Filter: bulk.Filter{Institution: r.Institution, Standing: r.Standing, Device: r.Device}}
	if r.Expires != "" {
		b.Expires, err = time.Parse(time.RFC3339, r.Expires)
	}
	return b, err
}

// bulkItem is one certificate of it.
type bulkItem struct {
	BulkID        string           `gorm:"primaryKey"`
	CertificateID ra.CertificateID `gorm:"primaryKey"`
	Result        bulk.Result
	Code          string
}

// BulkSelect is what a search finds at a moment, in the order of their ids; only narrows it to one certificate.
func (tx *Tx) BulkSelect(f bulk.Filter, at time.Time, only ra.CertificateID, limit int) (ids []ra.CertificateID, err error) {
	standing := []ra.CertificateState{ra.CertLive, ra.CertSuspended}
	if f.Standing != "" {
		standing = []ra.CertificateState{f.Standing}
	}
	q := equal(tx.db.Model(&ra.Certificate{}), map[string]string{"institution": string(f.Institution), "id": string(only)}).
		Where("state IN ? AND not_after >= ?", standing, at.UTC())
	if !f.Expires.IsZero() {
		q = q.Where("not_after < ?", f.Expires.UTC())
	}
	if f.Device != "" {
		q = q.Where("device_id IN (?)", tx.db.Table("devices").Select("id").Where("state = ?", f.Device))
	}
	err = q.Order("id").Limit(limit).Pluck("id", &ids).Error
	return ids, err
}

// InsertBulk stores a piece of work with the certificates that it is about.
func (tx *Tx) InsertBulk(b bulk.Bulk, certificates []ra.CertificateID) error {
	row := bulkRow{ID: b.ID, Kind: b.Kind, State: b.State, Institution: b.Institution, Standing: b.Standing, Device: b.Device, Ground: b.Ground, Note: b.Note,
		List: b.List, Total: b.Total, Proposal: b.Proposal, CreatedBy: b.CreatedBy, ApprovedBy: b.ApprovedBy, CreatedAt: b.CreatedAt.UTC()}
	if !b.Expires.IsZero() {
		row.Expires = b.Expires.UTC().Format(time.RFC3339)
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return err
	}
	items := make([]bulkItem, len(certificates))
	for i, c := range certificates {
		items[i] = bulkItem{BulkID: b.ID, CertificateID: c, Result: bulk.Left}
	}
	return tx.db.CreateInBatches(items, 500).Error
}

// Bulk is one of the institution's, or of any when scope is empty.
func (tx *Tx) Bulk(scope ra.InstitutionCode, id string) (bulk.Bulk, error) {
	var r bulkRow
	if err := mapError(equal(tx.db, map[string]string{"institution": string(scope)}).Where("id = ?", id).Take(&r).Error); err != nil {
		return bulk.Bulk{}, err
	}
	return r.bulk()
}

// Bulks is a page of them, newest first.
func (tx *Tx) Bulks(f bulk.Query) (out []bulk.Bulk, err error) {
	q := equal(tx.db, map[string]string{"institution": string(f.Institution)}).Order("id DESC").Limit(f.Limit)
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	var rows []bulkRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		b, err := r.bulk()
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// EndBulk stops or finishes one that is under way.
func (tx *Tx) EndBulk(b bulk.Bulk) error {
	return guarded(tx.db.Model(&bulkRow{}).Where("id = ? AND state = ?", b.ID, bulk.Running).
		UpdateColumns(map[string]any{"state": b.State, "stopped_by": b.StoppedBy, "ended_at": utc(b.EndedAt)}))
}

// BulkItems is a page of the certificates of a piece of work, in the order of their ids.
func (tx *Tx) BulkItems(id string, f bulk.ItemQuery) (out []bulk.Item, err error) {
	q := equal(tx.db, map[string]string{"result": string(f.Result)}).Where("bulk_id = ? AND certificate_id > ?", id, f.After).Order("certificate_id").Limit(f.Limit)
	var rows []bulkItem
	if err := q.Find(&rows).Error; err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, bulk.Item{Certificate: r.CertificateID, Result: r.Result, Code: r.Code})
	}
	return out, nil
}

// SettleItem writes what became of a certificate that was left, and counts it, while the work is under way.
func (tx *Tx) SettleItem(id string, i bulk.Item) error {
	column := string(bulk.Done)
	if i.Result == bulk.Skipped {
		column = string(bulk.Skipped)
	}
	// The work's own row first: whoever stops it waits for this certificate, and whoever comes after him finds it stopped.
	if err := guarded(tx.db.Model(&bulkRow{}).Where("id = ? AND state = ?", id, bulk.Running).
		UpdateColumn(column, gorm.Expr(column+" + 1"))); err != nil {
		return err
	}
	return guarded(tx.db.Model(&bulkItem{}).Where("bulk_id = ? AND certificate_id = ? AND result = ?", id, i.Certificate, bulk.Left).
		UpdateColumns(map[string]any{"result": i.Result, "code": i.Code}))
}
