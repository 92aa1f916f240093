package api_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

// HCA-7.2: a statement verifies under a published key, and only a usable certificate has one.
func TestStatus(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	a := w.Apply(t, person, device, ra.KeyApp, "")
	p.post("/applications/"+string(a.ID)+"/request", p.submission(a), nonce())
	c := w.Issue(t, a.ID)
	path := "/certificates/" + string(c.ID) + "/status"

	got := p.get(path)
	if got.status != 200 || got.header.Get("Content-Type") != "application/jwt" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var keys jose.JSONWebKeySet
	p.do(p.request(http.MethodGet, "/keys", "")).into(t, &keys)
	jws, err := jose.ParseSignedCompact(string(got.body), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	found := keys.Key(jws.Signatures[0].Header.KeyID)
	if len(found) != 1 || !found[0].IsPublic() {
		t.Fatalf("keys: %+v", keys)
	}
	if k, ok := found[0].Key.(*ecdsa.PublicKey); !ok || !k.Equal(w.Config.StatusKey) {
		t.Error("another key is published than the one that signs")
	}
	payload, err := jws.Verify(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Sub, Status string }
	if err := json.Unmarshal(payload, &s); err != nil || s.Sub != string(c.ID) || s.Status != "good" {
		t.Errorf("%s", payload)
	}

	for state, code := range map[ra.CertificateState]string{ra.CertSuspended: "certificate-suspended", ra.CertRevoking: "certificate-revoked",
		ra.CertRevoked: "certificate-revoked", ra.CertExpired: "certificate-expired"} {
		w.SetState(t, c.ID, state)
		want(t, string(state), p.get(path), 422, code, "HCA-7.2")
		if got := p.get("/certificates"); !strings.Contains(string(got.body), `"state":"`+string(state)+`"`) {
			t.Errorf("listed as %s", got.body)
		}
	}
	w.SetState(t, c.ID, ra.CertLive)
	if err := w.Registry.RemoveUser(t.Context(), phonetest.Clerk, device, person); err != nil {
		t.Fatal(err)
	}
	want(t, "not a user of the device any more", p.get(path), 422, "not-a-device-user", "HCA-7.3")
}

// HCA-7.2: a statement that the app has is not made again while it says the same and half of its life is left, and its name
// is worth nothing once the certificate may not be used.
func TestStatusIsNamed(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	var ids []string
	for range 2 {
		a := w.Apply(t, person, device, ra.KeyApp, "")
		p.post("/applications/"+string(a.ID)+"/request", p.submission(a), nonce())
		ids = append(ids, string(w.Issue(t, a.ID).ID))
	}
	for _, path := range []string{"/certificates/" + ids[0] + "/status", "/statuses"} {
		first := p.get(path)
		tag := first.header.Get("ETag")
		if first.status != 200 || len(tag) < 10 {
			t.Fatalf("%s: %d %q %s", path, first.status, tag, first.body)
		}
		for _, id := range ids[:1+strings.Count(path, "statuses")] {
			if path == "/statuses" && !strings.Contains(string(first.body), `"certificate":"`+id+`","statement":"ey`) {
				t.Errorf("%s: nothing of %s: %s", path, id, first.body)
			}
		}
		again := func() answer {
			r := p.request(http.MethodGet, path, "")
			r.Header.Set("If-None-Match", tag)
			return p.do(p.sign(r, ""))
		}
		if got := again(); got.status != 304 || len(got.body) != 0 || got.header.Get("ETag") != tag {
			t.Errorf("%s, seen: %d %s", path, got.status, got.body)
		}
		w.Pass(5 * time.Minute)
		if got := again(); got.status != 200 || got.header.Get("ETag") == tag {
			t.Errorf("%s, half of the life later: %d", path, got.status)
		}
		tag = p.get(path).header.Get("ETag")
		w.SetState(t, ra.CertificateID(ids[0]), ra.CertSuspended)
		if path == "/statuses" {
			if got := again(); got.status != 200 || strings.Contains(string(got.body), ids[0]) || !strings.Contains(string(got.body), ids[1]) {
				t.Errorf("%s of a suspended one: %d %s", path, got.status, got.body)
			}
		} else {
			want(t, "seen, suspended since", again(), 422, "certificate-suspended", "HCA-7.2")
		}
		w.SetState(t, ra.CertificateID(ids[0]), ra.CertLive)
	}
}
