package client

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"certwindow/devices/appcred"
	"certwindow/policy"
	"certwindow/ra/remotesign"
)

// biometricKeyFile stands for a key that the platform uses only after it has verified its user, by a fingerprint or a
// face: in the Secure Enclave with biometryCurrentSet, in the Android Keystore with setUserAuthenticationRequired and
// setInvalidatedByBiometricEnrollment. Here whoever has the file has the finger.
const biometricKeyFile = "biometric.key"

// RegisterBiometric makes a user-verified key on this phone and registers it for the holder who is signed in
// (HCA-8.2.8). The kind is one that his institution accepts. An earlier key is worth nothing from then on.
func (p *Phone) RegisterBiometric(ctx context.Context, account, kind string) error {
	var c struct {
		Challenge string `json:"challenge"`
	}
	if err := p.call(ctx, http.MethodPost, "/holder/challenges", map[string]string{"account": account, "purpose": string(appcred.ForLogin)}, &c); err != nil {
		return err
	}
	key, err := makeKey("P-256", filepath.Join(p.dir, biometricKeyFile))
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	signature, err := verified(key, appcred.ForLogin, c.Challenge)
	if err != nil {
		return err
	}
	return p.call(ctx, http.MethodPost, "/holder/biometrics", struct {
		Kind      string `json:"kind"`
		Key       []byte `json:"key"`
		Challenge string `json:"challenge"`
		Signature []byte `json:"signature"`
	}{kind, spki, c.Challenge, signature}, &struct{}{})
}

// ProveByBiometric has the holder release each signature by his finger or face: the user-verified key signs what names
// the activation data, and so releases these very hashes and nothing else.
func (p *Phone) ProveByBiometric() {
	p.SetFactor(policy.FactorBiometric, func(activation string) (Factor, error) {
		key, err := loadKey(filepath.Join(p.dir, biometricKeyFile))
		if errors.Is(err, os.ErrNotExist) {
			return Factor{}, errors.New("no fingerprint or face is registered on this phone: register one first")
		}
		if err != nil {
			return Factor{}, err
		}
		signature, err := verified(key, appcred.ForSignature, remotesign.ActivationName(activation))
		return Factor{Kind: policy.FactorBiometric, Signature: signature}, err
	})
}

// verified is the key's signature after the platform has verified its user.
func verified(key crypto.Signer, purpose appcred.Purpose, bound string) ([]byte, error) {
	digest := sha256.Sum256(appcred.Statement(purpose, bound))
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}
