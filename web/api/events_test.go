package api_test

import (
	"context"
	"net/http"
	"strconv"
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
	want(t, "told after the holder signed out", <-standing, 401, "no-login", "")
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

// stand lets a question stand, and waits until it does.
func (p *phone) stand(tag string) <-chan answer {
	p.t.Helper()
	standing := make(chan answer, 1)
	before := p.w.API.Waiting()
	go func() { standing <- p.events(tag) }()
	p.until("the question stands", func() bool { return p.w.API.Waiting() > before })
	return standing
}

func (p *phone) until(what string, true func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("it never came to this: " + what)
		}
	}
}

// HCA-7.3, HCA-3.7: a device that was lost, a holder who is no user of it any more, and one who left wait no longer, and are told
// why.
func TestEventsEndWithTheRight(t *testing.T) {
	for name, c := range map[string]struct {
		end          func(w *phonetest.Window, person ra.PersonID, device ra.DeviceID) error
		status       int
		code, clause string
	}{
		"lost": {func(w *phonetest.Window, _ ra.PersonID, d ra.DeviceID) error {
			return w.Registry.Report(t.Context(), phonetest.Clerk, d, ra.DeviceLose)
		}, 422, "device-lost", "HCA-7.3"},
		"removed": {func(w *phonetest.Window, p ra.PersonID, d ra.DeviceID) error {
			return w.Registry.RemoveUser(t.Context(), phonetest.Clerk, d, p)
		}, 422, "not-a-device-user", "HCA-7.3"},
		"left": {func(w *phonetest.Window, p ra.PersonID, d ra.DeviceID) error {
			return w.Registry.EndMembership(t.Context(), phonetest.Clerk, p, phonetest.Code, "left")
		}, 422, "not-a-member", "HCA-3.7"},
		"stopped": {func(w *phonetest.Window, p ra.PersonID, _ ra.DeviceID) error {
			return w.Holders.Stop(t.Context(), phonetest.Clerk, p)
		}, 401, "no-login", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, person, device := bound(t, phonetest.Options{})
			standing := p.stand(p.events("").header.Get("ETag"))
			if err := c.end(w, person, device); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-standing:
				want(t, "while it stood", got, c.status, c.code, c.clause)
			case <-time.After(20 * time.Second): // it would be answered after 25
				t.Error("it waits on")
			}
		})
	}
}

// A phone that goes away leaves its place at once, and one that finds none is told when to come again.
func TestPlacesAreBounded(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{MostWaiting: 1})
	other := w.Person(t, 2)
	q := newPhone(t, w)
	q.bind(w.Device(t, "ER-02", other))
	w.Account(t, other, "other")
	q.signIn("other")
	tag := p.events("").header.Get("ETag")
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r := p.sign(p.request(http.MethodGet, "/events", "").WithContext(ctx), "")
		r.Header.Set("If-None-Match", tag)
		if res, err := p.http.Do(r); err == nil {
			res.Body.Close()
		}
	}()
	p.until("the first waits", func() bool { return w.API.Waiting() == 1 })
	got := q.events("")
	want(t, "one too many", got, 503, "no-place", "")
	if s, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || s < 10 || s > 29 {
		t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
	leave()
	<-gone
	p.until("the place is free", func() bool { return w.API.Waiting() == 0 })
	if got := q.events(""); got.status != http.StatusOK {
		t.Errorf("with a place: %d %s", got.status, got.body)
	}
}

// One device that opens connection after connection has one of them standing, and the rest are answered.
func TestOneDeviceOneQuestion(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{})
	tag := p.events("").header.Get("ETag")
	const many = 300
	answers := make(chan int, many)
	for range many {
		r := p.sign(p.request(http.MethodGet, "/events", ""), "")
		r.Header.Set("If-None-Match", tag)
		go func() {
			res, err := p.http.Do(r)
			if err != nil {
				answers <- 0
				return
			}
			res.Body.Close()
			answers <- res.StatusCode
		}()
	}
	count := map[int]int{}
	for range many - 1 {
		select {
		case status := <-answers:
			count[status]++
		case <-time.After(20 * time.Second):
			t.Fatalf("more than one question stands: %v", count)
		}
	}
	if n := w.API.Waiting(); n != 1 || count[http.StatusNotModified]+count[http.StatusTooManyRequests] != many-1 || count[http.StatusTooManyRequests] == 0 {
		t.Errorf("%d wait, %v", n, count)
	}
	w.API.Stop() // the server stops: nobody waits on
	if status := <-answers; status != http.StatusNotModified {
		t.Errorf("at the end: %d", status)
	}
}
