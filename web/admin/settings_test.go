package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/web/session"
)

// HCA-9: a limit is tightened by two persons, never past its rule, and holds without a restart; the page says who
// approved it.
func TestSettingsAreTightenedByTwo(t *testing.T) {
	h := build(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	for value, want := range map[string]string{"11m": "HCA-9", "10m1s": "HCA-9", "soon": "HCA-9", "10m": "原本"} {
		if rec := admin.post("/settings", url.Values{"setting": {"idle"}, "value": {value}}); rec.Code/100 != 4 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d", value, rec.Code)
		}
	}
	if rec := admin.post("/settings", url.Values{"setting": {"no-such"}, "value": {"1"}}); rec.Code != http.StatusBadRequest {
		t.Errorf("no such setting: %d", rec.Code)
	}
	at := admin.propose("/settings", url.Values{"setting": {"most-certificates"}, "value": {"1"}})
	if body := approver.get(at).Body.String(); !strings.Contains(body, "每人有效憑證上限") || !strings.Contains(body, "1 – 5") {
		t.Error("the approver is not shown the setting and its bounds")
	}
	h.ok(h.settings.Refresh(t.Context()))
	if n := h.settings.Now().Number(policy.MostCertificates); n != 5 {
		t.Errorf("%d before the approval", n)
	}
	approver.approved(at)
	h.ok(h.settings.Refresh(t.Context()))
	if n := h.settings.Now().Number(policy.MostCertificates); n != 1 {
		t.Errorf("%d after the approval", n)
	}
	if body := admin.get("/settings").Body.String(); !strings.Contains(body, `href="`+at+`">approver</a>`) {
		t.Error("the page does not tell who approved it")
	}
	stale := admin.propose("/settings", url.Values{"setting": {"silent-days"}, "value": {"20"}})
	h.ok(h.db.Gorm.Exec("INSERT INTO settings (name, value, approval, set_by, set_at) VALUES ('silent-days', '10', '', 'x', CURRENT_TIMESTAMP)").Error)
	hash := hashField.FindStringSubmatch(approver.get(stale).Body.String())
	if rec := approver.post(stale+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != 422 {
		t.Errorf("the setting changed meanwhile: %d", rec.Code)
	}
}

// HCA-8.1.1, HCA-9: a tighter idle limit ends the sessions that are open; a row that was tampered with loosens nothing.
func TestSettingsHoldAtOnce(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Clerk)
	set := func(value string) {
		h.ok(h.db.Gorm.Exec("DELETE FROM settings").Error)
		h.ok(h.db.Gorm.Exec("INSERT INTO settings (name, value, approval, set_by, set_at) VALUES ('idle', ?, '', 'x', CURRENT_TIMESTAMP)", value).Error)
		h.ok(h.settings.Refresh(t.Context()))
	}
	set("2m")
	h.wait(3 * time.Minute)
	if rec := b.get("/"); rec.Code != http.StatusSeeOther || !strings.Contains(rec.Header().Get("Location"), "session-idle") {
		t.Errorf("after three minutes without use: %d", rec.Code)
	}
	for _, value := range []string{"24h", "garbage", "-1m"} {
		set(value)
		if idle := h.settings.Now().Life(policy.Idle); idle > policy.MaxIdle || idle <= 0 {
			t.Errorf("%q in the database makes it %s", value, idle)
		}
	}
}

// HCA-3.8: one person stops enrolment at once; to resume takes two.
func TestWindowIsSuspendedByOneAndResumedByTwo(t *testing.T) {
	h := build(t)
	h.suspended = func() bool { return h.settings.Now().Mark(policy.WindowSuspended) }
	helpdesk, admin, approver := h.signIn(session.Helpdesk), h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	if rec := helpdesk.post("/settings/suspend", url.Values{"suspend_note": {" "}}); rec.Code != http.StatusBadRequest || h.suspended() {
		t.Errorf("without a note: %d", rec.Code)
	}
	if rec := helpdesk.post("/settings/suspend", url.Values{"suspend_note": {"衛部醫字第1150099號"}}); rec.Code != http.StatusSeeOther || !h.suspended() {
		t.Fatalf("%d", rec.Code)
	}
	if rec := helpdesk.post("/settings/suspend", url.Values{"suspend_note": {"again"}}); rec.Code != http.StatusConflict {
		t.Errorf("twice: %d", rec.Code)
	}
	if rec := helpdesk.post("/settings", url.Values{"setting": {"window-suspended"}, "value": {"no"}}); rec.Code != http.StatusForbidden {
		t.Errorf("who suspended it resumes it: %d", rec.Code)
	}
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	begin := func() error {
		_, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: p, Device: d, Institution: ownCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
		return err
	}
	if err := begin(); ra.AsError(err).Code != "window-suspended" {
		t.Errorf("a suspended window enrols: %v", err)
	}
	at := admin.propose("/settings", url.Values{"setting": {"window-suspended"}, "value": {"no"}})
	if !h.suspended() {
		t.Error("one person resumed it")
	}
	approver.approved(at)
	h.ok(h.settings.Refresh(t.Context()))
	if err := begin(); h.suspended() || err != nil {
		t.Errorf("resumed by two: %v", err)
	}
}
