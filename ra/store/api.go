package store

import (
	"bytes"
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"certwindow/ra"
	"certwindow/ra/enrol"
)

// nonceRequest marks the nonces that phones choose for their signed requests. They share the table of the
// nonces that the window issues, under hashes of another form, and are stored when they are used.
const nonceRequest ra.NoncePurpose = "request"

// UseRequestNonce uses up a nonce that a device key chose for one request; it fails under HCA-8.1.4 when the
// key used it before. It is remembered until the given moment, after which the request's own age refuses it.
func (s *Store) UseRequestNonce(ctx context.Context, keyHash, value string, now, until time.Time) error {
	used := now.UTC()
	row := nonce{Hash: nonceHash(keyHash, value), Purpose: nonceRequest, ExpiresAt: until.UTC(), RedeemedAt: &used}
	fresh := false
	err := s.Together(ctx, func(tx *Tx) error {
		res := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
		fresh = res.RowsAffected == 1
		return res.Error
	})
	if err == nil && !fresh {
		err = nonceUsed()
	}
	return err
}

// idempotencyKey is one request that must not be carried out twice. While it is under way its status is 0 and
// its answer holds the mark of the attempt that has it.
type idempotencyKey struct {
	Principal string `gorm:"primaryKey"`
	Key       string `gorm:"primaryKey"`
	BodyHash  []byte
	Status    int
	Type      string
	Answer    []byte
	ExpiresAt time.Time
}

// Attempt is the right to carry out one request; it ends by itself, so that a crash locks nothing for good.
type Attempt struct {
	principal, key string
	mark           []byte
}

// Answer is what a request was answered with.
type Answer struct {
	Status int
	Type   string
	Body   []byte
}

// BeginAttempt asks for the right to carry out a request under an idempotency key, until the given moment. An
// answer that is not nil was given before, and is the answer. The same key with another request, and one that
// is under way, are conflicts ("idempotency-key-reused", "under-way").
func (s *Store) BeginAttempt(ctx context.Context, principal, key string, request [32]byte, now, until time.Time) (Attempt, *Answer, error) {
	mark, err := s.newID()
	if err != nil {
		return Attempt{}, nil, err
	}
	a := Attempt{principal: principal, key: key, mark: []byte(mark)}
	var before *Answer
	var refusal error // of this caller alone, and no reason to do the others' work again
	err = s.Together(ctx, func(tx *Tx) (err error) {
		if before, refusal, err = begin(tx.db, a, request, now, until); err == nil && before != nil {
			err = s.open(a.columns(before))
		}
		return err
	})
	if err == nil {
		err = refusal
	}
	return a, before, err
}

// begin takes the right, or says why not.
func begin(db *gorm.DB, a Attempt, request [32]byte, now, until time.Time) (before *Answer, refusal, err error) {
	principal, key := a.principal, a.key
	row := idempotencyKey{Principal: principal, Key: key, BodyHash: request[:], Answer: a.mark, ExpiresAt: until.UTC()}
	res := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
	if res.Error != nil || res.RowsAffected == 1 {
		return nil, nil, res.Error
	}
	var old idempotencyKey
	if err := db.Where(&idempotencyKey{Principal: principal, Key: key}).Take(&old).Error; err != nil {
		return nil, nil, err
	}
	switch {
	case !now.Before(old.ExpiresAt): // over, or left behind by a crash: whoever changes the row first has it
		res := db.Model(&idempotencyKey{}).Where(&idempotencyKey{Principal: principal, Key: key}).
			Where("status = ? AND answer = ? AND expires_at <= ?", old.Status, old.Answer, now.UTC()).
			Select("body_hash", "status", "type", "answer", "expires_at").Updates(&row)
		if res.Error != nil || res.RowsAffected == 1 {
			return nil, nil, res.Error
		}
		return nil, underWay(), nil
	case !bytes.Equal(old.BodyHash, request[:]):
		return nil, keyReused(), nil
	case old.Status == 0:
		return nil, underWay(), nil
	}
	return &Answer{Status: old.Status, Type: old.Type, Body: old.Answer}, nil, nil
}

func underWay() error {
	return ra.Errorf(ra.KindConflict, "under-way", nil, "This request is being carried out. Ask again in a moment with the same Idempotency-Key.")
}

// columns are what is sealed of an answer: it may name a person (HCA-8.1.5), or hold a signature, which is for the phone
// that released it and not for whoever reads the database (HCA-6.3.5).
func (a Attempt) columns(x *Answer) []sealed {
	return []sealed{{"idempotency_keys.answer/" + a.principal + "/" + a.key, &x.Body}}
}

// EndAttempt stores the answer until the given moment. An attempt that lost its right meanwhile stores nothing.
func (s *Store) EndAttempt(ctx context.Context, a Attempt, answer Answer, until time.Time) error {
	if answer.Body == nil {
		answer.Body = []byte{}
	}
	if err := s.seal(a.columns(&answer)); err != nil {
		return err
	}
	return s.Together(ctx, func(tx *Tx) error {
		return held(tx.db, a).Select("status", "type", "answer", "expires_at").
			Updates(&idempotencyKey{Status: answer.Status, Type: answer.Type, Answer: answer.Body, ExpiresAt: until.UTC()}).Error
	})
}

// DropAttempt gives the right back: nothing was done, and the request may come again.
func (s *Store) DropAttempt(ctx context.Context, a Attempt) error {
	return mapError(held(s.db.WithContext(ctx), a).Delete(&idempotencyKey{}).Error)
}

func held(db *gorm.DB, a Attempt) *gorm.DB {
	return db.Model(&idempotencyKey{}).Where(&idempotencyKey{Principal: a.principal, Key: a.key}).
		Where("status = 0 AND answer = ?", a.mark)
}

// ForgetRequests deletes the request nonces and the answers whose time is over.
func (s *Store) ForgetRequests(ctx context.Context, now time.Time) error {
	db := s.db.WithContext(ctx)
	if err := db.Where("purpose = ? AND expires_at <= ?", nonceRequest, now.UTC()).Delete(&nonce{}).Error; err != nil {
		return mapError(err)
	}
	return mapError(db.Where("expires_at <= ?", now.UTC()).Delete(&idempotencyKey{}).Error)
}

// DeliveryStore gives the delivery of certificates its transactions.
type DeliveryStore struct{ *Store }

var _ enrol.DeliveryStore = DeliveryStore{}

// Update runs fn in one transaction.
func (s DeliveryStore) Update(ctx context.Context, fn func(enrol.DeliveryTx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// View runs fn on a consistent reading.
func (s DeliveryStore) View(ctx context.Context, fn func(enrol.DeliveryTx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}
