package client

import (
	"context"

	"github.com/go-jose/go-jose/v4"
)

// Proof is how the holder proves who he is now.
func (p *Phone) Proof() func(activation string) (Factor, error) { return p.proof }

// WindowKeys are the keys that the phone believes.
func (p *Phone) WindowKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	k, err := p.windowKeys(ctx)
	return k.Keys, err
}
