package window

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"

	"certwindow/cmd/certwindow/config"
	"certwindow/hsm/ceremony"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
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
		Issuer: w.Config.PublicURL, ActivationKey: activation, ChallengeKey: challenge, Factors: unlocked{w.Config.Mode == config.Development},
		Clients: noClients{}, Zones: zones, Now: w.now, Rand: rand.Reader})
}

// unlocked is what can be known of a holder who has no account at the window: that the phone gave out its secret, which
// it keeps locked by the holder's own factor. Development takes the app's word for that; production needs the accounts
// of HCA-7.4.
type unlocked struct{ development bool }

// Prove takes the factor "unlock" in development, and refuses everything else.
func (u unlocked) Prove(_ context.Context, _ ra.Actor, _ ra.PersonID, _ ra.DeviceID, factors []remotesign.Factor, _ string) error {
	if u.development && len(factors) == 1 && factors[0].Kind == remotesign.FactorUnlock {
		return nil
	}
	return ra.Refuse("HCA-7.4", "authentication-not-set-up", "The holder's authentication is not set up at this window. Nothing was signed.", nil)
}

// noClients is a window at which no system is registered to ask for signatures: only the holders' own apps do.
type noClients struct{}

// Client knows none.
func (noClients) Client(context.Context, remotesign.ClientID) (remotesign.Client, error) {
	return remotesign.Client{}, ra.Errorf(ra.KindNotFound, "client-unknown", nil, "This system is not registered at the window.")
}
