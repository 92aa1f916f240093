package admin

import (
	"certwindow/devices"
	"certwindow/ra"
)

var platforms = []ra.Platform{ra.PlatformIOS, ra.PlatformAndroid}

var deviceList = &list[devices.Device]{
	path:   "devices",
	title:  "devices.title",
	none:   "devices.none",
	add:    "device.new",
	orders: []order{{"id", true}, {"code", false}, {"seen", false}},
	filters: []filter{
		{name: "state", label: "state", kind: "select", options: func(p *page) []option { return choices(p, "state.device.", deviceStates) }},
		{name: "platform", label: "device.platform", kind: "select", options: func(p *page) []option { return choices(p, "platform.", platforms) }},
		{name: "code", label: "device.code-begins", kind: "text"},
		{name: "silent", label: "device.silent", kind: "select", options: (*page).silentOptions},
		{name: "institution", label: "list.institution", kind: "text"},
		{name: "person", label: "list.about-person", kind: "about", shown: (*page).personName},
	},
	columns: []column[devices.Device]{
		{label: "device.code", class: "code", by: "code", cell: func(_ *page, d devices.Device) cell { return leading("/devices/"+string(d.ID), d.Code) }},
		{label: "state", cell: func(p *page, d devices.Device) cell { return p.state("device", string(d.State)) }},
		{label: "device.platform", cell: func(p *page, d devices.Device) cell {
			c := p.word("platform", string(d.Platform))
			if d.Shared {
				c.Text += " · " + p.words().say("device.shared-short")
			}
			return c
		}},
		{label: "device.model", cell: func(_ *page, d devices.Device) cell { return plain(d.Model) }},
		{label: "device.institution", class: "code", cell: func(p *page, d devices.Device) cell { return p.institutionCell(d.Institution) }},
		{label: "device.seen", class: "when", by: "seen", cell: func(p *page, d devices.Device) cell {
			if d.LastSeenAt == nil {
				return plain(p.words().say("device.never-seen"))
			}
			return p.when(*d.LastSeenAt)
		}},
		{label: "device.created", class: "when", by: "id", cell: func(p *page, d devices.Device) cell { return p.when(d.CreatedAt) }},
	},
	arrange: func(a asked) string {
		if a.get("code") != "" {
			return "code"
		}
		return ""
	},
	read: func(p *page, a asked) ([]devices.Device, error) {
		return p.site.Registry.Devices(p.ctx(), p.actor(), p.deviceQuery(a))
	},
	count: func(p *page, a asked) (int, error) {
		return p.site.Registry.CountDevices(p.ctx(), p.actor(), p.deviceQuery(a))
	},
	mark: func(by string, d devices.Device) ra.Mark {
		switch m := (ra.Mark{ID: string(d.ID)}); by {
		case "code":
			m.Key = d.Code
			return m
		case "seen":
			m.Key = ra.MarkTime(d.CreatedAt)
			if d.LastSeenAt != nil {
				m.Key = ra.MarkTime(*d.LastSeenAt)
			}
			return m
		default:
			return m
		}
	},
}

func (p *page) deviceQuery(a asked) devices.DeviceQuery {
	q := devices.DeviceQuery{State: ra.DeviceState(a.get("state")), Platform: ra.Platform(a.get("platform")), Code: a.get("code"),
		Institution: ra.InstitutionCode(a.get("institution")), User: ra.PersonID(a.get("person")), Order: a.order, Limit: a.limit}
	if a.get("silent") != "" {
		q.SilentSince = p.site.Now().AddDate(0, 0, -p.silentDays())
	}
	return q
}

func (p *page) silentOptions() []option {
	return []option{{Label: p.words().say("filter.all")}, {Value: "1", Label: p.words().say("device.silent-for", p.silentDays())}}
}
