package window

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"

	"certwindow/hsm/ceremony"
	"certwindow/policy"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/web/api"
)

// remoteSigning wires signatures with keys in the HSM (HCA-6.3.5).
func (w *Window) remoteSigning(ctx context.Context, status crypto.Signer) (*remotesign.Service, error) {
	activation, err := w.Token.ActivationKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("the key that phones encrypt their secrets to: run certwindow ceremony setup: %w", err)
	}
	challenge, err := w.Token.DeriveSecret(ctx, "certwindow signature challenge v1")
	if err != nil {
		return nil, err
	}
	zones, err := w.Config.Network.Zones()
	if err != nil {
		return nil, err
	}
	return remotesign.New(remotesign.Config{Life: w.Settings.Life(policy.StatementLife), Store: store.SignStore{Store: w.Store}, Keys: w.Token, Statement: status, KeyID: ceremony.LabelStatus,
		Issuer: w.Config.PublicURL, ActivationKey: activation, ChallengeKey: challenge, Factors: api.Factors{Accounts: w.Holders},
		Clients: w.Clients, Zones: zones, Now: w.now, Rand: rand.Reader})
}
