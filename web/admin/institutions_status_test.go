package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/intake"
	"certwindow/web/session"
)

// HCA-2.3, HCA-3.7: an institution that suspends business is stopped at once: its staff are out, nobody is enrolled for it; when it
// resumes, both work again. Its agreement can be replaced.
func TestAnInstitutionIsStoppedAndResumes(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", otherCode)
	d := h.boundDevice("P-1", p, otherCode)
	member := h.signInAs(h.hire(session.NewStaff{Account: "other.clerk", Role: session.Clerk, Institution: otherCode}))
	admin := h.signIn(session.WindowAdmin)
	path := "/institutions/" + string(otherCode)
	begin := func() error {
		_, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: p, Device: d, Institution: otherCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
		return err
	}
	h.ok(begin())
	if rec := admin.post(path+"/standing", url.Values{"event": {"burnt"}}); rec.Code != http.StatusBadRequest {
		t.Errorf("an event that is none: %d", rec.Code)
	}
	if rec := admin.post(path+"/standing", url.Values{"event": {"suspended"}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if err := begin(); ra.AsError(err).Code != "institution-inactive" {
		t.Errorf("enrolled for a stopped institution: %v", err)
	}
	if rec := member.get("/persons"); rec.Code != http.StatusSeeOther || !strings.HasPrefix(rec.Header().Get("Location"), "/login") {
		t.Errorf("its staff are still there: %d", rec.Code)
	}
	body := admin.get(path + "/standing").Body.String()
	if !strings.Contains(body, "恢復這個機構") || strings.Contains(body, "停止這個機構") || len(codeIn(t, body)) > 0 {
		t.Error("the page of a stopped institution")
	}
	if rec := admin.post(path+"/standing", url.Values{"event": {"dissolved"}}); rec.Code != http.StatusConflict {
		t.Errorf("stopped twice: %d", rec.Code)
	}
	if rec := admin.post(path+"/standing", url.Values{"event": {"resumed"}}); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	h.ok(begin())
	if rec := admin.post(path+"/agreement", url.Values{"agreement": {"abc"}, "from": {"2026-01-01"}}); rec.Code != 400 || !strings.Contains(rec.Body.String(), `href="#f-agreement"`) {
		t.Errorf("no hash: %d", rec.Code)
	}
	if rec := admin.post(path+"/agreement", url.Values{"agreement": {strings.Repeat("cd", 32)}, "from": {"2026-01-01"}, "to": {"2026-11-01"}}); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	if err := begin(); ra.AsError(err).Code != "agreement-ended" {
		t.Errorf("enrolled after the agreement's end: %v", err)
	}
	if h.count("audit_events WHERE act = 'institution.standing' AND outcome = 'done'") != 2 || h.count("audit_events WHERE act = 'institution.agreement' AND outcome = 'done'") != 1 {
		t.Error("rows of the log")
	}
}

// HCA-3.7: what an institution tells of its professionals as CSV takes effect at once; the same file again changes nothing.
func TestStaffingIsImported(t *testing.T) {
	h := build(t)
	a := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	h.person("林美玲", "B223456789", "0000000000000002", ownCode)
	h.person("外院人", "C123456789", "0000000000000003", otherCode)
	const feed = "身分證字號,異動,日期\nA123456789,離職,2026-11-20\n0000000000000002,died,\nC123456789,left,\nZ123456789,left,\nB223456789,quit,\n"
	b := h.signIn(session.InstitutionAdmin)
	path, body := b.brings(intake.Staffing, feed)
	if !strings.Contains(body, "匯入這 2 列") || strings.Contains(body, "A123456789") {
		t.Fatalf("%s", body)
	}
	b.takesIn(path, 2)
	facts, err := h.registry.Person(t.Context(), operator, a)
	h.ok(err)
	if m := facts.Memberships; len(m) != 1 || m[0].Until == nil || m[0].Reason != "left" {
		t.Errorf("%+v", m)
	}
	if h.count("memberships WHERE until IS NOT NULL") != 2 || h.count("audit_events WHERE act = 'person.leave' AND outcome = 'done'") != 2 {
		t.Error("who left")
	}
	if _, body := b.brings(intake.Staffing, feed); !strings.Contains(body, "不會造成任何變更") {
		t.Error("the same file again would change something")
	}
	if _, body := b.brings(intake.Staffing, "person,event,date\nA123456789,left,2027-01-01\n"); !strings.Contains(body, "不得為未來日期") {
		t.Error("a day to come")
	}
}

// HCA-8.2.8(2): the window's administrator says which kinds an institution accepts, of those that the rule names; nobody
// else does.
func TestBiometricKindsAreSet(t *testing.T) {
	h := build(t)
	admin, path := h.signIn(session.WindowAdmin), "/institutions/"+string(ownCode)
	if body := admin.get(path).Body.String(); !strings.Contains(body, `value="face" checked`) || strings.Contains(body, `value="vein" checked`) {
		t.Errorf("what holds at first:\n%s", body)
	}
	if rec := admin.post(path+"/biometrics", url.Values{"kind": {"vein", "gait"}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if body := admin.get(path).Body.String(); strings.Contains(body, `value="face" checked`) || !strings.Contains(body, `value="vein" checked`) || strings.Contains(body, "gait") {
		t.Errorf("what was set:\n%s", body)
	}
	if rec := h.signIn(session.Clerk).post(path+"/biometrics", url.Values{"kind": {"face"}}); rec.Code != http.StatusForbidden {
		t.Errorf("a clerk sets them: %d", rec.Code)
	}
	if rec := admin.post("/institutions/9999999999/biometrics", nil); rec.Code != http.StatusNotFound {
		t.Errorf("of no institution: %d", rec.Code)
	}
	if n := h.count("audit_events WHERE act = 'institution.biometrics' AND outcome = 'done' AND details LIKE '%vein%'"); n != 1 {
		t.Errorf("%d rows", n)
	}
}
