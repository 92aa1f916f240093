package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
	"certwindow/ra/csr"
	"certwindow/ra/store"
)

type taskDoc struct {
	Application, State, Challenge string
	ConsentSHA256                 string `json:"consent_sha256"`
	Subject                       struct {
		CommonName string `json:"common_name"`
	}
}

// submission is the body of POST …/request for a new key.
func (p *phone) submission(a ra.Application) string {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	der, err := csr.Make(key, pkix.Name{CommonName: "holder"}, a.Challenge)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.submit(der, p.countersign(a.Consent, der))
}

func (p *phone) submit(der, signature []byte) string {
	return text(p.t, map[string]string{"csr": base64.StdEncoding.EncodeToString(der), "signature": base64.StdEncoding.EncodeToString(signature)})
}

// HCA-6.0: the key is made for its application, and the same request never makes two.
func TestSubmitOnce(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	a := w.Apply(t, person, device, ra.KeyApp, "")
	var task taskDoc
	p.get("/applications/"+string(a.ID)).into(t, &task)
	if task.State != "awaiting-key" || task.Challenge != csr.Challenge(a.Challenge) || task.Subject.CommonName != "王小明1" {
		t.Errorf("%+v", task)
	}
	path, body, key := "/applications/"+string(a.ID)+"/request", p.submission(a), nonce()
	first := p.post(path, body, key)
	if first.status != http.StatusAccepted {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if again := p.post(path, body, key); again.status != first.status || string(again.body) != string(first.body) {
		t.Errorf("the same again: %d %s", again.status, again.body)
	}
	want(t, "another body under the key", p.post(path, p.submission(a), key), 409, "idempotency-key-reused", "")
	want(t, "another request under another key", p.post(path, p.submission(a), nonce()), 409, "state-conflict", "")
	if again := p.post(path, body, nonce()); again.status != http.StatusAccepted {
		t.Errorf("the same under another key, as after a crash: %d %s", again.status, again.body)
	}
	w.Pass(24*time.Hour + time.Second)
	if again := p.post(path, body, key); again.status != http.StatusAccepted {
		t.Errorf("a day later: %d %s", again.status, again.body)
	}
}

// HCA-6.0: consent, phone and key are one chain; a link that is missing is noticed.
func TestSubmitRefuses(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	a := w.Apply(t, person, device, ra.KeyApp, "")
	path := "/applications/" + string(a.ID) + "/request"
	holder, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := func(challenge []byte) []byte {
		der, err := csr.Make(holder, pkix.Name{CommonName: "holder"}, challenge)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	good := request(a.Challenge)
	other := request([]byte(strings.Repeat("x", 32)))
	own, err := csr.Make(p.key, pkix.Name{CommonName: "holder"}, a.Challenge)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "another challenge", p.post(path, p.submit(other, p.countersign(a.Consent, other)), nonce()), 422, "challenge-differs", "HCA-6.0")
	want(t, "another consent", p.post(path, p.submit(good, p.countersign([]byte("x"), good)), nonce()), 422, "countersignature", "HCA-6.0")
	want(t, "another phone's countersignature", p.post(path, p.submit(good, newPhone(t, w).countersign(a.Consent, good)), nonce()), 422, "countersignature", "HCA-6.0")
	want(t, "the device's own key", p.post(path, p.submit(own, p.countersign(a.Consent, own)), nonce()), 422, "device-key-reused", "HCA-6.0")
	want(t, "no request at all", p.post(path, p.submit([]byte("x"), []byte("x")), nonce()), 400, "csr", "")
	if a := p.post(path, p.submit(good, p.countersign(a.Consent, good)), nonce()); a.status != http.StatusAccepted {
		t.Errorf("a good one after them: %d %s", a.status, a.body)
	}
}

// What belongs to one phone is not there for another, and what was begun under an earlier binding is nobody's
// (HCA-6.0, HCA-7.3).
func TestOthersSeeNothing(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	other := newPhone(t, w)
	other.bind(w.Device(t, "ER-02", person))
	other.signIn("doctor")
	a := w.Apply(t, person, device, ra.KeyApp, "")
	if got := p.post("/applications/"+string(a.ID)+"/request", p.submission(a), nonce()); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	c := w.Issue(t, a.ID)
	ap, cert := "/applications/"+string(a.ID), "/certificates/"+string(c.ID)
	for _, path := range []string{ap, ap + "/certificate", cert + "/status"} {
		want(t, "another phone: "+path, other.get(path), 404, "not-found", "")
	}
	want(t, "another phone signs", other.post(cert+"/signatures", signatureBody, nonce()), 404, "not-found", "")
	want(t, "another phone gets a challenge", other.get(cert+"/challenge"), 404, "not-found", "")
	want(t, "another phone sees what waits", other.get(cert+"/authorisations"), 404, "not-found", "")
	want(t, "a key on the phone is not in the HSM", p.post(cert+"/signatures", p.signing(c.ID, 1), nonce()), 409, "key-not-in-hsm", "")
	want(t, "a secret for a key on the phone", p.post("/applications/"+string(a.ID)+"/activation-secret", p.secretFor(a), nonce()), 409, "key-not-in-hsm", "")
	for path, n := range map[string]string{"/certificates": `{"certificates":[]}`, "/applications": `{"applications":[]}`} {
		if got := other.get(path); string(got.body) != n {
			t.Errorf("another phone: %s: %s", path, got.body)
		}
	}

	w.Pass(time.Second) // of two bindings the later one counts
	again := newPhone(t, w)
	again.bind(device)
	again.signIn("doctor")
	want(t, "the old key", p.get("/device"), 401, "key-unknown", "")
	want(t, "an application of the old binding", again.get(ap), 404, "not-found", "")
	want(t, "its certificate", again.get(ap+"/certificate"), 422, "device-bound-again", "HCA-6.0")
	want(t, "its status", again.get(cert+"/status"), 422, "device-bound-again", "HCA-7.3")
	if got := again.get("/certificates"); string(got.body) != `{"certificates":[]}` {
		t.Errorf("certificates of the old binding: %s", got.body)
	}
}

// A certificate is delivered once it is there; the first time is written down.
func TestDelivery(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	a := w.Apply(t, person, device, ra.KeyApp, "")
	path := "/applications/" + string(a.ID)
	p.post(path+"/request", p.submission(a), nonce())
	if got := p.get(path + "/certificate"); got.status != http.StatusAccepted || got.header.Get("Retry-After") == "" {
		t.Errorf("not yet: %d %s", got.status, got.body)
	}
	c := w.Issue(t, a.ID)
	delivered := func() *time.Time {
		t.Helper()
		if got := p.get(path + "/certificate"); got.status != 200 || !strings.Contains(string(got.body), c.Serial) {
			t.Errorf("%d %s", got.status, got.body)
		}
		var at *time.Time
		if err := w.Store.View(t.Context(), func(tx *store.Tx) error {
			c, err := tx.Certificate("", c.ID)
			at = c.DeliveredAt
			return err
		}); err != nil || at == nil {
			t.Fatal(err, at)
		}
		return at
	}
	first := delivered()
	w.Pass(time.Minute)
	if again := delivered(); !again.Equal(*first) {
		t.Errorf("delivered at %v, then at %v", first, again)
	}

	if err := w.Registry.RemoveUser(t.Context(), phonetest.Clerk, device, person); err != nil {
		t.Fatal(err)
	}
	want(t, "HCA-7.3: not a user of the device any more", p.get(path+"/certificate"), 422, "not-a-device-user", "HCA-5.1.3")
}

// An application that came to nothing says so.
func TestDeliveryOfNothing(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	a := w.Apply(t, person, device, ra.KeyApp, "")
	if err := w.Enrol.Cancel(t.Context(), phonetest.Clerk, a.ID); err != nil {
		t.Fatal(err)
	}
	want(t, "withdrawn", p.get("/applications/"+string(a.ID)+"/certificate"), 409, "application-voided", "")
	want(t, "withdrawn", p.post("/applications/"+string(a.ID)+"/request", p.submission(a), nonce()), 409, "state-conflict", "")
}
