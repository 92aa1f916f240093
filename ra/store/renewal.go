package store

import (
	"context"
	"time"

	"certwindow/ra"
	"certwindow/ra/renew"
)

// RenewStore runs the transactions of reminders.
type RenewStore struct{ *Store }

var _ renew.Store = RenewStore{}

// Update implements renew.Store.
func (s RenewStore) Update(ctx context.Context, fn func(renew.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View implements renew.Store.
func (s RenewStore) View(ctx context.Context, fn func(renew.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

// Renewals are the renewals of these certificates, the oldest first.
func (tx *Tx) Renewals(of []ra.CertificateID) (out []ra.Renewal, err error) {
	if len(of) == 0 {
		return nil, nil
	}
	err = tx.db.Table("applications AS a").Joins("LEFT JOIN certificates AS c ON c.application_id = a.id").
		Select("a.renews AS of, a.id AS application, a.state AS state, COALESCE(c.id, '') AS certificate, COALESCE(c.state, '') AS holds").
		Where("a.renews IN ? AND a.renews <> ''", of).Order("a.id").Scan(&out).Error
	return out, err
}

// Unreminded are certificates in use that end between at and until, and whose holders were not told yet at so many days
// before the end.
func (tx *Tx) Unreminded(at, until time.Time, days, limit int) (out []ra.Certificate, err error) {
	err = tx.db.Omit("der", "chain").Where("state = 'live' AND not_after > ? AND not_after <= ? AND (reminded = 0 OR reminded > ?)", at.UTC(), until.UTC(), days).
		Order("not_after, id").Limit(limit).Find(&out).Error
	return out, err
}

// Reminded writes down that a holder was told at so many days before the end of a certificate; false when it is written
// already.
func (tx *Tx) Reminded(id ra.CertificateID, days int) (bool, error) {
	res := tx.db.Model(&ra.Certificate{}).Where("id = ? AND state = 'live' AND (reminded = 0 OR reminded > ?)", id, days).UpdateColumn("reminded", days)
	return res.RowsAffected == 1, res.Error
}
