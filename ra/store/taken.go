package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"certwindow/ra"
)

// Sent is one signed request that must be carried out once: by the nonce of its signature, and by its idempotency key.
type Sent struct {
	KeyHash, Nonce string    // of the signature
	NonceUntil     time.Time // after which the request's own age refuses it
	Principal, Key string    // who may repeat it, and under which idempotency key
	Request        [32]byte  // what it asks
	Until          time.Time // how long its answer is kept
}

func (r Sent) columns(a *Answer) []sealed {
	return Attempt{principal: r.Principal, key: r.Key}.columns(a)
}

func nonceHash(keyHash, value string) []byte {
	sum := sha256.Sum256([]byte("certwindow request nonce\x00" + keyHash + "\x00" + value))
	return sum[:]
}

func nonceUsed() error {
	return ra.Refuse("HCA-8.1.4", "nonce-used", "This request was received before. Nothing was done again; sign a new one.", nil)
}

func keyReused() error {
	return ra.Errorf(ra.KindConflict, "idempotency-key-reused", nil, "This Idempotency-Key was used for another request. Nothing was done; take a new key.")
}

const sentBefore = `SELECT EXISTS (SELECT 1 FROM nonces WHERE hash = $1), k.body_hash, k.status, k.type, k.answer, k.expires_at
FROM (SELECT 1) AS one LEFT JOIN idempotency_keys k ON k.principal = $2 AND k.key = $3`

// Before is what a request was answered with before; nil where it is new. It changes nothing: who goes on with a new one
// has it taken in the transaction that does what it asks (Taken).
func (s *Store) Before(ctx context.Context, r Sent, now time.Time) (*Answer, error) {
	var (
		used         bool
		body, answer []byte
		status       sql.NullInt64
		media        sql.NullString
		until        sql.NullTime
	)
	tx := &Tx{db: s.prepared(ctx), s: s, reads: true}
	err := tx.one(sentBefore, []any{nonceHash(r.KeyHash, r.Nonce), r.Principal, r.Key}, &used, &body, &status, &media, &answer, &until)
	switch {
	case err != nil:
		return nil, mapError(err)
	case used:
		return nil, nonceUsed()
	case !until.Valid || !now.Before(until.Time):
		return nil, nil
	case !bytes.Equal(body, r.Request[:]):
		return nil, keyReused()
	case status.Int64 == 0:
		return nil, underWay()
	}
	before := &Answer{Status: int(status.Int64), Type: media.String, Body: answer}
	return before, s.open(r.columns(before))
}

const (
	takeNonce = `INSERT INTO nonces (hash, purpose, person_id, device_id, session, expires_at, redeemed_at) VALUES ($1, $2, '', '', '', $3, $4)
ON CONFLICT DO NOTHING`
	keepAnswer = `INSERT INTO idempotency_keys (principal, key, body_hash, status, type, answer, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (principal, key) DO UPDATE SET body_hash = excluded.body_hash, status = excluded.status, type = excluded.type, answer = excluded.answer,
	expires_at = excluded.expires_at WHERE idempotency_keys.expires_at <= $8`
)

// ErrRaced is what Taken says of a request whose twin was faster.
var ErrRaced = errors.New("store: the same idempotency key was taken meanwhile")

// Taken takes a request and keeps its answer, in the transaction that does what it asks: all of it is stored, or nothing.
// One that was received before is refused under HCA-8.1.4; one whose idempotency key is taken is ErrRaced.
func (tx *Tx) Taken(r Sent, a Answer, now time.Time) error {
	used := now.UTC()
	n, err := tx.write(takeNonce, nonceHash(r.KeyHash, r.Nonce), nonceRequest, r.NonceUntil.UTC(), used)
	if err != nil {
		return err
	}
	if n != 1 {
		return nonceUsed()
	}
	if a.Body == nil {
		a.Body = []byte{}
	}
	if err := tx.s.seal(r.columns(&a)); err != nil {
		return err
	}
	n, err = tx.write(keepAnswer, r.Principal, r.Key, r.Request[:], a.Status, a.Type, a.Body, r.Until.UTC(), used)
	if err == nil && n != 1 {
		return ra.Errorf(ra.KindConflict, "under-way", ErrRaced, "This request is being carried out. Ask again in a moment with the same Idempotency-Key.")
	}
	return err
}

// Keep takes a request that was refused, with that answer.
func (s *Store) Keep(ctx context.Context, r Sent, a Answer, now time.Time) error {
	return s.Together(ctx, func(tx *Tx) error { return tx.Taken(r, a, now) })
}
