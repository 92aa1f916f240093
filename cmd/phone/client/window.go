package client

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"certwindow/ra/remotesign"
)

// publishedKeys is what the window says of its keys. Who answers is not believed: the QR named the status key.
type publishedKeys struct {
	jose.JSONWebKeySet
	Activation  string   `json:"activation"`
	Successions []string `json:"successions"`
}

var errStatusKey = errors.New("the window shows another status key than the counter's QR named: nothing is believed or sent; go to the counter")

// windowKeys fetches the window's keys and keeps of them the one status key that this phone knows by the QR, or by what that
// key has signed of its successor, and of the successor's. Whoever swaps keys on the way has no such signature.
func (p *Phone) windowKeys(ctx context.Context) (k publishedKeys, err error) {
	if err := p.call(ctx, http.MethodGet, "/keys", nil, &k); err != nil {
		return k, err
	}
	chain := []string{p.state.Status}
	for _, s := range k.Successions { // oldest first
		before, next, err := remotesign.ReadSuccession(s, p.state.Server)
		if err != nil {
			return publishedKeys{}, err
		}
		if before == chain[len(chain)-1] {
			chain = append(chain, next)
		}
	}
	for _, name := range slices.Backward(chain) { // a successor may be announced before it is used
		for _, key := range k.Keys {
			if shown, err := remotesign.KeyName(key.Key); err == nil && shown == name {
				k.Keys = []jose.JSONWebKey{key}
				return k, p.follow(name)
			}
		}
	}
	return publishedKeys{}, errStatusKey
}

// follow remembers the successor, once the window uses it. There is no way back to the key before.
func (p *Phone) follow(name string) error {
	if name == p.state.Status {
		return nil
	}
	p.state.Status = name
	return p.save()
}
