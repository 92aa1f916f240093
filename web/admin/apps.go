package admin

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/throttle"
)

var appRoutes = append(appList.routes(lookers, (*page).apps), []route{
	{method: get, path: "/apps/new", handle: (*page).appForm, roles: managers},
	{method: post, path: "/apps/new", handle: (*page).addApp, roles: managers},
	{method: get, path: "/apps/:id", handle: (*page).app, roles: lookers},
	{method: post, path: "/apps/:id/propose", handle: (*page).proposeApp, roles: managers},
	{method: post, path: "/apps/:id/withdraw", handle: (*page).withdrawApp, roles: managers},
	{method: get, path: "/notices", handle: (*page).notices, roles: lookers},
	{method: post, path: "/notices", handle: (*page).writeNotices, roles: managers},
	{method: get, path: "/get", handle: (*page).getApps, open: true},
}...)

// Apps are the approved app versions and the notices that apps show; devices.Service has them.
type Apps interface {
	AddApp(ctx context.Context, actor ra.Actor, a devices.App) (string, error)
	Apps(ctx context.Context, q devices.AppQuery) ([]devices.App, error)
	App(ctx context.Context, id string) (devices.App, error)
	WithdrawApp(ctx context.Context, actor ra.Actor, id, reason string) error
	WriteNotices(ctx context.Context, actor ra.Actor, n devices.SafetyNotice, last int) (int, error)
	SafetyNotices(ctx context.Context) ([]devices.SafetyNotice, int, error)
	CheckIns(ctx context.Context, actor ra.Actor, id ra.DeviceID) ([]devices.CheckIn, ra.AppFacts, error)
	Acknowledgements(ctx context.Context, actor ra.Actor, id ra.DeviceID) ([]devices.Acknowledgement, error)
}

var appStates = []devices.AppState{devices.AppProposed, devices.AppApproved, devices.AppWithdrawn}

func (p *page) appForm() error { return p.appFormWith(nil) }

// appFields are the fields that an app's errors belong to.
var appFields = map[string][2]string{"app-package": {"package", "app.package"}, "app-version": {"version", "app.version"}, "app-min-os": {"min_os", "app.min-os"},
	"app-download": {"download", "app.download"}, "app-permissions": {"permissions", "app.permissions"}, "app-digest": {"digest", "app.digest"},
	"app-evidence-sha256": {"evidence_sha256", "app.evidence-sha256"}, "app-reviewed": {"reviewed", "app.reviewed"}, "date-malformed": {"reviewed", "app.reviewed"},
	"app-name": {"name", "app.name"}, "app-evidence": {"evidence", "app.evidence"}, "app-reviewer": {"reviewer", "app.reviewer"}, "app-exists": {"version", "app.version"},
	"app-scope-unknown": {"scopes", "app.scopes"}, "platform-not-allowed": {"platform", "device.platform"}}

func (p *page) appFormWith(failed error) error {
	all, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return err
	}
	var scopes []option
	for _, s := range all {
		if s.Approved {
			scopes = append(scopes, option{Value: s.Code, Label: s.Code + " " + s.Name})
		}
	}
	v := view{Title: "app.new", Up: "/apps", UpTitle: "apps.title", Data: map[string]any{"Scopes": scopes,
		"Platforms": []option{{Value: string(ra.PlatformIOS), Label: p.words().say("platform.ios")}, {Value: string(ra.PlatformAndroid), Label: p.words().say("platform.android")}}}}
	if failed == nil {
		return p.show(http.StatusOK, "app-new", v)
	}
	return p.again(failed, "app-new", v, appFields)
}

func (p *page) addApp() error {
	a := devices.App{Platform: ra.Platform(p.FormValue("platform")), Package: p.FormValue("package"), Name: p.FormValue("name"), Version: p.FormValue("version"),
		Permissions: strings.FieldsFunc(p.FormValue("permissions"), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }), Download: p.FormValue("download"),
		Digest: p.FormValue("digest"), MinOS: p.FormValue("min_os"), Scopes: p.Request().PostForm["scopes"], Evidence: p.FormValue("evidence"),
		EvidenceSum: p.FormValue("evidence_sha256"), Reviewer: p.FormValue("reviewer")}
	var err error
	if a.ReviewedOn, err = day(p.FormValue("reviewed")); err != nil {
		return p.appFormWith(err)
	}
	id, err := p.site.Apps.AddApp(p.ctx(), p.actor(), a)
	if err != nil {
		return p.appFormWith(err)
	}
	return p.done("/apps/"+id, "app")
}

// appData is everything about one app version.
type appData struct {
	devices.App
	Reasons   []option
	Approvals []approvalLine
	Waiting   bool // its approval is proposed
	History   []event
}

func (p *page) app() error { return p.appWith(nil) }

func (p *page) appWith(failed error) error {
	a, err := p.site.Apps.App(p.ctx(), p.Param("id"))
	if err != nil {
		return err
	}
	d := appData{App: a}
	for _, r := range devices.WithdrawalReasons {
		d.Reasons = append(d.Reasons, option{Value: r, Label: p.words().say("withdrawal." + r)})
	}
	if d.Approvals, err = p.approvalsOf("app/" + a.ID); err != nil {
		return err
	}
	for _, x := range d.Approvals {
		d.Waiting = d.Waiting || x.State == approve.Proposed
	}
	if d.History, err = p.history("app/" + a.ID); err != nil {
		return err
	}
	v := view{Title: "app.one", Heading: a.Name + " " + a.Version, Up: "/apps", UpTitle: "apps.title", Data: d, Form: url.Values{}}
	if failed != nil {
		return p.again(failed, "app", v, map[string][2]string{"withdrawal-reason": {"reason", "app.withdrawal"}})
	}
	return p.show(http.StatusOK, "app", v)
}

func (p *page) proposeApp() error {
	a, err := p.site.Apps.App(p.ctx(), p.Param("id"))
	if err != nil {
		return err
	}
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.ApproveApp, "app/"+a.ID, "", a.Facts())
	if err != nil {
		return p.appWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

func (p *page) withdrawApp() error {
	id := p.Param("id")
	if err := p.site.Apps.WithdrawApp(p.ctx(), p.actor(), id, p.FormValue("reason")); err != nil {
		return p.appWith(err)
	}
	return p.done("/apps/"+id, "app-withdrawn")
}

func (p *page) notices() error { return p.noticesWith(nil) }

func (p *page) noticesWith(failed error) error {
	list, read, err := p.site.Apps.SafetyNotices(p.ctx())
	if err != nil {
		return err
	}
	v := view{Title: "notices.title", Up: "/apps", UpTitle: "apps.title", Data: map[string]any{"List": list, "Read": read, "Last": 0}, Form: url.Values{}}
	if len(list) > 0 {
		n := list[0]
		v.Form = url.Values{"risk_zh": {n.RiskZH}, "risk_en": {n.RiskEN}, "antivirus_zh": {n.AntivirusZH}, "antivirus_en": {n.AntivirusEN}}
		v.Data.(map[string]any)["Last"] = n.Version
	}
	if failed == nil {
		return p.show(http.StatusOK, "notices", v)
	}
	v.Form = p.form()
	return p.again(failed, "notices", v, map[string][2]string{"risk-zh": {"risk_zh", "notice.risk-zh"}, "risk-en": {"risk_en", "notice.risk-en"},
		"antivirus-zh": {"antivirus_zh", "notice.antivirus-zh"}, "antivirus-en": {"antivirus_en", "notice.antivirus-en"}})
}

func (p *page) writeNotices() error {
	last, err := strconv.Atoi(p.FormValue("last"))
	if err != nil || last < 0 {
		last = 0
	}
	n := devices.SafetyNotice{RiskZH: p.FormValue("risk_zh"), RiskEN: p.FormValue("risk_en"), AntivirusZH: p.FormValue("antivirus_zh"), AntivirusEN: p.FormValue("antivirus_en")}
	if _, err := p.site.Apps.WriteNotices(p.ctx(), p.actor(), n, last); err != nil {
		return p.noticesWith(err)
	}
	return p.done("/notices", "notices")
}

// The public page is made anew once in publicFor, and a network may ask for so many pages a second.
const (
	publicFor               = 15 * time.Second
	publicRate, publicBurst = 10, 100
)

// offer is an app to download, as the public page shows it (HCA-8.2.2).
type offer struct {
	devices.App
	QR template.HTML
}

// offers are what the public page shows, kept for a moment.
type offers struct {
	mu    sync.Mutex
	made  time.Time
	list  []offer
	limit *throttle.Limiter
}

// getApps is the public page of the approved apps: name, version, and where to download them (HCA-8.2.2). The newest
// approved version of each is shown.
func (p *page) getApps() error {
	o, now := &p.site.offers, p.site.Now()
	if !o.limit.Take(throttle.Network(p.RealIP()), now) {
		p.Response().Header().Set("Retry-After", "1")
		return ra.Errorf(ra.KindTooMany, "too-many", nil, "Too many requests. Wait a moment and try again.")
	}
	list, err := o.now(p, now)
	if err != nil {
		return err
	}
	p.Response().Header().Set("Cache-Control", "public, max-age=60")
	p.Response().Header().Add("Vary", "Cookie")
	return p.show(http.StatusOK, "get", view{Title: "get.title", Data: list})
}

func (o *offers) now(p *page, now time.Time) ([]offer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if since := now.Sub(o.made); !o.made.IsZero() && since >= 0 && since < publicFor {
		return o.list, nil
	}
	apps, err := p.site.Apps.Apps(p.ctx(), devices.AppQuery{State: devices.AppApproved, Limit: 200})
	if err != nil {
		return nil, err
	}
	var list []offer
	for _, a := range newest(apps) {
		qr, err := qrSVG(a.Download)
		if err != nil {
			return nil, err
		}
		list = append(list, offer{a, qr})
	}
	o.made, o.list = now, list
	return list, nil
}

// newest keeps the newest version of each app.
func newest(apps []devices.App) (out []devices.App) {
	for _, a := range apps {
		i := slices.IndexFunc(out, func(x devices.App) bool { return x.Platform == a.Platform && x.Package == a.Package })
		switch {
		case i < 0:
			out = append(out, a)
		case policy.VersionLess(out[i].Version, a.Version):
			out[i] = a
		}
	}
	return out
}
