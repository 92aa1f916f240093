package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

func password(s string) map[string]any { return map[string]any{"kind": "password", "value": s} }

// HCA-7.4, HCA-7.3: two holders on one tablet: a login picks exactly that holder's certificates, and nobody lists or
// uses another's.
func TestSharedTablet(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	chen, lin := w.Person(t, 1), w.Person(t, 2)
	device := w.Device(t, "ICU-01", chen, lin)
	p := newPhone(t, w)
	p.bind(device)
	w.Account(t, chen, "chen")
	w.Account(t, lin, "lin")
	certificates := map[string]string{}
	for name, person := range map[string]ra.PersonID{"chen": chen, "lin": lin} {
		a := w.Apply(t, person, device, ra.KeyApp, "")
		if got := p.post("/applications/"+string(a.ID)+"/request", p.submission(a), nonce()); got.status != http.StatusAccepted {
			t.Fatalf("%d %s", got.status, got.body)
		}
		certificates[name] = string(w.Issue(t, a.ID).ID)
	}
	want(t, "nobody is signed in", p.get("/certificates"), 401, "no-login", "")
	for me, other := range map[string]string{"chen": "lin", "lin": "chen"} {
		p.signIn(me)
		if got := string(p.get("/certificates").body); !strings.Contains(got, certificates[me]) || strings.Contains(got, certificates[other]) {
			t.Errorf("%s is shown %s", me, got)
		}
		if got := p.get("/certificates/" + certificates[me] + "/status"); got.status != 200 {
			t.Errorf("%s: %d %s", me, got.status, got.body)
		}
		want(t, me+" asks of the other's", p.get("/certificates/"+certificates[other]+"/status"), 404, "not-found", "")
		want(t, me+" signs with the other's", p.post("/certificates/"+certificates[other]+"/signatures", signatureBody, nonce()), 404, "not-found", "")
	}
	if got := p.post("/holder/logout", "{}", ""); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	want(t, "after logging out", p.get("/certificates"), 401, "no-login", "")
}

// HCA-6.3.6 and RFC 8705: a token is worth nothing on another device or under another certificate, and a request is
// worth nothing without the present binding's.
func TestTokenIsBoundToTheCertificate(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	other := newPhone(t, w)
	other.bind(w.Device(t, "ER-02", person))
	other.token = p.token
	want(t, "on another device", other.get("/holder"), 401, "no-login", "")
	old := p.cert
	w.Pass(time.Second)
	p.certify()
	want(t, "under a new certificate", p.get("/holder"), 401, "no-login", "")
	p.cert = old
	p.connect()
	if got := p.get("/holder"); got.status != 200 {
		t.Errorf("under its own: %d %s", got.status, got.body)
	}
	p.cert = other.cert
	p.connect()
	if r, err := p.http.Do(p.sign(p.request(http.MethodGet, "/device", ""), "")); err == nil && r.StatusCode != 401 {
		t.Errorf("under another device's certificate: %d", r.StatusCode)
	}
	p.cert = old
	p.connect()
	p.bind(device) // the same phone and key, bound anew
	p.cert = old
	p.connect()
	want(t, "under the certificate of an earlier binding", p.get("/device"), 401, "certificate-wrong", "HCA-6.3.6")
	w.Pass(366 * 24 * time.Hour)
	p.certify()
	if got := p.get("/device"); got.status != 200 {
		t.Errorf("an expired one was not renewed: %d %s", got.status, got.body)
	}
}

// HCA-8.2.6(4), (5): an initial password opens nothing but its own change; five failures lock, and the answers are alike.
func TestLogin(t *testing.T) {
	w, p, person, _ := bound(t, phonetest.Options{})
	c, err := w.Holders.Open(t.Context(), phonetest.Clerk, person, "")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the login before the reset", p.get("/holder"), 401, "no-login", "")
	var got struct {
		Token      string
		MustChange bool `json:"must_change"`
	}
	p.tryLogin("doctor", password(c.Password.Reveal())).into(t, &got)
	if p.token = got.Token; !got.MustChange {
		t.Errorf("%+v", got)
	}
	want(t, "under the initial password", p.get("/certificates"), 422, "password-must-change", "HCA-8.2.6")
	change := func(next string) answer {
		return p.post("/holder/password", text(t, map[string]string{"current": c.Password.Reveal(), "next": next}), "")
	}
	want(t, "too short", change("short"), 422, "password-too-short", "HCA-8.2.6")
	if a := change("a new password"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := p.get("/certificates"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.Pass(time.Minute)
	for range 5 {
		want(t, "wrong", p.tryLogin("doctor", password("wrong password")), 401, "login-refused", "")
	}
	want(t, "locked", p.tryLogin("doctor", password("a new password")), 401, "login-refused", "")
	want(t, "nobody's", p.tryLogin("nobody", password("a new password")), 401, "login-refused", "")
	w.Pass(time.Minute)
	for name, proofs := range map[string][]map[string]any{"none": {}, "four": {password("x"), password("x"), password("x"), password("x")},
		"no value": {{"kind": "password"}}, "no signature": {{"kind": "biometric", "challenge": "x"}}} {
		if a := p.tryLogin("doctor", proofs...); a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for range 40 {
		if a := p.tryLogin("nobody", password("x")); a.status == 429 {
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
	}
	t.Error("one device may guess without end")
}

// HCA-8.2.7: a code that was sent signs in, once, and an authenticator app does.
func TestCodes(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{})
	send := func(account string) {
		t.Helper()
		if a := p.post("/holder/codes", text(t, map[string]string{"account": account, "channel": "sms", "purpose": "login"}), ""); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	send("doctor")
	send("nobody")
	proof := map[string]any{"kind": "code", "value": w.LastCode(t).Reveal()}
	if a := p.tryLogin("doctor", proof); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	want(t, "twice", p.tryLogin("doctor", proof), 401, "login-refused", "")
	if a := p.post("/holder/totp", "{}", ""); a.status != 201 || !strings.Contains(string(a.body), "otpauth://totp/") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
