package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/trustlist"
)

func (p *phone) put(path, body string) answer {
	p.t.Helper()
	return p.do(p.sign(p.request(http.MethodPut, path, body), body))
}

// public asks without a signature.
func (p *phone) public(path string) answer {
	p.t.Helper()
	p.w.Pass(time.Minute) // past what is kept for all
	return p.do(p.request(http.MethodGet, path, ""))
}

const checkIn = `{"os_version":"16","app":{"id":"tw.example.app","version":"1.0.0"},"carrier_present":true,"integrity":{"rooted":false,"debugged":false,"emulated":false,"screen_lock":true}}`

// HCA-8.2.1, HCA-6.1, HCA-7.1: a check-in tells what the window makes of app, device and carrier, and each change is kept.
func TestCheckIn(t *testing.T) {
	w, p, _, device := bound(t, phonetest.Options{NoApp: true})
	type verdict struct {
		AppState string `json:"app_state"`
		Usable   bool
		Code     string
		Clause   string
	}
	says := func(body string) (v verdict) {
		t.Helper()
		got := p.put("/device/check-in", body)
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		got.into(t, &v)
		return v
	}
	if v := says(checkIn); v != (verdict{"unknown", false, "app-not-approved", "HCA-8.2.1"}) {
		t.Errorf("not on file: %+v", v)
	}
	id := w.Approve(t, devices.App{Platform: ra.PlatformAndroid, Package: "tw.example.app", Version: "1.0.0"})
	if v := says(checkIn); !v.Usable || v.AppState != "approved" {
		t.Errorf("approved: %+v", v)
	}
	if v := says(strings.Replace(checkIn, `"rooted":false`, `"rooted":true`, 1)); v.Usable || v.Clause != "HCA-6.1" {
		t.Errorf("rooted: %+v", v)
	}
	if v := says(strings.Replace(checkIn, `"carrier_present":true`, `"carrier_present":false`, 1)); v.Usable || v.Clause != "HCA-7.1" {
		t.Errorf("no carrier: %+v", v)
	}
	if err := w.Registry.WithdrawApp(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, id, "vulnerable"); err != nil {
		t.Fatal(err)
	}
	if v := says(checkIn); v.Usable || v.Code != "app-withdrawn" {
		t.Errorf("withdrawn: %+v", v)
	}
	changes, facts, err := w.Registry.CheckIns(t.Context(), phonetest.Clerk, device)
	if err != nil || len(changes) != 4 || facts.Rule.State != "withdrawn" {
		t.Errorf("%d changes, %+v, %v", len(changes), facts, err)
	}
	for name, body := range map[string]string{"silent about the carrier": strings.Replace(checkIn, `"carrier_present":true,`, "", 1),
		"a member more": strings.Replace(checkIn, `{"os`, `{"x":1,"os`, 1), "no app": strings.Replace(checkIn, "tw.example.app", "", 1),
		"control character": strings.Replace(checkIn, `"16"`, `"1\u0000"`, 1)} {
		if got := p.put("/device/check-in", body); got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	want(t, "unsigned", p.do(p.request(http.MethodPut, "/device/check-in", checkIn)), 401, "signature", "")
}

// HCA-8.2.2: everybody may read which apps are approved, from which version on, and what was withdrawn.
func TestCatalogue(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{NoApp: true})
	p := newPhone(t, w)
	var got struct {
		Apps, Withdrawn []struct{ Package, Version, Download string }
		Minimum         []struct{ Version string } `json:"minimum_versions"`
	}
	p.public("/apps").into(t, &got)
	if len(got.Apps) != 0 || len(got.Withdrawn) != 0 {
		t.Errorf("%+v", got)
	}
	var last string
	for _, v := range []string{"1.10.0", "1.9.0", "2.0.0"} {
		last = w.Approve(t, devices.App{Platform: ra.PlatformIOS, Package: "tw.example.app", Version: v})
	}
	if err := w.Registry.WithdrawApp(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, last, "vulnerable"); err != nil {
		t.Fatal(err)
	}
	p.public("/apps").into(t, &got)
	if len(got.Apps) != 2 || len(got.Minimum) != 1 || got.Minimum[0].Version != "1.9.0" || len(got.Withdrawn) != 1 || got.Withdrawn[0].Version != "2.0.0" ||
		got.Apps[0].Download != "https://apps.example.tw/tw.example.app" {
		t.Errorf("%+v", got)
	}
}

// HCA-8.2.3, HCA-8.2.4: the texts come in both languages with their version, and their acknowledgement is recorded at
// each start; a repeated request counts once.
func TestNotices(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	want(t, "before there are any", p.public("/notices"), 404, "no-notice", "")
	if _, err := w.Registry.WriteNotices(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, devices.SafetyNotice{RiskZH: "風險", RiskEN: "Risks",
		AntivirusZH: "防毒", AntivirusEN: "Antivirus"}, 0); err != nil {
		t.Fatal(err)
	}
	if got := p.public("/notices"); !strings.Contains(string(got.body), `"version":1`) || !strings.Contains(string(got.body), "風險") || !strings.Contains(string(got.body), "Antivirus") {
		t.Errorf("%s", got.body)
	}
	const body = `{"app_version":"1.0.0"}`
	key := nonce()
	first := p.post("/notices/1/acknowledgement", body, key)
	if again := p.post("/notices/1/acknowledgement", body, key); first.status != 200 || string(again.body) != string(first.body) {
		t.Errorf("%d %s, then %s", first.status, first.body, again.body)
	}
	if next := p.post("/notices/1/acknowledgement", body, nonce()); !strings.Contains(string(next.body), `"starts":2`) {
		t.Errorf("%s", next.body)
	}
	acks, err := w.Registry.Acknowledgements(t.Context(), phonetest.Clerk, device)
	if err != nil || len(acks) != 1 || acks[0].Person != person {
		t.Errorf("%+v, %v", acks, err)
	}
	want(t, "of a version to come", p.post("/notices/2/acknowledgement", body, nonce()), 409, "notice-replaced", "")
	want(t, "for somebody else", p.post("/notices/1/acknowledgement", `{"app_version":"1.0.0","person":"`+anID+`"}`, nonce()), 422, "not-a-user", "HCA-7.3")
	if got := p.post("/notices/zero/acknowledgement", body, nonce()); got.status != 404 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// HCA-8.2.5: the trust list verifies under a published key, names its authorities with their validity, and ends.
func TestTrustList(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	p := newPhone(t, w)
	got := p.public("/trust-list")
	jws, err := jose.ParseSignedCompact(string(got.body), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(w.Config.StatusKey)
	if err != nil || jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType] != trustlist.Type {
		t.Fatalf("%v, %v", jws.Signatures[0].Header, err)
	}
	var c trustlist.Claims
	if err := json.Unmarshal(payload, &c); err != nil || len(c.Certificates) != 1 || !c.Certificates[0].Anchor || c.Issuer != w.Server.URL ||
		c.Expires-c.IssuedAt != int64(trustlist.Life.Seconds()) {
		t.Errorf("%+v, %v", c, err)
	}
	if again := p.do(p.request(http.MethodGet, "/trust-list", "")); string(again.body) != string(got.body) {
		t.Error("signed anew for each who asks")
	}
	w.Pass(11 * 366 * 24 * time.Hour) // the root has expired
	if got := p.do(p.request(http.MethodGet, "/openapi.yaml", "")); got.status != 200 {
		t.Errorf("%d", got.status)
	}
}

// HCA-8.2.2: who asks the public addresses without end is told to wait.
func TestPublicAddressesAreLimited(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	p := newPhone(t, w)
	var last answer
	for range 310 {
		if last = p.do(p.request(http.MethodGet, "/apps", "")); last.status != 200 {
			break
		}
	}
	if last.status != 429 || last.header.Get("Retry-After") == "" {
		t.Errorf("%d", last.status)
	}
}
