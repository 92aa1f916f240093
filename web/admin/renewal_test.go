package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/renew"
	"certwindow/ra/store"
	"certwindow/web/session"
)

func (h *house) renewals() Renewals { return renew.New(store.RenewStore{Store: h.store}, h.now) }

func (h *house) tell(tx *gorm.DB, person ra.PersonID, kind ra.NoticeKind, object string) error {
	return h.store.Tell(tx, person, kind, object)
}

// ending is a live certificate that has so many days left.
func (h *house) ending(p ra.PersonID, d ra.DeviceID, days int) ra.CertificateID {
	h.t.Helper()
	id := h.certificate(p, d, ownCode, ra.CertLive)
	h.ok(h.db.Gorm.Exec("UPDATE certificates SET not_after = ? WHERE id = ?", h.now().Add(time.Duration(days)*24*time.Hour).UTC(), id).Error)
	return id
}

// HCA-7.2, HCA-7.5: who looks at a person, a certificate or the counter sees what is to be renewed and in how many days; the
// application begins with the same device, scope and key, and says which certificate it renews.
func TestRenewalThroughThePages(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	id, later := h.ending(p, d, 20), h.ending(p, d, 61)
	clerk := h.signIn(session.Clerk)
	begin := "/applications/new?renews=" + string(id)
	for _, page := range []string{"/persons/" + string(p), "/certificates/" + string(id)} {
		clerk.has(page, `20 天後到期`, `href="`+begin+`"`)
	}
	clerk.has("/counter?person="+string(p), "20 天後到期", "renews="+string(id))
	clerk.lacks("/certificates/"+string(later), "天後到期")
	clerk.has(begin, `name="renews" value="`+string(id)+`"`, `value="EMR-SIGN" checked`, `value="`+string(d)+`" checked`, `value="app" checked`)
	h.signIn(session.Auditor).lacks("/certificates/"+string(id), begin) // who begins no applications

	form := url.Values{"person": {string(p)}, "device": {string(d)}, "scope": {"EMR-SIGN"}, "key": {"app"}, "algorithm": {"P-256"}, "renews": {string(later)}}
	clerk.refusedWith("/applications/new", form, "renewal-too-early")
	form.Set("renews", string(id))
	res := clerk.post("/applications/new", form)
	if res.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	clerk.has(res.Header().Get("Location"), "換發前的憑證", `/certificates/`+string(id))
	clerk.has("/persons/"+string(p), begin) // nobody has signed yet

	h.ok(h.registry.Report(t.Context(), operator, d, ra.DeviceLose))
	clerk.lacks("/persons/"+string(p), begin) // what was on a lost phone is revoked
}

// HCA-4.1, HCA-5.2.2, HCA-6.1: a phone is replaced on one page, which says what follows; what was on the old one is applied for
// anew on the new one.
func TestReplaceThroughThePages(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	d := h.boundDevice("D-1", p, ownCode)
	id := h.certificate(p, d, ownCode, ra.CertLive)
	clerk := h.signIn(session.Clerk)
	clerk.has("/devices/"+string(d), `href="/devices/`+string(d)+`/replace"`)
	form := url.Values{"code": {"D-2"}, "platform": {"ios"}, "model": {"iPhone 18"}}
	clerk.refusedWith("/devices/"+string(d)+"/replace", form, "replacement-reason")
	form.Set("event", "retire")
	res := clerk.post("/devices/"+string(d)+"/replace", form)
	if res.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	next, _, _ := strings.Cut(res.Header().Get("Location"), "?")
	clerk.has(next, "取代", "D-1", "待重新申辦", "請先綁定本載具")
	clerk.lacks(next, "like="+string(id))
	clerk.has("/devices/"+string(d), "已更換為", `href="`+next+`"`, "已報廢")
	clerk.lacks("/devices/"+string(d), "/devices/"+string(d)+"/replace")
	clerk.refusedWith("/devices/"+string(d)+"/replace", url.Values{"code": {"D-3"}, "platform": {"ios"}, "model": {"iPhone 18"}}, "device-replaced")
}

// HCA-7.3: a phone that was copied stands among the tasks of those who can act on it, with its page, until it is bound anew.
func TestCopiedPhoneIsATask(t *testing.T) {
	h := build(t)
	p := h.person("王大明", "A123456789", "0000000000000001", ownCode)
	id := h.boundDevice("D-1", p, ownCode)
	clerk, admin := h.signIn(session.Clerk), h.signIn(session.InstitutionAdmin)
	clerk.lacks("/", "遭複製的載具")
	device, _, err := h.registry.Device(t.Context(), operator, id)
	h.ok(err)
	phone := ra.Actor{Kind: ra.ActorDevice, ID: string(id)}
	first, err := h.registry.Continue(t.Context(), phone, device, "")
	h.ok(err)
	_, err = h.registry.Continue(t.Context(), phone, device, first)
	h.ok(err)
	if _, err := h.registry.Continue(t.Context(), phone, device, ""); ra.AsError(err).Code != "device-copied" {
		t.Fatal(err)
	}
	for who, b := range map[string]*browser{"clerk": clerk, "institution's administrator": admin} {
		body := b.get("/").Body.String()
		if !strings.Contains(body, "遭複製的載具：1") || !strings.Contains(body, `href="/devices/`+string(id)+`"`) {
			t.Errorf("the %s is not told", who)
		}
	}
	clerk.has("/devices/"+string(id), "偵測到這部載具的複本", "HCA-7.3")
	_, err = h.registry.Replace(t.Context(), operator, id, devices.Replacement{Code: "D-2", Platform: ra.PlatformIOS, Model: "iPhone 18", Event: ra.DeviceRetire})
	h.ok(err)
	clerk.lacks("/", "遭複製的載具")
}
