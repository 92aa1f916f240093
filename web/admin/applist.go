package admin

import (
	"net/http"
	"strings"

	"certwindow/devices"
	"certwindow/ra"
)

// appList are the app versions on file (HCA-2.6). There are some dozens, which are sorted here.
var appList = &list[devices.App]{
	path:   "apps",
	title:  "apps.title",
	none:   "apps.none",
	add:    "app.new",
	hint:   "apps.text",
	orders: []order{{"created", true}, {"name", false}, {"package", false}},
	filters: []filter{{name: "state", label: "state", kind: "select", options: func(p *page) []option { return choices(p, "state.app.", appStates) }},
		{name: "platform", label: "device.platform", kind: "select", options: func(p *page) []option { return choices(p, "platform.", appPlatforms) }}},
	columns: []column[devices.App]{
		{label: "app.name", by: "name", cell: func(_ *page, a devices.App) cell { return leading("/apps/"+a.ID, a.Name) }},
		{label: "app.version", class: "code", cell: func(_ *page, a devices.App) cell { return plain(a.Version) }},
		{label: "state", cell: func(p *page, a devices.App) cell { return p.state("app", string(a.State)) }},
		{label: "device.platform", cell: func(p *page, a devices.App) cell { return p.word("platform", string(a.Platform)) }},
		{label: "app.package", class: "code", by: "package", cell: func(_ *page, a devices.App) cell { return plain(a.Package) }},
		{label: "app.scopes", class: "code", cell: func(p *page, a devices.App) cell {
			if len(a.Scopes) == 0 {
				return plain(p.words().say("app.every-scope"))
			}
			return plain(strings.Join(a.Scopes, ", "))
		}},
		{label: "app.added", class: "when", by: "created", cell: func(p *page, a devices.App) cell { return p.when(a.CreatedAt) }},
	},
	read: func(p *page, a asked) ([]devices.App, error) {
		all, err := p.appsAsked(a)
		return pageOf(all, a, appMark), err
	},
	count: func(p *page, a asked) (int, error) {
		all, err := p.appsAsked(a)
		return len(all), err
	},
	mark: appMark,
}

var appPlatforms = []ra.Platform{ra.PlatformIOS, ra.PlatformAndroid}

// appsAsked are all app versions that a list asks for.
func (p *page) appsAsked(a asked) (all []devices.App, err error) {
	q := devices.AppQuery{State: known(a.get("state"), appStates), Platform: known(a.get("platform"), appPlatforms), Limit: pageRows}
	for {
		some, err := p.site.Apps.Apps(p.ctx(), q)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < pageRows {
			return all, nil
		}
		q.Before = some[len(some)-1].ID
	}
}

func appMark(by string, a devices.App) ra.Mark {
	switch by {
	case "name":
		return ra.Mark{Key: a.Name, ID: a.ID}
	case "package":
		return ra.Mark{Key: a.Package, ID: a.ID}
	}
	return ra.Mark{ID: a.ID} // ids are made in the order of time
}

// apps is the list, with the ways to the public page and to the notices that apps show.
func (p *page) apps() error {
	d, err := appList.page(p)
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "apps", view{Title: appList.title, Data: d})
}
