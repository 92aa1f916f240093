package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/web/session"
)

func appForm() url.Values {
	return url.Values{"platform": {"android"}, "name": {"行動簽章"}, "package": {"tw.example.sign"}, "version": {"2.1.0"}, "min_os": {"14"},
		"permissions": {"android.permission.CAMERA\r\nandroid.permission.USE_BIOMETRIC"}, "download": {"https://apps.example.tw/sign"}, "digest": {strings.Repeat("AB:", 31) + "AB"},
		"evidence": {"檢測報告 115-07"}, "evidence_sha256": {strings.Repeat("cd", 32)}, "reviewer": {"資訊室"}, "reviewed": {"2026-10-01"}}
}

// HCA-2.6, HCA-8.2.1, HCA-8.2.2: a version is put on file by one, approved by another, then offered to everybody with a QR
// code; one withdraws it at once.
func TestAppThroughThePages(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	bad := appForm()
	bad.Set("download", "http://apps.example.tw")
	if rec := admin.post("/apps/new", bad); rec.Code < 400 || !strings.Contains(rec.Body.String(), `id="e-download"`) || !strings.Contains(rec.Body.String(), "tw.example.sign") {
		t.Errorf("a bad address: %d, or what was typed is lost", rec.Code)
	}
	rec := admin.post("/apps/new", appForm())
	path := strings.TrimSuffix(rec.Header().Get("Location"), "?done=app")
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	visitor := &browser{h: h}
	if body := visitor.get("/get").Body.String(); strings.Contains(body, "行動簽章") {
		t.Error("offered before its approval")
	}
	rec = admin.post(path+"/propose", nil)
	id := strings.TrimSuffix(strings.TrimPrefix(rec.Header().Get("Location"), "/approvals/"), "?done=proposed")
	p, err := h.approve.Proposal(t.Context(), operator, id)
	h.ok(err)
	second := h.signIn(session.Approver)
	for _, shown := range []string{"tw.example.sign", "android.permission.CAMERA", strings.Repeat("ab", 32), strings.Repeat("cd", 32), "Android"} {
		if !strings.Contains(second.get("/approvals/"+id).Body.String(), shown) {
			t.Errorf("the approver is not shown %s", shown)
		}
	}
	if rec := second.post("/approvals/"+id+"/approve", url.Values{"hash": {p.Hash}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	h.wait(publicFor)
	rec = visitor.get("/get")
	if body := rec.Body.String(); rec.Code != http.StatusOK || !strings.Contains(body, "行動簽章") || !strings.Contains(body, "<svg") || !strings.Contains(body, "https://apps.example.tw/sign") ||
		!strings.HasPrefix(rec.Header().Get("Cache-Control"), "public") {
		t.Errorf("%d %s", rec.Code, body)
	}
	if rec := h.signIn(session.Clerk).post(path+"/withdraw", url.Values{"reason": {"vulnerable"}}); rec.Code != http.StatusForbidden {
		t.Errorf("a clerk withdraws: %d", rec.Code)
	}
	if rec := h.signIn(session.WindowAdmin).post(path+"/withdraw", url.Values{"reason": {"vulnerable"}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	h.wait(publicFor)
	if body := visitor.get("/get").Body.String(); strings.Contains(body, "行動簽章") {
		t.Error("offered although withdrawn")
	}
}

// HCA-8.2.2: the public page is not there to be hammered.
func TestPublicPageIsLimited(t *testing.T) {
	h := build(t)
	visitor := &browser{h: h}
	code := 0
	for range publicBurst + 1 {
		code = visitor.get("/get").Code
	}
	if code != http.StatusTooManyRequests {
		t.Errorf("%d", code)
	}
}

// HCA-8.2.3, HCA-8.2.4: the texts are published in both languages, and somebody who was slower overwrites nothing.
func TestNoticesThroughThePages(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	form := url.Values{"last": {"0"}, "risk_zh": {"請勿破解手機"}, "risk_en": {"Do not root the phone"}, "antivirus_zh": {"請安裝防毒軟體"}, "antivirus_en": {"Install antivirus software"}}
	if rec := admin.post("/notices", form); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := admin.post("/notices", form); rec.Code != http.StatusConflict || !strings.Contains(rec.Body.String(), "請勿破解手機") {
		t.Errorf("a slower one: %d", rec.Code)
	}
	if body := h.signIn(session.Clerk).get("/notices").Body.String(); !strings.Contains(body, "請安裝防毒軟體") || strings.Contains(body, "<textarea") {
		t.Error("a clerk cannot read it, or is offered to change it")
	}
}

// HCA-8.2.1, HCA-7.1: the device's page says what it runs, and why it may not use certificates.
func TestDevicePageShowsTheApp(t *testing.T) {
	h := build(t)
	person := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	id := h.boundDevice("D-1", person, ownCode)
	d, _, err := h.registry.Device(t.Context(), operator, id)
	h.ok(err)
	_, err = h.registry.CheckIn(t.Context(), ra.Actor{Kind: ra.ActorDevice, ID: string(id)}, d, devices.CheckIn{OSVersion: "17.4", App: "tw.example.sign", AppVersion: "9.9.9"})
	h.ok(err)
	for lang, want := range map[string]string{chinese: "這個應用程式版本未經核可", english: "This app version is not approved"} {
		b := h.signIn(session.Helpdesk)
		b.lang = lang
		if body := b.get("/devices/" + string(id)).Body.String(); !strings.Contains(body, want) || !strings.Contains(body, "9.9.9") || !strings.Contains(body, "HCA-8.2.1") {
			t.Errorf("%s: the page does not say so", lang)
		}
	}
}
