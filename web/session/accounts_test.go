package session

import (
	"bytes"
	"encoding/json"
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

// HCA-3.2: a contractor is never an approver; nor is any other account made that the rules do not allow.
func TestAccountsThatAreNotMade(t *testing.T) { each(t, testAccountsThatAreNotMade) }

func testAccountsThatAreNotMade(t *testing.T, b *bench) {
	b.clerk("taken", "correct horse")
	inside := ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "0101090517"}
	for code, n := range map[string]NewStaff{
		"account-malformed": {Account: "a b", Name: "x", Role: Clerk},
		"name-malformed":    {Account: "good", Name: "a\u202eb", Role: Clerk},
		"role-unknown":      {Account: "good", Name: "x", Role: "root"},
		"role-institution":  {Account: "good", Name: "x", Role: InstitutionAdmin},
		"contractor-role":   {Account: "good", Name: "x", Role: Approver, Contractor: true}, // HCA-3.2
		"account-taken":     {Account: "Taken", Name: "x", Role: Clerk},
	} {
		if _, err := b.CreateStaff(t.Context(), operator, n); codeOf(err) != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := b.CreateStaff(t.Context(), inside, NewStaff{Account: "good", Name: "x", Role: Clerk}); ra.KindOf(err) != ra.KindForbidden {
		t.Errorf("an institution's own: %v", err)
	}
}

// HCA-3.7: the accounts of another institution cannot be seen or changed.
func TestInstitutionsAreApart(t *testing.T) { each(t, testInstitutionsAreApart) }

func testInstitutionsAreApart(t *testing.T, b *bench) {
	c, err := b.CreateStaff(t.Context(), operator, NewStaff{Account: "theirs", Name: "x", Role: Clerk, Institution: "0101090517"})
	if err != nil {
		t.Fatal(err)
	}
	other := ra.Actor{Kind: ra.ActorStaff, ID: "x", Institution: "9999999999"}
	if _, err := b.Find(t.Context(), other, c.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("find: %v", err)
	}
	if err := b.Stop(t.Context(), other, c.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("stop: %v", err)
	}
	if _, err := b.Reset(t.Context(), other, c.ID, true, true); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("reset: %v", err)
	}
	if l, err := b.List(t.Context(), other, "", 10); err != nil || len(l) != 0 {
		t.Errorf("list: %v %v", l, err)
	}
}

// HCA-8.1.6: nobody stops or resets his own account.
func TestOwnAccountIsAnothersToManage(t *testing.T) { each(t, testOwnAccountIsAnothersToManage) }

func testOwnAccountIsAnothersToManage(t *testing.T, b *bench) {
	c := b.clerk("lin.mei", "correct horse")
	self := ra.Actor{Kind: ra.ActorStaff, ID: string(c.ID)}
	if err := b.Stop(t.Context(), self, c.ID); codeOf(err) != "own-account" {
		t.Error(err)
	}
	if _, err := b.Reset(t.Context(), self, c.ID, true, true); codeOf(err) != "own-account" {
		t.Error(err)
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
