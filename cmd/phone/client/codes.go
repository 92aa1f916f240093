package client

import (
	"context"
	"net/http"

	"certwindow/devices/appcred"
)

// SendCode has the window send a one-time code to the address that it has on file of the account's holder, good for five
// minutes, once, on this phone, in this app and for this purpose (HCA-8.2.7). The answer does not tell whether there is
// such an account.
func (p *Phone) SendCode(ctx context.Context, account string, channel appcred.Channel, purpose appcred.Purpose) error {
	return p.call(ctx, http.MethodPost, "/holder/codes", map[string]string{"account": account, "channel": string(channel), "purpose": string(purpose)}, &struct{}{})
}

// SetUpAuthenticator gives the holder who is signed in a new secret for his authenticator app (RFC 6238): the secret in
// base32, and the address in which such an app expects it. An earlier secret is worth nothing from then on.
func (p *Phone) SetUpAuthenticator(ctx context.Context) (secret, address appcred.Secret, err error) {
	var got struct{ Secret, URI appcred.Secret }
	err = p.call(ctx, http.MethodPost, "/holder/totp", struct{}{}, &got)
	return got.Secret, got.URI, err
}

// ProveByCode has the holder release the next signature by a one-time code of this kind (policy.FactorTOTP,
// policy.FactorHOTP or policy.FactorCode). A code is good once: for another signature another one is given.
func (p *Phone) ProveByCode(kind string, code appcred.Secret) {
	p.SetFactor(kind, func(string) (Factor, error) { return Factor{Kind: kind, Value: code.Reveal()}, nil })
}
