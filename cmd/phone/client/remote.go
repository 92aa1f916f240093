package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"certwindow/hsm"
	"certwindow/ra/enrol"
	"certwindow/ra/remotesign"
)

// Hash is one hash to be signed, with what the app shows its holder of it.
type Hash struct {
	Hash     []byte `json:"hash"`
	Title    string `json:"title"`
	Patients int    `json:"patients"`
	Source   string `json:"source"`
}

// Factor is one proof of who the holder is.
type Factor struct {
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Signature []byte `json:"signature,omitempty"`
}

// SetFactor says by which kind of proof the holder releases signatures: fn is asked for it with the activation data that
// it releases, a compact JWS.
func (p *Phone) SetFactor(kind string, fn func(activation string) (Factor, error)) {
	p.factor, p.proof = kind, fn
}

// Signatures is what a release came to. In a batch that a rule stopped, those before it are there.
type Signatures struct {
	Signatures [][]byte `json:"signatures"`
	Stopped    *Refusal `json:"stopped"`
}

// enrolHSM sends this phone's secret, encrypted to the window's HSM, which makes the key under it (HCA-6.3.5).
func (p *Phone) enrolHSM(ctx context.Context, t keyTask) error {
	if t.State != "awaiting-key" {
		return nil // an answer was lost: the key was made with the secret that is here
	}
	challenge, err := base64.RawURLEncoding.DecodeString(t.Challenge)
	if err != nil {
		return fmt.Errorf("challenge: %w", err)
	}
	consent, err := hex.DecodeString(t.ConsentSHA256)
	if err != nil {
		return fmt.Errorf("consent_sha256: %w", err)
	}
	secret, err := p.secret(t.Application.Application)
	if err != nil {
		return err
	}
	key, err := p.activationKey(ctx)
	if err != nil {
		return err
	}
	sealed, err := hsm.SealActivation(key, hsm.ActivationInfo(enrol.SecretPurpose, t.Application.Application, challenge), secret)
	if err != nil {
		return err
	}
	signature, err := p.countersign(consent, sealed)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string][]byte{"secret": sealed, "signature": signature})
	if err != nil {
		return err
	}
	_, _, err = p.send(ctx, http.MethodPost, "/applications/"+t.Application.Application+"/activation-secret", body, unique())
	return err
}

// activationKey is the key of the window's HSM that secrets are encrypted to, on the word of the status key that the QR
// named: nobody who gets between can offer a key of his own.
func (p *Phone) activationKey(ctx context.Context) ([]byte, error) {
	keys, err := p.windowKeys(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := verifyJWS(keys.Activation, remotesign.ActivationKeyType, keys.JSONWebKeySet)
	if err != nil {
		return nil, err
	}
	var s remotesign.ActivationKeyStatement
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, err
	}
	if s.Issuer != p.state.Server {
		return nil, errors.New("the activation key is another window's: the secret is not sent")
	}
	return s.Key, nil
}

// SignWithHSM has the window's HSM sign a SHA-256 digest with the holder's key in it (HCA-6.3.5).
func (p *Phone) SignWithHSM(ctx context.Context, certificate string, digest []byte) ([]byte, error) {
	out, err := p.SignBatch(ctx, certificate, "", []Hash{{Hash: digest, Title: "document", Patients: 1, Source: p.about.App}})
	if err != nil {
		return nil, err
	}
	if len(out.Signatures) != 1 {
		return nil, errors.New("the window sent no signature")
	}
	return out.Signatures[0], nil
}

// SignBatch has the window's HSM sign SHA-256 digests, up to 500 with one release. The app has shown the holder what
// they are. The scope is the certificate's first where none is given.
func (p *Phone) SignBatch(ctx context.Context, certificate, scope string, hashes []Hash) (out Signatures, err error) {
	if scope == "" {
		if scope, err = p.scopeOf(ctx, certificate); err != nil {
			return out, err
		}
	}
	var c struct {
		Challenge string `json:"challenge"`
	}
	if err := p.call(ctx, http.MethodGet, "/certificates/"+certificate+"/challenge", nil, &c); err != nil {
		return out, err
	}
	a := remotesign.Activation{Challenge: c.Challenge, Certificate: certificate, Client: string(remotesign.DeviceClient), Scope: scope, HashAlgorithm: "SHA-256"}
	r, err := p.release(ctx, a, hashes)
	if err != nil {
		return out, err
	}
	body, err := json.Marshal(struct {
		releaseBody
		Scope         string `json:"scope"`
		HashAlgorithm string `json:"hash_algorithm"`
		Challenge     string `json:"challenge"`
		Hashes        []Hash `json:"hashes"`
	}{r, scope, a.HashAlgorithm, c.Challenge, hashes})
	if err != nil {
		return out, err
	}
	answer, _, err := p.send(ctx, http.MethodPost, "/certificates/"+certificate+"/signatures", body, unique())
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(answer, &out)
}

func (p *Phone) scopeOf(ctx context.Context, certificate string) (string, error) {
	all, err := p.Certificates(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.Certificate == certificate && len(c.Scope) > 0 {
			return c.Scope[0], nil
		}
	}
	return "", errors.New("the window lists no such certificate on this phone")
}

// Authorisation is what a system asks the holder to release.
type Authorisation struct {
	Authorisation string `json:"authorisation"`
	Certificate   string `json:"certificate"`
	Client        string `json:"client"`
	Scope         string `json:"scope"`
	HashAlgorithm string `json:"hash_algorithm"`
	Challenge     string `json:"challenge"`
	ShortCode     string `json:"short_code"` // the page that asked shows the same
	Hashes        []Hash `json:"hashes"`
}

// Pending lists what waits for the decision of a certificate's holder. An app shows all of it before Release.
func (p *Phone) Pending(ctx context.Context, certificate string) ([]Authorisation, error) {
	var out struct{ Authorisations []Authorisation }
	err := p.call(ctx, http.MethodGet, "/certificates/"+certificate+"/authorisations", nil, &out)
	return out.Authorisations, err
}

// Release lets the window sign what a system asked for. The signatures go to that system; Stopped tells of a rule that
// ended the batch before its end.
func (p *Phone) Release(ctx context.Context, w Authorisation) (out Signatures, err error) {
	a := remotesign.Activation{Authorisation: w.Authorisation, Challenge: w.Challenge, Certificate: w.Certificate, Client: w.Client, Scope: w.Scope,
		HashAlgorithm: w.HashAlgorithm}
	r, err := p.release(ctx, a, w.Hashes)
	if err != nil {
		return out, err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return out, err
	}
	answer, _, err := p.send(ctx, http.MethodPost, "/authorisations/"+w.Authorisation+"/release", body, unique())
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(answer, &out)
}

// Deny is the holder's no.
func (p *Phone) Deny(ctx context.Context, authorisation string) error {
	_, _, err := p.send(ctx, http.MethodPost, "/authorisations/"+authorisation+"/denial", []byte("{}"), unique())
	return err
}

type releaseBody struct {
	Activation string   `json:"activation"`
	Secret     []byte   `json:"secret"`
	Factors    []Factor `json:"factors"`
}

// activationLife is how long this phone's activation data is good, in seconds.
const activationLife = 120

// release makes what releases signatures: the secret, encrypted for this act alone, and the device's signature over
// exactly what was shown.
func (p *Phone) release(ctx context.Context, a remotesign.Activation, hashes []Hash) (r releaseBody, err error) {
	secret, err := p.loadSecret(p.state.Holds[a.Certificate].Application)
	if err != nil {
		return r, err
	}
	key, err := p.activationKey(ctx)
	if err != nil {
		return r, err
	}
	if r.Secret, err = hsm.SealActivation(key, a.SecretInfo(), secret); err != nil {
		return r, err
	}
	if p.proof == nil {
		return r, errors.New("say first how the holder proves who he is: his account's password, a code, or a biometric key")
	}
	items := make([]remotesign.Item, len(hashes))
	for i, h := range hashes {
		items[i] = remotesign.Item{Hash: h.Hash, Title: h.Title, Patients: h.Patients, Source: h.Source}
	}
	a.Factor = p.factor
	sum, now := sha256.Sum256(r.Secret), p.now().Unix()
	a.ID, a.Count, a.Hashes, a.Secret = rand.Text(), len(items), hex.EncodeToString(remotesign.ItemsDigest(a.HashAlgorithm, items)), hex.EncodeToString(sum[:])
	a.IssuedAt, a.Expires = now, now+activationLife
	if r.Activation, err = p.signActivation(a); err != nil {
		return r, err
	}
	f, err := p.proof(r.Activation)
	r.Factors = []Factor{f}
	return r, err
}

func (p *Phone) signActivation(a remotesign.Activation) (string, error) {
	device, err := p.deviceKey()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: cryptosigner.Opaque(device)}, (&jose.SignerOptions{}).WithType(remotesign.ActivationType))
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}
