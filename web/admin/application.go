package admin

import (
	"net/http"
	"net/url"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/web/admin/mask"
)

var applicationRoutes = append(applicationList.routes(lookers, nil), []route{
	{method: get, path: "/applications/new", handle: (*page).applicationForm, roles: counter},
	{method: post, path: "/applications/new", handle: (*page).beginEnrolment, roles: counter},
	{method: get, path: "/applications/:id", handle: (*page).application, roles: lookers},
	{method: post, path: "/applications/:id/cancel", handle: (*page).cancelApplication, roles: counter},
}...)

// applicationStates are those a list can be filtered by, in the order they are gone through.
var applicationStates = []ra.ApplicationState{ra.AppAwaitingSignature, ra.AppAwaitingKey, ra.AppRequested, ra.AppSent, ra.AppDisputed,
	ra.AppCompleted, ra.AppRefused, ra.AppLapsed, ra.AppVoided}

var applicationKinds = []ra.ApplicationKind{ra.Enrolment, ra.Revocation, ra.Adoption}

func (p *page) application() error { return p.applicationWith(nil) }

// applicationWith shows an application, after an error with what was typed to settle it.
func (p *page) applicationWith(failed error) error {
	id := ra.ApplicationID(p.Param("id"))
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), id)
	if err != nil {
		return err
	}
	name, code, err := p.named(a.PersonID, a.DeviceID)
	if err != nil {
		return err
	}
	events, err := p.history("application/" + string(id))
	if err != nil {
		return err
	}
	_, voidable := ra.NextApplication(a.Kind, a.State, ra.AppVoid, a.Deadline, p.site.Now())
	dispute, err := p.dispute(a)
	if err != nil {
		return err
	}
	v := view{Title: "kind." + string(a.Kind), Heading: p.words().say("kind." + string(a.Kind)), Up: "/applications",
		UpTitle: "applications.title", Form: settlementForm(), Data: map[string]any{"App": a, "Failure": p.failure(a), "Proof": enrol.ReadKeyProof(a), "Name": name, "Device": code, "History": events,
			"Voidable": voidable == nil, "Signable": a.State == ra.AppAwaitingSignature, "Dispute": dispute}}
	if failed == nil {
		return p.show(http.StatusOK, "application", v)
	}
	v.Form = p.form()
	return p.again(failed, "application", v, disputeFields)
}

// named is the masked name of a person and the code of a device, or their ids where they may not be seen.
func (p *page) named(person ra.PersonID, device ra.DeviceID) (name, code string, err error) {
	name, code = string(person), string(device)
	if x, err := p.site.Registry.Person(p.ctx(), p.actor(), person); err == nil {
		name = mask.Name(x.Name)
	} else if ra.KindOf(err) != ra.KindNotFound {
		return "", "", err
	}
	if d, _, err := p.site.Registry.Device(p.ctx(), p.actor(), device); err == nil {
		code = d.Code
	} else if ra.KindOf(err) != ra.KindNotFound {
		return "", "", err
	}
	return name, code, nil
}

func (p *page) cancelApplication() error {
	id := ra.ApplicationID(p.Param("id"))
	if err := p.site.Enrolments.Cancel(p.ctx(), p.actor(), id); err != nil {
		return err
	}
	return p.done("/applications/"+string(id), "cancelled")
}

func (p *page) applicationForm() error { return p.applicationFormWith(nil) }

// applicationFormWith shows what a clerk chooses for a new application, after an error with what was chosen.
func (p *page) applicationFormWith(failed error) error {
	person := ra.PersonID(p.FormValue("person"))
	like, found, err := p.pattern(person)
	if err != nil {
		return err
	}
	if found {
		person = like.PersonID
	}
	x, err := p.site.Registry.Person(p.ctx(), p.actor(), person)
	if err != nil {
		return err
	}
	list, err := p.site.Registry.Devices(p.ctx(), p.actor(), devices.DeviceQuery{User: x.ID, State: ra.DeviceBound, Limit: pageRows})
	if err != nil {
		return err
	}
	scopes, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return err
	}
	v := view{Title: "application.new", Up: "/persons/" + string(x.ID), UpTitle: "person.one", Form: url.Values{"key": {string(ra.KeyApp)}, "algorithm": {"P-256"}}}
	if len(list) == 1 {
		v.Form.Set("device", string(list[0].ID))
	}
	if found {
		v.Form = p.applied(like)
	}
	if v.Form.Get("renews") != "" {
		v.Title = "renewal.application"
	}
	d := map[string]any{"Person": line(x), "Devices": deviceOptions(list), "Scopes": scopeOptions(scopes), "Keys": []option{}}
	var keys []option
	for _, k := range []ra.KeyDesign{ra.KeyApp, ra.KeyHSM} {
		keys = append(keys, option{Value: string(k), Label: p.words().say("key." + string(k))})
	}
	d["Keys"] = keys
	d["Algorithms"] = []option{{Value: "P-256", Label: "P-256"}, {Value: "RSA-2048", Label: "RSA-2048"}}
	v.Data = d
	if failed == nil {
		return p.show(http.StatusOK, "application-new", v)
	}
	v.Form = p.form()
	return p.again(failed, "application-new", v, map[string][2]string{"scope-not-approved": {"scope", "application.scope"}, "not-a-device-user": {"device", "application.device"},
		"device-of-another-institution": {"device", "application.device"}, "device-missing": {"device", "application.device"},
		"carrier-key-mismatch": {"key", "application.key"}, "algorithm": {"algorithm", "application.algorithm"}, "renewal-of-another": {"device", "application.device"}})
}

func deviceOptions(list []devices.Device) []option {
	out := make([]option, 0, len(list))
	for _, d := range list {
		out = append(out, option{Value: string(d.ID), Label: d.Code + " " + d.Model})
	}
	return out
}

func scopeOptions(list []devices.Scope) []option {
	out := make([]option, 0, len(list))
	for _, s := range list {
		if s.Approved {
			out = append(out, option{Value: s.Code, Label: s.Code + " " + s.Name})
		}
	}
	return out
}

// carrierOf is the carrier that goes with a key design (HCA-2.2): a chip carries its own certificate, the
// other two are installed on the device.
func carrierOf(k ra.KeyDesign) ra.Carrier {
	if k == ra.KeyChip {
		return ra.CarrierSecureChip
	}
	return ra.CarrierDevice
}

func (p *page) beginEnrolment() error {
	n := enrol.New{Person: ra.PersonID(p.FormValue("person")), Device: ra.DeviceID(p.FormValue("device")), Scope: p.Request().PostForm["scope"],
		KeyDesign: ra.KeyDesign(p.FormValue("key")), Algorithm: p.FormValue("algorithm"), Renews: ra.CertificateID(p.FormValue("renews"))}
	n.Carrier = carrierOf(n.KeyDesign)
	if n.Device == "" {
		return p.applicationFormWith(ra.Errorf(ra.KindMalformed, "device-missing", nil, "Choose a device. Nothing was begun."))
	}
	d, _, err := p.site.Registry.Device(p.ctx(), p.actor(), n.Device)
	if err != nil {
		return err
	}
	n.Institution = d.Institution
	a, err := p.site.Enrolments.Begin(p.ctx(), p.actor(), n)
	if err != nil {
		return p.applicationFormWith(err)
	}
	return p.Redirect(http.StatusSeeOther, "/counter/"+string(a.ID))
}
