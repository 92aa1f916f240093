package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/notify"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// hook is a hospital's gateway.
type hook struct {
	*httptest.Server
	status int
	got    []*http.Request
	bodies []string
}

func newHook(t *testing.T) *hook {
	h := &hook{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		h.got, h.bodies = append(h.got, r), append(h.bodies, string(raw))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

// HCA-3.4: the gateway gets a message that it can verify to be the window's, the same id at each attempt; anything but
// a yes is tried again, and a redirect is not followed.
func TestGateway(t *testing.T) {
	h := newHook(t)
	at := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	g := notify.NewGateway(h.URL+"/hooks", []byte("a shared secret"), h.Client(), func() time.Time { return at })
	m := notify.Message{ID: "01M8", To: notify.Address{Phone: "0912345678", Locale: "en"}, Subject: "s", Body: "b"}
	if err := g.Deliver(t.Context(), "push", m); err != nil {
		t.Fatal(err)
	}
	r, body := h.got[0], h.bodies[0]
	mac := hmac.New(sha256.New, []byte("a shared secret"))
	io.WriteString(mac, "01M8.1795320000."+body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("Webhook-Signature") != want || r.Header.Get("Webhook-Id") != "01M8" {
		t.Errorf("%v", r.Header)
	}
	var doc map[string]string
	if err := json.Unmarshal([]byte(body), &doc); err != nil || doc["channel"] != "push" || doc["to"] != "0912345678" || doc["body"] != "b" {
		t.Errorf("%s", body)
	}
	for _, no := range []int{302, 404, 500} {
		h.status = no
		if err := g.Send(t.Context(), m); err == nil || strings.Contains(err.Error(), "0912345678") {
			t.Errorf("%d: %v", no, err)
		}
	}
	if len(h.got) != 4 {
		t.Errorf("%d requests: a redirect was followed", len(h.got))
	}
}

// HCA-3.4: who has no mail address is told by text message, once; who has neither is recorded as not reached.
func TestByAddress(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h, p := newHook(t), newPost(t, db)
		g := notify.NewGateway(h.URL, []byte("x"), h.Client(), p.Clock.Now)
		p.Service = notify.New(p.Store, reached{"sms": {"", "0912345678", "en"}, "no": {}}, notify.ByAddress{Mail: notify.NewMail(smtp(t, p.catcher.Addr())), Gateway: g}, "測試醫院", p.Clock.Now)
		for _, who := range []ra.PersonID{"sms", "no"} {
			id := p.notice(t, who, ra.NoticeEnrolled)
			for range 2 {
				if err := p.Deliver(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(h.got) != 1 || len(p.catcher.Messages()) != 0 {
			t.Errorf("%d text messages, %d mails", len(h.got), len(p.catcher.Messages()))
		}
	})
}

// reached are mail address, telephone and language of persons.
type reached map[ra.PersonID][3]string

func (r reached) Address(_ context.Context, id ra.PersonID) (email, phone, locale string, err error) {
	return r[id][0], r[id][1], r[id][2], nil
}
