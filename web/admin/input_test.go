package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"certwindow/ra"
	"certwindow/web/session"
)

// What is no text reaches no database, which would answer it with an internal error: PostgreSQL does so for U+0000.
func TestWhatIsNoTextIsRefused(t *testing.T) {
	h := build(t)
	clerk, nobody := h.signIn(session.Clerk), &browser{h: h}
	sameSite := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
	for name, c := range map[string]struct {
		got, want int
	}{
		"account of NUL":        {nobody.do(post, "/login", strings.NewReader("account=a%00b&password=x&code=1"), sameSite).Code, http.StatusBadRequest},
		"account not UTF-8":     {nobody.do(post, "/login", strings.NewReader("account=a%ffb&password=x&code=1"), sameSite).Code, http.StatusBadRequest},
		"account badly escaped": {nobody.do(post, "/login", strings.NewReader("account=%zz&password=x&code=1"), sameSite).Code, http.StatusBadRequest},
		"id":                    {clerk.get("/persons/%00").Code, http.StatusNotFound},
		"id not UTF-8":          {clerk.get("/devices/%ff").Code, http.StatusNotFound},
		"filter":                {clerk.get("/devices?code=%00").Code, http.StatusBadRequest},
		"cursor":                {clerk.get("/persons?after=%ff").Code, http.StatusBadRequest},
		"search":                {clerk.post("/search", url.Values{"q": {"\x00"}}).Code, http.StatusBadRequest},
		"second value":          {clerk.post("/search", url.Values{"q": {"x", "\x00"}}).Code, http.StatusBadRequest},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, not %d", name, c.got, c.want)
		}
	}
	body := "--x\r\nContent-Disposition: form-data; name=\"account\"\r\n\r\na\x00b\r\n--x--\r\n"
	rec := nobody.do(post, "/login", strings.NewReader(body), map[string]string{"Content-Type": "multipart/form-data; boundary=x", "Sec-Fetch-Site": "same-origin"})
	if rec.Code != http.StatusBadRequest {
		t.Errorf("multipart: %d", rec.Code)
	}
	if rec := clerk.post("/search", url.Values{"q": {"王大明"}}); rec.Code >= 400 {
		t.Errorf("a name: %d", rec.Code)
	}
}

// A link that opens a form cannot fill in what the form itself leaves out: its boxes that are not ticked.
func TestFormTakesNothingFromItsAddress(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	rec := admin.post("/institutions/new?window=yes", url.Values{"code": {"1301200010"}, "name": {"彰化醫院"}, "from": {"2026-01-01"}, "agreement": {strings.Repeat("ab", 32)}})
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	list, err := h.registry.Institutions(t.Context(), operator)
	h.ok(err)
	for _, i := range list {
		if i.Code == "1301200010" && i.IsWindow {
			t.Error("the address made the institution the window's own")
		}
	}
	clerk := h.signIn(session.Clerk)
	rec = clerk.post("/devices/new?shared=yes", url.Values{"code": {"D-LINK"}, "platform": {"ios"}, "model": {"iPhone"}, "institution": {string(ownCode)}})
	where, err := url.Parse(rec.Header().Get("Location"))
	h.ok(err)
	d, _, err := h.registry.Device(t.Context(), operator, ra.DeviceID(strings.TrimPrefix(where.Path, "/devices/")))
	h.ok(err)
	if d.Shared {
		t.Error("the address made the device a shared one")
	}
}

// HCA-3.7: what is no agreement's hash is not registered, and one that is there all the same spoils no page.
func TestAgreementIsAHash(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	for _, agreement := range []string{"x", strings.Repeat("z", 64), strings.Repeat("ab", 31)} {
		for _, window := range []string{"yes", ""} {
			rec := admin.post("/institutions/new", url.Values{"code": {"1301200010"}, "name": {"彰化醫院"}, "window": {window}, "from": {"2026-01-01"}, "agreement": {agreement}})
			if rec.Code != http.StatusBadRequest {
				t.Errorf("%q, window %q: %d", agreement, window, rec.Code)
			}
		}
	}
	h.ok(h.db.Gorm.Exec("UPDATE institutions SET agreement = 'x'").Error)
	if rec := admin.get("/institutions"); rec.Code != http.StatusOK {
		t.Errorf("the list: %d", rec.Code)
	}
}

// HCA-8.1.6: an account belongs to an institution that there is.
func TestAccountOfNoInstitutionIsRefused(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	for name, form := range map[string]url.Values{
		"no such institution":     {"account": {"lin.clerk"}, "role": {"clerk"}, "institution": {"9999999999"}},
		"an account turned round": {"account": {"lin\u202e.clerk"}, "role": {"clerk"}, "institution": {string(ownCode)}},
	} {
		if rec := admin.post("/staff/new", form); rec.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}
