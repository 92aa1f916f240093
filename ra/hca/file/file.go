// Package file is the hca.Adapter for a window whose requests a person carries to the HCA, and whose answers a person
// brings back (HCA-3.3). The messages are those of package cmc, byte for byte; only the way differs. What comes back is
// believed as little as what a network brings.
package file

import (
	"context"

	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
)

// Name is the adapter's name, stored with each request that it prepared.
const Name = "file"

// Adapter is the hca.Adapter that carries nothing by itself.
type Adapter struct{ *cmc.Codec }

var _ hca.ByHand = (*Adapter)(nil)

// New makes an adapter. It needs no address and no network.
func New(t cmc.Trust) (*Adapter, error) {
	c, err := cmc.NewCodec(Name, t)
	if err != nil {
		return nil, err
	}
	return &Adapter{c}, nil
}

// Claimed implements hca.ByHand.
func (a *Adapter) Claimed(answer []byte) (string, error) { return cmc.Claimed(answer) }

// Send implements hca.Adapter. It takes nothing anywhere: the request is pending until a person has carried it.
func (a *Adapter) Send(_ context.Context, p hca.Prepared) (hca.Outcome, error) {
	if p.Adapter != Name {
		return hca.Outcome{State: hca.Unknown}, hca.Errorf(hca.BadRequest, "request was prepared by adapter %q", p.Adapter)
	}
	return hca.Outcome{State: hca.Pending}, nil
}

// Query implements hca.Adapter. Nobody can be asked: the request stays pending until its answer is read in.
func (a *Adapter) Query(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	return a.Send(ctx, p)
}

// Healthy implements hca.Adapter: requests can be signed. Whether the HCA is reached does not show here.
func (a *Adapter) Healthy(ctx context.Context) error { return a.Ready(ctx) }
