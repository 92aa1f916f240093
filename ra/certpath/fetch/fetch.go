// Package fetch gets OCSP responses and CRLs over HTTP for certpath. Addresses come out of certificates, so
// they are a stranger's wish: sizes, times, schemes, redirects and, where asked for, hosts are bounded.
package fetch

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"certwindow/ra/certpath"
)

// Client fetches. Make it with New; it is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu       sync.Mutex
	crls     map[string]cachedCRL
	inFlight map[string]*flight
}

// Config is how a Client behaves. Now is required.
type Config struct {
	Now       func() time.Time
	Transport http.RoundTripper      // nil is http.DefaultTransport
	Timeout   time.Duration          // of one request with its body; 0 is ten seconds
	AllowHost func(host string) bool // nil allows every host
	MaxCached int                    // addresses whose CRL is remembered; 0 is 64
}

type cachedCRL struct {
	raw   []byte
	until time.Time
}

// flight is a download that several callers wait for.
type flight struct {
	done chan struct{}
	raw  []byte
	err  error
}

const (
	maxRedirects  = 3
	maxGetRequest = 255 // RFC 5019 section 5: longer requests are sent with POST
)

// New makes a Client.
func New(cfg Config) (*Client, error) {
	if cfg.Now == nil {
		return nil, errors.New("fetch: no clock")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.MaxCached == 0 {
		cfg.MaxCached = 64
	}
	c := &Client{cfg: cfg, crls: map[string]cachedCRL{}, inFlight: map[string]*flight{}}
	c.http = &http.Client{Transport: cfg.Transport, Timeout: cfg.Timeout, CheckRedirect: c.checkRedirect}
	return c, nil
}

// checkRedirect lets a few redirects pass that keep the scheme, or go from http to https.
func (c *Client) checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if from := via[len(via)-1].URL.Scheme; next.URL.Scheme != from && next.URL.Scheme != "https" {
		return fmt.Errorf("redirect from %s to %s", from, next.URL.Scheme)
	}
	return c.allowed(next.URL)
}

func (c *Client) allowed(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("scheme %q", u.Scheme)
	}
	if u.Hostname() == "" || u.User != nil {
		return errors.New("address without a host, or with credentials")
	}
	if c.cfg.AllowHost != nil && !c.cfg.AllowHost(u.Hostname()) {
		return fmt.Errorf("host %q is not allowed", u.Hostname())
	}
	return nil
}

// OCSP implements certpath.Fetcher. Short requests go with GET, which caches answer, and are sent again with
// POST where GET is refused; others, among them all with a nonce of useful length, go with POST.
func (c *Client) OCSP(ctx context.Context, address string, request []byte) ([]byte, error) {
	encoded := url.PathEscape(base64.StdEncoding.EncodeToString(request))
	get := strings.TrimSuffix(address, "/") + "/" + encoded
	if len(get) <= maxGetRequest {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, get, nil)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		if raw, err := c.do(req, certpath.MaxOCSP); err == nil || ctx.Err() != nil {
			return raw, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(request))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	return c.do(req, certpath.MaxOCSP)
}

// CRL implements certpath.Fetcher. A CRL is remembered until its nextUpdate, but an hour at most; callers that ask for the same
// address at the same time share one download.
func (c *Client) CRL(ctx context.Context, address string) ([]byte, error) {
	c.mu.Lock()
	if have, ok := c.crls[address]; ok {
		if c.cfg.Now().Before(have.until) {
			c.mu.Unlock()
			return have.raw, nil
		}
		delete(c.crls, address)
	}
	f, running := c.inFlight[address]
	if !running {
		f = &flight{done: make(chan struct{})}
		c.inFlight[address] = f
		// The download outlives a caller that gives up: others may wait for it, and the client's timeout ends it.
		go c.download(context.WithoutCancel(ctx), address, f)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.raw, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("fetch: %w", ctx.Err())
	}
}

func (c *Client) download(ctx context.Context, address string, f *flight) {
	var until time.Time
	f.raw, until, f.err = c.getCRL(ctx, address)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inFlight, address)
	if f.err == nil && c.cfg.Now().Before(until) {
		if len(c.crls) >= c.cfg.MaxCached {
			for old := range c.crls { // any: an evicted CRL costs one download
				delete(c.crls, old)
				break
			}
		}
		c.crls[address] = cachedCRL{f.raw, until}
	}
	close(f.done)
}

// getCRL downloads and parses, so that an error page is not remembered as a CRL. The signature is certpath's
// business: a forged CRL is refused there, so it must not be remembered for long either.
func (c *Client) getCRL(ctx context.Context, address string) ([]byte, time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("fetch: %w", err)
	}
	raw, err := c.do(req, certpath.MaxCRL)
	if err != nil {
		return nil, time.Time{}, err
	}
	crl, err := certpath.ParseCRL(raw)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("fetch: %w", err)
	}
	until := crl.NextUpdate
	if longest := c.cfg.Now().Add(maxRemembered); until.After(longest) {
		until = longest
	}
	return crl.Raw, until, nil
}

// maxRemembered bounds how long a CRL is remembered, whatever its nextUpdate says.
const maxRemembered = time.Hour

// do sends a request and reads at most limit bytes.
func (c *Client) do(req *http.Request, limit int64) ([]byte, error) {
	if err := c.allowed(req.URL); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch: %s answered %d", req.URL.Host, resp.StatusCode)
	}
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("fetch: %s answered with %d bytes, more than %d", req.URL.Host, resp.ContentLength, limit)
	}
	var body bytes.Buffer
	if resp.ContentLength > 0 {
		body.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := body.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("fetch: reading from %s: %w", req.URL.Host, err)
	}
	if n > limit {
		return nil, fmt.Errorf("fetch: %s answered with more than %d bytes", req.URL.Host, limit)
	}
	return body.Bytes(), nil
}
