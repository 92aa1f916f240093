package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/web/session"
)

// openHolders are the holders' accounts, whose passwords are cheap to try.
func (h *house) openHolders(register appcred.Store) *appcred.Service {
	h.t.Helper()
	pepper := func(_ context.Context, data []byte) ([]byte, error) {
		sum := sha256.Sum256(append([]byte("pepper"), data...))
		return sum[:], nil
	}
	hasher, err := factor.NewHasher("holder", factor.PasswordCost{Time: 1, Memory: 64, Threads: 1}, pepper, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := appcred.New(appcred.Config{Store: register, Hasher: hasher, MAC: pepper, Idle: policy.Always(10 * time.Minute), Issuer: "certwindow",
		Log: slog.New(slog.DiscardHandler), Now: h.now, Rand: rand.Reader})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// HCA-8.2.6(4), HCA-8.2.7(2): the counter opens an account, and gives a new initial password to a holder whom it has
// identified; each is shown once, and nothing of it stays on the person's page.
func TestHolderAccount(t *testing.T) {
	h := build(t)
	clerk := h.signIn(session.Clerk)
	where := "/persons/" + string(h.person("王大明", "A123456789", "0000000112345678", ownCode))
	shown := regexp.MustCompile(`data-initial-password>([^<]+)<`)
	if r := clerk.post(where+"/account", url.Values{"account": {"dr.wang"}}); r.Code != 422 || !strings.Contains(r.Body.String(), "HCA-8.2.7") {
		t.Errorf("nobody was identified: %d", r.Code)
	}
	bad := clerk.post(where+"/account", url.Values{"account": {"Dr Wang!"}, "identified": {"yes"}})
	if bad.Code != 400 || !strings.Contains(bad.Body.String(), `value="Dr Wang!"`) {
		t.Errorf("a bad name: %d", bad.Code)
	}
	first := clerk.post(where+"/account", url.Values{"account": {"dr.wang"}, "identified": {"yes"}})
	m := shown.FindStringSubmatch(first.Body.String())
	if first.Code != 200 || m == nil {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	again := clerk.post(where+"/account", url.Values{"identified": {"yes"}})
	if n := shown.FindStringSubmatch(again.Body.String()); n == nil || n[1] == m[1] {
		t.Errorf("a reset: %d %v", again.Code, n)
	}
	if p := clerk.get(where).Body.String(); !strings.Contains(p, "dr.wang") || strings.Contains(p, m[1]) {
		t.Error("the person's page does not show the account, or shows its password")
	}
	if r := clerk.post(where+"/generator", url.Values{"generator": {"AAAA"}}); r.Code != 400 {
		t.Errorf("a weak generator: %d", r.Code)
	}
	desk := h.signIn(session.Helpdesk)
	if r := desk.post(where+"/account/stop", nil); r.Code != 303 || !strings.Contains(desk.get(where).Body.String(), "已停用") {
		t.Errorf("the help desk stops the account: %d", r.Code)
	}
	if r := desk.post(where+"/account", url.Values{"identified": {"yes"}}); r.Code != 403 {
		t.Errorf("the help desk resets: %d", r.Code)
	}
}
