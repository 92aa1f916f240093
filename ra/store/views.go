package store

import (
	"context"

	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/remotesign"
	"certwindow/ra/revoke"
	"certwindow/ra/sweep"
)

// Each use case declares the transaction it needs; these give it one.
type (
	EnrolStore    struct{ *Store }
	RevokeStore   struct{ *Store }
	ExchangeStore struct{ *Store }
	SweepStore    struct{ *Store }
	SignStore     struct{ *Store }
)

var (
	_ enrol.Store      = EnrolStore{}
	_ revoke.Store     = RevokeStore{}
	_ exchange.Store   = ExchangeStore{}
	_ sweep.Store      = SweepStore{}
	_ remotesign.Store = SignStore{}
)

func (s EnrolStore) Update(ctx context.Context, fn func(enrol.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s EnrolStore) View(ctx context.Context, fn func(enrol.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s RevokeStore) Update(ctx context.Context, fn func(revoke.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s RevokeStore) View(ctx context.Context, fn func(revoke.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s ExchangeStore) Update(ctx context.Context, fn func(exchange.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s ExchangeStore) View(ctx context.Context, fn func(exchange.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s SweepStore) Update(ctx context.Context, fn func(sweep.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s SweepStore) View(ctx context.Context, fn func(sweep.Tx) error) error {
	return s.Store.View(ctx, func(tx *Tx) error { return fn(tx) })
}

func (s SignStore) Update(ctx context.Context, fn func(remotesign.Tx) error) error {
	return s.Store.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// Together runs one of the many small transactions of signatures, with others that wait.
func (s SignStore) Together(ctx context.Context, fn func(remotesign.Tx) error) error {
	return s.Store.Together(ctx, func(tx *Tx) error { return fn(tx) })
}

// View runs fn with statements that are prepared once.
func (s SignStore) View(ctx context.Context, fn func(remotesign.Tx) error) error {
	return mapError(fn(&Tx{db: s.prepared(ctx), s: s.Store, reads: true}))
}
