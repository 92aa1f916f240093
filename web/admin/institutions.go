package admin

import (
	"net/http"
	"slices"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
)

var institutionRoutes = slices.Concat(institutionList.routes(lookers, nil), scopeList.routes(lookers, nil), []route{
	{method: get, path: "/institutions/new", handle: (*page).institutionForm, roles: managers},
	{method: post, path: "/institutions/new", handle: (*page).addInstitution, roles: managers},
	{method: post, path: "/institutions/:code/biometrics", handle: (*page).setBiometrics, roles: managers},
	{method: get, path: "/institutions/:code", handle: (*page).institution, roles: lookers},
	{method: get, path: "/scopes/:code", handle: (*page).scope, roles: lookers},
	{method: get, path: "/scopes/new", handle: (*page).scopeForm, roles: managers},
	{method: post, path: "/scopes/new", handle: (*page).addScope, roles: managers},
	{method: post, path: "/scopes/:code/approved", handle: (*page).approveScope, roles: managers},
})

func (p *page) institutionForm() error {
	return p.show(http.StatusOK, "institution-new", view{Title: "institution.new", Up: "/institutions", UpTitle: "institutions.title"})
}

func (p *page) addInstitution() error {
	i := devices.Institution{Code: ra.InstitutionCode(p.FormValue("code")), Name: p.FormValue("name"), IsWindow: p.FormValue("window") == "yes",
		Agreement: p.FormValue("agreement")}
	err := error(nil)
	if i.AgreedFrom, err = day(p.FormValue("from")); err == nil {
		i.AgreedTo, err = day(p.FormValue("to"))
	}
	if err == nil {
		err = p.site.Registry.AddInstitution(p.ctx(), p.actor(), i)
	}
	if err != nil {
		return p.again(err, "institution-new", view{Title: "institution.new", Up: "/institutions", UpTitle: "institutions.title"}, map[string][2]string{
			"institution-code": {"code", "institution.code"}, "institution-exists": {"code", "institution.code"}, "name": {"name", "institution.name"},
			"agreement-missing": {"agreement", "institution.agreement"}, "agreement-malformed": {"agreement", "institution.agreement"}, "date-malformed": {"from", "institution.from"}})
	}
	return p.done("/institutions/"+string(i.Code), "institution")
}

// setBiometrics says which kinds of biometric proof the institution accepts by its risk (HCA-8.2.8(2)).
func (p *page) setBiometrics() error {
	code := p.Param("code")
	if err := p.site.Registry.SetBiometrics(p.ctx(), p.actor(), ra.InstitutionCode(code), p.Request().PostForm["kind"]); err != nil {
		return err
	}
	return p.done("/institutions/"+code, "biometrics")
}

// biometricOptions are the kinds of HCA-8.2.8(1), those that the institution accepts chosen.
func (p *page) biometricOptions(accepted []string) (out []option) {
	for _, k := range policy.Biometrics {
		out = append(out, option{Value: k, Label: p.words().say("biometric." + k), Chosen: slices.Contains(accepted, k)})
	}
	return out
}

// day reads a date as a form has it, which begins at midnight in Taipei; empty is none.
func day(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, taipei)
	if err != nil {
		return t, ra.Errorf(ra.KindMalformed, "date-malformed", nil, "A date is written as 2026-11-22.")
	}
	return t, nil
}

func (p *page) scopeForm() error {
	list, err := p.site.Registry.Institutions(p.ctx(), p.actor())
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "scope-new", view{Title: "scope.new", Up: "/scopes", UpTitle: "scopes.title", Data: institutionOptions(list)})
}

func (p *page) addScope() error {
	sc := devices.Scope{Code: p.FormValue("code"), Name: p.FormValue("name"), Approved: true}
	for _, code := range p.Request().PostForm["institutions"] {
		sc.Institutions = append(sc.Institutions, ra.InstitutionCode(code))
	}
	all, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.Code == sc.Code {
			err = ra.Errorf(ra.KindConflict, "scope-exists", nil, "There is a scope with this code already. Nothing was changed.")
		}
	}
	if err == nil {
		err = p.site.Registry.SaveScope(p.ctx(), p.actor(), sc)
	}
	if err != nil {
		list, lerr := p.site.Registry.Institutions(p.ctx(), p.actor())
		if lerr != nil {
			return lerr
		}
		return p.again(err, "scope-new", view{Title: "scope.new", Up: "/scopes", UpTitle: "scopes.title", Data: institutionOptions(list)},
			map[string][2]string{"scope-code": {"code", "scope.code"}, "scope-exists": {"code", "scope.code"}, "name": {"name", "scope.name"}})
	}
	return p.done("/scopes/"+sc.Code, "scope")
}

// approveScope approves a scope or withdraws its approval.
func (p *page) approveScope() error {
	all, err := p.site.Registry.Scopes(p.ctx())
	if err != nil {
		return err
	}
	for _, sc := range all {
		if sc.Code != p.Param("code") {
			continue
		}
		sc.Approved = p.FormValue("approved") == "yes"
		if err := p.site.Registry.SaveScope(p.ctx(), p.actor(), sc); err != nil {
			return err
		}
		return p.done("/scopes/"+sc.Code, "scope")
	}
	return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is no such scope.")
}

func institutionOptions(list []devices.Institution) []option {
	out := make([]option, 0, len(list))
	for _, i := range list {
		out = append(out, option{Value: string(i.Code), Label: string(i.Code) + " " + i.Name})
	}
	return out
}

// institutionChoice is the institutions that the one who asks may work for.
func (p *page) institutionChoice() ([]option, error) {
	list, err := p.site.Registry.Institutions(p.ctx(), p.actor())
	return institutionOptions(list), err
}
