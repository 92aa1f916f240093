package admin

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/store"
	"certwindow/ra/sweep"
	"certwindow/web/session"
)

// at finds each text in a role's page.
func (b *browser) has(path string, want ...string) {
	b.h.t.Helper()
	rec := b.get(path)
	if rec.Code != http.StatusOK {
		b.h.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	for _, w := range want {
		if !strings.Contains(rec.Body.String(), w) {
			b.h.t.Errorf("%s lacks %q", path, w)
		}
	}
}

func (b *browser) lacks(path string, not ...string) {
	b.h.t.Helper()
	body := b.get(path).Body.String()
	for _, w := range not {
		if strings.Contains(body, w) {
			b.h.t.Errorf("%s shows %q", path, w)
		}
	}
}

// The home page tells each role what it can act on or has to know, and of other institutions nothing.
func TestHomeTellsEachRoleItsOwn(t *testing.T) {
	h, _, c := ward(t)
	admin, clerk := h.signIn(session.WindowAdmin), h.signIn(session.Clerk)
	auditor := h.signInAs(h.hire(session.NewStaff{Account: "other.auditor", Role: session.Auditor, Institution: otherCode}))
	// The HCA of this house does not answer.
	admin.has("/", "醫事憑證管理中心沒有回應", "系統各部分", "尚未執行過盤點", "有效憑證共 1 張")
	clerk.has("/", "醫事憑證管理中心沒有回應", "最近 30 天，每天簽發與廢止了幾張憑證？", "簽發 1 張，廢止 0 張。")
	clerk.lacks("/", "系統各部分", "盤點")
	auditor.has("/", "有效憑證共 0 張")
	auditor.lacks("/", "系統各部分", "平安綜合醫院", "專屬憑證")

	end := h.now()
	h.ok(h.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SaveRun(sweep.Report{ID: "01JD00000000000000000000RN", StartedAt: h.now(), FinishedAt: &end, Findings: []sweep.Finding{{Certificate: c, Serial: "0a", What: "device-lost", Action: "none"}}, OverCap: true})
	}))
	admin.has("/", "超過可自行廢止的上限")
	auditor.lacks("/", "上限", "查出")
	admin.has("/reports/sweeps", "01JD00000000000000000000RN")
	admin.has("/reports/sweeps/01JD00000000000000000000RN", "/certificates/"+string(c))
	auditor.lacks("/reports/sweeps/01JD00000000000000000000RN", string(c))
	h.wait(sweepLate + time.Hour)
	h.signIn(session.WindowAdmin).has("/", "應每日執行")
}

// HCA-3.1: the end of the dedicated certificate is told of 60, 30, 14, 7 days and one day before.
func TestHomeTellsOfTheDedicatedCertificate(t *testing.T) {
	h := build(t)
	end := h.site.Overview.DedicatedUntil()
	for _, x := range []struct {
		before time.Duration
		want   string
	}{{61 * 24 * time.Hour, ""}, {59 * 24 * time.Hour, "（60 天前提醒）"}, {29 * 24 * time.Hour, "（30 天前提醒）"}, {13 * 24 * time.Hour, "（14 天前提醒）"},
		{6 * 24 * time.Hour, "（7 天前提醒）"}, {12 * time.Hour, "（1 天前提醒）"}, {-time.Hour, "專屬憑證已到期"}} {
		h.mu.Lock()
		h.at = end.Add(-x.before)
		h.mu.Unlock()
		b := h.signIn(session.WindowAdmin)
		if x.want == "" {
			b.lacks("/", "專屬憑證")
			continue
		}
		b.has("/", x.want)
		h.signIn(session.Clerk).lacks("/", "專屬憑證")
	}
}

// HCA-3.6: a certificate that ends soon, a device that is silent and an application that stands still are told of with the way
// to them.
func TestHomeTellsOfWhatStandsStill(t *testing.T) {
	h, _, c := ward(t)
	a := h.disputed()
	b := h.signIn(session.Clerk)
	b.has("/", "1 件申辦案件停滯", "/applications/"+string(a), "醫事憑證管理中心的處理結果不明")
	b.lacks("/", "即將到期", "沒有連線")
	h.wait(h.now().AddDate(3, 0, -20).Sub(h.now()))
	b = h.signIn(session.Clerk)
	b.has("/", "憑證即將到期", "30 天內 1 張", "沒有連線", "/devices?silent=1")
	b.has("/devices?silent=1", "D-1")
	_ = c
}

// disputed puts an application whose outcome is unknown into the register.
func (h *house) disputed() ra.ApplicationID {
	h.t.Helper()
	var id ra.ApplicationID
	h.ok(h.db.Gorm.Raw("SELECT id FROM applications LIMIT 1").Scan(&id).Error)
	h.ok(h.db.Gorm.Exec("UPDATE applications SET state = 'disputed' WHERE id = ?", id).Error)
	return id
}

// HCA-8.1.6: a report is the same on the screen, as CSV and as PDF; a file that leaves is a row of the log, and names
// nobody in full.
func TestReportsLeaveAsFiles(t *testing.T) {
	h, person, c := ward(t)
	h.signIn(session.Clerk).propose("/certificates/"+string(c)+"/propose-revocation", map[string][]string{"ground": {"device-lost"}, "window_note": {"=cmd|calc"}})
	auditor := h.signIn(session.Auditor)
	for _, name := range sheetNames() {
		auditor.has("/reports/"+name, "/reports/"+name+"?format=csv")
		rec := auditor.get("/reports/" + name + "?format=csv")
		body, ok := strings.CutPrefix(rec.Body.String(), "\ufeff")
		lines, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if rec.Code != 200 || !ok || err != nil || len(lines) < 1 || !strings.Contains(rec.Header().Get("Content-Disposition"), name) {
			t.Errorf("%s: %d %v %v", name, rec.Code, err, rec.Header())
		}
		for _, secret := range []string{"王大明", "A123456789", "0912345678"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s holds %s", name, secret)
			}
		}
		if h.site.PDF != nil {
			if rec := auditor.get("/reports/" + name + "?format=pdf"); rec.Code != 200 || !strings.HasPrefix(rec.Body.String(), "%PDF-") {
				t.Errorf("%s as PDF: %d", name, rec.Code)
			}
		}
	}
	auditor.has("/reports/approvals", "逕行廢止憑證", "clerk")
	auditor.has("/reports/exports", "匯出報表", "report/approvals")
	auditor.has("/reports/clauses", "HCA-7.5")
	if rec := auditor.get("/reports/approvals?from=yesterday"); rec.Code != http.StatusBadRequest && rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("a day that is none: %d", rec.Code)
	}
	auditor.lacks("/reports/approvals?from=2020-01-01&to=2020-01-02", "逕行廢止憑證")
	h.site.PDF = nil
	if rec := auditor.get("/reports/clauses?format=pdf"); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("without a font: %d", rec.Code)
	}
	_ = person
}

// HCA-3.7: an institution's own auditor sees its approvals and rows alone.
func TestReportsOfOneInstitution(t *testing.T) {
	h, _, c := ward(t)
	h.signIn(session.Clerk).propose("/certificates/"+string(c)+"/propose-revocation", map[string][]string{"ground": {"device-lost"}, "window_note": {"x"}})
	own := h.signInAs(h.hire(session.NewStaff{Account: "own.auditor", Role: session.Auditor, Institution: ownCode}))
	other := h.signInAs(h.hire(session.NewStaff{Account: "other.auditor", Role: session.Auditor, Institution: otherCode}))
	own.has("/reports/approvals", "逕行廢止憑證")
	other.has("/reports/approvals", "這份報表沒有資料")
}

// Who asks with a command line is sent to the page for signing in; a script that wants JSON is told in JSON.
func TestWhoIsSentToSignIn(t *testing.T) {
	h := build(t)
	nobody := &browser{h: h}
	for accept, want := range map[string]int{"*/*": http.StatusSeeOther, "": http.StatusSeeOther, "text/html": http.StatusSeeOther, "application/json": http.StatusUnauthorized} {
		if rec := nobody.do(get, "/", nil, map[string]string{"Accept": accept}); rec.Code != want {
			t.Errorf("%q: %d", accept, rec.Code)
		}
	}
}

// Each page of help is there, names its rules, and each page of the site leads to the help that fits it.
func TestHelp(t *testing.T) {
	h := build(t)
	b := h.signIn(session.WindowAdmin)
	for _, x := range topics {
		b.has("/help/"+x.Name, string(x.Clauses[0]), "<ol>")
		b.has("/help", "/help/"+x.Name)
	}
	b.has("/persons", `href="/help/person"`)
	b.has("/", `href="/help"`)
	b.has("/help/computer", "LocalNetworkAccessAllowedForUrls", "https://window.example")
	if rec := b.get("/help/none"); rec.Code != http.StatusNotFound {
		t.Errorf("%d", rec.Code)
	}
}
