package admin

import (
	"net/http"
	"net/url"
	"time"

	"certwindow/devices"
	"certwindow/ra"
)

var standingRoutes = []route{
	{method: get, path: "/institutions/:code/standing", handle: (*page).standing, roles: managed},
	{method: post, path: "/institutions/:code/standing", handle: (*page).setStanding, roles: managers},
	{method: post, path: "/institutions/:code/agreement", handle: (*page).recordAgreement, roles: managers},
}

func (p *page) standing() error { return p.standingWith(nil) }

// standingWith shows whether an institution may practise, and its agreement, after an error with what was typed.
func (p *page) standingWith(failed error) error {
	i, err := p.site.Registry.Institution(p.ctx(), p.actor(), ra.InstitutionCode(p.Param("code")))
	if err != nil {
		return err
	}
	history, err := p.history("institution/" + string(i.Code))
	if err != nil {
		return err
	}
	v := view{Title: "institution.standing", Heading: i.Name, Up: "/institutions/" + string(i.Code), UpTitle: "institutions.title", Form: url.Values{"event": {string(devices.InstitutionSuspended)}},
		Data: map[string]any{"One": i, "Events": choices(p, "institution.event.", devices.InstitutionEvents[:4])[1:], "History": history}}
	if failed == nil {
		return p.show(http.StatusOK, "standing", v)
	}
	v.Form = p.form()
	return p.again(failed, "standing", v, map[string][2]string{"institution-event": {"event", "institution.event"}, "agreement-malformed": {"agreement", "institution.agreement"},
		"agreement-dates": {"from", "institution.from"}, "date-malformed": {"from", "institution.from"}})
}

func (p *page) setStanding() error {
	code := p.Param("code")
	if err := p.site.Registry.SetStanding(p.ctx(), p.actor(), ra.InstitutionCode(code), devices.InstitutionEvent(p.FormValue("event"))); err != nil {
		return p.standingWith(err)
	}
	return p.done("/institutions/"+code+"/standing", "standing")
}

// recordAgreement replaces the agreement on file, with the days as the page of a new institution takes them.
func (p *page) recordAgreement() error {
	code := p.Param("code")
	from, err := day(p.FormValue("from"))
	var to time.Time
	if err == nil {
		to, err = day(p.FormValue("to"))
	}
	if err == nil {
		err = p.site.Registry.RecordAgreement(p.ctx(), p.actor(), ra.InstitutionCode(code), p.FormValue("agreement"), from, to)
	}
	if err != nil {
		return p.standingWith(err)
	}
	return p.done("/institutions/"+code+"/standing", "agreement")
}
