// Package trustlist makes the signed list of the certification authorities that an app trusts, so that it checks a
// certificate's whole chain and validity by the window's word and not by the phone's own store (HCA-8.2.5).
package trustlist

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"certwindow/ra/certpath"
)

const (
	// Type is the JWS "typ" of a list.
	Type = "certwindow-trust-list+jwt"
	// Life is how long an app may rely on a list.
	Life = 24 * time.Hour
	// fresh is how long one list is given to all: the HSM signs once in that time, however many ask.
	fresh = 10 * time.Minute
)

// Claims are what a list says.
type Claims struct {
	Issuer       string  `json:"iss"`
	IssuedAt     int64   `json:"iat"` // Unix seconds
	Expires      int64   `json:"exp"`
	Certificates []Entry `json:"certificates"`
}

// Entry is one certification authority.
type Entry struct {
	SHA256      string    `json:"sha256"` // of the certificate, hex
	Anchor      bool      `json:"anchor"` // a pinned root; the others are issuers below one
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Certificate []byte    `json:"certificate"` // DER
}

// Config is what the list is made of.
type Config struct {
	Issuer        string
	Key           crypto.Signer // P-256, in the HSM
	KeyID         string
	Anchors       []*certpath.Certificate
	Intermediates []*certpath.Certificate
	Now           func() time.Time
}

// List makes it. It is safe for concurrent use.
type List struct {
	Config
	signer jose.Signer

	mu   sync.Mutex
	made time.Time
	last string
}

// New refuses a configuration with a gap.
func New(cfg Config) (*List, error) {
	if cfg.Key == nil || cfg.KeyID == "" || cfg.Issuer == "" || cfg.Now == nil || len(cfg.Anchors) == 0 {
		return nil, errors.New("trustlist: a dependency is missing")
	}
	opts := (&jose.SignerOptions{}).WithType(Type).WithHeader("kid", cfg.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: cryptosigner.Opaque(cfg.Key)}, opts)
	if err != nil {
		return nil, fmt.Errorf("trustlist: %w", err)
	}
	return &List{Config: cfg, signer: signer}, nil
}

// Statement is the list as a JWS in compact form (RFC 7515, ES256). A certificate that is not valid now is not in it;
// without any root there is no list.
func (l *List) Statement() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	if since := now.Sub(l.made); l.last != "" && since >= 0 && since < fresh {
		return l.last, nil
	}
	c := Claims{Issuer: l.Issuer, IssuedAt: now.Unix(), Expires: now.Add(Life).Unix()}
	until := now.Add(Life)
	add := func(list []*certpath.Certificate, anchor bool) {
		for _, x := range list {
			if now.Before(x.NotBefore) || now.After(x.NotAfter) {
				continue
			}
			if x.NotAfter.Before(until) {
				until = x.NotAfter
			}
			sum := sha256.Sum256(x.Raw)
			c.Certificates = append(c.Certificates, Entry{hex.EncodeToString(sum[:]), anchor, x.NotBefore.UTC(), x.NotAfter.UTC(), x.Raw})
		}
	}
	add(l.Anchors, true)
	if len(c.Certificates) == 0 {
		return "", errors.New("trustlist: no pinned root is valid now")
	}
	add(l.Intermediates, false)
	c.Expires = until.Unix()
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	jws, err := l.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("trustlist: %w", err)
	}
	if l.last, err = jws.CompactSerialize(); err != nil {
		return "", err
	}
	l.made = now
	return l.last, nil
}
