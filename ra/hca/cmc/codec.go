package cmc

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/hca"
)

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

// Trust is what requests are signed with and answers are judged by, however they travel. Anchors, Signer and Now are
// required.
type Trust struct {
	// Anchors are pinned CA certificates that the signer of an answer chains to. The signer itself must have the
	// extended key usage id-kp-cmcCA or be one of the anchors.
	Anchors       []*certpath.Certificate
	Intermediates []*certpath.Certificate

	// Fetcher, where set, makes revocation of the answer's signer be judged, and an answer be refused when that
	// cannot be done.
	Fetcher certpath.Fetcher

	Signer SignerSource
	Now    func() time.Time
}

// Codec writes signed requests and reads signed answers. It carries nothing.
type Codec struct {
	name  string
	trust Trust
}

// NewCodec makes a codec whose requests bear an adapter's name.
func NewCodec(name string, t Trust) (*Codec, error) {
	switch {
	case len(t.Anchors) == 0:
		return nil, fmt.Errorf("cmc: no anchor is pinned for the signer of answers")
	case t.Signer == nil || t.Now == nil:
		return nil, fmt.Errorf("cmc: signer and clock are required")
	}
	return &Codec{name: name, trust: t}, nil
}

// Name implements hca.Adapter.
func (c *Codec) Name() string { return c.name }

// Read takes an answer to the request itself that came by another way than this package's own. The errors are those
// of hca.Adapter's Send.
func (c *Codec) Read(ctx context.Context, p hca.Prepared, answer []byte) (hca.Outcome, error) {
	if p.Adapter != c.name {
		return hca.Outcome{State: hca.Unknown}, hca.Errorf(hca.BadRequest, "request was prepared by adapter %q", p.Adapter)
	}
	out, err := c.judge(ctx, answer, expectation{kind: p.Kind, transaction: p.TransactionID, nonce: p.SenderNonce})
	if err != nil {
		return hca.Outcome{State: hca.Unknown, FailCode: out.FailCode, FailText: out.FailText, Answer: answer}, err
	}
	out.Answer = answer
	return out, nil
}

// Claimed is the transaction that an answer says it belongs to. Nothing vouches for it: it finds the request that Read
// then holds the answer against.
func Claimed(answer []byte) (string, error) {
	sd, err := cms.Open(answer, cms.OpenOptions{Max: MaxResponse, ContentType: cms.OIDPKIResponse, RequireSigningTime: true})
	if err != nil {
		return "", hca.Errorf(signatureKind(err), "the answer: %w", err)
	}
	resp, err := ParsePKIResponse(sd.Content)
	if err != nil {
		return "", hca.Errorf(hca.Undecodable, "the answer's body: %w", err)
	}
	transaction, err := Transaction(resp.Controls)
	if err != nil {
		return "", hca.Errorf(hca.WrongTransaction, "%w", err)
	}
	return transaction, nil
}

// Ready reports whether requests can be signed.
func (c *Codec) Ready(ctx context.Context) error {
	if _, err := c.trust.Signer.Dedicated(ctx); err != nil {
		return hca.Errorf(hca.NoSigner, "dedicated certificate: %w", err)
	}
	return nil
}

// Prepare implements hca.Adapter.
func (c *Codec) Prepare(ctx context.Context, r hca.Request) (hca.Prepared, error) {
	if err := r.Validate(); err != nil {
		return hca.Prepared{}, err
	}
	data, err := requestBody(&r)
	if err != nil {
		return hca.Prepared{}, err
	}
	signed, err := c.sign(ctx, data, r.RequestedAt)
	if err != nil {
		return hca.Prepared{}, err
	}
	return hca.Prepared{Adapter: c.name, Kind: r.Kind, TransactionID: r.TransactionID, SenderNonce: r.SenderNonce, Bytes: signed}, nil
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
	control, err := (&RevokeRequest{Issuer: r.Issuer, Serial: r.Serial, Reason: r.Reason}).Control(BodyRevoke)
	if err != nil {
		return nil, hca.Errorf(hca.BadRequest, "revocation request: %w", err)
	}
	if _, err := ParseRevokeRequest(control.Value); err != nil {
		return nil, hca.Errorf(hca.BadRequest, "issuer name is not one DER Name: %w", err)
	}
	d.Controls = append(d.Controls, control)
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
func (c *Codec) sign(ctx context.Context, d *PKIData, at time.Time) ([]byte, error) {
	body, err := d.Marshal()
	if err != nil {
		return nil, hca.Errorf(hca.BadRequest, "request body: %w", err)
	}
	cred, err := c.trust.Signer.Dedicated(ctx)
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
