package admin

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	devicestore "certwindow/devices/store"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/enrol"
	"certwindow/web/session"
)

// acts are what two persons decide in this house.
func (h *house) acts() map[approve.Act]approve.Executor {
	all := h.accounts.Acts()
	maps.Copy(all, h.settings.Acts())
	maps.Copy(all, h.custody.Acts())
	return all
}

// registerActs are what two persons decide of the register, as the window wires them.
func (h *house) registerActs(register *devicestore.Store) map[approve.Act]approve.Executor {
	in := func(tx approve.Tx) devices.Tx { return register.In(tx.(interface{ DB() *gorm.DB }).DB()) }
	all := map[approve.Act]approve.Executor{}
	all[approve.ApproveApp] = approve.Executor{WholeWindow: true,
		Check: func(tx approve.Tx, _ ra.Actor, object string, facts approve.Facts) error {
			return devices.CheckApproval(in(tx), strings.TrimPrefix(object, "app/"), facts)
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error {
			return devices.ApproveApp(in(tx), strings.TrimPrefix(a.Proposal.Object, "app/"), h.now())
		}}
	all[approve.UnmaskMany] = approve.Executor{
		Check: func(tx approve.Tx, _ ra.Actor, object string, facts approve.Facts) error {
			return devices.CheckUnmaskMany(in(tx), object, facts)
		},
		CarryOut: func(tx approve.Tx, a approve.Approval) error {
			return devices.ApproveUnmaskMany(in(tx), a.Proposal.ID, a.Proposal.ID, a.Proposal.ProposedBy, a.Facts, h.now())
		}}
	return all
}

// secrets is what no page, file or header shows of the persons of the test below.
var secrets = []string{"王大明", "A123456789", "0000000112345678", "doctor@example.org", "0912345678", "林美玲"}

// HCA-8.1.5: no page and no file that can be fetched by its address shows anybody's data unmasked, to no role. The one
// exception is the text that the holder is to sign, at the counter (HCA-8.1.3).
func TestEveryPageMasks(t *testing.T) {
	h := build(t)
	person := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	device := h.boundDevice("D-1", person, ownCode)
	cert := h.certificate(person, device, ownCode, ra.CertLive)
	open, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: person, Device: device, Institution: ownCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	clerk := h.staff[session.Clerk].cred.ID
	proposal, err := h.approve.ProposeRevocation(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: string(clerk)}, cert, "device-lost", "a colleague telephoned")
	h.ok(err)
	_, err = h.registry.Unmask(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: string(clerk)}, person, "contact", "王大明來電 0912345678")
	h.ok(err)
	ids := []string{string(person), string(device), string(cert), string(open.ID), proposal.ID, string(clerk)}
	looked := 0
	for _, role := range session.Roles {
		b := h.signIn(role)
		for _, r := range routes {
			if r.method != get || r.open || strings.HasPrefix(r.path, "/counter") {
				continue
			}
			paths := []string{r.path, r.path + "?format=csv", r.path + "?person=" + string(person), r.path + "?object=person/" + string(person)}
			if strings.Contains(r.path, ":") {
				paths = nil
				for _, id := range append(ids, sheetNames()...) {
					at := strings.NewReplacer(":id", id, ":name", id, ":code", id).Replace(r.path)
					paths = append(paths, at, at+"?format=csv")
				}
			}
			for _, path := range paths {
				rec := b.get(path)
				if rec.Code == http.StatusOK {
					looked++
				}
				for _, s := range secrets {
					if strings.Contains(rec.Body.String(), s) {
						t.Errorf("%s as %s shows %s", path, role, s)
					}
				}
			}
		}
	}
	if looked < 200 {
		t.Errorf("only %d pages were looked at", looked)
	}
	var kept int64
	h.ok(h.db.Gorm.Raw("SELECT COUNT(*) FROM audit_events WHERE details LIKE '%王大明%' OR details LIKE '%0912345678%' OR object LIKE '%A123456789%'").Scan(&kept).Error)
	if kept != 0 {
		t.Error("the audit log holds personal data")
	}
}

// HCA-8.1.5: with a reason one record is shown, in an answer that no cache keeps; without one, or to another role, it is not.
func TestUnmaskOneRecord(t *testing.T) {
	h := build(t)
	person := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	path := "/persons/" + string(person) + "/unmask"
	why := url.Values{"unmask_reason": {"contact"}, "unmask_note": {"來電更改電話，回撥核對"}}
	b := h.signIn(session.Clerk)
	rec := b.post(path, why)
	for _, s := range secrets[:5] {
		if !strings.Contains(rec.Body.String(), s) {
			t.Errorf("%s is not shown", s)
		}
	}
	if rec.Code != http.StatusOK || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %q", rec.Code, rec.Header().Get("Cache-Control"))
	}
	rec = b.post(path, url.Values{"unmask_reason": {"contact"}, "unmask_note": {"x"}})
	if body := rec.Body.String(); rec.Code < 400 || strings.Contains(body, "王大明") || !strings.Contains(body, `id="e-unmask_note"`) || !strings.Contains(body, "HCA-8.1.5") {
		t.Errorf("without a note: %d %s", rec.Code, body)
	}
	for _, role := range []session.Role{session.Auditor, session.Approver, session.WindowAdmin} {
		if rec := h.signIn(role).post(path, why); rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d", role, rec.Code)
		}
	}
	theirs := h.person("陳志明", "B123456780", "0000000112345699", otherCode)
	own := h.signInAs(h.hire(session.NewStaff{Account: "own.clerk", Role: session.Clerk, Institution: ownCode}))
	if rec := own.post("/persons/"+string(theirs)+"/unmask", why); rec.Code != http.StatusNotFound || strings.Contains(rec.Body.String(), "陳志明") {
		t.Errorf("another institution's: %d", rec.Code)
	}
	if body := h.signIn(session.Auditor).get("/persons/" + string(person)).Body.String(); !strings.Contains(body, "看過這個人完整資料的紀錄") || strings.Contains(body, "回撥") {
		t.Error("the page does not say who looked, or shows the note")
	}
}

// HCA-8.1.5, HCA-8.1.6: a list takes two persons, and is fetched once by the one who asked.
func TestUnmaskAListByTwo(t *testing.T) {
	h := build(t)
	h.person("=王大明", "A123456789", "0000000112345678", ownCode)
	admin := h.signIn(session.InstitutionAdmin)
	rec := admin.post("/unmasked", url.Values{"institution": {string(ownCode)}, "purpose": {"年度資料核對作業"}})
	id := strings.TrimSuffix(strings.TrimPrefix(rec.Header().Get("Location"), "/approvals/"), "?done=proposed")
	if rec.Code != http.StatusSeeOther || len(id) != 26 {
		t.Fatalf("%d %s", rec.Code, rec.Header().Get("Location"))
	}
	if body := admin.get("/unmasked").Body.String(); strings.Contains(body, "/fetch") {
		t.Error("it can be fetched before its approval")
	}
	second := h.signIn(session.Approver)
	page := second.get("/approvals/" + id).Body.String()
	if !strings.Contains(page, "年度資料核對作業") || strings.Contains(page, "王大明") {
		t.Error("the approver is not shown what it is for, or is shown who is on it")
	}
	p, err := h.approve.Proposal(t.Context(), operator, id)
	h.ok(err)
	if rec := second.post("/approvals/"+id+"/approve", url.Values{"hash": {p.Hash}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := h.signIn(session.WindowAdmin).post("/unmasked/"+id+"/fetch", nil); rec.Code != http.StatusNotFound {
		t.Errorf("somebody else fetched it: %d", rec.Code)
	}
	admin = h.signIn(session.InstitutionAdmin)
	rec = admin.post("/unmasked/"+id+"/fetch", nil)
	if body := rec.Body.String(); rec.Code != http.StatusOK || !strings.Contains(body, "'=王大明") || !strings.Contains(body, "A123456789") || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", rec.Code, body)
	}
	if rec := admin.post("/unmasked/"+id+"/fetch", nil); rec.Code != http.StatusConflict || strings.Contains(rec.Body.String(), "A123456789") {
		t.Errorf("fetched twice: %d", rec.Code)
	}
}

// HCA-9: a person is handed a copy of everything about him at the counter, as data and to read.
func TestCopyAtTheCounter(t *testing.T) {
	h := build(t)
	person := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	device := h.boundDevice("D-1", person, ownCode)
	h.certificate(person, device, ownCode, ra.CertLive)
	for _, lang := range []string{chinese, english} {
		b := h.signIn(session.Clerk)
		b.lang = lang
		rec := b.post("/persons/"+string(person)+"/copy", url.Values{"copy_note": {"出示身分證正本"}})
		z, err := zip.NewReader(bytes.NewReader(rec.Body.Bytes()), int64(rec.Body.Len()))
		if err != nil {
			t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
		}
		for _, name := range []string{"copy.json", "copy.html"} {
			f, err := z.Open(name)
			h.ok(err)
			raw, err := io.ReadAll(f)
			h.ok(err)
			for _, s := range []string{"王大明", "A123456789", "D-1", "EMR-SIGN", "person.register"} {
				if !bytes.Contains(raw, []byte(s)) {
					t.Errorf("%s in %s lacks %s", name, lang, s)
				}
			}
		}
	}
	if rec := h.signIn(session.Clerk).post("/persons/"+string(person)+"/copy", url.Values{"copy_note": {""}}); rec.Code < 400 || strings.Contains(rec.Body.String(), "A123456789") {
		t.Errorf("without a note: %d", rec.Code)
	}
}

// HCA-9: whose data will be erased stands on the page before, masked; afterwards the person's page says that it is gone.
func TestRetentionPage(t *testing.T) {
	h := build(t)
	person := h.person("王大明", "A123456789", "0000000112345678", ownCode)
	h.ok(h.registry.EndMembership(t.Context(), operator, person, ownCode, "left"))
	h.wait(7*365*24*time.Hour + 48*time.Hour)
	job := ra.Actor{Kind: ra.ActorSystem, ID: "retention"}
	_, _, err := h.registry.Retain(t.Context(), job, 7)
	h.ok(err)
	if body := h.signIn(session.Auditor).get("/retention").Body.String(); !strings.Contains(body, "王○明") || strings.Contains(body, "王大明") {
		t.Error("the list does not name the person, or not masked")
	}
	h.wait(31 * 24 * time.Hour)
	_, erased, err := h.registry.Retain(t.Context(), job, 7)
	h.ok(err)
	if body := h.signIn(session.Auditor).get("/persons/" + string(person)).Body.String(); erased != 1 || !strings.Contains(body, "個人資料已抹除") || strings.Contains(body, "王") {
		t.Errorf("%d erased; the page does not say so", erased)
	}
}
