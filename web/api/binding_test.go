package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
)

// HCA-4.1: a phone's key is bound when the clerk has seen the same digits on both screens, and not before.
func TestBinding(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	device := w.Device(t, "ER-01", w.Person(t, 1))
	p := newPhone(t, w)
	qr := w.Offer(t, device)
	code, err := devices.ParseBindText(qr)
	if err != nil {
		t.Fatal(err)
	}

	a := p.post("/bindings", text(t, p.presentation(qr)), "")
	var b bindingDoc
	a.into(t, &b)
	if a.status != http.StatusCreated || b.State != "presented" || b.ShortCode != devices.ShortCode(code.Code, code.WindowKeys, p.der) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want(t, "before the clerk has confirmed", p.get("/device"), 401, "key-unknown", "")
	want(t, "the code a second time", newPhone(t, w).post("/bindings", text(t, newPhone(t, w).presentation(qr)), ""), 401, "signature", "")
	second := newPhone(t, w)
	want(t, "the code a second time", second.post("/bindings", text(t, second.presentation(qr)), ""), 422, "binding-code-used", "HCA-8.1.4")
	want(t, "another phone asks for the binding", second.get("/bindings/"+b.Binding), 404, "not-found", "")

	w.Confirm(t, device, b.ShortCode)
	p.get("/bindings/"+b.Binding).into(t, &b)
	if b.State != "confirmed" {
		t.Errorf("state %s", b.State)
	}
	want(t, "the same address written otherwise", p.get("/bindings/%30"+b.Binding[1:]), 404, "not-found", "")
	want(t, "without the device's certificate", p.get("/device"), 401, "certificate-missing", "HCA-6.3.6")
	p.certify()
	var d struct{ Device, Code, State string }
	p.get("/device").into(t, &d)
	if d.Device != string(device) || d.Code != "ER-01" || d.State != "bound" {
		t.Errorf("%+v", d)
	}
}

// What is not a presentation is refused before anything is asked of the register.
func TestBindingRefuses(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	p := newPhone(t, w)
	qr := w.Offer(t, w.Device(t, "ER-01", w.Person(t, 1)))
	for field, values := range map[string][]any{
		"code":        {"", nil, strings.Repeat("A", 42), strings.Repeat("A", 42) + "B", 1},
		"key":         {"", nil, "AAAA", "not base64", []string{}},
		"platform":    {"", "windows", nil, 1e300},
		"model":       {"", nil, strings.Repeat("x", 65), "a\nb", "a\u202eb", map[string]any{}},
		"os_version":  {"", strings.Repeat("x", 33)},
		"app":         {"", strings.Repeat("x", 129)},
		"app_version": {"", true},
	} {
		for _, v := range values {
			body := p.presentation(qr)
			body[field] = v
			if a := p.post("/bindings", text(t, body), ""); a.status != 400 {
				t.Errorf("%s %v: %d %s", field, v, a.status, a.body)
			}
		}
	}
	w.Pass(time.Minute) // for the rate limit
	if a := p.post("/bindings", text(t, p.presentation(qr)), ""); a.status != http.StatusCreated {
		t.Errorf("a good one after them: %d %s", a.status, a.body)
	}
}

// One address cannot try codes without end.
func TestBindingRateLimit(t *testing.T) {
	w := phonetest.New(t, phonetest.Options{})
	p := newPhone(t, w)
	var a answer
	for range 61 {
		if a = p.get("/bindings/01JD8Z00000000000000000000"); a.status != 404 {
			break
		}
	}
	want(t, "the sixty-first", a, 429, "too-many", "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.Pass(time.Second)
	want(t, "a second later", p.get("/bindings/01JD8Z00000000000000000000"), 404, "not-found", "")
}

// HCA-7.1, HCA-7.3: a device that is not bound any more gets nothing, from that moment on.
func TestDeviceState(t *testing.T) {
	for event, code := range map[ra.DeviceEvent]string{ra.DeviceLose: "device-lost", ra.DeviceBreak: "device-broken", ra.DeviceRetire: "device-retired", ra.DeviceUnbind: "device-not-bound"} {
		w, p, _, device := bound(t, phonetest.Options{})
		if err := w.Registry.Report(t.Context(), phonetest.Clerk, device, event); err != nil {
			t.Fatal(err)
		}
		a := p.get("/device")
		if got := a.problem(); !(a.status == 422 && got.Code == code && got.Clause == "HCA-7.3") && !(a.status == 401 && got.Code == "key-unknown") {
			t.Errorf("%s: %d %s", event, a.status, a.body)
		}
	}
}

// It is written down once a minute that a phone was heard of.
func TestSeen(t *testing.T) {
	w, p, _, device := bound(t, phonetest.Options{})
	seen := func() time.Time {
		t.Helper()
		if a := p.get("/device"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		d, _, err := w.Registry.Device(t.Context(), phonetest.Clerk, device)
		if err != nil || d.LastSeenAt == nil {
			t.Fatal(err, d.LastSeenAt)
		}
		return *d.LastSeenAt
	}
	first := seen()
	w.Pass(59 * time.Second)
	if at := seen(); !at.Equal(first) {
		t.Errorf("written again at %v", at)
	}
	w.Pass(time.Second)
	if at := seen(); !at.Equal(w.Now()) {
		t.Errorf("a minute later it is still %v", at)
	}
}
