package admin

import (
	"net/http"
	"strings"
	"testing"

	"certwindow/ra/audit"
	"certwindow/web/session"
)

// refusals are the audit rows of what a role did not get to do.
func (h *house) refusals() (out []audit.Record) {
	h.t.Helper()
	rows, err := h.auditLog(h.t.Context(), LogQuery{Limit: 200})
	h.ok(err)
	for _, r := range rows {
		if r.Act == "staff.role-refused" {
			out = append(out, r)
		}
	}
	return out
}

// HCA-8.1.6: what a role may not do is refused with a row each time, without the path, which may name somebody; a page
// that a role may not see leaves one row a session.
func TestRefusalByRoleLeavesARow(t *testing.T) {
	h := build(t)
	b := h.signIn(session.Helpdesk)
	for range 2 {
		if rec := b.post("/persons/01JD00000000000000000000ZZ/leave", nil); rec.Code != http.StatusForbidden {
			t.Fatal(rec.Code)
		}
	}
	if rows := h.refusals(); len(rows) != 2 || rows[0].Clause != "HCA-8.1.6" || rows[0].Code != "role-not-allowed" ||
		!strings.Contains(rows[0].Details, `"POST /persons/:id/leave"`) || rows[0].Object != "staff/"+string(h.staff[session.Helpdesk].cred.ID) {
		t.Fatalf("%+v", rows)
	}
	for range 3 {
		b.get("/staff/new")
	}
	if n := len(h.refusals()); n != 3 {
		t.Errorf("%d rows after three looks at one page", n)
	}
	h.signIn(session.Helpdesk).get("/staff/new")
	if n := len(h.refusals()); n != 4 {
		t.Errorf("%d rows after a look in another session", n)
	}
}
