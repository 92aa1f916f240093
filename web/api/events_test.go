package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
)

// events asks what there is, beside what was seen.
func (p *phone) events(seen string) answer {
	r := p.sign(p.request(http.MethodGet, "/events", ""), "")
	if seen != "" {
		r.Header.Set("If-None-Match", seen)
	}
	return p.do(r)
}

// A phone learns at once, and without any vendor's service, that its holder is asked: a question stands until then. A
// second question of the same device ends the first.
func TestEvents(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{HSM: true})
	c := inHSM(t, w, p, person, device)
	first := p.events("")
	tag := first.header.Get("ETag")
	if first.status != http.StatusOK || tag == "" || !strings.Contains(string(first.body), `"`+string(c.ID)+`":"live"`) {
		t.Fatalf("%d %s", first.status, first.body)
	}
	standing := make(chan answer, 1)
	go func() { standing <- p.events(tag) }()
	w.Clients["his"] = remotesign.Client{ID: "his", Institution: phonetest.Code, Scopes: []string{"EMR-SIGN"}}
	a, _, err := w.Sign.Request(t.Context(), ra.Actor{Kind: ra.ActorClient, ID: "his", Address: "127.0.0.1"}, remotesign.Ask{Client: "his", Certificate: c.ID, Scope: "EMR-SIGN",
		HashAlgorithm: "SHA-256", Items: records(1)})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-standing:
		if got.status != http.StatusOK || !strings.Contains(string(got.body), string(a.ID)) {
			t.Fatalf("%d %s", got.status, got.body)
		}
		tag = got.header.Get("ETag")
	case <-time.After(10 * time.Second):
		t.Fatal("the phone was not told")
	}
	var list struct {
		Authorisations []struct {
			Authorisation string
			ShortCode     string `json:"short_code"`
		}
	}
	p.get("/authorisations").into(t, &list)
	if len(list.Authorisations) != 1 || list.Authorisations[0].ShortCode != a.ShortCode() {
		t.Errorf("%+v", list)
	}
	// Of two questions of one device the later one stands, and the other ends with nothing new.
	ended := make(chan int, 2)
	for range 2 {
		r := p.sign(p.request(http.MethodGet, "/events", ""), "")
		r.Header.Set("If-None-Match", tag)
		go func() {
			res, err := p.http.Do(r)
			if err != nil {
				ended <- 0
				return
			}
			res.Body.Close()
			ended <- res.StatusCode
		}()
	}
	select {
	case status := <-ended:
		if status != http.StatusNotModified {
			t.Errorf("the one that ended: %d", status)
		}
	case <-time.After(20 * time.Second):
		t.Error("both questions stand")
	}
	w.SetState(t, c.ID, ra.CertSuspended) // which the other is told
	select {
	case status := <-ended:
		if status != http.StatusOK {
			t.Errorf("the one that stood: %d", status)
		}
	case <-time.After(20 * time.Second):
		t.Error("a change was not told")
	}
}

// HCA-7.4: a holder answers for access in his own name, on the phone, once; nobody else does.
func TestAnswerAccess(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{})
	w.RegisterSystem(t, "his", w.NewSystem(t), "https://his.example/back")
	ask := func(account string) string {
		t.Helper()
		r, _, err := w.Grants.Begin(t.Context(), ra.Actor{Kind: ra.ActorClient}, oauth.Asked{Client: "his", Redirect: "https://his.example/back", Scope: oauth.Service,
			Challenge: strings.Repeat("a", 43), Account: account})
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	id := ask("doctor")
	var list struct {
		Requests []struct{ Request, Client string } `json:"access_requests"`
	}
	p.get("/access-requests").into(t, &list)
	if len(list.Requests) != 1 || list.Requests[0].Request != id || list.Requests[0].Client != "his" {
		t.Fatalf("%+v", list)
	}
	if got := p.post("/access-requests/"+id+"/approval", "{}", nonce()); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	want(t, "denied after it was approved", p.post("/access-requests/"+id+"/denial", "{}", nonce()), 409, "moved-on", "")
	want(t, "another's", p.post("/access-requests/"+ask("nobody")+"/approval", "{}", nonce()), 404, "not-found", "")
	late := ask("doctor")
	w.Pass(6 * time.Minute)
	want(t, "too late", p.post("/access-requests/"+late+"/approval", "{}", nonce()), 422, "access-over", "HCA-7.4")
}

// HCA-8.1.1, HCA-7.4: an app that asks by itself keeps nobody signed in, and a question that stands when the holder signs
// out is not answered to whoever holds the device next.
func TestEventsKeepNobodySignedIn(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	tag := p.events("").header.Get("ETag")
	standing := make(chan answer, 1)
	go func() { standing <- p.events(tag) }()
	token := p.token
	if got := p.post("/holder/logout", "{}", ""); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	w.Apply(t, person, device, ra.KeyApp, "")
	if got := <-standing; got.status == http.StatusOK {
		t.Errorf("told after the holder signed out: %s", got.body)
	}
	if p.token = token; p.events("").status != http.StatusUnauthorized {
		t.Error("asked after signing out")
	}
	p.signIn("doctor")
	for range 9 {
		w.Pass(time.Minute)
		if got := p.events(""); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	w.Pass(2 * time.Minute)
	want(t, "eleven minutes without the holder", p.get("/holder"), 401, "no-login", "")
}
