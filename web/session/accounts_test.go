package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"certwindow/ra"
	"certwindow/ra/approve"
)

func TestOnlyOneFirstAdmin(t *testing.T) { each(t, testOnlyOneFirstAdmin) }

func testOnlyOneFirstAdmin(t *testing.T, b *bench) {
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := b.CreateFirstAdmin(t.Context(), operator, fmt.Sprintf("admin%d", i), "x"); err == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d first administrators", made.Load())
	}
}

// HCA-3.2: a contractor is never an approver; nor is any other account proposed that the rules do not allow.
func TestAccountsThatAreNotMade(t *testing.T) { each(t, testAccountsThatAreNotMade) }

func testAccountsThatAreNotMade(t *testing.T, b *bench) {
	b.clerk("taken", "correct horse")
	for code, n := range map[string]NewStaff{
		"account-malformed": {Account: "a b", Role: Clerk},
		"role-unknown":      {Account: "good", Role: "root"},
		"role-institution":  {Account: "good", Role: InstitutionAdmin},
		"contractor-role":   {Account: "good", Role: Approver, Contractor: true}, // HCA-3.2
		"account-taken":     {Account: "Taken", Role: Clerk},
	} {
		if _, err := b.approve.Propose(t.Context(), proposer, approve.CreateStaff, "staff/01JD0000000000000000000000", "", n.Facts()); codeOf(err) != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	more := NewStaff{Account: "good", Role: Clerk}.Facts()
	more["password"] = "yes"
	if _, err := b.approve.Propose(t.Context(), proposer, approve.CreateStaff, "staff/01JD0000000000000000000000", "", more); codeOf(err) != "approval-facts" {
		t.Errorf("a fact that nobody acts on: %v", err)
	}
	inside := ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "0101090517"}
	if _, err := b.approve.Propose(t.Context(), inside, approve.CreateStaff, "staff/01JD0000000000000000000000", inside.Institution, NewStaff{Account: "good", Role: Clerk}.Facts()); codeOf(err) != "not-yours" {
		t.Errorf("an institution's own: %v", err)
	}
}

// HCA-3.7: the accounts of another institution cannot be seen or changed.
func TestInstitutionsAreApart(t *testing.T) { each(t, testInstitutionsAreApart) }

func testInstitutionsAreApart(t *testing.T, b *bench) {
	c := b.hire(NewStaff{Account: "theirs", Role: Clerk, Institution: "0101090517"})
	other := ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "9999999999"}
	if _, err := b.Find(t.Context(), other, c.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("find: %v", err)
	}
	if err := b.Stop(t.Context(), other, c.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("stop: %v", err)
	}
	if _, err := b.Take(t.Context(), other, c.ID, PasswordHalf, "x"); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("take: %v", err)
	}
	if l, err := b.Staff(t.Context(), other, StaffQuery{Limit: 10}); err != nil || len(l) != 0 {
		t.Errorf("list: %v %v", l, err)
	}
}

// HCA-8.1.6: nobody stops his own account, nor proposes or approves anything about it.
func TestOwnAccountIsAnothersToManage(t *testing.T) { each(t, testOwnAccountIsAnothersToManage) }

func testOwnAccountIsAnothersToManage(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	self := ra.Actor{Kind: ra.ActorStaff, ID: string(c.ID)}
	if err := b.Stop(t.Context(), self, c.ID); codeOf(err) != "own-account" {
		t.Error(err)
	}
	st, err := b.Find(t.Context(), operator, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	object := "staff/" + string(c.ID)
	if _, err := b.approve.Propose(t.Context(), self, approve.ResetStaff, object, "", st.ResetFacts(true, true)); codeOf(err) != "own-account" {
		t.Error(err)
	}
	p, err := b.approve.Propose(t.Context(), proposer, approve.ChangeStaff, object, "", st.ChangeFacts(Approver, "", false))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.approve.Approve(t.Context(), self, p.ID, p.Hash); codeOf(err) != "own-account" {
		t.Error(err)
	}
}

// HCA-8.1.6: with the approval the old factors are worth nothing, and the new ones wait for two persons: each of them
// once, for three days, and not once the account is stopped.
func TestHandover(t *testing.T) { each(t, testHandover) }

func testHandover(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	both := func(st Staff) approve.Facts { return st.ResetFacts(true, true) }
	take := func(by ra.Actor, half Half) string {
		_, err := b.Take(t.Context(), by, c.ID, half, "")
		return codeOf(err)
	}
	b.byTwo(approve.ResetStaff, c.ID, both)
	if _, err := b.try(c, "correct horse"); codeOf(err) != "login-refused" {
		t.Errorf("the old credentials: %v", err)
	}
	stranger := ra.Actor{Kind: ra.ActorStaff, ID: "stranger"}
	for _, x := range []struct {
		by   ra.Actor
		half Half
	}{{proposer, CodeHalf}, {approver, PasswordHalf}, {stranger, CodeHalf}, {operator, CodeHalf}, {ra.Actor{Kind: ra.ActorSystem}, CodeHalf}, {ra.Actor{Kind: ra.ActorStaff}, CodeHalf}} {
		if got := take(x.by, x.half); got != "handover-not-yours" {
			t.Errorf("%s to %s: %s", x.half, x.by.ID, got)
		}
	}
	var shown atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if take(proposer, PasswordHalf) == "" {
				shown.Add(1)
			}
		})
	}
	wg.Wait()
	if shown.Load() != 1 {
		t.Errorf("a password was shown %d times", shown.Load())
	}
	b.wait(HandoverLife)
	if got := take(approver, CodeHalf); got != "handover-not-yours" {
		t.Errorf("after its time: %s", got)
	}
	b.byTwo(approve.ResetStaff, c.ID, both)
	if err := b.Stop(t.Context(), operator, c.ID); err != nil {
		t.Fatal(err)
	}
	b.byTwo(approve.ResumeStaff, c.ID, Staff.Facts)
	if got := take(proposer, PasswordHalf); got != "handover-not-yours" {
		t.Errorf("what waited before the account was stopped: %s", got)
	}
}

// HCA-8.1.6: nobody comes by both halves of an account, whatever his role was when he was shown each of them. Both made anew
// at once are another pair.
func TestNobodyIsShownBothHalves(t *testing.T) { each(t, testNobodyIsShownBothHalves) }

func testNobodyIsShownBothHalves(t *testing.T, b *bench) {
	third := ra.Actor{Kind: ra.ActorStaff, ID: "third"}
	decide := func(c Credentials, by, with ra.Actor, password, code bool) string {
		t.Helper()
		st, err := b.Find(t.Context(), operator, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.approve.Propose(t.Context(), by, approve.ResetStaff, "staff/"+string(c.ID), "", st.ResetFacts(password, code))
		if err == nil {
			if err = b.approve.Approve(t.Context(), with, p.ID, p.Hash); err != nil {
				err = errors.Join(err, b.approve.Reject(t.Context(), with, p.ID, "not like this"))
			}
		}
		return codeOf(err)
	}
	shown := b.reset(b.clerk("lin.mei", "correct horse").ID, true, true) // the proposer was shown the password, the approver the code
	if got := decide(shown, approver, third, true, false); got != "handover-both" {
		t.Errorf("who was shown the code shows the password: %q", got)
	}
	if got := decide(shown, third, proposer, false, true); got != "handover-both" {
		t.Errorf("who was shown the password shows the code: %q", got)
	}
	b.must(shown, shown.Password.Reveal()) // nothing was changed
	if got := decide(shown, proposer, approver, true, false); got != "" {
		t.Errorf("each shows his own half again: %q", got)
	}
	waits := b.clerk("wu.ming", "correct horse")
	if got := decide(waits, third, approver, true, false); got != "" {
		t.Fatal(got)
	}
	if got := decide(waits, proposer, third, false, true); got != "handover-both" {
		t.Errorf("for whom the password waits shows the code: %q", got)
	}
	anew := b.clerk("he.jun", "correct horse")
	if got := decide(anew, approver, third, true, true); got != "" {
		t.Errorf("both are made anew: %q", got)
	}
	if _, err := b.Take(t.Context(), approver, anew.ID, PasswordHalf, ""); err != nil {
		t.Errorf("of a new pair: %v", err)
	}
	if err := b.db.Model(&handoverRow{}).Where("staff_id = ? AND half = ?", string(anew.ID), CodeHalf).Update("for_staff", approver.ID).Error; err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(t.Context(), approver, anew.ID, CodeHalf, ""); codeOf(err) != "handover-both" {
		t.Errorf("both wait for one: %v", err)
	}
}

func TestFormTokenAndOrigin(t *testing.T) {
	x := Session{CSRF: "right"}
	post := func(token string, head map[string]string) error {
		r := httptest.NewRequest(http.MethodPost, "https://window.example/x", strings.NewReader(url.Values{FormField: {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range head {
			r.Header.Set(k, v)
		}
		return x.CheckForm(r)
	}
	if err := post("right", map[string]string{"Sec-Fetch-Site": "same-origin"}); err != nil {
		t.Error(err)
	}
	if err := post("", map[string]string{FormHeader: "right", "Origin": "https://window.example"}); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"no token":    post("", nil),
		"wrong token": post("wrong", map[string]string{"Sec-Fetch-Site": "same-origin"}),
		"cross site":  post("right", map[string]string{"Sec-Fetch-Site": "cross-site"}),
		"same site":   post("right", map[string]string{"Sec-Fetch-Site": "same-site"}),
		"origin":      post("right", map[string]string{"Origin": "https://evil.example"}),
		"empty token": (Session{}).CheckForm(httptest.NewRequest(http.MethodPost, "/x", nil)),
	} {
		if ra.KindOf(err) != ra.KindForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCookieIsClosed(t *testing.T) {
	rec := httptest.NewRecorder()
	SetCookie(rec, "token")
	got := rec.Header().Get("Set-Cookie")
	for _, want := range []string{"__Host-cw=token", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	c := Credentials{Password: "hunter2hunter2", TOTP: "hunter2hunter2", URL: "hunter2hunter2"}
	j, _ := json.Marshal(c)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cred", c, "p", c.Password)
	for _, s := range []string{string(j), log.String(), fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Password)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("tells %s", s)
		}
	}
}
