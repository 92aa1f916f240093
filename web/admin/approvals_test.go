package admin

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/session"
)

// ward is a house with a doctor's live certificate.
func ward(t *testing.T) (*house, ra.PersonID, ra.CertificateID) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	return h, p, h.certificate(p, h.boundDevice("D-1", p, ownCode), ownCode, ra.CertLive)
}

func (h *house) stateOf(c ra.CertificateID) ra.CertificateState {
	h.t.Helper()
	x, err := h.revoke.Certificate(h.t.Context(), operator, c)
	h.ok(err)
	return x.State
}

var hashField = regexp.MustCompile(`name="hash" value="([0-9a-f]{64})"`)

// propose posts a proposal and gives the address of its page.
func (b *browser) propose(path string, form url.Values) string {
	b.h.t.Helper()
	rec := b.post(path, form)
	at, _, _ := strings.Cut(rec.Header().Get("Location"), "?")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/approvals/") {
		b.h.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return at
}

// HCA-5.2.2: the helpdesk alone suspends from the certificate's page; who only looks cannot.
func TestHelpdeskSuspends(t *testing.T) {
	h, _, c := ward(t)
	at := "/certificates/" + string(c)
	b := h.signIn(session.Helpdesk)
	if rec := b.post(at+"/suspend", url.Values{"suspend_note": {" "}}); rec.Code != 400 || !strings.Contains(rec.Body.String(), `href="#f-suspend_note"`) || h.stateOf(c) != ra.CertLive {
		t.Errorf("without a note: %d, %s", rec.Code, h.stateOf(c))
	}
	if strings.Contains(h.signIn(session.Auditor).get(at).Body.String(), "/suspend") {
		t.Error("the page offers it to an auditor")
	}
	if rec := b.post(at+"/suspend", url.Values{"suspend_note": {"<b>來電遺失</b>"}}); rec.Code != http.StatusSeeOther || h.stateOf(c) != ra.CertSuspended {
		t.Errorf("%d, %s", rec.Code, h.stateOf(c))
	}
	body := b.get(at).Body.String()
	if !strings.Contains(body, "暫停使用") || !strings.Contains(body, "&lt;b&gt;來電遺失") || strings.Contains(body, at+"/propose-") {
		t.Error("the page does not tell, or offers the helpdesk what it may not do")
	}
}

// HCA-5.2.2, HCA-8.1.6: a clerk proposes, an approver sees exactly that, and with his approval it is done.
func TestRevocationWithoutConsentByTwo(t *testing.T) {
	h, _, c := ward(t)
	clerk, approver := h.signIn(session.Clerk), h.signIn(session.Approver)
	path := "/certificates/" + string(c) + "/propose-revocation"
	if rec := clerk.post(path, url.Values{"ground": {"whim"}, "window_note": {"x"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-5.2.2") {
		t.Errorf("on no ground: %d", rec.Code)
	}
	at := clerk.propose(path, url.Values{"ground": {"device-lost"}, "window_note": {"同事來電通報"}})
	for _, b := range []*browser{clerk, approver} {
		if body := b.get("/").Body.String(); !strings.Contains(body, `<a href="/approvals">1 件等待`) {
			t.Error("the home page does not count it")
		}
		body := b.get("/approvals").Body.String()
		if !strings.Contains(body, at) || !strings.Contains(body, "clerk") {
			t.Error("the list lacks it, or its proposer")
		}
	}
	if body := clerk.get(at).Body.String(); strings.Contains(body, at+"/approve") || !strings.Contains(body, at+"/withdraw") {
		t.Error("the page offers the proposer his own approval, or not its withdrawal")
	}
	body := approver.get(at).Body.String()
	p, err := h.approve.Proposal(t.Context(), operator, strings.TrimPrefix(at, "/approvals/"))
	h.ok(err)
	hash := hashField.FindStringSubmatch(body)
	if hash == nil || hash[1] != p.Hash || !strings.Contains(html.UnescapeString(body), string(p.Payload)) || !strings.Contains(body, "載具遺失") || !strings.Contains(body, "同事來電通報") {
		t.Fatalf("the page does not show what is approved: %v", hash)
	}
	if rec := approver.post(at+"/approve", url.Values{"hash": {strings.Repeat("0", 64)}}); rec.Code != 422 || h.stateOf(c) != ra.CertLive {
		t.Errorf("another hash: %d, %s", rec.Code, h.stateOf(c))
	}
	if rec := approver.post(at+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != http.StatusSeeOther || h.stateOf(c) != ra.CertRevoking {
		t.Errorf("%d %s, %s", rec.Code, rec.Body, h.stateOf(c))
	}
	if rec := approver.post(at+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != http.StatusConflict {
		t.Errorf("twice: %d", rec.Code)
	}
	for _, lang := range []string{chinese, english} {
		approver.lang = lang
		for _, page := range []string{"/approvals", at, "/certificates/" + string(c)} {
			body := approver.get(page).Body.String()
			if strings.Contains(body, at+"/approve") || strings.Contains(body, "王大明") || len(codeIn(t, body)) > 0 {
				t.Errorf("%s in %s offers it again, shows a name or holds code", page, lang)
			}
		}
	}
}

// HCA-8.1.6, HCA-3.2: approvers of another institution see nothing of it, and a contractor decides on nothing.
func TestWhoDoesNotApprove(t *testing.T) {
	h, _, c := ward(t)
	at := h.signIn(session.Clerk).propose("/certificates/"+string(c)+"/propose-revocation", url.Values{"ground": {"device-lost"}, "window_note": {"同事來電通報"}})
	other := h.signInAs(h.hire(session.NewStaff{Account: "other.approver", Role: session.Approver, Institution: otherCode}))
	p, err := h.approve.Proposal(t.Context(), operator, strings.TrimPrefix(at, "/approvals/"))
	h.ok(err)
	form := url.Values{"hash": {p.Hash}, "reason": {"x"}}
	if strings.Contains(other.get("/approvals").Body.String(), at) || other.get(at).Code != http.StatusNotFound ||
		other.post(at+"/approve", form).Code != http.StatusNotFound || other.post(at+"/reject", form).Code != http.StatusNotFound {
		t.Error("another institution's approver reaches it")
	}
	approver := h.signIn(session.Approver)
	h.ok(h.db.Gorm.Exec("UPDATE staff SET contractor = true WHERE account = 'approver'").Error)
	if rec := approver.post(at+"/approve", form); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-3.2") {
		t.Errorf("a contractor: %d", rec.Code)
	}
	h.ok(h.db.Gorm.Exec("UPDATE staff SET contractor = false WHERE account = 'approver'").Error)
	if h.stateOf(c) != ra.CertLive {
		t.Error("it was revoked")
	}
	if rec := approver.post(at+"/reject", url.Values{"reason": {""}}); rec.Code != 400 || !strings.Contains(rec.Body.String(), `href="#f-reason"`) {
		t.Errorf("rejected without a reason: %d", rec.Code)
	}
	if rec := approver.post(at+"/reject", url.Values{"reason": {"手機已尋回"}}); rec.Code != http.StatusSeeOther || !strings.Contains(approver.get(at).Body.String(), "手機已尋回") {
		t.Errorf("rejected: %d", rec.Code)
	}
}

// HCA-7.5: the window's administrator proposes an exemption; approved, it stands on the person's page until its day.
func TestExemptionThroughThePages(t *testing.T) {
	h, p, _ := ward(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	path := "/persons/" + string(p)
	for field, form := range map[string]url.Values{"limit": {"limit": {"5"}, "last_day": {"2026-12-31"}, "reply": {"x"}}, "last_day": {"limit": {"8"}, "last_day": {"31/12"}, "reply": {"x"}},
		"reply": {"limit": {"8"}, "last_day": {"2026-12-31"}, "reply": {""}}} {
		if rec := admin.post(path+"/propose-exemption", form); rec.Code != 400 || !strings.Contains(rec.Body.String(), `href="#f-`+field+`"`) {
			t.Errorf("%s: %d", field, rec.Code)
		}
	}
	at := admin.propose(path+"/propose-exemption", url.Values{"limit": {"8"}, "last_day": {"2026-12-31"}, "reply": {"衛部醫字第1150042號"}})
	if strings.Contains(admin.get(path).Body.String(), "上限 8 張") {
		t.Error("it holds before its approval")
	}
	hash := hashField.FindStringSubmatch(approver.get(at).Body.String())
	if hash == nil {
		t.Fatal("there is nothing to approve")
	}
	if rec := approver.post(at+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	for _, r := range session.Roles {
		if body := h.signIn(r).get(path).Body.String(); !strings.Contains(body, "上限 8 張") || !strings.Contains(body, "2027-01-01 00:00") || !strings.Contains(body, "衛部醫字第1150042號") {
			t.Errorf("the page as %s does not tell of it", r)
		}
	}
	list, err := h.approve.Proposals(t.Context(), operator, approve.Query{State: approve.Approved, Object: "person/" + string(p)})
	if err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}
