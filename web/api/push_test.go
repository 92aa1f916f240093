package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
	"certwindow/ra/notify"
	"certwindow/ra/oauth"
)

// gateway is a hospital's, behind TLS. It answers with a status, and keeps what it was told.
func gateway(t *testing.T, status int) (*httptest.Server, *[]string) {
	var got []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = append(got, string(raw))
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s, &got
}

const pushToken = "a-token-of-this-phone-0123456789"

// HCA-8.1.5: when something waits for a holder his phone is woken, by a push that says nothing but that it should look. The token
// is sealed, and ends with the binding, at the app's word, and when its service does not know it any more.
func TestPush(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{Push: true})
	w.RegisterSystem(t, "his", w.NewSystem(t), "https://his.example/back")
	body := text(t, map[string]string{"service": "fcm", "token": pushToken})
	register := func() {
		t.Helper()
		if got := p.put("/device/push", body); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	wake := func(status int) (told []string) {
		t.Helper()
		w.Wakes = nil
		if _, _, err := w.Grants.Begin(t.Context(), ra.Actor{Kind: ra.ActorClient}, oauth.Asked{Client: "his", Redirect: "https://his.example/back", Scope: oauth.Service,
			Challenge: strings.Repeat("a", 43), Account: "doctor"}); err != nil {
			t.Fatal(err)
		}
		if len(w.Wakes) != 1 || w.Wakes[0].Person != person {
			t.Fatalf("%+v, want the holder's phones woken", w.Wakes)
		}
		s, got := gateway(t, status)
		waker := notify.NewWaker(w.Registry, notify.NewGatewayPush(s.URL, []byte("secret"), s.Client(), w.Now))
		err := waker.Wake(t.Context(), w.Wakes[0].Device, w.Wakes[0].Person)
		if failed := status != http.StatusOK && status != http.StatusGone; (err != nil) != failed && len(*got) > 0 {
			t.Errorf("%d: %v", status, err)
		}
		return *got
	}
	register()
	told := wake(http.StatusOK)
	var said map[string]string
	if len(told) != 1 || json.Unmarshal([]byte(told[0]), &said) != nil || len(said) != 3 || said["type"] != "wake" || said["service"] != "fcm" || said["token"] != pushToken {
		t.Errorf("%q, want the token and nothing else", told)
	}
	var stored [][]byte
	if err := w.DB.Gorm.Raw("SELECT token FROM device_pushes").Scan(&stored).Error; err != nil || len(stored) != 1 || bytes.Contains(stored[0], []byte(pushToken)) {
		t.Errorf("%q %v, want it sealed", stored, err)
	}
	if told := wake(http.StatusInternalServerError); len(told) != 1 {
		t.Errorf("%q", told)
	}
	if len(wake(http.StatusGone)) != 1 || len(wake(http.StatusOK)) != 0 {
		t.Error("a token that is gone is used on")
	}
	register()
	if got := p.post("/device/push/removal", "{}", ""); got.status != http.StatusOK || len(wake(http.StatusOK)) != 0 {
		t.Errorf("removed: %d %s", got.status, got.body)
	}
	register()
	if err := w.Registry.Report(t.Context(), phonetest.Clerk, device, ra.DeviceLose); err != nil {
		t.Fatal(err)
	}
	if len(wake(http.StatusOK)) != 0 {
		t.Error("a lost phone is woken")
	}
}

// What no push token is is refused, and a window that wakes no apps keeps none.
func TestPushRefused(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{})
	want(t, "nothing is configured", p.put("/device/push", text(t, map[string]string{"service": "fcm", "token": pushToken})), 409, "no-push", "")
	for name, b := range map[string]map[string]string{"no token": {"service": "fcm", "token": ""}, "too long": {"service": "fcm", "token": strings.Repeat("a", 4097)},
		"a line end": {"service": "fcm", "token": "a\nb"}, "no service": {"service": "", "token": "a"}, "a long service": {"service": strings.Repeat("a", 17), "token": "a"}} {
		want(t, name, p.put("/device/push", text(t, b)), 400, "push-token", "")
	}
	var n int64
	if err := w.DB.Gorm.Table("device_pushes").Count(&n).Error; err != nil || n != 0 {
		t.Errorf("%d kept, %v", n, err)
	}
	if got := p.post("/device/push/removal", "{}", ""); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}
