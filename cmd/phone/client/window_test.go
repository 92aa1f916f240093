package client_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra/remotesign"
)

// between holds the server's own TLS key, and answers /keys as he likes.
type between struct {
	w    *phonetest.Window
	says atomic.Pointer[[]byte] // nil: what the window says
}

func stand(t *testing.T, w *phonetest.Window) *between {
	t.Helper()
	b := &between{w: w}
	window := w.Server.Config.Handler
	w.Server.Config.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if said := b.says.Load(); said != nil && r.URL.Path == "/api/v1/keys" {
			out.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = out.Write(*said)
			return
		}
		window.ServeHTTP(out, r)
	})
	return b
}

func newStatusKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// say has him answer with these keys, under the window's own kid, and these successions.
func (b *between) say(t *testing.T, successions []string, keys ...crypto.PublicKey) {
	t.Helper()
	res, err := b.w.Server.Client().Get(b.w.Server.URL + "/api/v1/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var doc map[string]any
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	set := []jose.JSONWebKey{}
	for _, k := range keys {
		set = append(set, jose.JSONWebKey{Key: k, KeyID: phonetest.StatusKeyID, Algorithm: "ES256", Use: "sig"})
	}
	doc["keys"], doc["successions"] = set, successions
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	b.says.Store(&raw)
}

// HCA-7.2, HCA-6.3.5: who comes between with the server's own TLS key and shows a status key of his own is noticed, from the first
// question on: the phone believes no statement, and sends no secret.
func TestSwappedStatusKeyIsNoticed(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	person := w.Person(t, 1)
	device := w.Device(t, "ER-01", person)
	b := stand(t, w)
	p, dir := bound(t, w, device)
	his := newStatusKey(t)
	forged, err := remotesign.Succeed(his, newStatusKey(t).Public(), w.Server.URL, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.say(t, nil, his.Public())
	if _, err := p.TrustList(t.Context()); err == nil || !strings.Contains(err.Error(), "another status key than the counter's QR named") {
		t.Errorf("a trust list under swapped keys: %v", err)
	}
	for name, successions := range map[string][]string{"his own succession": {forged}, "a succession that is none": {"x"}, "a longer one": {strings.Repeat("x", 1<<16)}} {
		b.say(t, successions, his.Public())
		if keys, err := p.WindowKeys(t.Context()); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
	b.say(t, nil, his.Public(), w.Config.StatusKey)
	if keys, err := p.WindowKeys(t.Context()); err != nil || len(keys) != 1 || !w.Config.StatusKey.(*ecdsa.PublicKey).Equal(keys[0].Key) {
		t.Errorf("both keys: %v %v, want the window's alone", keys, err)
	}
	b.say(t, nil, his.Public())
	if _, err := open(t, w, dir).WindowKeys(t.Context()); err == nil {
		t.Error("the phone forgot the key when it was started again")
	}
}

// HCA-8.1.3: a QR that names another status key makes the phone show other digits than the window's, so that nothing is bound.
func TestForgedStatusKeyInTheQR(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	qr, err := devices.ParseBindText(w.Offer(t, w.Device(t, "ER-01", w.Person(t, 1))))
	if err != nil {
		t.Fatal(err)
	}
	qr.Status = strings.Repeat("0", 64)
	if _, err := open(t, w, t.TempDir()).Bind(t.Context(), qr.String()); err == nil || !strings.Contains(err.Error(), "another short code") {
		t.Errorf("%v, want other digits", err)
	}
}

// A phone follows the window's status key to its successor by the old key's word, also from one that it missed, and never back.
func TestStatusKeySucceeds(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	b := stand(t, w)
	p, dir := bound(t, w, w.Device(t, "ER-01", w.Person(t, 1)))
	second, third := newStatusKey(t), newStatusKey(t)
	first, err := remotesign.Succeed(w.StatusSigner(), second.Public(), w.Server.URL, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	then, err := remotesign.Succeed(second, third.Public(), w.Server.URL, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	believes := func(what string, p *client.Phone, want crypto.PublicKey) {
		t.Helper()
		keys, err := p.WindowKeys(t.Context())
		if want == nil {
			if err == nil {
				t.Errorf("%s: %v", what, keys)
			}
			return
		}
		if err != nil || len(keys) != 1 || !want.(*ecdsa.PublicKey).Equal(keys[0].Key) {
			t.Errorf("%s: %v %v", what, keys, err)
		}
	}
	b.say(t, []string{first}, w.Config.StatusKey)
	believes("announced and not used yet", p, w.Config.StatusKey)
	b.say(t, []string{then}, third.Public())
	believes("a link is missing", p, nil)
	b.say(t, []string{first, then}, third.Public())
	believes("two rollovers at once", p, third.Public())
	b.say(t, nil, third.Public())
	believes("remembered", open(t, w, dir), third.Public())
	b.say(t, []string{first, then}, w.Config.StatusKey)
	believes("back to the first", p, nil)
	if elsewhere, err := remotesign.Succeed(third, second.Public(), "https://other.example", w.Now()); err != nil {
		t.Fatal(err)
	} else {
		b.say(t, []string{elsewhere}, second.Public())
		believes("another window's word", p, nil)
	}
}
