package story

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
	"certwindow/ra"
	"certwindow/web/api/httpsig"
)

// answersLost is the scene of answers that do not reach the phone: it asks again and gets the very same, and everything
// happened once.
func (s *Story) answersLost(t *testing.T, d *doctor, w *watcher, address string) scene {
	var application, cert string
	var consent []byte
	path := func(end string) string { return "/api/v1/applications/" + application + end }
	return scene{"Answers lost on their way to the phone", []act{
		{"the answer to the request for a certificate is lost; the phone sends it again", func(ctx context.Context) (_ string, err error) {
			if application, consent, err = s.consent(ctx, wish{d.person, d.phone, []string{"EMR-SIGN"}, "app"}); err != nil {
				return "", err
			}
			s.st.LoseAnswers(first(http.MethodPost, path("/request")))
			if err := d.phone.phone.enrol(ctx, application); err != nil {
				return "", err
			}
			return sameTwice(t, w, http.MethodPost, path("/request"), 2)
		}},
		{"the app is ended, begins anew, does not know that it had handed the request in, and sends it once more", func(ctx context.Context) (string, error) {
			p, err := d.phone.phone.reopened(appPackage)
			if err != nil {
				return "", err
			}
			if err := p.enrol(ctx, application); err != nil {
				return "", err
			}
			return sameTwice(t, w, http.MethodPost, path("/request"), 3)
		}},
		{"another request under the same idempotency key is refused", func(ctx context.Context) (string, error) {
			challenge, err := d.phone.phone.challenge(ctx, application)
			if err != nil {
				return "", err
			}
			other, err := keyRequest(challenge, consent, d.phone.phone)
			if err != nil {
				return "", err
			}
			return d.phone.phone.otherwise(ctx, w, path("/request"), other)
		}},
		{"the answer with the certificate is lost; the phone fetches it again, and the HCA issued one", func(ctx context.Context) (_ string, err error) {
			if cert, err = s.completed(ctx, application); err != nil {
				return "", err
			}
			s.st.LoseAnswers(first(http.MethodGet, path("/certificate")))
			if err := d.phone.phone.fetch(ctx, application); err != nil {
				return "", err
			}
			if n := readJournal(t, s.st).issued[application]; n != 1 {
				return "", fmt.Errorf("the HCA issued %d certificates for one application", n)
			}
			if n := len(ask(t, address, `SELECT id FROM certificates WHERE application_id = '`+application+`'`)); n != 1 {
				return "", fmt.Errorf("the window holds %d certificates of one application", n)
			}
			if _, err := sameTwice(t, w, http.MethodGet, path("/certificate"), 2); err != nil {
				return "", err
			}
			_, err = d.phone.phone.signDocument(ctx, cert, []byte(document))
			return "the phone signs with it", err
		}},
		{"the answer with a signature of the HSM's is lost; the phone asks again, and there is one signature", func(ctx context.Context) (string, error) {
			return s.signatureLost(ctx, t, d, w, address)
		}},
	}}
}

func (s *Story) signatureLost(ctx context.Context, t *testing.T, d *doctor, w *watcher, address string) (string, error) {
	phone, list := d.phone.phone, ""
	certificates, err := phone.Certificates(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range certificates {
		if c.KeyDesign == "hsm" {
			list = c.Certificate
		}
	}
	path := "/api/v1/certificates/" + list + "/signatures"
	signed := `SELECT seq FROM audit_events WHERE act = 'sign.hash' AND outcome = 'done' AND object = 'certificate/` + list + `'`
	rows, sent := len(ask(t, address, signed)), len(sentTo(w, http.MethodPost, path))
	s.st.LoseAnswers(first(http.MethodPost, path))
	if _, err := phone.signWithHSM(ctx, list, []byte(document+"lost")); err != nil {
		return "", err
	}
	if n := len(ask(t, address, signed)) - rows; n != 1 {
		return "", fmt.Errorf("%d signatures were made for one request", n)
	}
	until(t, 10*time.Second, "the second answer", func() (bool, string) {
		n := len(sentTo(w, http.MethodPost, path)) - sent
		return n == 2, fmt.Sprint(n)
	})
	if err := alike(sentTo(w, http.MethodPost, path)[sent:]); err != nil {
		return "", err
	}
	last := sentTo(w, http.MethodPost, path)[sent]
	var body map[string]any
	if err := json.Unmarshal(last.Sent, &body); err != nil {
		return "", err
	}
	body["scope"] = "E-PRESCRIPTION"
	return phone.otherwise(ctx, w, path, body)
}

// first picks one request, the first one of its kind.
func first(method, path string) func(*http.Request) bool {
	done := false
	return func(r *http.Request) bool {
		picked := !done && r.Method == method && r.URL.Path == path
		done = done || picked
		return picked
	}
}

// sentTo are the exchanges at an address, in order.
func sentTo(w *watcher, method, path string) (out []stage.Exchange) {
	for _, x := range w.all() {
		if x.Request.Method == method && x.Request.URL.Path == path {
			out = append(out, x)
		}
	}
	return out
}

// sameTwice waits until so many requests were answered at an address, and tells whether they are alike.
func sameTwice(t *testing.T, w *watcher, method, path string, n int) (string, error) {
	var all []stage.Exchange
	until(t, 10*time.Second, "the last answer", func() (bool, string) {
		all = sentTo(w, method, path)
		if method == http.MethodGet { // it may have asked before there was anything
			all = have(all)
		}
		return len(all) >= n, fmt.Sprint(len(all))
	})
	return fmt.Sprintf("%d bytes, %d times", len(all[0].Body), len(all)), alike(all)
}

func have(all []stage.Exchange) (out []stage.Exchange) {
	for _, x := range all {
		if x.Status == http.StatusOK {
			out = append(out, x)
		}
	}
	return out
}

// alike holds repetitions against the first request, whose answer was lost: the same key and body, signed anew, and the
// same answer to the byte.
func alike(all []stage.Exchange) error {
	one := all[0]
	if !one.Lost || one.Status >= http.StatusBadRequest || len(one.Body) == 0 {
		return fmt.Errorf("the first answer was not lost, or is none: %d %s", one.Status, one.Body)
	}
	for _, x := range all[1:] {
		key := x.Request.Header.Get("Idempotency-Key")
		switch {
		case x.Lost || key != one.Request.Header.Get("Idempotency-Key") || !bytes.Equal(x.Sent, one.Sent):
			return errors.New("it is not the same request that is sent again")
		case x.Request.Header.Get("Signature-Input") == one.Request.Header.Get("Signature-Input"):
			return errors.New("the same signed request is sent again, which anybody could do who caught it")
		case x.Status != one.Status || !bytes.Equal(x.Body, one.Body):
			return fmt.Errorf("two answers to one request: %d %s and %d %s", one.Status, one.Body, x.Status, x.Body)
		}
	}
	return nil
}

// otherwise sends another body under the idempotency key that was last used at an address, which must be refused as a
// conflict.
func (p *phone) otherwise(ctx context.Context, w *watcher, path string, body any) (string, error) {
	all := sentTo(w, http.MethodPost, path)
	if len(all) == 0 {
		return "", errors.New("nothing was sent to " + path)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.st.URL+path, bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	for _, name := range []string{"Content-Type", "Idempotency-Key", "Authorization"} {
		if v := all[len(all)-1].Request.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	key, err := p.key("device")
	if err != nil {
		return "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	if err := httpsig.Sign(req, raw, key, httpsig.Params{Created: time.Now(), Nonce: rand.Text(), KeyID: ra.KeyHash(spki)}); err != nil {
		return "", err
	}
	res, err := p.Connection().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusConflict || !strings.Contains(string(said), "idempotency-key-reused") {
		return "", fmt.Errorf("another body under the same key: %d %s", res.StatusCode, said)
	}
	return "409", nil
}
