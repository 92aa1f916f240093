package cmc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"certwindow/ra/hca"
)

// maxRetryAfter bounds how long the HCA can ask us to wait.
const maxRetryAfter = 24 * time.Hour

// newClient makes a client that trusts the pinned roots alone, follows no redirect and takes no compressed bodies.
func newClient(cfg *Config) *http.Client {
	t := &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: cfg.TLSRoots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	if cfg.Proxy != nil {
		t.Proxy = http.ProxyURL(cfg.Proxy)
	}
	return &http.Client{
		Transport:     t,
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a request once (RFC 5273 section 4) and returns the body of the answer. net/http repeats a POST by itself
// only when it has not written a byte of it.
func (a *Adapter) post(ctx context.Context, body []byte) (answer []byte, retry time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, 0, hca.Errorf(hca.BadRequest, "%w", err)
	}
	req.Header.Set("Content-Type", RequestType)
	req.Header.Set("Accept", mediaType)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, 0, hca.Errorf(hca.Network, "the HCA did not answer: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	retry = a.retryAfter(resp.Header.Get("Retry-After"))
	answer, err = io.ReadAll(io.LimitReader(resp.Body, MaxResponse+1))
	switch {
	case err != nil:
		return answer, retry, hca.Errorf(hca.Network, "the HCA's answer broke off after %d bytes: %w", len(answer), err)
	case resp.StatusCode != http.StatusOK:
		return answer, retry, hca.Errorf(hca.Unavailable, "the HCA answered with HTTP status %d", resp.StatusCode)
	case len(answer) > MaxResponse:
		return answer, retry, hca.Errorf(hca.Undecodable, "the answer is larger than %d bytes", MaxResponse)
	}
	if mt, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || mt != mediaType {
		return answer, retry, hca.Errorf(hca.Undecodable, "the answer is not %s", mediaType)
	}
	return answer, retry, nil
}

// withoutURL strips the address that net/http puts before each error: the operator configured it and knows it.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// retryAfter reads a Retry-After header (RFC 9110 section 10.2.3) within bounds.
func (a *Adapter) retryAfter(v string) time.Duration {
	if v == "" {
		return 0
	}
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n <= int(maxRetryAfter/time.Second) {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return clamp(t.Sub(a.cfg.Now()))
	}
	return 0
}

func clamp(d time.Duration) time.Duration { return min(max(d, 0), maxRetryAfter) }

// reach makes a connection and asks for the headers of the service's address. Any HTTP answer will do: a CMC service
// need not know HEAD.
func (a *Adapter) reach(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, a.cfg.URL, nil)
	if err != nil {
		return hca.Errorf(hca.BadRequest, "%w", err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return hca.Errorf(hca.Network, "the HCA cannot be reached: %w", withoutURL(err))
	}
	resp.Body.Close()
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
		return hca.Errorf(hca.Unavailable, "the HCA answered with HTTP status %d", resp.StatusCode)
	}
	return nil
}
