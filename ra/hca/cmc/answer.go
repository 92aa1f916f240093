package cmc

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"

	"github.com/oklog/ulid/v2"

	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/hca"
)

// TransactionToken is what a query asks by when no token came with a pending answer: the 16 bytes of the ULID.
func TransactionToken(transaction string) ([]byte, error) {
	u, err := ulid.ParseStrict(transaction)
	if err != nil {
		return nil, malformed("transaction id is not a ULID")
	}
	return u.Bytes(), nil
}

// expectation is what an answer has to fit.
type expectation struct {
	kind        hca.Kind
	transaction string
	nonce       []byte
	query       bool // the question was what became of the transaction
}

// subject is the body part of the original request that a status has to be about.
func (e *expectation) subject() uint32 {
	if e.kind == hca.Enrol {
		return BodyCSR
	}
	return BodyRevoke
}

// judge turns the bytes of an answer into an outcome: signature, signer, transaction, nonce, status, in that order.
// Nothing in it is believed before its signature is.
func (c *Codec) judge(ctx context.Context, answer []byte, want expectation) (hca.Outcome, error) {
	sd, err := c.open(ctx, answer)
	if err != nil {
		return hca.Outcome{}, err
	}
	resp, err := ParsePKIResponse(sd.Content)
	if err != nil {
		return hca.Outcome{}, hca.Errorf(hca.Undecodable, "the answer's body: %w", err)
	}
	if err := bound(resp, want); err != nil {
		return hca.Outcome{}, err
	}
	found, ok, err := Find(resp.Controls, OIDStatusInfoV2)
	if err != nil || !ok {
		return hca.Outcome{}, hca.Errorf(hca.Undecodable, "the answer has not exactly one statusInfoV2")
	}
	status, err := ParseStatusInfo(found.Value)
	if err != nil {
		return hca.Outcome{}, hca.Errorf(hca.Undecodable, "%w", err)
	}
	return c.interpret(sd, status, want)
}

// open verifies the signature and who made it.
func (c *Codec) open(ctx context.Context, answer []byte) (*cms.SignedData, error) {
	sd, err := cms.Open(answer, cms.OpenOptions{Max: MaxResponse, ContentType: cms.OIDPKIResponse, RequireSigningTime: true})
	if err != nil {
		return nil, hca.Errorf(signatureKind(err), "the answer: %w", err)
	}
	signer, err := certpath.ParseCertificate(sd.Signer)
	if err != nil {
		return nil, hca.Errorf(hca.UntrustedSigner, "the answer's signer: %w", err)
	}
	if err := c.trusts(ctx, signer, sd.Certificates); err != nil {
		return nil, hca.Errorf(hca.UntrustedSigner, "the answer's signer: %w", err)
	}
	return sd, nil
}

// signatureKind sorts a refusal by package cms into what the operator has to know.
func signatureKind(err error) hca.ErrorKind {
	var e *cms.Error
	if !errors.As(err, &e) {
		return hca.Undecodable
	}
	switch e.Reason {
	case cms.ReasonSignerCount:
		return hca.Unsigned
	case cms.ReasonSignature, cms.ReasonDigest:
		return hca.BadSignature
	case cms.ReasonSignerMissing, cms.ReasonSignerAmbiguous:
		return hca.UntrustedSigner
	}
	return hca.Undecodable
}

// trusts decides whether a certificate may sign answers of the HCA: it is a pinned one itself, or it chains to a
// pinned one now and is marked as a CMC signer. The mark matters: holders' cards chain to the same CA.
func (c *Codec) trusts(ctx context.Context, signer *certpath.Certificate, sent [][]byte) error {
	for _, anchor := range c.trust.Anchors {
		if bytes.Equal(anchor.Raw, signer.Raw) {
			return nil
		}
	}
	if !signer.HasEKU {
		return errors.New("it has no extended key usage, id-kp-cmcCA is wanted")
	}
	o := certpath.Options{
		Anchors: c.trust.Anchors, Intermediates: append([]*certpath.Certificate(nil), c.trust.Intermediates...),
		At: c.trust.Now(), EKU: OIDCMCCA, KeyUsage: certpath.KeyUsageDigitalSignature,
		Fetcher: c.trust.Fetcher, RequireRevocation: c.trust.Fetcher != nil,
	}
	for _, der := range sent {
		if ca, err := certpath.ParseCertificate(der); err == nil && ca.IsCA {
			o.Intermediates = append(o.Intermediates, ca)
		}
	}
	_, err := certpath.Validate(ctx, signer, o)
	return err
}

// bound checks that the answer is the answer to this request (RFC 5272 section 6.6).
func bound(resp *PKIResponse, want expectation) error {
	transaction, err := Transaction(resp.Controls)
	if err != nil {
		return hca.Errorf(hca.WrongTransaction, "%w", err)
	}
	if transaction != want.transaction {
		return hca.Errorf(hca.WrongTransaction, "the answer is for transaction %s", transaction)
	}
	nonce, err := Octets(resp.Controls, OIDRecipientNonce)
	if err != nil {
		return hca.Errorf(hca.WrongNonce, "%w", err)
	}
	if subtle.ConstantTimeCompare(nonce, want.nonce) != 1 {
		return hca.Errorf(hca.WrongNonce, "the answer's nonce is not the request's")
	}
	return nil
}

// interpret gives a believed status its meaning. Success and failure count only when they are about the request
// itself: that a query was refused says nothing of what it asked about.
func (c *Codec) interpret(sd *cms.SignedData, s *StatusInfo, want expectation) (hca.Outcome, error) {
	out := hca.Outcome{FailText: s.Text}
	if s.Fail != NoFailInfo {
		out.FailCode = s.Fail.String()
	}
	decided := !want.query || s.About(want.subject())
	switch {
	case s.Status == StatusPending:
		out.State = hca.Pending
		out.Token = s.Token
		if !s.PendTime.IsZero() {
			out.RetryAfter = clamp(s.PendTime.Sub(c.trust.Now()))
		}
		return out, nil
	case s.Status == StatusSuccess && decided:
		return issued(out, sd, want.kind)
	case s.Status == StatusFailed && (s.Fail == TryLater || s.Fail == InternalCAError):
		return out, hca.Errorf(hca.Unavailable, "the HCA says %s", s.Fail)
	case s.Status == StatusFailed && want.query && s.Fail == BadCertID && s.About(BodyQuery):
		out.State = hca.NotReceived
		return out, nil
	case s.Status == StatusFailed && decided:
		out.State = hca.Refused
		return out, nil
	case s.Status == StatusNoSupport && decided:
		out.State = hca.Refused
		out.FailCode = "noSupport"
		return out, nil
	case want.query && (s.Status == StatusFailed || s.Status == StatusNoSupport):
		return out, hca.Errorf(hca.QueryRefused, "the HCA refused the query: %s", s.Fail)
	}
	return out, hca.Errorf(hca.Undecodable, "the answer's status %d is not one that a request of ours can have", s.Status)
}

// issued completes a success. The certificates of an answer are a SET without order: the one that is not a CA's and
// not the answer's signer is the one that was issued, and the others follow it.
func issued(out hca.Outcome, sd *cms.SignedData, kind hca.Kind) (hca.Outcome, error) {
	if kind == hca.Revoke {
		out.State = hca.Revoked
		return out, nil
	}
	leaves, cas, err := enclosed(sd)
	if err != nil {
		return out, err
	}
	if len(leaves) != 1 {
		return out, hca.Errorf(hca.Undecodable, "the answer says success and holds %d certificates of holders", len(leaves))
	}
	out.State = hca.Issued
	out.Certificates = append(leaves, cas...)
	return out, nil
}

// Enclosed are the holders' certificates that an answer encloses, whoever signed it: for a person who looks at an
// answer that was judged when it came.
func (c *Codec) Enclosed(answer []byte) ([][]byte, error) {
	sd, err := cms.Open(answer, cms.OpenOptions{Max: MaxResponse, ContentType: cms.OIDPKIResponse, RequireSigningTime: true})
	if err != nil {
		return nil, hca.Errorf(signatureKind(err), "the answer: %w", err)
	}
	leaves, _, err := enclosed(sd)
	return leaves, err
}

// enclosed parts the certificates of an answer into those of holders and those of CAs, without that of its signer.
func enclosed(sd *cms.SignedData) (leaves, cas [][]byte, err error) {
	for _, der := range sd.Certificates {
		c, err := certpath.ParseCertificate(der)
		switch {
		case err != nil:
			return nil, nil, hca.Errorf(hca.Undecodable, "a certificate in the answer: %w", err)
		case c.IsCA:
			cas = append(cas, der)
		case !bytes.Equal(der, sd.Signer):
			leaves = append(leaves, der)
		}
	}
	return leaves, cas, nil
}
