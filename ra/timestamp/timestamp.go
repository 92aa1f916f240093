// Package timestamp fetches time stamps from an authority (RFC 3161, updated by RFC 5816) and believes none that it has
// not verified: the digest, the nonce, the time, and a signature by a certificate for time stamping under pinned anchors.
package timestamp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
)

// Object identifiers of RFC 3161, RFC 5035 and RFC 5280 section 4.2.1.12.
var (
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidSigningCertV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidTimeStamping  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

var digestOIDs = map[string]asn1.ObjectIdentifier{"SHA-256": oidSHA256, "SHA-384": {2, 16, 840, 1, 101, 3, 4, 2, 2}, "SHA-512": {2, 16, 840, 1, 101, 3, 4, 2, 3}}

// Config is what a client needs. Every field must be set.
type Config struct {
	URL     string
	Anchors []*certpath.Certificate // what the authority's certificate chains to
	HTTP    *http.Client
	Now     func() time.Time
	Rand    io.Reader
}

// Client asks one authority.
type Client struct{ Config }

// New refuses a configuration with a gap.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, errors.New("timestamp: the authority's address is not a web address")
	}
	if len(c.Anchors) == 0 || c.HTTP == nil || c.Now == nil || c.Rand == nil {
		return nil, errors.New("timestamp: a dependency is missing")
	}
	h := *c.HTTP
	h.Timeout = askTime
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = &h
	return &Client{c}, nil
}

const (
	askTime   = 10 * time.Second
	maxAnswer = 64 << 10        // bytes
	skew      = 5 * time.Minute // how far the authority's clock may be from ours
)

type algorithmID struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

type imprint struct {
	Algorithm algorithmID
	Digest    []byte
}

type request struct {
	Version int
	Imprint imprint
	Nonce   *big.Int
	CertReq bool
}

type response struct {
	Status struct {
		Status int
		Text   asn1.RawValue  `asn1:"optional,tag:16"`
		Fail   asn1.BitString `asn1:"optional"`
	}
	Token asn1.RawValue `asn1:"optional"`
}

type tstInfo struct {
	Version    int
	Policy     asn1.ObjectIdentifier
	Imprint    imprint
	Serial     *big.Int
	Time       time.Time     `asn1:"generalized"`
	Accuracy   asn1.RawValue `asn1:"optional,tag:16"`
	Ordering   bool          `asn1:"optional"`
	Nonce      *big.Int      `asn1:"optional"`
	TSA        asn1.RawValue `asn1:"optional,explicit,tag:0"`
	Extensions asn1.RawValue `asn1:"optional,tag:1"`
}

// Stamp fetches a token for a digest, and returns its DER. The nonce may be the asker's own, big-endian; where there is
// none one is chosen, so that no older answer is taken for this one.
func (c *Client) Stamp(ctx context.Context, algorithm string, digest, nonce []byte) ([]byte, error) {
	oid, known := digestOIDs[algorithm]
	if !known {
		return nil, ra.Errorf(ra.KindMalformed, "hash_algorithm", nil, "The hash is SHA-256, SHA-384 or SHA-512.")
	}
	if len(nonce) == 0 {
		nonce = make([]byte, 16)
		if _, err := io.ReadFull(c.Rand, nonce); err != nil {
			return nil, err
		}
	}
	want := request{Version: 1, Imprint: imprint{algorithmID{Algorithm: oid}, digest}, Nonce: new(big.Int).SetBytes(nonce), CertReq: true}
	der, err := asn1.Marshal(want)
	if err != nil {
		return nil, err
	}
	answer, err := c.post(ctx, der)
	if err == nil {
		answer, err = c.open(ctx, answer, want)
	}
	if err != nil {
		return nil, ra.Errorf(ra.KindUnavailable, "timestamp", err, "The time-stamping authority gave no time stamp that can be believed. Try again.")
	}
	return answer, nil
}

func (c *Client) post(ctx context.Context, der []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(der))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/timestamp-query")
	res, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/timestamp-reply":
		return nil, fmt.Errorf("timestamp: the authority answered %d", res.StatusCode)
	case len(body) > maxAnswer:
		return nil, errors.New("timestamp: the answer is too large")
	}
	return body, nil
}

// open takes the token out of an answer and judges it.
func (c *Client) open(ctx context.Context, answer []byte, want request) ([]byte, error) {
	if err := cms.Check(answer, maxAnswer); err != nil {
		return nil, err
	}
	var r response
	if rest, err := asn1.Unmarshal(answer, &r); err != nil || len(rest) > 0 {
		return nil, errors.Join(errors.New("timestamp: the answer cannot be read"), err)
	}
	if r.Status.Status > 1 || len(r.Token.FullBytes) == 0 { // granted, or with modifications
		return nil, fmt.Errorf("timestamp: the authority refused with status %d", r.Status.Status)
	}
	token := r.Token.FullBytes
	sd, err := cms.Open(token, cms.OpenOptions{Max: maxAnswer, ContentType: oidTSTInfo})
	if err != nil {
		return nil, err
	}
	var info tstInfo
	if rest, err := asn1.Unmarshal(sd.Content, &info); err != nil || len(rest) > 0 {
		return nil, errors.Join(errors.New("timestamp: the token's content cannot be read"), err)
	}
	now := c.Now()
	switch {
	case info.Version != 1 || !info.Imprint.Algorithm.Algorithm.Equal(want.Imprint.Algorithm.Algorithm) || !bytes.Equal(info.Imprint.Digest, want.Imprint.Digest):
		return nil, errors.New("timestamp: the token is of another digest")
	case info.Nonce == nil || info.Nonce.Cmp(want.Nonce) != 0:
		return nil, errors.New("timestamp: the token has another nonce")
	case info.Time.Before(now.Add(-skew)) || info.Time.After(now.Add(skew)):
		return nil, errors.New("timestamp: the authority's clock is not ours")
	}
	if err := bound(sd); err != nil {
		return nil, err
	}
	return token, c.trusted(ctx, sd, info.Time)
}

// trusted judges the signer's certificate: for time stamping and nothing else (RFC 3161 section 2.3), under the anchors.
func (c *Client) trusted(ctx context.Context, sd *cms.SignedData, at time.Time) error {
	var more []*certpath.Certificate
	for _, der := range sd.Certificates {
		x, err := certpath.ParseCertificate(der)
		if err != nil {
			return err
		}
		more = append(more, x)
	}
	if s := sd.SignerCertificate; !s.HasEKU || len(s.EKUs) != 1 {
		return errors.New("timestamp: the signer's certificate is not for time stamping alone")
	}
	_, err := certpath.Validate(ctx, sd.SignerCertificate, certpath.Options{Anchors: c.Anchors, Intermediates: more, At: at, EKU: oidTimeStamping})
	return err
}

// bound compares the certificate that the token names in what is signed with the one its signature verified under
// (RFC 5816 section 2.2.1).
func bound(sd *cms.SignedData) error {
	der, ok := sd.Attribute(oidSigningCertV2)
	if !ok {
		return errors.New("timestamp: the token does not name its certificate")
	}
	var v struct {
		Certs []struct {
			Hash   asn1.RawValue
			More   asn1.RawValue `asn1:"optional"`
			Serial asn1.RawValue `asn1:"optional"`
		}
		Policies asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 || len(v.Certs) == 0 {
		return errors.New("timestamp: the token's certificate name cannot be read")
	}
	first := v.Certs[0]
	sum := sha256.Sum256(sd.Signer)
	if first.Hash.Tag != asn1.TagOctetString { // the hash algorithm is named; SHA-256 is the default and needs no name
		var a algorithmID
		if _, err := asn1.Unmarshal(first.Hash.FullBytes, &a); err != nil || !a.Algorithm.Equal(oidSHA256) {
			return errors.New("timestamp: the token names its certificate by a hash that is not SHA-256")
		}
		first.Hash = first.More
	}
	if !bytes.Equal(first.Hash.Bytes, sum[:]) {
		return errors.New("timestamp: the token names another certificate")
	}
	return nil
}
