package api_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

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
	want(t, "not a user of the device any more", p.get(path), 422, "person-differs", "HCA-7.3")
}

// HCA-6.3.7: keys in the HSM are used from inside the institution's network only.
func TestClosedNetwork(t *testing.T) {
	for name, closed := range map[string][]netip.Prefix{"another network": {netip.MustParsePrefix("10.0.0.0/8")}, "no network": {}} {
		_, p, _, _ := bound(t, phonetest.Options{ClosedNetwork: closed})
		hash := `{"hash_algorithm":"SHA-256","hash":"` + strings.Repeat("A", 43) + `="}`
		want(t, name+", from 127.0.0.1", p.post("/certificates/"+anID+"/signatures", hash, nonce()), 422, "outside-network", "HCA-6.3.7")
	}
}

// HCA-6.3.5: a signature that was lost on its way is not made twice: the same key gives the same one.
func TestSignOnce(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{HSM: true})
	a := w.Apply(t, person, device, ra.KeyHSM, "P-256")
	c := w.Issue(t, a.ID)
	path, key := "/certificates/"+string(c.ID)+"/signatures", nonce()
	hash := `{"hash_algorithm":"SHA-256","hash":"` + strings.Repeat("A", 43) + `="}`
	first := p.post(path, hash, key)
	if first.status != 200 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if again := p.post(path, hash, key); string(again.body) != string(first.body) {
		t.Error("ECDSA signatures differ each time; this one was made anew")
	}
	if other := p.post(path, hash, nonce()); other.status != 200 || string(other.body) == string(first.body) {
		t.Errorf("another request got the kept answer: %d %s", other.status, other.body)
	}
}
