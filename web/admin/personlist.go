package admin

import (
	"certwindow/devices"
	"certwindow/ra"
)

// personList is in the order of registration alone: names are sealed in the database, so that it cannot sort them.
var personList = &list[devices.Person]{
	path:   "persons",
	title:  "persons.title",
	none:   "persons.none",
	add:    "person.new",
	hint:   "persons.hint",
	orders: []order{{"id", true}},
	filters: []filter{
		{name: "institution", label: "list.institution", kind: "text"},
	},
	columns: []column[devices.Person]{
		{label: "person.name", cell: func(_ *page, x devices.Person) cell { return leading("/persons/"+string(x.ID), line(x).Name) }},
		{label: "person.national-id", class: "code", cell: func(_ *page, x devices.Person) cell { return plain(line(x).NationalID) }},
		{label: "person.institution", class: "code", cell: func(_ *page, x devices.Person) cell { return plain(line(x).Institutions) }},
		{label: "state", cell: func(p *page, x devices.Person) cell {
			if line(x).Active {
				return p.state("person", "active")
			}
			return p.state("person", "ended")
		}},
		{label: "person.created", class: "when", by: "id", cell: func(p *page, x devices.Person) cell { return p.when(x.CreatedAt) }},
	},
	read: func(p *page, a asked) ([]devices.Person, error) {
		return p.site.Registry.Persons(p.ctx(), p.actor(), personQuery(a))
	},
	count: func(p *page, a asked) (int, error) {
		return p.site.Registry.CountPersons(p.ctx(), p.actor(), personQuery(a))
	},
	mark: func(_ string, x devices.Person) ra.Mark { return ra.Mark{ID: string(x.ID)} },
}

func personQuery(a asked) devices.PersonQuery {
	return devices.PersonQuery{Institution: ra.InstitutionCode(a.get("institution")), Order: a.order, Limit: a.limit}
}
