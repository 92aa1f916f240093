package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"certwindow/web/api/httpsig"
)

const (
	apiPrefix = "/api/v1"
	maxAnswer = 4 << 20 // bytes: twenty batches of 500 hashes with their labels
	patience  = 30 * time.Second
)

// Refusal is the window's no: an RFC 9457 problem document.
type Refusal struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Clause    string `json:"clause"` // the rule of the HCA that refused
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
}

func (r *Refusal) Error() string {
	s := fmt.Sprintf("%s (%s, request %s)", r.Detail, r.Code, r.RequestID)
	if r.Clause != "" {
		s = r.Clause + ": " + s
	}
	return s
}

// pinnedClient talks to the holder of the pinned key and to nobody else. The pin came with the QR, straight from
// the counter's screen, so no certification authority and no name service has a say: the server must show a
// certificate with that key, or one that chains to a certificate with it, for its own name and within its time.
//
// certificate is the phone's own for mutual TLS, asked for at each connection; none is shown before there is one.
func pinnedClient(server, pin string, now func() time.Time, certificate func() *tls.Certificate) (*http.Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" {
		return nil, errors.New("the window's address is not https")
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c := certificate(); c != nil {
				return c, nil
			}
			return &tls.Certificate{}, nil
		},
		InsecureSkipVerify: true, // the usual roots are not asked; VerifyConnection asks for the pin instead
		VerifyConnection: func(c tls.ConnectionState) error {
			return verifyPin(c.PeerCertificates, pin, u.Hostname(), now())
		},
	}
	return &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute},
		// A redirect would lead a signed request to an address that its signature does not cover.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func verifyPin(shown []*x509.Certificate, pin, host string, at time.Time) error {
	others := x509.NewCertPool()
	for _, c := range shown {
		others.AddCert(c)
	}
	for _, c := range shown {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		if hex.EncodeToString(sum[:]) != pin {
			continue
		}
		root := x509.NewCertPool()
		root.AddCert(c)
		_, err := shown[0].Verify(x509.VerifyOptions{Roots: root, Intermediates: others, DNSName: host, CurrentTime: at})
		return err
	}
	return errors.New("the server does not hold the key that the QR named: this is not the window")
}

// forHolders are the addresses that want the token of a holder's login.
var forHolders = regexp.MustCompile(`^/(certificates|authorisations|access-requests|events$|statuses$|holder$|holder/(logout|password|totp|biometrics)$)`)

// call sends one signed request and reads its answer into out.
func (p *Phone) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	answer, _, err := p.send(ctx, method, path, body, "")
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// tries is how often a request is sent whose answer is lost on the way.
const tries = 3

// send sends one signed request. A status of 400 and above is a Refusal. Where the answer is lost, what changes nothing
// and what is carried out once under its idempotency key is sent again, the very same but for its signature, and gets the
// answer that was lost; so does what another sending of it is just being carried out.
func (p *Phone) send(ctx context.Context, method, path string, body []byte, idempotencyKey string) ([]byte, int, error) {
	for n := 1; ; n++ {
		answer, status, err := p.sendOnce(ctx, method, path, body, idempotencyKey)
		var no *Refusal
		lost := err != nil && !errors.As(err, &no) && p.http != nil
		underWay := errors.As(err, &no) && no.Code == "under-way"
		if n == tries || !lost && !underWay || method != http.MethodGet && idempotencyKey == "" {
			return answer, status, err
		}
		if perr := pause(ctx, time.Second); perr != nil {
			return answer, status, err
		}
	}
}

// sendOnce sends it one time.
func (p *Phone) sendOnce(ctx context.Context, method, path string, body []byte, idempotencyKey string) ([]byte, int, error) {
	r, err := p.newRequest(ctx, method, path, body)
	if err != nil {
		return nil, 0, err
	}
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	answer, res, err := p.exchange(r, body)
	if res == nil {
		return nil, 0, err
	}
	return answer, res.StatusCode, err
}

// newRequest prepares one request, under the holder's login where its address wants that.
func (p *Phone) newRequest(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	if p.http == nil {
		return nil, errors.New("this phone is not bound: scan the counter's QR first")
	}
	r, err := http.NewRequestWithContext(ctx, method, p.state.Server+apiPrefix+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" && forHolders.MatchString(path) {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	return r, nil
}

// exchange signs a request, sends it and reads the whole answer. The answer to a conditional request may be that nothing
// has changed.
func (p *Phone) exchange(r *http.Request, body []byte) ([]byte, *http.Response, error) {
	if err := p.sign(r, body); err != nil {
		return nil, nil, err
	}
	res, err := p.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusNotModified && r.Header.Get("If-None-Match") != "" {
		return answer, res, nil
	}
	refusal := &Refusal{Status: res.StatusCode, Detail: "The window answered with " + res.Status + "."}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(answer, refusal); err != nil {
			return nil, nil, err
		}
	}
	return nil, res, refusal
}

// sign signs a request with the device key (RFC 9421): what is asked, of which address, with which body, now, once.
func (p *Phone) sign(r *http.Request, body []byte) error {
	key, err := p.deviceKey()
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return httpsig.Sign(r, body, key, httpsig.Params{Created: p.now(), Nonce: unique(), KeyID: keyID(spki)})
}

// unique is 128 random bits in base64url.
func unique() string {
	raw := make([]byte, 16)
	rand.Read(raw) // never fails; the program would have ended
	return base64.RawURLEncoding.EncodeToString(raw)
}
