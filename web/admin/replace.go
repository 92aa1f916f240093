package admin

import (
	"net/http"
	"net/url"

	"certwindow/devices"
	"certwindow/ra"
)

var replaceRoutes = []route{
	{method: get, path: "/devices/:id/replace", handle: (*page).replaceForm, roles: registrar},
	{method: post, path: "/devices/:id/replace", handle: (*page).replaceDevice, roles: registrar},
}

// replaceFields are the fields that a refusal is about.
var replaceFields = map[string][2]string{"code": {"code", "device.code"}, "device-code-taken": {"code", "device.code"}, "model": {"model", "device.model"},
	"platform-not-allowed": {"platform", "device.platform"}, "replacement-reason": {"event", "replace.event"}}

func (p *page) replaceForm() error { return p.replaceFormWith(nil) }

// replaceFormWith asks what became of the old phone and which one takes its place, after an error with what was typed.
func (p *page) replaceFormWith(failed error) error {
	d, users, err := p.site.Registry.Device(p.ctx(), p.actor(), ra.DeviceID(p.Param("id")))
	if err != nil {
		return err
	}
	var events []ra.DeviceEvent
	for _, e := range devices.Replacements {
		if _, err := ra.NextDevice(d.State, e); err == nil {
			events = append(events, e)
		}
	}
	using := 0
	for _, u := range users {
		if u.RemovedAt == nil {
			using++
		}
	}
	reported := d.State != ra.DeviceBound && d.State != ra.DeviceRegistered
	v := view{Title: "replace.title", Up: "/devices/" + string(d.ID), UpTitle: "device.one", Form: url.Values{"platform": {string(d.Platform)}},
		Data: map[string]any{"Device": d, "Users": using, "Reported": reported, "Events": options(p, "replace.event.", events),
			"Platforms": options(p, "platform.", []ra.Platform{ra.PlatformIOS, ra.PlatformAndroid})}}
	if failed == nil {
		return p.show(http.StatusOK, "replace", v)
	}
	v.Form = p.form()
	return p.again(failed, "replace", v, replaceFields)
}

// replaceDevice puts the new phone in the place of the old one and goes on to its binding.
func (p *page) replaceDevice() error {
	id, err := p.site.Registry.Replace(p.ctx(), p.actor(), ra.DeviceID(p.Param("id")), devices.Replacement{Code: p.FormValue("code"),
		Platform: ra.Platform(p.FormValue("platform")), Model: p.FormValue("model"), Event: ra.DeviceEvent(p.FormValue("event"))})
	if err != nil {
		return p.replaceFormWith(err)
	}
	return p.done("/devices/"+string(id), "replaced")
}
