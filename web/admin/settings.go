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

var settingRoutes = append(settingList.routes(settingLookers, (*page).settings), []route{
	{method: get, path: "/settings/:name", handle: (*page).setting, roles: settingLookers},
	{method: post, path: "/settings", handle: (*page).proposeSetting, roles: managers},
	{method: post, path: "/settings/suspend", handle: (*page).suspendWindow, roles: slices.Concat(managers, approvers, suspenders)},
}...)

// settingLookers see the limits that hold.
var settingLookers = slices.Concat(managed, approvers, suspenders)

// suspenders stop things at any hour, beside those whose business they are.
var suspenders = []session.Role{session.Helpdesk}

// Settings are the limits that a window may tighten; settings.Service is one.
type Settings interface {
	Now() policy.Settings
	Lines(ctx context.Context) ([]settings.Line, error)
	Facts(name policy.SettingName, value string) approve.Facts
	Suspend(ctx context.Context, actor ra.Actor, note string) error
}

func (p *page) settings() error { return p.settingsWith(nil) }

// settingsWith lists every limit, after an error with what was typed.
func (p *page) settingsWith(failed error) error {
	list, err := settingList.page(p)
	if err != nil {
		return err
	}
	all, err := p.settingRows(false)
	if err != nil {
		return err
	}
	var choices []option
	suspended := false
	for _, r := range all {
		choices = append(choices, option{Value: string(r.Name), Label: p.words().say("setting." + string(r.Name))})
		suspended = suspended || r.Name == policy.WindowSuspended && r.Value == "yes"
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
