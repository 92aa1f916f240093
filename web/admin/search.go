package admin

import (
	"encoding/hex"
	"net/http"
	"strings"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/revoke"
	"certwindow/web/session"
)

var searchRoutes = []route{
	{method: get, path: "/search", handle: (*page).searchForm, roles: lookers},
	{method: post, path: "/search", handle: (*page).search, roles: lookers},
}

// maxSearch is how long what is looked for may be; no name, code or serial number is longer.
const maxSearch = 200

// found is one thing that was found.
type found struct {
	Kind       string // a key of the catalogue
	Path, Text string
	More       string // what tells it from others of the kind
}

func (p *page) searchForm() error {
	return p.show(http.StatusOK, "search", view{Title: "search.title"})
}

// search looks for whatever was typed: a serial number, a code, an id, a national id, a whole name. It is a POST so that
// no name and no id stands in an address bar, a history or a log (HCA-8.1.5). What is the only one is gone to at once.
func (p *page) search() error {
	q := strings.TrimSpace(p.FormValue("q"))
	if q == "" {
		return p.Redirect(http.StatusSeeOther, "/search")
	}
	var all []found
	if len(q) <= maxSearch {
		for _, look := range []func(string) ([]found, error){p.findIDs, p.findSerials, p.findDevices, p.findPersons, p.findOffice} {
			some, err := look(q)
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
	}
	if len(all) == 1 {
		return p.Redirect(http.StatusSeeOther, all[0].Path)
	}
	return p.show(http.StatusOK, "search", view{Title: "search.title", Form: p.form(), Data: map[string]any{"List": all, "Searched": true}})
}

// absent turns what is not there, or not to be seen, into nothing found.
func absent[T any](some []T, err error) ([]T, error) {
	if err != nil && ra.KindOf(err) == ra.KindNotFound {
		return nil, nil
	}
	return some, err
}

// isID tells an id of the window: a ULID.
func isID(q string) bool {
	return len(q) == 26 && strings.Trim(q, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ""
}

func (p *page) findIDs(q string) ([]found, error) {
	id := strings.ToUpper(q)
	if !isID(id) {
		return nil, nil
	}
	looks := []func() (found, error){
		func() (found, error) {
			c, err := p.site.Revocations.Certificate(p.ctx(), p.actor(), ra.CertificateID(id))
			return p.foundCertificate(c), err
		},
		func() (found, error) {
			_, err := p.site.Enrolments.Application(p.ctx(), p.actor(), ra.ApplicationID(id))
			return found{Kind: "search.application", Path: "/applications/" + id, Text: id}, err
		},
		func() (found, error) {
			x, err := p.site.Registry.Person(p.ctx(), p.actor(), ra.PersonID(id))
			return foundPerson(x), err
		},
		func() (found, error) {
			d, _, err := p.site.Registry.Device(p.ctx(), p.actor(), ra.DeviceID(id))
			return foundDevice(d), err
		},
		func() (found, error) {
			x, err := p.site.Approvals.Proposal(p.ctx(), p.actor(), id)
			return found{Kind: "approval.one", Path: "/approvals/" + x.ID, Text: p.words().say("approval.act." + string(x.Act))}, err
		},
	}
	for _, look := range looks {
		f, err := look()
		if some, err := absent([]found{f}, err); err != nil || some != nil {
			return some, err // an id is of one thing
		}
	}
	return nil, nil
}

// findSerials finds certificates by their whole serial number; those of several issuers may have the same.
func (p *page) findSerials(q string) (out []found, err error) {
	s := serial(q)
	if _, err := hex.DecodeString(s + strings.Repeat("0", len(s)%2)); err != nil || s == "" {
		return nil, nil
	}
	list, err := p.site.Revocations.Certificates(p.ctx(), p.actor(), revoke.Query{Serial: s, Brief: true, Limit: shownRows})
	for _, c := range list {
		out = append(out, p.foundCertificate(c))
	}
	return out, err
}

func (p *page) foundCertificate(c ra.Certificate) found {
	return found{Kind: "certificate.one", Path: "/certificates/" + string(c.ID), Text: c.Serial, More: p.words().say("state.certificate." + string(c.State))}
}

func foundPerson(x devices.Person) found {
	return found{Kind: "person.one", Path: "/persons/" + string(x.ID), Text: line(x).Name, More: line(x).NationalID + " " + line(x).Institutions}
}

func foundDevice(d devices.Device) found {
	return found{Kind: "device.one", Path: "/devices/" + string(d.ID), Text: d.Code, More: d.Model}
}

// findDevices finds devices whose code begins so; one that is so, before all.
func (p *page) findDevices(q string) (out []found, err error) {
	list, err := p.site.Registry.Devices(p.ctx(), p.actor(), devices.DeviceQuery{Code: q, Order: ra.Order{By: "code"}, Limit: shownRows})
	for _, d := range list {
		if d.Code == q {
			return []found{foundDevice(d)}, err
		}
		out = append(out, foundDevice(d))
	}
	return out, err
}

// findPersons finds persons by national id, card or whole name: of each the database has a keyed hash, and nothing that
// a part of it could be found by.
func (p *page) findPersons(q string) (out []found, err error) {
	queries := []devices.PersonQuery{{Name: q}, {Holder: q}}
	if looksLikeID(q) {
		queries = []devices.PersonQuery{{NationalID: q}, {Holder: q}}
	}
	seen := map[ra.PersonID]bool{}
	for _, x := range queries {
		x.Limit = pageRows
		list, err := p.site.Registry.Persons(p.ctx(), p.actor(), x)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			if !seen[one.ID] {
				seen[one.ID] = true
				out = append(out, foundPerson(one))
			}
		}
	}
	return out, nil
}

// findOffice finds institutions and scopes by their codes, and accounts by their names for those who may see them.
func (p *page) findOffice(q string) (out []found, err error) {
	all, err := p.site.Registry.Institutions(p.ctx(), p.actor())
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if strings.EqualFold(string(i.Code), q) || i.Name == q {
			out = append(out, found{Kind: "institution.one", Path: "/institutions/" + string(i.Code), Text: i.Name, More: string(i.Code)})
		}
	}
	if !p.may(get, "/staff/:id") {
		return out, nil
	}
	staff, err := p.site.Accounts.Staff(p.ctx(), p.actor(), session.StaffQuery{Account: q, Limit: 1})
	for _, st := range staff {
		out = append(out, found{Kind: "staff.one", Path: "/staff/" + string(st.ID), Text: st.Account})
	}
	return out, err
}
