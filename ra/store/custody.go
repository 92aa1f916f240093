package store

import (
	"context"

	"certwindow/ra/custody"
)

// CustodyStore gives package custody its transactions.
type CustodyStore struct{ *Store }

var _ custody.Store = CustodyStore{}

// Update implements custody.Store.
func (s CustodyStore) Update(ctx context.Context, fn func(custody.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements custody.Store.
func (s CustodyStore) View(ctx context.Context, fn func(custody.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// InsertCeremony stores leave to hold a ceremony.
func (tx *Tx) InsertCeremony(c custody.Ceremony) error {
	c.ApprovedAt, c.ExpiresAt = c.ApprovedAt.UTC(), c.ExpiresAt.UTC()
	return tx.db.Create(&c).Error
}

// Ceremony is one of them, by its approval.
func (tx *Tx) Ceremony(approval string) (c custody.Ceremony, err error) {
	return c, mapError(tx.db.Where("approval = ?", approval).Take(&c).Error)
}

// Ceremonies are the newest of them.
func (tx *Tx) Ceremonies(limit int) (out []custody.Ceremony, err error) {
	return out, tx.db.Order("approval DESC").Limit(limit).Find(&out).Error
}

// SaveCeremony writes what became of one that has not finished.
func (tx *Tx) SaveCeremony(c custody.Ceremony) error {
	c.BegunAt, c.FinishedAt = utc(c.BegunAt), utc(c.FinishedAt)
	return guarded(tx.db.Model(&custody.Ceremony{}).Where("approval = ? AND finished_at IS NULL", c.Approval).
		Select("begun_at", "finished_at", "record").UpdateColumns(&c))
}

// KeysByGeneration counts the holders' keys under each generation of the master key.
func (tx *Tx) KeysByGeneration() (map[int]int, error) {
	var rows []struct{ Generation, Count int }
	err := tx.db.Model(&holderKey{}).Select("generation, COUNT(*) AS count").Group("generation").Find(&rows).Error
	out := map[int]int{}
	for _, r := range rows {
		out[r.Generation] = r.Count
	}
	return out, err
}
