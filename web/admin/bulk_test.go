package admin

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/ra/store"
	"certwindow/web/session"
)

// rooms are use cases of the house whose acts two persons decide.
type rooms struct {
	bulk    *bulk.Service
	clients *apiclient.Service
}

// openRooms wires them, with their acts.
func (h *house) openRooms(acts map[approve.Act]approve.Executor) {
	h.bulk = bulk.New(store.BulkStore{Store: h.store}, h.revoke, h.now, rand.Reader)
	h.clients = apiclient.New(store.ClientStore{Store: h.store}, h.now)
	maps.Copy(acts, h.bulk.Acts())
	maps.Copy(acts, h.clients.Acts())
	acts[approve.SettleDispute] = h.settlements()
}

var hiddenField = regexp.MustCompile(`name="(count|list)" value="([0-9a-f]+)"`)

// HCA-5.2.2, HCA-8.1.6: from the list to a search with its exact number, to two persons, to a page that shows how far the work
// has come, survives a reload and stops at one person's word.
func TestManyAreRevokedFromASearch(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	for range 3 {
		h.certificate(p, d, ownCode, ra.CertLive)
	}
	admin := h.signIn(session.InstitutionAdmin)
	if body := admin.get("/certificates?state=live").Body.String(); !strings.Contains(body, `href="/bulks/new?state=live"`) {
		t.Error("the list does not lead to bulk work")
	}
	if body := admin.get("/certificates?person=" + string(p)).Body.String(); strings.Contains(body, "/bulks/new?") {
		t.Error("a list narrowed to a person leads to a search that finds more")
	}
	if rec := admin.get("/bulks/new?device=nonsense"); rec.Code != http.StatusBadRequest {
		t.Errorf("an unknown state of devices: %d", rec.Code)
	}
	const search = "/bulks/new?institution=" + string(ownCode) + "&device=bound"
	body := admin.get(search).Body.String()
	if !strings.Contains(body, "找到 3 張憑證") || strings.Contains(body, "王大明") {
		t.Fatalf("the preview:\n%s", body)
	}
	form := url.Values{"institution": {string(ownCode)}, "device": {"bound"}, "ground": {"no-permission"}}
	for _, m := range hiddenField.FindAllStringSubmatch(body, -1) {
		form.Set(m[1], m[2])
	}
	if rec := admin.post("/bulks/propose", form); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `href="#f-note"`) {
		t.Errorf("without a note: %d", rec.Code)
	}
	form.Set("note", "機構歇業")
	rec := admin.post("/bulks/propose", form)
	at, _, _ := strings.Cut(rec.Header().Get("Location"), "?")
	if !strings.HasPrefix(at, "/approvals/") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	approver := h.signIn(session.Approver)
	body = approver.get(at).Body.String()
	for _, want := range []string{"憑證清單的 SHA-256", form.Get("list"), "機構歇業", "核可並全部廢止"} {
		if !strings.Contains(body, want) {
			t.Errorf("the approver is not shown %s", want)
		}
	}
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]{64})"`).FindStringSubmatch(body)
	if rec := approver.post(at+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	link := regexp.MustCompile(`href="(/bulks/[0-9A-Z]{26})"`).FindStringSubmatch(approver.get(at).Body.String())
	if link == nil {
		t.Fatal("the approval does not lead to its work")
	}
	if body := admin.get(link[1]).Body.String(); !strings.Contains(body, "進行中") || !strings.Contains(body, `http-equiv="refresh"`) || !strings.Contains(body, "尚餘 3 張") {
		t.Errorf("while it goes on:\n%s", body)
	}
	if _, err := h.bulk.Work(t.Context(), strings.TrimPrefix(link[1], "/bulks/")); err != nil {
		t.Fatal(err)
	}
	if body := admin.get(link[1]).Body.String(); !strings.Contains(body, "已完成") || !strings.Contains(body, "完成 3 張") {
		t.Errorf("when it is over:\n%s", body)
	}
	if n := h.count("certificates WHERE state = 'revoking'"); n != 3 {
		t.Errorf("%d are being revoked", n)
	}
}

// HCA-3.4: one person has holders reminded, and any one on duty stops it; an auditor only looks.
func TestRemindersAreStopped(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	h.certificate(p, h.boundDevice("D-1", p, ownCode), ownCode, ra.CertLive)
	clerk := h.signIn(session.Clerk)
	const search = "/bulks/new?to=2030-12-31"
	form := url.Values{"to": {"2030-12-31"}}
	for _, m := range hiddenField.FindAllStringSubmatch(clerk.get(search).Body.String(), -1) {
		form.Set(m[1], m[2])
	}
	path := clerk.post("/bulks/remind", form).Header().Get("Location")
	if rec := h.signIn(session.Auditor).post(path+"/stop", nil); rec.Code != http.StatusForbidden {
		t.Errorf("an auditor stops it: %d", rec.Code)
	}
	if rec := h.signIn(session.Helpdesk).post(path+"/stop", nil); rec.Code != http.StatusSeeOther {
		t.Errorf("the help desk stops it: %d", rec.Code)
	}
	english := h.signIn(session.Clerk)
	english.lang = "en"
	if body := english.get(path).Body.String(); !strings.Contains(body, "Stopped by") || !strings.Contains(body, "Left: 1.") {
		t.Errorf("%s", body)
	}
	if body := english.get("/bulks").Body.String(); !strings.Contains(body, path) {
		t.Error("it is not listed")
	}
}
