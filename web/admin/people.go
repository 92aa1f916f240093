package admin

import (
	"net/http"
	"strings"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/ra/revoke"
	"certwindow/web/admin/mask"
)

var personRoutes = append(personList.routes(lookers, nil), []route{
	{method: get, path: "/persons/new", handle: (*page).personForm, roles: registrar},
	{method: post, path: "/persons/new", handle: (*page).addPerson, roles: registrar},
	{method: get, path: "/persons/:id", handle: (*page).person, roles: lookers},
	{method: post, path: "/persons/:id/leave", handle: (*page).endMembership, roles: registrar},
	{method: post, path: "/persons/:id/propose-exemption", handle: (*page).proposeExemption, roles: managers},
}...)

// personLine is a person as a list shows him, masked (HCA-8.1.5).
type personLine struct {
	ID           ra.PersonID
	Name         string
	NationalID   string
	Institutions string
	Active       bool
}

func line(x devices.Person) personLine {
	var at []string
	for _, m := range x.Memberships {
		if m.Until == nil {
			at = append(at, string(m.Institution))
		}
	}
	return personLine{x.ID, mask.Name(x.Name), mask.ID(x.NationalID), strings.Join(at, ", "), x.Active && len(at) > 0}
}

func lines(list []devices.Person) []personLine {
	out := make([]personLine, 0, len(list))
	for _, x := range list {
		out = append(out, line(x))
	}
	return out
}

// looksLikeID tells a national id from a name: ten letters and digits of ASCII, at least eight of them digits.
func looksLikeID(q string) bool {
	digits := 0
	for _, r := range q {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z':
		default:
			return false
		}
	}
	return len(q) == 10 && digits >= 8
}

func (p *page) personForm() error { return p.personFormWith(nil) }

func (p *page) personFormWith(failed error) error {
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	v := view{Title: "person.new", Up: "/persons", UpTitle: "persons.title", Data: map[string]any{"Institutions": institutions,
		"Locales": []option{{Value: chinese, Label: p.words().say("lang." + chinese)}, {Value: english, Label: p.words().say("lang." + english)}}}}
	if failed == nil {
		return p.show(http.StatusOK, "person-new", v)
	}
	return p.again(failed, "person-new", v, map[string][2]string{"national-id": {"national_id", "person.national-id"}, "name": {"name", "person.name"},
		"holder": {"holder", "person.holder"}, "email": {"email", "person.email"}, "phone": {"phone", "person.phone"},
		"person-differs": {"national_id", "person.national-id"}, "not-yours": {"institution", "person.institution"}})
}

func (p *page) addPerson() error {
	id, err := p.site.Registry.RegisterPerson(p.ctx(), p.actor(), devices.Person{NationalID: p.FormValue("national_id"), Name: strings.TrimSpace(p.FormValue("name")),
		Holder: strings.TrimSpace(p.FormValue("holder")), Email: strings.TrimSpace(p.FormValue("email")), Phone: strings.TrimSpace(p.FormValue("phone")),
		Locale: p.FormValue("locale")}, ra.InstitutionCode(p.FormValue("institution")))
	if err != nil {
		return p.personFormWith(err)
	}
	return p.done("/persons/"+string(id), "person")
}

// personData is everything about one person, masked.
type personData struct {
	Account                                 accountData
	ID                                      ra.PersonID
	Name, NationalID, Holder, Email, Phone  string
	Locale                                  string
	Active                                  bool
	Memberships                             []devices.Membership
	Devices                                 []devices.Device
	Certificates                            []ra.Certificate
	Applications                            []ra.Application
	Renewals                                []renewalLine
	Exemption                               *policy.Exemption // of HCA-7.5, while it holds
	Approvals                               []approvalLine
	History                                 []event
	UnmaskReasons                           []option
	Looks                                   []look
	ErasureListedAt, ErasedAt               *time.Time // of HCA-9
	Bound                                   bool       // has a device that an application can be made for
	MoreDevices, MoreCertificates, MoreApps bool
}

// shownRows is how many rows of each kind stand on an object's page; the rest are in their own lists.
const shownRows = 20

func (p *page) person() error { return p.personWith(nil) }

// personWith shows a person, after an error with what was typed for an exemption.
func (p *page) personWith(failed error) error {
	id := ra.PersonID(p.Param("id"))
	x, err := p.site.Registry.Person(p.ctx(), p.actor(), id)
	if err != nil {
		return err
	}
	d := personData{ID: id, Name: mask.Name(x.Name), NationalID: mask.ID(x.NationalID), Holder: mask.Card(x.Holder), Email: mask.Email(x.Email),
		UnmaskReasons: p.unmaskReasons(), ErasureListedAt: x.ErasureListedAt, ErasedAt: x.ErasedAt, Phone: mask.Phone(x.Phone), Locale: x.Locale, Active: line(x).Active, Memberships: x.Memberships}
	if d.Devices, err = p.site.Registry.Devices(p.ctx(), p.actor(), devices.DeviceQuery{User: id, Limit: shownRows + 1}); err != nil {
		return err
	}
	if d.Certificates, err = p.site.Revocations.Certificates(p.ctx(), p.actor(), revoke.Query{Person: id, Limit: shownRows + 1}); err != nil {
		return err
	}
	if d.Renewals, err = p.renewals(d.Certificates); err != nil {
		return err
	}
	if d.Applications, err = p.site.Enrolments.Applications(p.ctx(), p.actor(), enrol.Query{Person: id, Limit: shownRows + 1}); err != nil {
		return err
	}
	if d.Exemption, err = p.site.Approvals.Exemption(p.ctx(), id); err != nil {
		return err
	}
	if d.Approvals, err = p.approvalsOf("person/" + string(id)); err != nil {
		return err
	}
	if d.Account, err = p.accountOf(id); err != nil {
		return err
	}
	if d.History, err = p.history("person/" + string(id)); err != nil {
		return err
	}
	if d.Looks, err = p.looks(id); err != nil {
		return err
	}
	d.Devices, d.MoreDevices = cut(d.Devices)
	d.Certificates, d.MoreCertificates = cut(d.Certificates)
	d.Applications, d.MoreApps = cut(d.Applications)
	for _, dev := range d.Devices {
		d.Bound = d.Bound || dev.State == ra.DeviceBound
	}
	v := view{Title: "person.one", Heading: d.Name, Up: "/persons", UpTitle: "persons.title", Data: d}
	if failed != nil {
		return p.again(failed, "person", v, fieldsOf(personFields, accountFields))
	}
	return p.show(http.StatusOK, "person", v)
}

func cut[T any](list []T) ([]T, bool) {
	if len(list) > shownRows {
		return list[:shownRows], true
	}
	return list, false
}

// leaveReasons are why a person's practice at an institution ends (HCA-3.7).
var leaveReasons = []string{"changed", "left", "suspended", "ceased", "died"}

func (p *page) endMembership() error {
	id := ra.PersonID(p.Param("id"))
	err := p.site.Registry.EndMembership(p.ctx(), p.actor(), id, ra.InstitutionCode(p.FormValue("institution")), p.FormValue("reason"))
	if err != nil {
		return err
	}
	return p.done("/persons/"+string(id), "leave")
}
