package ceremony

import (
	"context"
	"errors"
	"fmt"

	"certwindow/hsm"
	"certwindow/hsm/p11"
)

// Labels of the key pairs of a window's token.
const (
	LabelDedicated = "certwindow-dedicated" // the institution's dedicated certificate (HCA-3.1); it signs evidence and the audit log too
	LabelStatus    = "certwindow-status"    // signs what the window publishes of certificates' states
	LabelCeremony  = "certwindow-ceremony"  // signs the records of ceremonies
	LabelDeviceCA  = "certwindow-device-ca" // issues the certificates of devices (HCA-6.3.6)
)

// KeySpec asks for a key pair.
type KeySpec struct {
	Label     string
	Algorithm hsm.Algorithm
}

// DefaultKeys are the key pairs that a window needs, with the algorithms to use where nothing speaks against them.
func DefaultKeys() []KeySpec {
	return []KeySpec{
		{LabelDedicated, hsm.P256},
		{LabelStatus, hsm.P256},
		{LabelCeremony, hsm.P256},
		{LabelDeviceCA, hsm.P256},
	}
}

// SetupOptions say what a token shall hold.
type SetupOptions struct {
	Module     string
	TokenLabel string
	SOPIN      hsm.Secret // needed only where the token does not exist yet
	UserPIN    hsm.Secret
	Keys       []KeySpec
	Sessions   int // see p11.Config
}

// SetupItem is one thing the token shall hold, and whether this run made it.
type SetupItem struct {
	Kind      string        `json:"kind"` // token, secret key, key pair
	Label     string        `json:"label"`
	Algorithm hsm.Algorithm `json:"algorithm,omitempty"`
	Created   bool          `json:"created"`
}

// SetupReport is what the token holds after Setup.
type SetupReport struct {
	Token hsm.Info    `json:"token"`
	Items []SetupItem `json:"items"`
}

// Setup makes what is missing of a token: the token itself, the MAC key, the activation key, and the
// key pairs. What exists is left
// alone, so that running it twice changes nothing; a key pair of another algorithm than asked for is an error. A
// token that is to replace a lost one is restored (Options.Restore) before its set-up, or it would get a new MAC key.
func Setup(ctx context.Context, o SetupOptions) (*SetupReport, error) {
	for _, k := range o.Keys {
		if !k.Algorithm.Valid() {
			return nil, fmt.Errorf("ceremony: key %s: %w algorithm %q", k.Label, hsm.ErrUnsupported, k.Algorithm)
		}
	}
	exists, err := p11.HasToken(o.Module, o.TokenLabel)
	if err != nil {
		return nil, err
	}
	if !exists {
		if err := p11.InitToken(o.Module, o.TokenLabel, o.SOPIN, o.UserPIN); err != nil {
			return nil, err
		}
	}
	tok, err := p11.Open(ctx, p11.Config{Module: o.Module, TokenLabel: o.TokenLabel, PIN: o.UserPIN, Sessions: o.Sessions})
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	r := &SetupReport{Token: tok.Info(), Items: []SetupItem{{Kind: "token", Label: o.TokenLabel, Created: !exists}}}
	made, err := ensureMAC(ctx, tok)
	if err != nil {
		return r, err
	}
	r.Items = append(r.Items, SetupItem{Kind: "secret key", Label: p11.MACLabel, Created: made})
	if made, err = ensureActivation(ctx, tok); err != nil {
		return r, err
	}
	r.Items = append(r.Items, SetupItem{Kind: "key pair", Label: p11.ActivationLabel, Algorithm: hsm.P256, Created: made})
	for _, k := range o.Keys {
		made, err := ensureKey(ctx, tok, k)
		if err != nil {
			return r, err
		}
		r.Items = append(r.Items, SetupItem{Kind: "key pair", Label: k.Label, Algorithm: k.Algorithm, Created: made})
	}
	return r, nil
}

func ensureMAC(ctx context.Context, tok *p11.Token) (made bool, err error) {
	_, err = tok.MACCheckValue(ctx)
	if !errors.Is(err, hsm.ErrNotFound) {
		return false, err
	}
	return true, tok.GenerateMACKey(ctx, p11.MACLabel)
}

// ensureActivation makes the key that phones encrypt their secrets to. A token that replaces a lost one gets a new
// one: phones hold the secrets, and the window's signature on the new key is what they go by.
func ensureActivation(ctx context.Context, tok *p11.Token) (made bool, err error) {
	_, err = tok.ActivationKey(ctx)
	if !errors.Is(err, hsm.ErrNotFound) {
		return false, err
	}
	return true, tok.GenerateActivationKey(ctx)
}

func ensureKey(ctx context.Context, tok *p11.Token, k KeySpec) (made bool, err error) {
	s, err := tok.Signer(ctx, k.Label)
	if errors.Is(err, hsm.ErrNotFound) {
		_, err := tok.GenerateKeyPair(ctx, k.Label, k.Algorithm)
		return true, err
	}
	if err != nil {
		return false, err
	}
	alg, err := hsm.AlgorithmOf(s.Public())
	if err != nil {
		return false, err
	}
	if alg != k.Algorithm {
		return false, fmt.Errorf("ceremony: key %s exists and is %s, not %s", k.Label, alg, k.Algorithm)
	}
	return false, nil
}
