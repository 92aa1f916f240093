package client_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

// lossy carries requests out and loses the answers to the first ones at an address.
type lossy struct {
	http.RoundTripper
	end  string
	lose int
	keys []string // the idempotency keys that came
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, l.end) {
		return res, err
	}
	if l.keys = append(l.keys, r.Header.Get("Idempotency-Key")); l.lose == 0 {
		return res, nil
	}
	l.lose--
	res.Body.Close()
	return nil, errors.New("the connection broke")
}

// A request whose answer was lost is sent again under its key, and not without end; a login, which has none, is never
// sent twice by itself.
func TestLostAnswers(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	p, _ := bound(t, w, device)
	w.Account(t, person, "doctor")
	through := p.Connection().Transport
	over := func(end string, lose int) *lossy {
		l := &lossy{RoundTripper: through, end: end, lose: lose}
		p.Connection().Transport = l
		return l
	}
	a := w.Apply(t, person, device, ra.KeyApp, "")
	l := over("/request", 1)
	if err := p.Enrol(t.Context(), string(a.ID)); err != nil || len(l.keys) != 2 || l.keys[0] == "" || l.keys[0] != l.keys[1] {
		t.Errorf("after one lost answer: %v, keys %q", err, l.keys)
	}
	l = over("/request", 100)
	if err := p.Enrol(t.Context(), string(a.ID)); err == nil || len(l.keys) != 3 {
		t.Errorf("no answer comes at all: %v after %d requests", err, len(l.keys))
	}
	l = over("/login", 1)
	if _, err := p.Login(t.Context(), "doctor", phonetest.Password); err == nil || len(l.keys) != 1 {
		t.Errorf("a login was sent %d times: %v", len(l.keys), err)
	}
}
