package session

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func draftOf(page, name string) Draft {
	return Draft{Page: page, Action: page, Fields: url.Values{"name": {name}}}
}

// HCA-8.1.1, HCA-8.1.5: what was typed is kept for its account alone, for twelve hours, a few forms of bounded size, and
// nothing of it is secret or lies open.
func TestDraftsAreBounded(t *testing.T) { each(t, testDraftsAreBounded) }

func testDraftsAreBounded(t *testing.T, b *bench) {
	lin := b.clerk("lin.mei", "correct horse")
	g := b.must(lin, "correct horse")
	keep := func(d Draft) error { return b.KeepDraft(t.Context(), g.Token, g.Session.CSRF, d) }
	for i := range maxDrafts + 3 {
		b.wait(time.Second)
		if err := keep(draftOf(fmt.Sprintf("/p%d", i), "x")); err != nil {
			t.Fatal(err)
		}
	}
	var n int64
	if b.db.Model(&draftRow{}).Count(&n); n != maxDrafts {
		t.Errorf("%d drafts are kept", n)
	}
	many := url.Values{}
	for i := range maxDraftFields + 1 {
		many.Set(fmt.Sprint("f", i), "x")
	}
	for what, d := range map[string]Draft{"long": draftOf("/p", strings.Repeat("x", maxDraft)), "long page": draftOf("/"+strings.Repeat("x", maxDraftPath), "x"),
		"many": {Page: "/p", Action: "/p", Fields: many}} {
		if err := keep(d); codeOf(err) != "draft-too-large" {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.wait(10 * time.Minute)
	next := b.must(lin, "correct horse")
	if _, ok, err := b.TakeDraft(t.Context(), next.Session, "/p0"); ok || err != nil {
		t.Errorf("the oldest is still there: %v", err)
	}
	d, ok, err := b.TakeDraft(t.Context(), next.Session, "/p10")
	if err != nil || !ok || d.Fields.Get("name") != "x" || d.Action != "/p10" {
		t.Errorf("%v %v %+v", err, ok, d)
	}
	if _, ok, _ := b.TakeDraft(t.Context(), next.Session, "/p10"); ok {
		t.Error("it is given twice")
	}
	chen := b.must(b.clerk("chen.ming", "correct horse"), "correct horse")
	if _, ok, _ := b.TakeDraft(t.Context(), chen.Session, "/p9"); ok {
		t.Error("another account gets it")
	}
	b.wait(DraftLife)
	last := b.must(lin, "correct horse")
	if _, ok, _ := b.TakeDraft(t.Context(), last.Session, "/p9"); ok {
		t.Error("it is given after twelve hours")
	}
	if err := keep(draftOf("/late", "x")); err == nil {
		t.Error("a session is known twelve hours after its end")
	}
	for range 2 { // the sessions end, and later are forgotten
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wait(DraftLife)
	}
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"drafts", "ended_sessions"} {
		if b.db.Table(table).Count(&n); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}

// A draft cannot be moved to another account's row or another page: what is sealed is bound to both.
func TestDraftIsBoundToItsRow(t *testing.T) { each(t, testDraftIsBoundToItsRow) }

func testDraftIsBoundToItsRow(t *testing.T, b *bench) {
	lin, chen := b.clerk("lin.mei", "correct horse"), b.clerk("chen.ming", "correct horse")
	g := b.must(lin, "correct horse")
	if err := b.KeepDraft(t.Context(), g.Token, g.Session.CSRF, draftOf("/p", "x")); err != nil {
		t.Fatal(err)
	}
	if err := b.db.Exec("UPDATE drafts SET staff_id = ?", string(chen.ID)).Error; err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.TakeDraft(t.Context(), b.must(chen, "correct horse").Session, "/p"); ok || err == nil {
		t.Error("it opens in another account's row")
	}
}

// A stopped account keeps nothing, and what was typed in a session is no part of it after it was left.
func TestStoppedAccountKeepsNothing(t *testing.T) { each(t, testStoppedAccountKeepsNothing) }

func testStoppedAccountKeepsNothing(t *testing.T, b *bench) {
	lin := b.clerk("lin.mei", "correct horse")
	g := b.must(lin, "correct horse")
	if err := b.KeepDraft(t.Context(), g.Token, g.Session.CSRF, draftOf("/p", "x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(t.Context(), operator, lin.ID); err != nil {
		t.Fatal(err)
	}
	var n int64
	if b.db.Model(&draftRow{}).Count(&n); n != 0 {
		t.Errorf("%d drafts are left", n)
	}
	if err := b.KeepDraft(t.Context(), g.Token, g.Session.CSRF, draftOf("/p", "x")); codeOf(err) != "no-session" {
		t.Errorf("%v", err)
	}
}

func TestSecretsAreNotTyped(t *testing.T) {
	form := url.Values{"name": {"x"}, "code": {"D-1"}, "password": {"s"}, "Password2": {"s"}, "pin": {"s"}, "card-pin": {"s"}, "otp": {"s"}, "csrf": {"s"},
		"next": {"s"}, "signature": {"s"}, "api_token": {"s"}, "client-secret": {"s"}, "shipping": {"x"}}
	for name, v := range Typed(form) {
		if v[0] == "s" {
			t.Errorf("%s is kept", name)
		}
	}
	if got := Typed(form); len(got) != 3 {
		t.Errorf("%v", got)
	}
}

// HCA-8.1.1, HCA-3.7: an institution that is suspended ends its people's sessions at once, and opens none.
func TestSuspendedInstitutionEndsSessions(t *testing.T) {
	each(t, testSuspendedInstitutionEndsSessions)
}

func testSuspendedInstitutionEndsSessions(t *testing.T, b *bench) {
	c := b.hire(NewStaff{Account: "theirs", Role: Clerk, Institution: "0101090517"})
	g := b.must(c, c.Password.Reveal())
	b.suspend("0101090517", true)
	if _, err := b.Authenticate(t.Context(), g.Token, true); codeOf(err) != "no-session" {
		t.Errorf("%v", err)
	}
	b.suspend("0101090517", false)
	if _, err := b.Authenticate(t.Context(), g.Token, true); codeOf(err) != "no-session" {
		t.Errorf("the session came back with the institution: %v", err)
	}
	b.suspend("0101090517", true)
	b.wait(time.Minute)
	if _, err := b.try(c, c.Password.Reveal()); codeOf(err) != "login-refused" || b.codes("staff.login")["institution-inactive"] != 1 {
		t.Errorf("%v %v", err, b.codes("staff.login"))
	}
}
