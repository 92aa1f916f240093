package admin

import (
	"net/http"

	"certwindow/ra"
	"certwindow/ra/revoke"
)

var certificateRoutes = []route{
	{method: get, path: "/certificates", handle: (*page).certificates, roles: lookers},
	{method: get, path: "/certificates/:id", handle: (*page).certificate, roles: lookers},
	{method: post, path: "/certificates/:id/revoke", handle: (*page).beginRevocation, roles: counter},
	{method: post, path: "/certificates/:id/suspend", handle: (*page).suspend, roles: reporters},
	{method: post, path: "/certificates/:id/propose-revocation", handle: (*page).proposeRevocation, roles: registrar},
	{method: post, path: "/certificates/:id/propose-resumption", handle: (*page).proposeResumption, roles: registrar},
}

var certificateStates = []ra.CertificateState{ra.CertLive, ra.CertSuspended, ra.CertRevoking, ra.CertRevoked, ra.CertExpired}

func (p *page) certificates() error {
	list, err := p.site.Revocations.Certificates(p.ctx(), p.actor(), revoke.Query{State: known(p.QueryParam("state"), certificateStates),
		Person: ra.PersonID(p.QueryParam("person")), Device: ra.DeviceID(p.QueryParam("device")), Serial: p.QueryParam("serial"),
		Before: p.QueryParam("before"), Limit: pageRows + 1})
	if err != nil {
		return err
	}
	more := ""
	if len(list) > pageRows {
		list = list[:pageRows]
		more = p.next("before", string(list[pageRows-1].ID))
	}
	names, err := holders(p, list, func(c ra.Certificate) ra.PersonID { return c.PersonID })
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "certificates", view{Title: "certificates.title", Form: p.QueryParams(), Data: map[string]any{"List": list, "Names": names, "More": more,
		"States": choices(p, "state.certificate.", certificateStates)}})
}

// holderReasons are what a holder may give for the end of his certificate.
var holderReasons = []ra.RevocationReason{ra.ReasonUnspecified, ra.ReasonKeyCompromise, ra.ReasonAffiliationChanged, ra.ReasonSuperseded, ra.ReasonCessationOfOperation}

func (p *page) certificate() error { return p.certificateWith(nil, nil) }

// certificateWith shows a certificate, after an error with what was typed; fields are those of again.
func (p *page) certificateWith(failed error, fields map[string][2]string) error {
	id := ra.CertificateID(p.Param("id"))
	c, err := p.site.Revocations.Certificate(p.ctx(), p.actor(), id)
	if err != nil {
		return err
	}
	name, code, err := p.named(c.PersonID, c.DeviceID)
	if err != nil {
		return err
	}
	approvals, err := p.approvalsOf("certificate/" + string(id))
	if err != nil {
		return err
	}
	objects := []string{"certificate/" + string(id), "application/" + string(c.ApplicationID)}
	for _, x := range approvals {
		objects = append(objects, "approval/"+x.ID)
	}
	events, err := p.history(objects...)
	if err != nil {
		return err
	}
	var reasons []option
	for _, r := range holderReasons {
		reasons = append(reasons, option{Value: string(r), Label: p.words().say("reason." + string(r))})
	}
	can := func(event ra.CertificateEvent) bool {
		_, err := ra.NextCertificate(c.State, event, c.NotAfter, p.site.Now())
		return err == nil
	}
	v := view{Title: "certificate.one", Heading: c.Serial, Up: "/certificates", UpTitle: "certificates.title",
		Form: certificateForm(), Data: map[string]any{"Cert": c, "Name": name, "Device": code, "History": events, "Reasons": reasons, "Grounds": p.groundOptions(),
			"Approvals": approvals, "Revocable": can(ra.CertRevoke), "Suspendable": can(ra.CertSuspend), "Resumable": can(ra.CertResume)}}
	if failed == nil {
		return p.show(http.StatusOK, "certificate", v)
	}
	v.Form = p.form()
	return p.again(failed, "certificate", v, fields)
}

func (p *page) beginRevocation() error {
	a, err := p.site.Revocations.Begin(p.ctx(), p.actor(), ra.CertificateID(p.Param("id")), ra.RevocationReason(p.FormValue("reason")))
	if err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, "/counter/"+string(a.ID))
}
