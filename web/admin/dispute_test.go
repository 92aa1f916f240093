package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/hca/hcasim"
	"certwindow/web/session"
)

// settlements are what the house's own exchange, whichever it is by then, lets two persons decide; the HCA's list names
// every certificate.
func (h *house) settlements() approve.Executor {
	now := func() approve.Executor {
		return h.exchange.Acts(func(ra.Certificate) (bool, error) { return true, nil })[approve.SettleDispute]
	}
	return approve.Executor{WholeWindow: true,
		Check: func(tx approve.Tx, actor ra.Actor, object string, facts approve.Facts) error {
			return now().Check(tx, actor, object, facts)
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error { return now().CarryOut(tx, a) }}
}

// HCA-3.3, HCA-8.1.6: the page of a disputed application tells those of the whole window what does not fit, masked; one
// proposes what becomes of it, and another approves.
func TestDisputeIsSettledByTwo(t *testing.T) {
	h, sim, id := bySimulator(t)
	admin := h.signIn(session.WindowAdmin)
	out, err := h.exchange.Fetch(t.Context(), h.actorOf(session.WindowAdmin), false, "")
	h.ok(err)
	h.ok(sim.Server.SetFault(hcasim.Fault{Kind: hcasim.FaultWrongKey, Count: 1}))
	answer, err := sim.Server.Answer(out[0].Bytes)
	h.ok(err)
	_, err = h.exchange.TakeIn(t.Context(), h.actorOf(session.WindowAdmin), answer)
	h.ok(err)
	path := "/applications/" + string(id)
	if body := admin.get("/").Body.String(); !strings.Contains(body, `href="`+path+`"`) {
		t.Error("the home page does not lead to what stands still")
	}
	d, err := h.exchange.Dispute(t.Context(), h.actorOf(session.WindowAdmin), id)
	h.ok(err)
	body := admin.get(path).Body.String()
	for _, want := range []string{"憑證的公鑰不是申請時的公鑰", d.Sum, d.Certificate.Serial, path + "/settle", path + "/export"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(body, sim.Card.Certificate.Subject.CommonName) || strings.Contains(body, sim.Card.Certificate.Subject.SerialNumber) {
		t.Error("the page names the holder in full")
	}
	for role, sees := range map[session.Role]bool{session.Auditor: true, session.Approver: true, session.Clerk: false, session.InstitutionAdmin: false, session.Helpdesk: false} {
		body := h.signIn(role).get(path).Body.String()
		if strings.Contains(body, d.Sum) != sees || strings.Contains(body, path+"/settle") {
			t.Errorf("%s sees it: %v", role, !sees)
		}
	}
	admin = h.signIn(session.WindowAdmin)
	rec := admin.post(path+"/export", url.Values{"part": {"answer"}})
	if rec.Code != http.StatusOK || rec.Body.String() != string(answer) || !strings.Contains(rec.Header().Get("Content-Disposition"), "answer-") {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if rec := admin.post(path+"/settle", url.Values{"choice": {"close"}, "note": {"HCA wrote"}, "letter": {"115-7"}, "letter_sha256": {"ab"}}); rec.Code == http.StatusSeeOther ||
		!strings.Contains(rec.Body.String(), `value="115-7"`) || len(codeIn(t, rec.Body.String())) > 0 {
		t.Errorf("%d, and what was typed is lost", rec.Code)
	}
	rec = admin.post(path+"/settle", url.Values{"choice": {"close"}, "note": {"HCA wrote"}, "letter": {"115-7"}, "letter_sha256": {strings.Repeat("AB", 32)}})
	at := rec.Header().Get("Location")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/approvals/") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	at, _, _ = strings.Cut(at, "?")
	list, err := h.approve.Proposals(t.Context(), h.actorOf(session.Approver), approve.Query{Object: "application/" + string(id)})
	h.ok(err)
	approver := h.signIn(session.Approver)
	if body := approver.get(at).Body.String(); !strings.Contains(body, d.Sum) || !strings.Contains(body, "115-7") || !strings.Contains(body, "結束申請") {
		t.Error("the approver is not shown what is approved")
	}
	if rec := approver.post(at+"/approve", url.Values{"hash": {list[0].Hash}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if body := approver.get(path).Body.String(); !strings.Contains(body, "已拒絕") || strings.Contains(body, d.Sum) && strings.Contains(body, path+"/settle") {
		t.Error("the application did not end")
	}
}
