package cmc

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/hca"
)

// Name is the adapter's name, stored with each request that it prepared.
const Name = "cmc"

// Credential is the dedicated certificate (HCA-3.1) and its key.
type Credential struct {
	Key         crypto.Signer // in the HSM or on the attached card
	Certificate []byte        // DER
	Chain       [][]byte      // CA certificates to send along, DER; may be empty
}

// SignerSource gives the dedicated certificate that is current now. It is asked for each request, so that a rollover
// takes effect without a restart; requests signed before it keep their bytes.
type SignerSource interface {
	Dedicated(ctx context.Context) (Credential, error)
}

// Config is what an Adapter needs. URL, TLSRoots, Anchors, Signer, Now and Rand are required.
type Config struct {
	URL      string         // https://… of the HCA's CMC service
	TLSRoots *x509.CertPool // the only roots its TLS certificate is trusted under
	Proxy    *url.URL       // nil: connect directly

	// Anchors are pinned CA certificates that the signer of an answer chains to. The signer itself must have the
	// extended key usage id-kp-cmcCA or be one of the anchors.
	Anchors       []*certpath.Certificate
	Intermediates []*certpath.Certificate

	// Fetcher, where set, makes revocation of the answer's signer be judged, and an answer be refused when that
	// cannot be done.
	Fetcher certpath.Fetcher

	Signer  SignerSource
	Timeout time.Duration // of one exchange; zero means 30 s
	Now     func() time.Time
	Rand    io.Reader // for the nonces of queries
}

// Adapter is the hca.Adapter for CMC.
type Adapter struct {
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
	case len(cfg.Anchors) == 0:
		return nil, fmt.Errorf("cmc: no anchor is pinned for the signer of answers")
	case cfg.Signer == nil || cfg.Now == nil || cfg.Rand == nil:
		return nil, fmt.Errorf("cmc: signer, clock and randomness are required")
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("cmc: negative time-out")
	case cfg.Timeout == 0:
		cfg.Timeout = 30 * time.Second
	}
	return &Adapter{cfg: cfg, client: newClient(&cfg)}, nil
}

// Name implements hca.Adapter.
func (a *Adapter) Name() string { return Name }

// Prepare implements hca.Adapter.
func (a *Adapter) Prepare(ctx context.Context, r hca.Request) (hca.Prepared, error) {
	if err := r.Validate(); err != nil {
		return hca.Prepared{}, err
	}
	data, err := requestBody(&r)
	if err != nil {
		return hca.Prepared{}, err
	}
	signed, err := a.sign(ctx, data, r.RequestedAt)
	if err != nil {
		return hca.Prepared{}, err
	}
	return hca.Prepared{Adapter: Name, Kind: r.Kind, TransactionID: r.TransactionID, SenderNonce: r.SenderNonce, Bytes: signed}, nil
}

// requestBody lays out the PKIData of a request.
func requestBody(r *hca.Request) (*PKIData, error) {
	d, err := envelope(r.TransactionID, r.SenderNonce)
	if err != nil {
		return nil, err
	}
	if r.Consent != nil {
		if err := checkConsent(r); err != nil {
			return nil, err
		}
		d.Messages = []Part{{ID: BodyConsent, DER: r.Consent}}
	}
	if r.Kind == hca.Enrol {
		if _, err := hca.ParseCSR(r.CSR); err != nil {
			return nil, err
		}
		d.CSRs = []Part{{ID: BodyCSR, DER: r.CSR}}
		return d, nil
	}
	c, err := (&RevokeRequest{Issuer: r.Issuer, Serial: r.Serial, Reason: r.Reason}).Control(BodyRevoke)
	if err != nil {
		return nil, hca.Errorf(hca.BadRequest, "revocation request: %w", err)
	}
	if _, err := ParseRevokeRequest(c.Value); err != nil {
		return nil, hca.Errorf(hca.BadRequest, "issuer name is not one DER Name: %w", err)
	}
	d.Controls = append(d.Controls, c)
	return d, nil
}

// checkConsent makes sure that the evidence that is about to leave is a signature that verifies, in the form that the
// request says it has. Who signed it and what it says was judged before the request was made.
func checkConsent(r *hca.Request) error {
	open := cms.Open
	if r.ConsentBare {
		open = cms.OpenBare
	}
	if _, err := open(r.Consent, cms.OpenOptions{}); err != nil {
		return hca.Errorf(hca.BadRequest, "the holder's consent: %w", err)
	}
	return nil
}

// envelope makes a PKIData with the two controls that every request has.
func envelope(transaction string, nonce []byte) (*PKIData, error) {
	t, err := TransactionControl(BodyTransactionID, transaction)
	if err != nil {
		return nil, hca.Errorf(hca.BadRequest, "%w", err)
	}
	n, err := OctetControl(BodySenderNonce, OIDSenderNonce, nonce)
	if err != nil {
		return nil, hca.Errorf(hca.BadRequest, "%w", err)
	}
	return &PKIData{Controls: []Control{t, n}}, nil
}

// sign wraps a request body in a SignedData by the dedicated certificate.
func (a *Adapter) sign(ctx context.Context, d *PKIData, at time.Time) ([]byte, error) {
	body, err := d.Marshal()
	if err != nil {
		return nil, hca.Errorf(hca.BadRequest, "request body: %w", err)
	}
	cred, err := a.cfg.Signer.Dedicated(ctx)
	if err != nil {
		return nil, hca.Errorf(hca.NoSigner, "dedicated certificate: %w", err)
	}
	signed, err := cms.Sign(body, cred.Key, cred.Certificate, cms.SignOptions{
		ContentType: cms.OIDPKIData, SigningTime: at, Certificates: cred.Chain,
	})
	if err != nil {
		return nil, hca.Errorf(hca.NoSigner, "signing with the dedicated certificate: %w", err)
	}
	if len(signed) > MaxRequest {
		return nil, hca.Errorf(hca.BadRequest, "the request has %d bytes, at most %d are sent", len(signed), MaxRequest)
	}
	return signed, nil
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
	out, err := a.read(ctx, answer, want)
	if err != nil {
		return hca.Outcome{State: hca.Unknown, RetryAfter: out.RetryAfter, FailCode: out.FailCode, FailText: out.FailText, Answer: answer}, err
	}
	out.Answer = answer
	return out, nil
}

// Healthy implements hca.Adapter: the dedicated certificate can be had, and a TLS connection to the HCA made.
func (a *Adapter) Healthy(ctx context.Context) error {
	if _, err := a.cfg.Signer.Dedicated(ctx); err != nil {
		return hca.Errorf(hca.NoSigner, "dedicated certificate: %w", err)
	}
	return a.reach(ctx)
}
