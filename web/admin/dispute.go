package admin

import (
	"mime"
	"net/http"
	"net/url"
	"slices"

	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/exchange"
	"certwindow/web/admin/mask"
)

var disputeRoutes = []route{
	{method: post, path: "/applications/:id/export", handle: (*page).exportDispute, roles: auditors},
	{method: post, path: "/applications/:id/settle", handle: (*page).proposeSettlement, roles: managers},
}

// disputants see what is wrong with an answer: who propose, who approve, and who look at both (HCA-3.3).
var disputants = slices.Concat(auditors, approvers)

// disputeData is what the page of an application shows of an answer that does not fit.
type disputeData struct {
	exchange.Dispute
	Subject, Holder string // of the certificate in the answer, masked
	Choices         []option
	Approvals       []approvalLine
}

// dispute is what is wrong with an application's answer; nil where nothing is, or where it is not the reader's business.
func (p *page) dispute(a ra.Application) (*disputeData, error) {
	if a.State != ra.AppDisputed || p.actor().Institution != "" || !slices.Contains(disputants, p.who.Staff.Role) {
		return nil, nil
	}
	x, err := p.site.Exchange.Dispute(p.ctx(), p.actor(), a.ID)
	if ra.KindOf(err) == ra.KindConflict {
		return nil, nil // it was settled meanwhile
	}
	if err != nil {
		return nil, err
	}
	d := &disputeData{Dispute: x}
	if c := x.Certificate; c != nil {
		d.Subject, d.Holder = mask.Name(c.Name), mask.ID(c.Holder)
	}
	choices := exchange.Choices
	if a.Kind != ra.Enrolment {
		choices = choices[:1]
	}
	for _, c := range choices {
		d.Choices = append(d.Choices, option{Value: string(c), Label: p.words().say("dispute.choice." + string(c))})
	}
	d.Approvals, err = p.approvalsOf("application/" + string(a.ID))
	return d, err
}

// disputeFields are the fields of the page that errors belong to.
var disputeFields = map[string][2]string{"note": {"note", "dispute.note"}, "dispute-choice": {"choice", "dispute.choice"}, "dispute-letter": {"letter", "dispute.letter"},
	"dispute-letter-sha256": {"letter_sha256", "dispute.letter-sha256"}, "dispute-not-revoked": {"choice", "dispute.choice"}, "dispute-issuer": {"choice", "dispute.choice"}}

// proposeSettlement proposes what becomes of the application.
func (p *page) proposeSettlement() error {
	id := ra.ApplicationID(p.Param("id"))
	d, err := p.site.Exchange.Dispute(p.ctx(), p.actor(), id)
	if err != nil {
		return p.applicationWith(err)
	}
	facts := d.Facts(exchange.Settlement{Choice: exchange.Choice(p.FormValue("choice")), Note: p.FormValue("note"), Letter: p.FormValue("letter"),
		LetterSum: p.FormValue("letter_sha256")})
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.SettleDispute, "application/"+string(id), "", facts)
	if err != nil {
		return p.applicationWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// exportDispute sends the request or the answer as it went over the wire. They hold the holder's data unmasked, so that
// each time is in the log.
func (p *page) exportDispute() error {
	id, part := ra.ApplicationID(p.Param("id")), exchange.Part(p.FormValue("part"))
	raw, err := p.site.Exchange.Export(p.ctx(), p.actor(), id, part)
	if err != nil {
		return err
	}
	h := p.Response().Header()
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": string(part) + "-" + string(id) + ".der"}))
	h.Set("Cache-Control", "no-store")
	return p.Blob(http.StatusOK, "application/octet-stream", raw)
}

// settlementForm is what the form begins with: the choice that changes least.
func settlementForm() url.Values { return url.Values{"choice": {string(exchange.AskAgain)}} }
