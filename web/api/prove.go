package api

import (
	"context"

	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/ra/remotesign"
)

// Factors have the holders' accounts judge what a holder gives with a signature's release (HCA-7.4).
type Factors struct{ Accounts *appcred.Service }

// Prove implements remotesign.Factors. What is wrong is told, and counted: the holder has signed in before.
func (f Factors) Prove(ctx context.Context, _ ra.Actor, person ra.PersonID, device ra.DeviceFacts, factors []remotesign.Factor, act string) error {
	given := make([]appcred.Proof, 0, len(factors))
	for _, x := range factors {
		given = append(given, appcred.Proof{Kind: x.Kind, Value: appcred.Secret(x.Value.Bytes()), Signature: x.Signature})
	}
	return f.Accounts.ProveAct(ctx, person, device, given, act)
}
