package store

import (
	"context"
	"math/big"
	"time"

	"gorm.io/gorm/clause"

	"certwindow/ra/certpath/crlstore"
)

// crl is the HCA's complete list, kept for every replica.
type crl struct {
	Issuer   string `gorm:"primaryKey"`
	Number   string
	Raw      []byte
	StoredAt time.Time
}

// CRLs is where the replicas share one issuer's CRL.
func (s *Store) CRLs(issuer string) crlstore.Shared { return sharedCRL{s, issuer} }

type sharedCRL struct {
	s      *Store
	issuer string
}

// Number gives the number of the kept CRL without reading it.
func (c sharedCRL) Number(ctx context.Context) (*big.Int, error) {
	var numbers []string
	err := c.s.db.WithContext(ctx).Model(&crl{}).Where("issuer = ?", c.issuer).Pluck("number", &numbers).Error
	if err != nil || len(numbers) == 0 {
		return nil, mapError(err)
	}
	n, _ := new(big.Int).SetString(numbers[0], 10)
	return n, nil
}

// Load gives the kept CRL.
func (c sharedCRL) Load(ctx context.Context) (crlstore.Stored, error) {
	var rows []crl
	if err := c.s.db.WithContext(ctx).Where("issuer = ?", c.issuer).Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return crlstore.Stored{}, mapError(err)
	}
	n, _ := new(big.Int).SetString(rows[0].Number, 10)
	return crlstore.Stored{Number: n, Raw: rows[0].Raw}, nil
}

// Store keeps a CRL, unless a newer one is kept.
func (c sharedCRL) Store(ctx context.Context, next crlstore.Stored) error {
	return c.s.Update(ctx, func(tx *Tx) error {
		// There is always a row to lock, so that two first lists are compared with each other too.
		first := crl{Issuer: c.issuer, Number: "0", Raw: []byte{}, StoredAt: c.s.now().UTC()}
		if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&first).Error; err != nil {
			return err
		}
		var number string
		if err := tx.forUpdate().Model(&crl{}).Select("number").Where("issuer = ?", c.issuer).Take(&number).Error; err != nil {
			return err
		}
		if kept, ok := new(big.Int).SetString(number, 10); ok && kept.Cmp(next.Number) > 0 {
			return crlstore.ErrRolledBack
		}
		return guarded(tx.db.Model(&crl{}).Where("issuer = ?", c.issuer).
			Updates(map[string]any{"number": next.Number.String(), "raw": next.Raw, "stored_at": c.s.now().UTC()}))
	})
}

// Lease makes one replica the one that fetches.
func (c sharedCRL) Lease(ctx context.Context, owner string, now, until time.Time) (mine bool, err error) {
	err = c.s.Update(ctx, func(tx *Tx) error {
		mine, err = tx.TakeLease("crl/"+c.issuer, owner, now, until)
		return err
	})
	return mine, err
}
