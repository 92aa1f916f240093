package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/settings"
	"certwindow/web/session"
)

var settingRoutes = []route{
	{method: get, path: "/settings", handle: (*page).settings, roles: slices.Concat(managed, approvers, suspenders)},
	{method: post, path: "/settings", handle: (*page).proposeSetting, roles: managers},
	{method: post, path: "/settings/suspend", handle: (*page).suspendWindow, roles: slices.Concat(managers, approvers, suspenders)},
}

// suspenders stop things at any hour, beside those whose business they are.
var suspenders = []session.Role{session.Helpdesk}

// Settings are the limits that a window may tighten; settings.Service is one.
type Settings interface {
	Now() policy.Settings
	Lines(ctx context.Context) ([]settings.Line, error)
	Facts(name policy.SettingName, value string) approve.Facts
	Suspend(ctx context.Context, actor ra.Actor, note string) error
}

// settingLine is a setting as the page lists it.
type settingLine struct {
	settings.Line
	Who, Path string // who decided, and the approval's page
}

func (p *page) settings() error { return p.settingsWith(nil) }

// settingsWith lists every limit, after an error with what was typed.
func (p *page) settingsWith(failed error) error {
	lines, err := p.site.Settings.Lines(p.ctx())
	if err != nil {
		return err
	}
	names := map[string]string{}
	var list []settingLine
	var choices []option
	suspended := false
	for _, l := range lines {
		x := settingLine{Line: l}
		if l.Decided != nil {
			x.Who = p.account(names, l.Decided.SetBy)
			if l.Decided.Approval != "" {
				x.Path = "/approvals/" + l.Decided.Approval
			}
		}
		list = append(list, x)
		choices = append(choices, option{Value: string(l.Name), Label: p.words().say("setting." + string(l.Name))})
		suspended = suspended || l.Name == policy.WindowSuspended && l.Value == "yes"
	}
	v := view{Title: "settings.title", Data: map[string]any{"List": list, "Choices": choices, "Suspended": suspended,
		"May": p.who.Staff.Institution == ""}}
	if failed == nil {
		v.Form = url.Values{"setting": {string(policy.Idle)}}
		return p.show(http.StatusOK, "settings", v)
	}
	return p.again(failed, "settings", v, map[string][2]string{"setting-malformed": {"value", "setting.to"}, "setting-out-of-bounds": {"value", "setting.to"},
		"change-nothing": {"value", "setting.to"}, "setting-unknown": {"setting", "setting.choose"}, "note": {"suspend_note", "setting.suspend.note"}})
}

func (p *page) proposeSetting() error {
	name := policy.SettingName(p.FormValue("setting"))
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.ChangeSetting, settings.Object(name), "", p.site.Settings.Facts(name, p.FormValue("value")))
	if err != nil {
		return p.settingsWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// suspendWindow stops enrolment at once (HCA-3.8). To resume is a change of the setting, by two.
func (p *page) suspendWindow() error {
	if err := p.site.Settings.Suspend(p.ctx(), p.actor(), p.FormValue("suspend_note")); err != nil {
		return p.settingsWith(err)
	}
	return p.done("/settings", "window-suspended")
}
