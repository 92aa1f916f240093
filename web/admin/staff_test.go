package admin

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/session"
)

var shownCode = regexp.MustCompile(`<dd class="code(?: large)?">([^<]+)</dd>`)

// approved has the approver approve what an address shows.
func (b *browser) approved(at string) {
	b.h.t.Helper()
	hash := hashField.FindStringSubmatch(b.get(at).Body.String())
	if hash == nil {
		b.h.t.Fatalf("%s: there is nothing to approve", at)
	}
	if rec := b.post(at+"/approve", url.Values{"hash": {hash[1]}}); rec.Code != http.StatusSeeOther {
		b.h.t.Fatalf("%s: %d %s", at, rec.Code, rec.Body)
	}
}

// takes shows a half of an account's credentials; what is shown beside the account's own name.
func (b *browser) takes(id, half string) (int, string) {
	rec := b.post("/staff/"+id+"/handover", url.Values{"half": {half}, "name": {"陳志明"}})
	if m := shownCode.FindAllStringSubmatch(rec.Body.String(), -1); rec.Code == http.StatusOK && len(m) == 2 {
		return rec.Code, m[1][1]
	}
	return rec.Code, ""
}

// HCA-8.1.6: an account is made by two persons, each of whom shows one half of its credentials, once. Nobody who has
// one account gets a second one that he can sign in with.
func TestAccountsAreMadeByTwo(t *testing.T) {
	h := build(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	at := admin.propose("/staff/new", url.Values{"account": {"new.one"}, "role": {"approver"}})
	var id string
	h.ok(h.db.Gorm.Raw("SELECT object FROM proposals WHERE state = 'proposed'").Scan(&id).Error)
	id = strings.TrimPrefix(id, "staff/")
	if rec := approver.get("/staff/" + id); rec.Code != http.StatusNotFound {
		t.Errorf("it is there before its approval: %d", rec.Code)
	}
	body := approver.get(at).Body.String()
	for _, want := range []string{"new.one", "核可者", "整個窗口", "委外廠商人員"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	approver.approved(at)
	if code, _ := admin.takes(id, "code"); code != 422 {
		t.Errorf("who proposed it shows the authenticator's secret: %d", code)
	}
	if code, _ := approver.takes(id, "password"); code != 422 {
		t.Errorf("who approved it shows the password: %d", code)
	}
	_, password := admin.takes(id, "password")
	_, secret := approver.takes(id, "code")
	if password == "" || secret == "" {
		t.Fatalf("%d and %d characters were shown", len(password), len(secret))
	}
	if code, _ := admin.takes(id, "password"); code != 422 {
		t.Errorf("a half is shown twice: %d", code)
	}
	h.signInAs(staffer{session.Credentials{Account: "new.one", TOTP: session.Secret(secret)}, password})
	if body := admin.get("/staff/" + id).Body.String(); !strings.Contains(body, "陳○明") || strings.Contains(body, "陳志明") {
		t.Error("the page does not show the person's masked name")
	}
}

// HCA-3.2, HCA-8.2.7, HCA-8.1.6: what is refused of an account, and what one person may do at once.
func TestAccountsAreChangedByTwo(t *testing.T) {
	h := build(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	clerk := h.staff[session.Clerk].cred.ID
	at := "/staff/" + string(clerk)
	if rec := admin.post("/staff/new", url.Values{"account": {"new.two"}, "role": {"approver"}, "contractor": {"yes"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-3.2") {
		t.Errorf("a contractor as approver: %d", rec.Code)
	}
	if rec := admin.post(at+"/reset", url.Values{"reset-code": {"yes"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.2.7") {
		t.Errorf("reset without identification: %d", rec.Code)
	}
	own := "/staff/" + string(h.staff[session.WindowAdmin].cred.ID)
	if rec := admin.post(own+"/change", url.Values{"role": {"approver"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "HCA-8.1.6") {
		t.Errorf("his own role: %d", rec.Code)
	}
	signedIn := h.signIn(session.Clerk)
	change := admin.propose(at+"/change", url.Values{"role": {"helpdesk"}, "institution": {string(otherCode)}, "contractor": {"yes"}})
	if x, err := h.accounts.Find(t.Context(), operator, clerk); err != nil || x.Role != session.Clerk {
		t.Fatalf("changed before the approval: %+v %v", x, err)
	}
	approver.approved(change)
	if x, err := h.accounts.Find(t.Context(), operator, clerk); err != nil || x.Role != session.Helpdesk || x.Institution != otherCode || !x.Contractor {
		t.Fatalf("%+v %v", x, err)
	}
	if rec := signedIn.get("/"); rec.Code != http.StatusSeeOther {
		t.Errorf("the sessions of the old role go on: %d", rec.Code)
	}
	if rec := admin.post(at+"/stop", nil); rec.Code != http.StatusSeeOther || !strings.Contains(admin.get(at).Body.String(), "已停用") {
		t.Errorf("stop: %d", rec.Code)
	}
	resume := admin.propose(at+"/resume", nil)
	if !strings.Contains(admin.get(at).Body.String(), "已停用") {
		t.Error("one person resumed it")
	}
	approver.approved(resume)
	if strings.Contains(admin.get(at).Body.String(), "已停用") {
		t.Error("it is stopped still")
	}
}

// HCA-8.1.6: the one approver who is made on one person's word is made once. Neither stopping him nor changing him
// lets an administrator make another by himself, nor does he ever hold both halves.
func TestFirstApproverIsMadeOnce(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	first := h.staff[session.Approver].cred.ID
	if _, err := h.accounts.CreateFirstApprover(t.Context(), h.actorOf(session.WindowAdmin), "second"); ra.AsError(err).Code != "first-approver-made" {
		t.Errorf("a second one: %v", err)
	}
	if rec := admin.post("/staff/"+string(first)+"/stop", nil); rec.Code != http.StatusSeeOther {
		t.Fatal(rec.Code)
	}
	if _, err := h.accounts.CreateFirstApprover(t.Context(), h.actorOf(session.WindowAdmin), "second"); ra.AsError(err).Code != "first-approver-made" {
		t.Errorf("after the first was stopped: %v", err)
	}
	at := admin.propose("/staff/new", url.Values{"account": {"second"}, "role": {"approver"}})
	if list, err := h.accounts.Staff(t.Context(), operator, session.StaffQuery{Limit: 50}); err != nil || len(list) != len(session.Roles) {
		t.Errorf("%d accounts, %v; %s", len(list), err, at)
	}
	h.ok(h.accounts.ReopenFirstApprover(t.Context(), operator))
	rec := admin.post("/staff/new", url.Values{"account": {"third"}, "role": {"approver"}})
	where, _, _ := strings.Cut(rec.Header().Get("Location"), "?")
	id, ok := strings.CutPrefix(where, "/staff/")
	if !ok {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if code, _ := admin.takes(id, "code"); code != 422 {
		t.Errorf("the administrator shows the authenticator's secret as well: %d", code)
	}
	if code, password := admin.takes(id, "password"); code != http.StatusOK || password == "" {
		t.Errorf("the password: %d", code)
	}
	_, err := h.accounts.Take(t.Context(), operator, ra.StaffID(id), session.CodeHalf, "")
	h.ok(err)
	if err := h.accounts.ReopenFirstApprover(t.Context(), operator); ra.AsError(err).Code != "approver-there" {
		t.Errorf("reopened while there is an approver: %v", err)
	}
}

// HCA-8.1.6: what was stored is changed behind the window's back, or the account is not any more as it was: nothing is done.
func TestStaffProposalsThatChanged(t *testing.T) {
	h := build(t)
	admin, approver, ctx := h.actorOf(session.WindowAdmin), h.actorOf(session.Approver), t.Context()
	clerk, err := h.accounts.Find(ctx, operator, h.staff[session.Clerk].cred.ID)
	h.ok(err)
	object := "staff/" + string(clerk.ID)
	p, err := h.approve.Propose(ctx, admin, approve.ChangeStaff, object, "", clerk.ChangeFacts(session.Helpdesk, "", false))
	h.ok(err)
	reset, err := h.approve.Propose(ctx, admin, approve.ResetStaff, object, "", clerk.ResetFacts(true, true))
	h.ok(err)
	swapped := clerk.ChangeFacts(session.Approver, "", false)
	if _, err := h.approve.Propose(ctx, admin, approve.ChangeStaff, object, "", swapped); ra.KindOf(err) != ra.KindConflict {
		t.Errorf("a second proposal for the same account: %v", err)
	}
	h.ok(h.db.Gorm.Exec("UPDATE proposals SET payload = (SELECT payload FROM proposals WHERE id = ?) WHERE id = ?", reset.ID, p.ID).Error)
	if err := h.approve.Approve(ctx, approver, p.ID, p.Hash); err == nil {
		t.Error("another proposal's payload was approved")
	}
	h.byTwo(approve.CreateStaff, "staff/01JD0000000000000000000000", session.NewStaff{Account: "other.one", Role: session.Clerk}.Facts())
	h.ok(h.db.Gorm.Exec("UPDATE staff SET role = 'auditor' WHERE id = ?", string(clerk.ID)).Error)
	if err := h.approve.Approve(ctx, approver, reset.ID, reset.Hash); ra.AsError(err).Code != "approval-object-changed" {
		t.Errorf("the role changed meanwhile: %v", err)
	}
	if _, err := h.approve.Propose(ctx, approver, approve.ResetStaff, "staff/"+approver.ID, "", session.Staff{}.ResetFacts(true, true)); ra.AsError(err).Code != "own-account" {
		t.Errorf("his own account: %v", err)
	}
	inside := admin
	inside.Institution = ownCode
	if _, err := h.approve.Propose(ctx, inside, approve.CreateStaff, "staff/01JD0000000000000000000001", ownCode, session.NewStaff{Account: "x.y.z", Role: session.Clerk}.Facts()); ra.AsError(err).Code != "not-yours" {
		t.Errorf("by one institution's staff: %v", err)
	}
}
