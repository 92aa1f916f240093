package store

import (
	"context"

	"certwindow/ra/settings"
)

// SettingsStore gives package settings its transactions.
type SettingsStore struct{ *Store }

var _ settings.Store = SettingsStore{}

// Update implements settings.Store.
func (s SettingsStore) Update(ctx context.Context, fn func(settings.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements settings.Store.
func (s SettingsStore) View(ctx context.Context, fn func(settings.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// Settings are the limits that were decided on (HCA-9).
func (tx *Tx) Settings() (rows []settings.Row, err error) {
	q := tx.db
	if !tx.reads {
		q = tx.forUpdate()
	}
	err = q.Order("name").Find(&rows).Error
	return rows, err
}

// SaveSetting writes a limit over the one before.
func (tx *Tx) SaveSetting(r settings.Row) error {
	r.SetAt = r.SetAt.UTC()
	return tx.db.Save(&r).Error
}
