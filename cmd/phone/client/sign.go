package client

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Certificate is one certificate of this phone, as the window lists it.
type Certificate struct {
	Certificate string    `json:"certificate"`
	Serial      string    `json:"serial"`
	State       string    `json:"state"`
	KeyDesign   string    `json:"key_design"`
	Scope       []string  `json:"scope"`
	NotAfter    time.Time `json:"not_after"`
	// RenewBy is there when it is time to apply for the next one: by then it should be there.
	RenewBy   *time.Time `json:"renew_by"`
	RenewedBy string     `json:"renewed_by"` // the newer certificate, once it is in force
	Renews    string     `json:"renews"`     // the older one that this one follows
}

// Certificates lists what the window knows on this phone.
func (p *Phone) Certificates(ctx context.Context) ([]Certificate, error) {
	var out struct{ Certificates []Certificate }
	err := p.call(ctx, http.MethodGet, "/certificates", nil, &out)
	return out.Certificates, err
}

// Statement is the window's word that a key may be used now.
type Statement struct {
	Issuer      string   `json:"iss"`
	Certificate string   `json:"sub"`
	Serial      string   `json:"serial"`
	Device      string   `json:"device"`
	Status      string   `json:"status"`
	Scope       []string `json:"scope"`
	IssuedAt    int64    `json:"iat"`
	Expires     int64    `json:"exp"`
}

const (
	statementType = "certwindow-status+jwt"
	clockSkew     = time.Minute
)

// Status fetches the statement about a certificate and verifies it. Without one the key is not used (HCA-7.2).
func (p *Phone) Status(ctx context.Context, certificate string) (s Statement, err error) {
	token, _, err := p.send(ctx, http.MethodGet, "/certificates/"+certificate+"/status", nil, "")
	if err != nil {
		return s, err
	}
	return p.statement(ctx, certificate, string(token))
}

// Standing is whether a certificate's key may be used now: the statement that says so, or why not.
type Standing struct {
	Certificate string
	Statement   Statement
	Refused     error
}

// Statuses fetches and verifies the statements about all live certificates of the signed-in holder here, at once.
func (p *Phone) Statuses(ctx context.Context) (out []Standing, err error) {
	raw, _, err := p.send(ctx, http.MethodGet, "/statuses", nil, "")
	if err != nil {
		return nil, err
	}
	var told struct {
		Statements []struct {
			Certificate, Statement string
			Refused                *Refusal
		}
	}
	if err := json.Unmarshal(raw, &told); err != nil {
		return nil, err
	}
	for _, t := range told.Statements {
		s := Standing{Certificate: t.Certificate}
		if t.Refused != nil {
			s.Refused = t.Refused
		} else if s.Statement, err = p.statement(ctx, t.Certificate, t.Statement); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// statement verifies one, and that it is about this certificate here and now.
func (p *Phone) statement(ctx context.Context, certificate, token string) (s Statement, err error) {
	keys, err := p.windowKeys(ctx)
	if err != nil {
		return s, err
	}
	payload, err := verifyJWS(token, statementType, keys.JSONWebKeySet)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, err
	}
	d, err := p.Device(ctx)
	if err != nil {
		return s, err
	}
	now := p.now()
	switch {
	case s.Status != "good" || s.Issuer != p.state.Server || s.Certificate != certificate || s.Device != d.Device:
		return s, errors.New("the window's statement is about something else: the key is not used")
	case !now.Before(time.Unix(s.Expires, 0)) || time.Unix(s.IssuedAt, 0).After(now.Add(clockSkew)):
		return s, errors.New("the window's statement is not of now: the key is not used")
	}
	return s, nil
}

// verifyJWS takes a JWS of one signature and of a type, ES256, by a key of the window's.
func verifyJWS(token, wanted string, keys jose.JSONWebKeySet) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, fmt.Errorf("the window's statement cannot be read: %w", err)
	}
	h := jws.Signatures[0].Protected
	if typ, _ := h.ExtraHeaders[jose.HeaderType].(string); typ != wanted {
		return nil, errors.New("this is no " + wanted)
	}
	found := keys.Key(h.KeyID)
	if len(found) != 1 {
		return nil, errors.New("the window's statement is not signed by a key of the window")
	}
	payload, err := jws.Verify(found[0])
	if err != nil {
		return nil, fmt.Errorf("the window's statement is not signed by the window: %w", err)
	}
	return payload, nil
}

// SignDocumentHash signs a SHA-256 digest with a holder's key on this phone: ECDSA in ASN.1 DER, or RSA PKCS#1
// v1.5. An app asks the holder for the password, the one-time code or the fingerprint here (HCA-7.4).
func (p *Phone) SignDocumentHash(ctx context.Context, certificate string, digest []byte) ([]byte, error) {
	if len(digest) != sha256.Size {
		return nil, errors.New("the digest is not SHA-256")
	}
	h, ok := p.state.Holds[certificate]
	if !ok {
		return nil, errors.New("this certificate is not on this phone: fetch it first")
	}
	s, err := p.Status(ctx, certificate)
	if err != nil {
		return nil, err
	}
	if s.Serial != h.Serial {
		return nil, errors.New("the window's statement is about another certificate: the key is not used")
	}
	key, err := loadKey(filepath.Join(p.dir, h.Application+keySuffix))
	if err != nil {
		return nil, err
	}
	return key.Sign(rand.Reader, digest, crypto.SHA256)
}
