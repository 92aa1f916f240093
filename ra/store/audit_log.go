package store

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"certwindow/ra/audit"
)

// auditCheckpoint is a signed checkpoint of the log (HCA-8.1.6).
type auditCheckpoint struct {
	Seq    int64 `gorm:"primaryKey;autoIncrement:false"`
	Hash   []byte
	At     time.Time
	Signed []byte
}

// AuditLog gives the notary of the audit log what it reads and writes.
type AuditLog struct{ *Store }

var _ audit.Log = AuditLog{}

// Head is the number and the hash of the last row.
func (s AuditLog) Head(ctx context.Context) (int64, audit.Hash, error) {
	var head auditHead
	err := s.db.WithContext(ctx).Take(&head, 1).Error
	return head.Seq, head.Hash, mapError(err)
}

// Rows is a page of the log in its order, after a number.
func (s AuditLog) Rows(ctx context.Context, after int64, limit int) (out []audit.Record, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out, err = tx.AuditFrom(after, limit)
		return err
	})
	return out, err
}

// LastCheckpoint is the signed form of the newest one; nil when there is none.
func (s AuditLog) LastCheckpoint(ctx context.Context) ([]byte, error) {
	var rows []auditCheckpoint
	if err := s.db.WithContext(ctx).Order("seq DESC").Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, mapError(err)
	}
	return rows[0].Signed, nil
}

// Checkpoints are those from the row first to the row last, in their order.
func (s AuditLog) Checkpoints(ctx context.Context, first, last int64, limit int) (out []audit.Saved, err error) {
	var rows []auditCheckpoint
	if err := s.db.WithContext(ctx).Where("seq BETWEEN ? AND ?", first, last).Order("seq").Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapError(err)
	}
	for _, r := range rows {
		out = append(out, audit.Saved{Checkpoint: audit.Checkpoint{Seq: r.Seq, Hash: r.Hash, At: r.At.UTC()}, Signed: r.Signed})
	}
	return out, nil
}

// SaveCheckpoint keeps one; where another replica was faster, its checkpoint of the same row stays.
func (s AuditLog) SaveCheckpoint(ctx context.Context, c audit.Saved) error {
	row := auditCheckpoint{Seq: c.Seq, Hash: c.Hash, At: c.At.UTC(), Signed: c.Signed}
	return mapError(s.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error)
}

// auditText makes what a stranger sent fit for the log, so that no row is lost for its sake and every row can be
// exported: PostgreSQL keeps no NUL, and JSON no broken UTF-8.
func auditText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}
