package admin

import (
	"html/template"
	"net/http"
	"slices"

	"certwindow/ra"
	"certwindow/web/admin/mask"
	"certwindow/web/session"
)

var staffRoutes = []route{
	{method: get, path: "/staff", handle: (*page).staffList, roles: managed},
	{method: get, path: "/staff/new", handle: (*page).staffForm, roles: managers},
	{method: post, path: "/staff/new", handle: (*page).addStaff, roles: managers},
	{method: get, path: "/staff/:id", handle: (*page).staffOne, roles: managed},
	{method: post, path: "/staff/:id/active", handle: (*page).staffActive, roles: managers},
	{method: post, path: "/staff/:id/reset", handle: (*page).staffReset, roles: managers},
}

const pageRows = 50

func (p *page) staffList() error {
	list, err := p.site.Accounts.List(p.ctx(), p.actor(), p.QueryParam("after"), pageRows+1)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Name = mask.Name(list[i].Name)
	}
	more := ""
	if len(list) > pageRows {
		list = list[:pageRows]
		more = "/staff?after=" + list[pageRows-1].Account
	}
	return p.show(http.StatusOK, "staff", view{Title: "staff.title", Data: map[string]any{"List": list, "More": more}})
}

func (p *page) staffForm() error { return p.staffFormWith(nil) }

// staffFormWith shows the form for a new account, after an error with what was typed.
func (p *page) staffFormWith(failed error) error {
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	roles := make([]option, 0, len(session.Roles))
	for _, r := range session.Roles {
		roles = append(roles, option{Value: string(r), Label: p.words().say("role." + string(r))})
	}
	v := view{Title: "staff.new", Up: "/staff", UpTitle: "staff.title", Data: map[string]any{
		"Roles": roles, "Institutions": append([]option{{Label: p.words().say("staff.whole-window")}}, institutions...)}}
	if failed == nil {
		return p.show(http.StatusOK, "staff-new", v)
	}
	return p.again(failed, "staff-new", v, map[string][2]string{"account-malformed": {"account", "staff.account"}, "account-taken": {"account", "staff.account"},
		"name-malformed": {"name", "staff.name"}, "role-unknown": {"role", "staff.role"}, "contractor-role": {"role", "staff.role"},
		"role-institution": {"institution", "staff.institution"}, "institution-unknown": {"institution", "staff.institution"}})
}

func (p *page) addStaff() error {
	known, err := p.institutionChoice()
	if err != nil {
		return err
	}
	if at := p.FormValue("institution"); at != "" && !slices.ContainsFunc(known, func(o option) bool { return o.Value == at }) {
		return p.staffFormWith(ra.Errorf(ra.KindMalformed, "institution-unknown", nil, "There is no such institution. Nothing was changed."))
	}
	cred, err := p.site.Accounts.CreateStaff(p.ctx(), p.actor(), session.NewStaff{Account: p.FormValue("account"), Name: p.FormValue("name"),
		Role: session.Role(p.FormValue("role")), Institution: ra.InstitutionCode(p.FormValue("institution")), Contractor: p.FormValue("contractor") == "yes"})
	if err != nil {
		return p.staffFormWith(err)
	}
	return p.credentials(cred)
}

// credentials shows once what is to be handed to an account's owner.
func (p *page) credentials(cred session.Credentials) error {
	d := struct {
		ID                      ra.StaffID
		Account, Password, TOTP string
		QR                      template.HTML
	}{ID: cred.ID, Account: cred.Account, Password: cred.Password.Reveal(), TOTP: cred.TOTP.Reveal()}
	if cred.URL != "" {
		var err error
		if d.QR, err = qrSVG(cred.URL.Reveal()); err != nil {
			return err
		}
	}
	return p.show(http.StatusOK, "credentials", view{Title: "credentials.title", Up: "/staff", UpTitle: "staff.title", Data: d})
}

func (p *page) staffOne() error {
	st, err := p.site.Accounts.Find(p.ctx(), p.actor(), ra.StaffID(p.Param("id")))
	if err != nil {
		return err
	}
	st.Name = mask.Name(st.Name)
	events, err := p.history("staff/" + string(st.ID))
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "staff-one", view{Title: "staff.one", Heading: st.Account, Up: "/staff", UpTitle: "staff.title",
		Data: map[string]any{"Staff": st, "Own": st.ID == p.who.Staff.ID, "History": events}})
}

func (p *page) staffActive() error {
	id := ra.StaffID(p.Param("id"))
	change, what := p.site.Accounts.Stop, "stopped"
	if p.FormValue("active") == "yes" {
		change, what = p.site.Accounts.Resume, "resumed"
	}
	if err := change(p.ctx(), p.actor(), id); err != nil {
		return err
	}
	return p.done("/staff/"+string(id), what)
}

// staffReset gives new credentials to a person who was identified again (HCA-8.2.7(2)).
func (p *page) staffReset() error {
	if p.FormValue("identified") != "yes" {
		return ra.Refuse("HCA-8.2.7", "not-identified", "New credentials are given only to a person who was identified again. Nothing was changed.", nil)
	}
	cred, err := p.site.Accounts.Reset(p.ctx(), p.actor(), ra.StaffID(p.Param("id")), p.FormValue("reset-password") == "yes", p.FormValue("reset-code") == "yes")
	if err != nil {
		return err
	}
	return p.credentials(cred)
}
