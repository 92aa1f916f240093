package remotesign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"certwindow/hsm"
	"certwindow/ra"
)

// ActivationType is the JWS "typ" of activation data.
const ActivationType = "certwindow-activation+jwt"

// activationLife is how long activation data lives at most, and activationSkew how far a phone's clock may be off.
const (
	activationLife = 5 * time.Minute
	activationSkew = time.Minute
)

// maxActivation is far above any activation data, in bytes.
const maxActivation = 4096

// Activation is what a holder's device signs to release signatures (HCA-6.3.5): these hashes and labels, for this
// client and scope, with this key, on this challenge, with this secret, after this proof of the holder. It is kept as
// evidence; the secret itself is not in it.
type Activation struct {
	ID            string `json:"jti"`           // random: two activations are never the same
	Authorisation string `json:"authorisation"` // empty where the app itself asks
	Challenge     string `json:"challenge"`     // the window's, base64url
	Certificate   string `json:"certificate"`
	Client        string `json:"client"`
	Scope         string `json:"scope"`
	HashAlgorithm string `json:"hash_algorithm"`
	Count         int    `json:"count"`
	Hashes        string `json:"hashes_sha256"` // ItemsDigest, hex
	Secret        string `json:"secret_sha256"` // of the encrypted secret that goes with it, hex
	Factor        string `json:"factor"`        // how the holder was authenticated
	IssuedAt      int64  `json:"iat"`           // Unix seconds
	Expires       int64  `json:"exp"`
}

// SignPurpose and EnrolPurpose say what a phone's encrypted secret is for (hsm.ActivationInfo).
const SignPurpose = "sign"

// SecretInfo is what the secret of an activation is encrypted for: the authorisation, or the certificate where the
// app itself asks, and the challenge.
func (a Activation) SecretInfo() []byte {
	object := a.Authorisation
	if object == "" {
		object = a.Certificate
	}
	return hsm.ActivationInfo(SignPurpose, object, []byte(a.Challenge))
}

// openActivation verifies activation data under a device key, and gives what it says and what names it. The name
// covers what was signed and not the signature, which can be written in two ways.
func openActivation(token string, deviceSPKI []byte) (a Activation, name [32]byte, err error) {
	if len(token) > maxActivation {
		return a, name, errors.New("too long")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return a, name, err
	}
	if typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); typ != ActivationType {
		return a, name, errors.New("not activation data")
	}
	key, err := deviceKey(deviceSPKI)
	if err != nil {
		return a, name, err
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return a, name, err
	}
	if err := json.Unmarshal(payload, &a, json.RejectUnknownMembers(true)); err != nil {
		return a, name, err
	}
	return a, signedName(token[:strings.LastIndexByte(token, '.')]), nil
}

// signedName names activation data by what the device's key signs of it: the JWS's header and payload.
func signedName(signed string) [sha256.Size]byte { return sha256.Sum256([]byte(signed)) }

// ActivationName is what a holder's biometric key signs to release an activation (HCA-8.2.8): hex SHA-256 of the JWS
// without its last part, so that the signature is worth nothing with other activation data.
func ActivationName(token string) string {
	name := signedName(token[:max(strings.LastIndexByte(token, '.'), 0)])
	return hex.EncodeToString(name[:])
}

func deviceKey(spki []byte) (*ecdsa.PublicKey, error) {
	k, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, err
	}
	pub, ok := k.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, fmt.Errorf("device key of type %T", k)
	}
	return pub, nil
}

// holds compares what the holder's device signed with what is to be done. Each difference is a refusal of its own, so
// that the audit log says which thing somebody tried to exchange.
func (a Activation) holds(w Authorisation, secret []byte, factor string, now time.Time) error {
	no := func(code, what string) error {
		return ra.Refuse("HCA-6.3.5", code, "The activation data is for another "+what+". Nothing was signed.", nil)
	}
	sum := sha256.Sum256(secret)
	switch {
	case a.Client != string(w.Client):
		return no("activation-client", "system")
	case a.Authorisation != string(w.ID) && w.Client != DeviceClient || a.Authorisation != "" && w.Client == DeviceClient:
		return no("activation-authorisation", "authorisation")
	case subtle.ConstantTimeCompare([]byte(a.Challenge), []byte(base64.RawURLEncoding.EncodeToString(w.Challenge))) != 1:
		return no("activation-challenge", "challenge")
	case a.Certificate != string(w.Certificate):
		return no("activation-certificate", "certificate")
	case a.Scope != w.Scope:
		return no("activation-scope", "scope of use")
	case a.HashAlgorithm != w.HashAlgorithm || a.Count != len(w.Items) || a.Hashes != hex.EncodeToString(ItemsDigest(w.HashAlgorithm, w.Items)):
		return no("activation-hashes", "list of hashes, or other labels")
	case a.Secret != hex.EncodeToString(sum[:]):
		return no("activation-secret", "secret")
	case a.Factor != factor:
		return no("activation-factor", "proof of the holder")
	case len(a.ID) < 16 || len(a.ID) > 64:
		return malformed("activation", "The activation data has no id of 16 to 64 characters. Nothing was signed.")
	}
	return a.inTime(now)
}

func (a Activation) inTime(now time.Time) error {
	from, to := time.Unix(a.IssuedAt, 0), time.Unix(a.Expires, 0)
	if from.After(now.Add(activationSkew)) || !now.Before(to) || to.Sub(from) > activationLife || !to.After(from) {
		return ra.Refuse("HCA-6.3.5", "activation-expired", "The activation data is not of now; it lives five minutes. Nothing was signed; ask the holder again.", nil)
	}
	return nil
}
