package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/revoke"
)

var institutionList = &list[devices.Institution]{
	path:   "institutions",
	title:  "institutions.title",
	none:   "institutions.none",
	add:    "institution.new",
	orders: []order{{"code", false}, {"name", false}},
	columns: []column[devices.Institution]{
		{label: "institution.code", class: "code", by: "code", cell: func(p *page, i devices.Institution) cell { return p.institutionCell(i.Code) }},
		{label: "institution.name", by: "name", cell: func(p *page, i devices.Institution) cell {
			if i.IsWindow {
				return plain(i.Name + " (" + p.words().say("institution.window-short") + ")")
			}
			return plain(i.Name)
		}},
		{label: "state", cell: func(p *page, i devices.Institution) cell { return p.state("institution", institutionState(i)) }},
		{label: "institution.from", class: "when", cell: func(p *page, i devices.Institution) cell { return p.when(i.AgreedFrom) }},
		{label: "institution.to", class: "when", cell: func(p *page, i devices.Institution) cell { return p.when(i.AgreedTo) }},
	},
	read: func(p *page, a asked) ([]devices.Institution, error) {
		all, err := p.site.Registry.Institutions(p.ctx(), p.actor())
		return pageOf(all, a, institutionMark), err
	},
	count: func(p *page, _ asked) (int, error) {
		all, err := p.site.Registry.Institutions(p.ctx(), p.actor())
		return len(all), err
	},
	mark: institutionMark,
}

func institutionMark(by string, i devices.Institution) ra.Mark {
	if by == "name" {
		return ra.Mark{Key: i.Name, ID: string(i.Code)}
	}
	return ra.Mark{ID: string(i.Code)}
}

func institutionState(i devices.Institution) string {
	if i.Active {
		return "active"
	}
	return "stopped"
}

var scopeList = &list[devices.Scope]{
	path:   "scopes",
	title:  "scopes.title",
	none:   "scopes.none",
	add:    "scope.new",
	orders: []order{{"code", false}, {"name", false}},
	columns: []column[devices.Scope]{
		{label: "scope.code", class: "code", by: "code", cell: func(_ *page, sc devices.Scope) cell { return leading("/scopes/"+url.PathEscape(sc.Code), sc.Code) }},
		{label: "scope.name", by: "name", cell: func(_ *page, sc devices.Scope) cell { return plain(sc.Name) }},
		{label: "scope.institutions", class: "wrap", cell: func(p *page, sc devices.Scope) cell {
			if len(sc.Institutions) == 0 {
				return plain(p.words().say("scope.everywhere"))
			}
			return joined(codesOf(sc.Institutions))
		}},
		{label: "state", cell: func(p *page, sc devices.Scope) cell { return p.state("scope", scopeState(sc)) }},
	},
	read: func(p *page, a asked) ([]devices.Scope, error) {
		all, err := p.site.Registry.Scopes(p.ctx())
		return pageOf(all, a, scopeMark), err
	},
	count: func(p *page, _ asked) (int, error) {
		all, err := p.site.Registry.Scopes(p.ctx())
		return len(all), err
	},
	mark: scopeMark,
}

func scopeMark(by string, sc devices.Scope) ra.Mark {
	if by == "name" {
		return ra.Mark{Key: sc.Name, ID: sc.Code}
	}
	return ra.Mark{ID: sc.Code}
}

func scopeState(sc devices.Scope) string {
	if sc.Approved {
		return "approved"
	}
	return "withdrawn"
}

func codesOf(list []ra.InstitutionCode) (out []string) {
	for _, c := range list {
		out = append(out, string(c))
	}
	return out
}

// tally is how many of a kind an institution has, and the list of them.
type tally struct {
	Label, Path, Count string
}

// tallies count what an institution has, each as far as ra.CountUpTo.
func (p *page) tallies(code ra.InstitutionCode) ([]tally, error) {
	persons, err1 := p.site.Registry.CountPersons(p.ctx(), p.actor(), devices.PersonQuery{Institution: code})
	phones, err2 := p.site.Registry.CountDevices(p.ctx(), p.actor(), devices.DeviceQuery{Institution: code})
	live, err3 := p.site.Revocations.CountCertificates(p.ctx(), p.actor(), revoke.Query{Institution: code, State: ra.CertLive})
	sent, err4 := p.site.Enrolments.CountApplications(p.ctx(), p.actor(), enrol.Query{Institution: code})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	q := "?institution=" + url.QueryEscape(string(code))
	return []tally{{"persons.title", "/persons" + q, p.number(persons)}, {"devices.title", "/devices" + q, p.number(phones)},
		{"certificates.live", "/certificates" + q + "&state=live", p.number(live)}, {"applications.title", "/applications" + q, p.number(sent)}}, nil
}

// number is a count as far as it was counted.
func (p *page) number(n int) string {
	if n > ra.CountUpTo {
		return p.words().say("count.more", ra.CountUpTo)
	}
	return p.words().say("count.exact", n)
}

// institution is the page of one institution: what was agreed, what it has, and its history.
func (p *page) institution() error {
	all, err := p.site.Registry.Institutions(p.ctx(), p.actor())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(i devices.Institution) bool { return string(i.Code) == p.Param("code") })
	if at < 0 {
		return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
	}
	i := all[at]
	have, err := p.tallies(i.Code)
	if err != nil {
		return err
	}
	events, err := p.history("institution/" + string(i.Code))
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "institution", view{Title: "institution.one", Heading: i.Name, Up: "/institutions", UpTitle: "institutions.title",
		Data: map[string]any{"Institution": i, "State": institutionState(i), "Have": have, "History": events, "Biometrics": p.biometricOptions(i.Biometrics)}})
}

// scope is the page of one scope of use: where it holds, whether it is approved, and its history (HCA-5.1.2).
func (p *page) scope() error {
	all, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(sc devices.Scope) bool { return sc.Code == p.Param("code") })
	if at < 0 {
		return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such scope.")
	}
	events, err := p.history("scope/" + all[at].Code)
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "scope", view{Title: "scope.one", Heading: all[at].Code, Up: "/scopes", UpTitle: "scopes.title",
		Data: map[string]any{"Scope": all[at], "State": scopeState(all[at]), "History": events}})
}
