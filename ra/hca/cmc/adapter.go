package cmc

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
)

// Name is the adapter's name, stored with each request that it prepared.
const Name = "cmc"

// Config is what an Adapter needs. URL, TLSRoots, Anchors, Signer, Now and Rand are required.
type Config struct {
	URL      string         // https://… of the HCA's CMC service
	TLSRoots *x509.CertPool // the only roots its TLS certificate is trusted under
	Proxy    *url.URL       // nil: connect directly

	Anchors       []*certpath.Certificate // as in Trust
	Intermediates []*certpath.Certificate
	Fetcher       certpath.Fetcher
	Signer        SignerSource

	Timeout time.Duration // of one exchange; zero means 30 s
	Now     func() time.Time
	Rand    io.Reader // for the nonces of queries
}

// Adapter is the hca.Adapter for CMC.
type Adapter struct {
	*Codec
	cfg    Config
	client *http.Client
}

var _ hca.Adapter = (*Adapter)(nil)

// New checks the configuration and makes an adapter. It does not use the network.
func New(cfg Config) (*Adapter, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cmc: address of the HCA: %w", err)
	case u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("cmc: address of the HCA must begin with https://")
	case cfg.TLSRoots == nil:
		return nil, fmt.Errorf("cmc: no TLS roots are pinned")
	case cfg.Rand == nil:
		return nil, fmt.Errorf("cmc: randomness is required")
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("cmc: negative time-out")
	case cfg.Timeout == 0:
		cfg.Timeout = 30 * time.Second
	}
	codec, err := NewCodec(Name, Trust{Anchors: cfg.Anchors, Intermediates: cfg.Intermediates, Fetcher: cfg.Fetcher, Signer: cfg.Signer, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	return &Adapter{Codec: codec, cfg: cfg, client: newClient(&cfg)}, nil
}

// Send implements hca.Adapter.
func (a *Adapter) Send(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	if p.Adapter != Name {
		return hca.Outcome{State: hca.Unknown}, hca.Errorf(hca.BadRequest, "request was prepared by adapter %q", p.Adapter)
	}
	return a.exchange(ctx, p.Bytes, expectation{kind: p.Kind, transaction: p.TransactionID, nonce: p.SenderNonce})
}

// Query implements hca.Adapter. It asks by the token that came with a pending answer, else by the 16 bytes of the
// transaction id, under a nonce of its own.
func (a *Adapter) Query(ctx context.Context, p hca.Prepared) (hca.Outcome, error) {
	unknown := hca.Outcome{State: hca.Unknown}
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(a.cfg.Rand, nonce); err != nil {
		return unknown, hca.Errorf(hca.BadRequest, "randomness: %w", err)
	}
	d, err := envelope(p.TransactionID, nonce)
	if err != nil {
		return unknown, err
	}
	token := p.Token
	if token == nil {
		if token, err = TransactionToken(p.TransactionID); err != nil {
			return unknown, hca.Errorf(hca.BadRequest, "%w", err)
		}
	}
	q, err := OctetControl(BodyQuery, OIDQueryPending, token)
	if err != nil {
		return unknown, hca.Errorf(hca.BadRequest, "%w", err)
	}
	d.Controls = append(d.Controls, q)
	signed, err := a.sign(ctx, d, a.cfg.Now())
	if err != nil {
		return unknown, err
	}
	return a.exchange(ctx, signed, expectation{kind: p.Kind, transaction: p.TransactionID, nonce: nonce, query: true})
}

// exchange posts a signed request and reads the answer.
func (a *Adapter) exchange(ctx context.Context, request []byte, want expectation) (hca.Outcome, error) {
	answer, retry, err := a.post(ctx, request)
	if err != nil {
		return hca.Outcome{State: hca.Unknown, RetryAfter: retry, Answer: answer}, err
	}
	out, err := a.judge(ctx, answer, want)
	if err != nil {
		return hca.Outcome{State: hca.Unknown, RetryAfter: out.RetryAfter, FailCode: out.FailCode, FailText: out.FailText, Answer: answer}, err
	}
	out.Answer = answer
	return out, nil
}

// Healthy implements hca.Adapter: the dedicated certificate can be had, and a TLS connection to the HCA made.
func (a *Adapter) Healthy(ctx context.Context) error {
	if err := a.Ready(ctx); err != nil {
		return err
	}
	return a.reach(ctx)
}
