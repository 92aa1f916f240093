package admin

import (
	"certwindow/ra"
	"certwindow/ra/enrol"
)

// applicationLine is an application as its list shows it.
type applicationLine struct {
	ra.Application
	Holder string // masked
}

var applicationList = &list[applicationLine]{
	path:   "applications",
	title:  "applications.title",
	none:   "applications.none",
	orders: []order{{"id", true}},
	filters: []filter{
		{name: "state", label: "state", kind: "select", options: func(p *page) []option { return choices(p, "state.application.", applicationStates) }},
		{name: "kind", label: "application.kind", kind: "select", options: func(p *page) []option { return choices(p, "kind.", applicationKinds) }},
		{name: "institution", label: "list.institution", kind: "text"},
		{name: "person", label: "list.about-person", kind: "about", shown: (*page).personName},
		{name: "device", label: "list.about-device", kind: "about", shown: (*page).deviceCode},
	},
	columns: []column[applicationLine]{
		{label: "application.begun", class: "when", by: "id", cell: func(p *page, a applicationLine) cell {
			return p.when(a.CreatedAt).to("/applications/" + string(a.ID))
		}},
		{label: "application.kind", class: "short", cell: func(p *page, a applicationLine) cell { return p.word("kind", string(a.Kind)) }},
		{label: "state", cell: func(p *page, a applicationLine) cell { return p.state("application", string(a.State)) }},
		{label: "application.person", class: "short", cell: func(_ *page, a applicationLine) cell { return leading("/persons/"+string(a.PersonID), a.Holder) }},
		{label: "application.institution", class: "code", cell: func(p *page, a applicationLine) cell { return p.institutionCell(a.Institution) }},
		{label: "application.scope", cell: func(_ *page, a applicationLine) cell { return joined(a.Scope) }},
		{label: "application.key", cell: func(p *page, a applicationLine) cell { return p.word("key-short", string(a.KeyDesign)) }},
		{label: "application.changed", class: "when", cell: func(p *page, a applicationLine) cell { return p.when(a.UpdatedAt) }},
	},
	read: readApplications,
	count: func(p *page, a asked) (int, error) {
		return p.site.Enrolments.CountApplications(p.ctx(), p.actor(), applicationQuery(a))
	},
	mark: func(_ string, a applicationLine) ra.Mark { return ra.Mark{ID: string(a.ID)} },
}

func applicationQuery(a asked) enrol.Query {
	return enrol.Query{Kind: ra.ApplicationKind(a.get("kind")), State: ra.ApplicationState(a.get("state")), Institution: ra.InstitutionCode(a.get("institution")),
		Person: ra.PersonID(a.get("person")), Device: ra.DeviceID(a.get("device")), Order: a.order, Brief: true, Limit: a.limit}
}

func readApplications(p *page, a asked) ([]applicationLine, error) {
	found, err := p.site.Enrolments.Applications(p.ctx(), p.actor(), applicationQuery(a))
	if err != nil {
		return nil, err
	}
	names, err := holders(p, found, func(a ra.Application) ra.PersonID { return a.PersonID })
	out := make([]applicationLine, 0, len(found))
	for _, x := range found {
		out = append(out, applicationLine{x, names[x.PersonID]})
	}
	return out, err
}
