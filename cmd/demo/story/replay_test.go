package story

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/demo/stage"
)

// answer is what the API said.
type answer struct {
	status int
	body   []byte
	code   string // of a problem document
}

// deliver sends a request that was made for the window's address to base, over the phone's own connection, which is
// more than whoever caught it has.
func deliver(t *testing.T, p *phone, base string, req *http.Request) answer {
	t.Helper()
	client := p.Connection()
	host := req.URL.Host
	req.URL.Host, req.Host = strings.TrimPrefix(base, "https://"), host
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := answer{status: res.StatusCode, body: raw}
	var doc struct{ Code string }
	if res.StatusCode >= 400 && json.Unmarshal(raw, &doc) == nil {
		out.code = doc.Code
	}
	return out
}

// again makes a copy of a request that was caught.
func again(t *testing.T, st *stage.Stage, x stage.Exchange, body []byte) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), x.Request.Method, st.URL+x.Request.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = x.Request.Header.Clone()
	return req
}

// caught is the last request of a phone that the window took, by the end of its address.
func caught(t *testing.T, w *watcher, method, end string) stage.Exchange {
	t.Helper()
	all := w.all()
	for i := len(all) - 1; i >= 0; i-- {
		x := all[i]
		if x.Request.Method == method && x.Status < 300 && strings.HasPrefix(x.Request.URL.Path, "/api/") && strings.HasSuffix(x.Request.URL.Path, end) {
			return x
		}
	}
	t.Fatalf("no phone sent %s %s", method, end)
	return stage.Exchange{}
}

// HCA-8.1.4, HCA-8.1.3: a request that was caught on its way is of no use, sent once more, later, changed, or
// elsewhere.
func replayAtTransport(t *testing.T, st *stage.Stage, s *Story, w *watcher) {
	ctx := context.Background()
	phone := s.spare.phone
	fresh := func(method, where string, in any, at time.Time) *http.Request {
		req, err := phone.signed(ctx, method, where, in, rand.Text(), at)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	refused := func(what string, got answer, code string) {
		t.Helper()
		if got.status < 400 || got.status >= 500 || got.code != code {
			t.Errorf("%s: %d %s %s, want it refused as %s", what, got.status, got.code, got.body, code)
		}
	}
	if got := deliver(t, s.spare.phone, st.URL, fresh(http.MethodGet, "/device", nil, time.Now())); got.status != http.StatusOK {
		t.Fatalf("an honest request: %d %s", got.status, got.body)
	}
	x := caught(t, w, http.MethodGet, "/device")
	refused("the same request again", deliver(t, s.spare.phone, st.URL, again(t, st, x, x.Sent)), "nonce-used")
	for _, skew := range []time.Duration{-2 * time.Minute, 2 * time.Minute} {
		refused("a clock that is off by "+skew.String(), deliver(t, s.spare.phone, st.URL, fresh(http.MethodGet, "/device", nil, time.Now().Add(skew))), "clock")
	}
	body := map[string][]byte{"csr": []byte("a"), "signature": []byte("b")}
	where := "/applications/" + s.phoneCert.application + "/request"
	req := fresh(http.MethodPost, where, body, time.Now())
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(`{"csr":"Yw==","signature":"Yg=="}`)), 33
	refused("another body", deliver(t, s.spare.phone, st.URL, req), "signature")
	req = fresh(http.MethodGet, "/device", nil, time.Now())
	req.URL.Path = "/api/v1/applications/" + s.phoneCert.application
	refused("another path", deliver(t, s.spare.phone, st.URL, req), "signature")
}
