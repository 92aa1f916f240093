package admin

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"

	"certwindow/ra"
	"certwindow/ra/enrol"
)

var certificateRoutes = append(certificateList.routes(lookers, nil), []route{
	{method: get, path: "/certificates/:id", handle: (*page).certificate, roles: lookers},
	{method: post, path: "/certificates/:id/revoke", handle: (*page).beginRevocation, roles: counter},
	{method: post, path: "/certificates/:id/evidence", handle: (*page).evidence, roles: auditors},
	{method: post, path: "/certificates/:id/suspend", handle: (*page).suspend, roles: reporters},
	{method: post, path: "/certificates/:id/propose-revocation", handle: (*page).proposeRevocation, roles: registrar},
	{method: post, path: "/certificates/:id/propose-resumption", handle: (*page).proposeResumption, roles: registrar},
}...)

var certificateStates = []ra.CertificateState{ra.CertLive, ra.CertSuspended, ra.CertRevoking, ra.CertRevoked, ra.CertExpired}

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
	steps, err := p.steps(c)
	if err != nil {
		return err
	}
	due, err := p.renewals([]ra.Certificate{c})
	if err != nil {
		return err
	}
	followed, err := p.site.Renewals.Renewals(p.ctx(), []ra.CertificateID{id})
	if err != nil {
		return err
	}
	proof, err := p.proofOf(c)
	if err != nil {
		return err
	}
	objects := []string{"certificate/" + string(id)}
	for _, a := range steps {
		objects = append(objects, "application/"+string(a.ID))
	}
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
		Form: certificateForm(), Data: map[string]any{"Cert": c, "Proof": proof, "Name": name, "Device": code, "History": events, "Reasons": reasons, "Steps": completed(steps), "Grounds": p.groundOptions(),
			"Renewals": due, "RenewedBy": followed[id].Certificate, "Renews": renewedBy(steps, c), "Approvals": approvals, "Revocable": can(ra.CertRevoke), "Suspendable": can(ra.CertSuspend), "Resumable": can(ra.CertResume)}}
	if failed == nil {
		return p.show(http.StatusOK, "certificate", v)
	}
	v.Form = p.form()
	return p.again(failed, "certificate", v, fields)
}

// renewedBy is the certificate that this one follows; empty: none.
func renewedBy(steps []ra.Application, c ra.Certificate) ra.CertificateID {
	for _, a := range steps {
		if a.ID == c.ApplicationID {
			return a.Renews
		}
	}
	return ""
}

// proofOf is what is known of where a certificate's key was made (HCA-6.0): of the application that it came from.
func (p *page) proofOf(c ra.Certificate) (k enrol.KeyProof, err error) {
	a, err := p.site.Enrolments.Application(p.ctx(), p.actor(), c.ApplicationID)
	if err != nil && ra.KindOf(err) == ra.KindNotFound {
		return k, nil
	}
	return enrol.ReadKeyProof(a), err
}

// steps are the applications that a certificate came from and was to end by, the first before the others.
func (p *page) steps(c ra.Certificate) ([]ra.Application, error) {
	list, err := p.site.Enrolments.Applications(p.ctx(), p.actor(), enrol.Query{Certificate: c.ID, Order: ra.Order{By: "id"}, Brief: true, Limit: shownRows})
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(list, func(a ra.Application) bool { return a.ID == c.ApplicationID }) {
		return list, nil
	}
	first, err := p.site.Enrolments.Application(p.ctx(), p.actor(), c.ApplicationID)
	if ra.KindOf(err) == ra.KindNotFound && err != nil {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]ra.Application{first}, list...), nil
}

// completed are those that there is evidence of.
func completed(list []ra.Application) (out []ra.Application) {
	for _, a := range list {
		if a.State == ra.AppCompleted && a.Ground == "" {
			out = append(out, a)
		}
	}
	return out
}

// evidence sends the zip by which an outsider can judge, years later and off line, what was done (HCA-3.3). It holds the
// holder's data unmasked, so that it is for auditors, and each time is in the log.
func (p *page) evidence() error {
	c, err := p.site.Revocations.Certificate(p.ctx(), p.actor(), ra.CertificateID(p.Param("id")))
	if err != nil {
		return err
	}
	steps, err := p.steps(c)
	if err != nil {
		return err
	}
	id := ra.ApplicationID(p.FormValue("application"))
	if !slices.ContainsFunc(steps, func(a ra.Application) bool { return a.ID == id }) {
		return ra.Errorf(ra.KindNotFound, "not-found", nil, "There is none, or none that you may see.")
	}
	var zip bytes.Buffer
	if err := p.site.Evidence(p.ctx(), p.actor(), id, &zip); err != nil {
		return err
	}
	h := p.Response().Header()
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evidence-%s.zip"`, id))
	h.Set("Cache-Control", "no-store")
	return p.Blob(http.StatusOK, "application/zip", zip.Bytes())
}

func (p *page) beginRevocation() error {
	a, err := p.site.Revocations.Begin(p.ctx(), p.actor(), ra.CertificateID(p.Param("id")), ra.RevocationReason(p.FormValue("reason")), "")
	if err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, "/counter/"+string(a.ID))
}
