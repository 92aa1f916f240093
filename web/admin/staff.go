package admin

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/admin/mask"
	"certwindow/web/session"
)

var staffRoutes = append(staffList.routes(managed, nil), []route{
	{method: get, path: "/staff/new", handle: (*page).staffForm, roles: managers},
	{method: post, path: "/staff/new", handle: (*page).addStaff, roles: managers},
	{method: get, path: "/staff/:id", handle: (*page).staffOne, roles: slices.Concat(managed, approvers)},
	{method: post, path: "/staff/:id/stop", handle: (*page).stopStaff, roles: managers},
	{method: post, path: "/staff/:id/resume", handle: (*page).resumeStaff, roles: managers},
	{method: post, path: "/staff/:id/change", handle: (*page).changeStaff, roles: managers},
	{method: post, path: "/staff/:id/reset", handle: (*page).staffReset, roles: managers},
	{method: post, path: "/staff/:id/handover", handle: (*page).handover, roles: slices.Concat(managers, approvers)},
}...)

func (p *page) staffForm() error { return p.staffFormWith(nil) }

// staffChoices are the fields of what two persons decide about an account.
func (p *page) staffChoices() (roles, institutions []option, err error) {
	for _, r := range session.Roles {
		roles = append(roles, option{Value: string(r), Label: p.words().say("role." + string(r))})
	}
	known, err := p.institutionChoice()
	return roles, append([]option{{Label: p.words().say("staff.whole-window")}}, known...), err
}

// staffFields are the fields that errors about an account belong to.
var staffFields = map[string][2]string{"account-malformed": {"account", "staff.account"}, "account-taken": {"account", "staff.account"},
	"name-malformed": {"name", "staff.name"}, "role-unknown": {"role", "staff.role"}, "contractor-role": {"role", "staff.role"},
	"role-institution": {"institution", "staff.institution"}, "institution-unknown": {"institution", "staff.institution"}}

// staffFormWith shows the form for a new account, after an error with what was typed.
func (p *page) staffFormWith(failed error) error {
	roles, institutions, err := p.staffChoices()
	if err != nil {
		return err
	}
	first, err := p.site.Accounts.FirstApproverDue(p.ctx())
	if err != nil {
		return err
	}
	v := view{Title: "staff.new", Up: "/staff", UpTitle: "staff.title", Data: map[string]any{"Roles": roles, "Institutions": institutions, "First": first}}
	if failed == nil {
		return p.show(http.StatusOK, "staff-new", v)
	}
	return p.again(failed, "staff-new", v, staffFields)
}

// newStaff is the account that was typed, of an institution that there is.
func (p *page) newStaff() (session.NewStaff, error) {
	n := session.NewStaff{Account: p.FormValue("account"), Role: session.Role(p.FormValue("role")),
		Institution: ra.InstitutionCode(p.FormValue("institution")), Contractor: p.FormValue("contractor") == "yes"}
	known, err := p.institutionChoice()
	if err == nil && n.Institution != "" && !slices.ContainsFunc(known, func(o option) bool { return o.Value == string(n.Institution) }) {
		err = ra.Errorf(ra.KindMalformed, "institution-unknown", nil, "There is no such institution. Nothing was changed.")
	}
	return n, err
}

// addStaff proposes an account. Only the window's first approver is made on one person's word.
func (p *page) addStaff() error {
	n, err := p.newStaff()
	if err != nil {
		return p.staffFormWith(err)
	}
	first, err := p.site.Accounts.FirstApproverDue(p.ctx())
	if err != nil {
		return err
	}
	if first && n.Role == session.Approver && n.Institution == "" && !n.Contractor {
		id, err := p.site.Accounts.CreateFirstApprover(p.ctx(), p.actor(), n.Account)
		if err != nil {
			return p.staffFormWith(err)
		}
		return p.done("/staff/"+string(id), "first-approver")
	}
	id, err := p.site.Accounts.NewID()
	if err != nil {
		return err
	}
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.CreateStaff, "staff/"+string(id), "", n.Facts())
	if err != nil {
		return p.staffFormWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// handover shows once the half of an account's credentials that waits for the one who asks (HCA-8.1.6).
func (p *page) handover() error {
	cred, err := p.site.Accounts.Take(p.ctx(), p.actor(), ra.StaffID(p.Param("id")), session.Half(p.FormValue("half")), p.FormValue("name"))
	if err != nil {
		return p.staffWith(err)
	}
	d := struct {
		ID                      ra.StaffID
		Account, Password, TOTP string
		QR                      template.HTML
	}{ID: cred.ID, Account: cred.Account, Password: cred.Password.Reveal(), TOTP: cred.TOTP.Reveal()}
	if cred.URL != "" {
		if d.QR, err = qrSVG(cred.URL.Reveal()); err != nil {
			return err
		}
	}
	return p.show(http.StatusOK, "credentials", view{Title: "credentials.title", Up: "/staff/" + string(cred.ID), UpTitle: "staff.one", Data: d})
}

func (p *page) staffOne() error { return p.staffWith(nil) }

// staffWith shows an account, after an error with what was typed.
func (p *page) staffWith(failed error) error {
	st, err := p.site.Accounts.Find(p.ctx(), p.actor(), ra.StaffID(p.Param("id")))
	if err != nil {
		return err
	}
	st.Name = mask.Name(st.Name)
	object := "staff/" + string(st.ID)
	events, err := p.history(object)
	if err != nil {
		return err
	}
	proposals, err := p.approvalsOf(object)
	if err != nil {
		return err
	}
	waiting, err := p.site.Accounts.Handovers(p.ctx(), st.ID)
	if err != nil {
		return err
	}
	roles, institutions, err := p.staffChoices()
	if err != nil {
		return err
	}
	card, err := p.linkedSince(st.ID)
	if err != nil {
		return err
	}
	v := view{Title: "staff.one", Heading: st.Account, Up: "/staff", UpTitle: "staff.title", Data: map[string]any{"Staff": st, "Own": st.ID == p.who.Staff.ID,
		"Card": card, "Me": p.who.Staff.ID, "History": events, "Approvals": proposals, "Waiting": waiting, "Roles": roles, "Institutions": institutions}}
	if failed == nil {
		v.Form = url.Values{"role": {string(st.Role)}, "institution": {string(st.Institution)}, "contractor": {map[bool]string{true: "yes"}[st.Contractor]}}
		return p.show(http.StatusOK, "staff-one", v)
	}
	return p.again(failed, "staff-one", v, staffFields)
}

func (p *page) stopStaff() error {
	id := ra.StaffID(p.Param("id"))
	if err := p.site.Accounts.Stop(p.ctx(), p.actor(), id); err != nil {
		return err
	}
	return p.done("/staff/"+string(id), "stopped")
}

// proposeStaff proposes something about an account as it stands.
func (p *page) proposeStaff(act approve.Act, facts func(session.Staff) (approve.Facts, error)) error {
	st, err := p.site.Accounts.Find(p.ctx(), p.actor(), ra.StaffID(p.Param("id")))
	if err != nil {
		return err
	}
	f, err := facts(st)
	if err != nil {
		return p.staffWith(err)
	}
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), act, "staff/"+string(st.ID), "", f)
	if err != nil {
		return p.staffWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

func (p *page) resumeStaff() error {
	return p.proposeStaff(approve.ResumeStaff, func(st session.Staff) (approve.Facts, error) { return st.Facts(), nil })
}

func (p *page) changeStaff() error {
	return p.proposeStaff(approve.ChangeStaff, func(st session.Staff) (approve.Facts, error) {
		n, err := p.newStaff()
		return st.ChangeFacts(n.Role, n.Institution, n.Contractor), err
	})
}

// staffReset proposes new credentials for a person who was identified again (HCA-8.2.7(2)).
func (p *page) staffReset() error {
	return p.proposeStaff(approve.ResetStaff, func(st session.Staff) (approve.Facts, error) {
		if p.FormValue("identified") != "yes" {
			return nil, ra.Refuse("HCA-8.2.7", "not-identified", "New credentials are given only to a person who was identified again. Nothing was changed.", nil)
		}
		return st.ResetFacts(p.FormValue("reset-password") == "yes", p.FormValue("reset-code") == "yes"), nil
	})
}
