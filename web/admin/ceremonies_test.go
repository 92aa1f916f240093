package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"certwindow/ra/custody"
	"certwindow/web/session"
)

// The house has no HSM: it shows a token with two generations.

func (h *house) Place() KeyPlace {
	return KeyPlace{Label: "certwindow", Module: "Example HSM", Serial: "4711"}
}

func (h *house) Generations(context.Context) ([]MasterKey, error) {
	return []MasterKey{{Generation: 1, Held: true, Rollover: true, Keys: 3}, {Generation: 2, Held: true}}, nil
}

func (h *house) Ceremonies(ctx context.Context) ([]custody.Ceremony, error) {
	list, _, err := h.custody.Ceremonies(ctx)
	return list, err
}

// HCA-6.3.2, HCA-6.3.3: the page says where the master key is, two persons approve a ceremony, and its record is listed
// with the custodians' check values.
func TestCeremonyIsApprovedAndListed(t *testing.T) {
	h := build(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	if body := admin.get("/ceremonies").Body.String(); !strings.Contains(body, "4711") || !strings.Contains(body, "<td>3</td>") {
		t.Error("the page does not say where the keys are")
	}
	if rec := admin.post("/ceremonies", url.Values{"kind": {"create"}, "generation": {"3"}, "custodians": {"稽核室"}, "note": {"x"}}); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `href="#f-custodians"`) {
		t.Errorf("one custodian: %d", rec.Code)
	}
	at := admin.propose("/ceremonies", url.Values{"kind": {"create"}, "generation": {"3"}, "custodians": {"稽核室；法務室"}, "note": {"第一世代到期"}})
	body := approver.get(at).Body.String()
	for _, want := range []string{"產製新世代", "稽核室; 法務室", "第一世代到期"} {
		if !strings.Contains(body, want) {
			t.Errorf("the approver is not shown %q", want)
		}
	}
	approver.approved(at)
	id := strings.TrimPrefix(at, "/approvals/")
	if body := admin.get("/ceremonies").Body.String(); !strings.Contains(body, "--approval "+id) || !strings.Contains(body, "待執行") {
		t.Error("the page does not name the approval for the command")
	}
	h.ok(h.custody.Begin(t.Context(), operator, id, custody.Create, 3))
	h.ok(h.custody.Finish(t.Context(), operator, id, []byte(`{"transcript":{"custodians":[{"name":"稽核室","check_value":"aabbcc"}],"master_check_value":"112233"}}`)))
	if body := approver.get("/ceremonies").Body.String(); !strings.Contains(body, "稽核室 aabbcc") || !strings.Contains(body, "112233") || strings.Contains(body, "--approval") {
		t.Error("the page does not list what was held")
	}
	if rec := approver.get("/ceremonies/" + id + "/record"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "112233") || !strings.HasPrefix(rec.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("the record: %d", rec.Code)
	}
	inside := h.signInAs(h.hire(session.NewStaff{Account: "their.approver", Role: session.Approver, Institution: otherCode}))
	if rec := inside.get("/ceremonies"); rec.Code != http.StatusForbidden {
		t.Errorf("an institution's approver: %d", rec.Code)
	}
}
