package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/admin/mask"
	"certwindow/web/problem"
)

var approvalRoutes = append(approvalList.routes(lookers, (*page).approvals), []route{
	{method: get, path: "/approvals/:id", handle: (*page).approval, roles: lookers},
	{method: post, path: "/approvals/:id/approve", handle: (*page).approve, roles: approvers},
	{method: post, path: "/approvals/:id/reject", handle: (*page).reject, roles: approvers},
	{method: post, path: "/approvals/:id/withdraw", handle: (*page).withdraw, roles: proposers},
}...)

// Approvals are the acts that need two persons; approve.Service is one.
type Approvals interface {
	ProposeRevocation(ctx context.Context, actor ra.Actor, id ra.CertificateID, ground, note string) (approve.Proposal, error)
	ProposeResumption(ctx context.Context, actor ra.Actor, id ra.CertificateID, note string) (approve.Proposal, error)
	Propose(ctx context.Context, actor ra.Actor, act approve.Act, object string, institution ra.InstitutionCode, facts approve.Facts) (approve.Proposal, error)
	ProposeExemption(ctx context.Context, actor ra.Actor, person ra.PersonID, e policy.Exemption) (approve.Proposal, error)
	Proposal(ctx context.Context, actor ra.Actor, id string) (approve.Proposal, error)
	Proposals(ctx context.Context, actor ra.Actor, q approve.Query) ([]approve.Proposal, error)
	CountProposals(ctx context.Context, actor ra.Actor, q approve.Query) (int, error)
	Exemption(ctx context.Context, id ra.PersonID) (*policy.Exemption, error)
	Approve(ctx context.Context, actor ra.Actor, id, hash string) error
	Reject(ctx context.Context, actor ra.Actor, id, reason string) error
	Withdraw(ctx context.Context, actor ra.Actor, id string) error
}

var approvalStates = []approve.State{approve.Proposed, approve.Approved, approve.Rejected, approve.Expired, approve.Withdrawn}

// approvalLine is a proposal as pages show it.
type approvalLine struct {
	approve.Proposal
	About, AboutPath string // a certificate's serial or a person's masked name
	Who, Decider     string
}

func (p *page) approvalLines(list []approve.Proposal) ([]approvalLine, error) {
	names := map[string]string{}
	out := make([]approvalLine, 0, len(list))
	for _, x := range list {
		l := approvalLine{Proposal: x, About: x.Object, Who: p.account(names, x.ProposedBy)}
		kind, id, _ := strings.Cut(x.Object, "/")
		if at, ok := pagesOf[kind]; ok && (x.Act != approve.CreateStaff && x.Act != approve.SignClient && x.Act != approve.StaffingClient && x.Act != approve.RevokeMany || x.State == approve.Approved) {
			l.AboutPath = at + id
		}
		if x.DecidedBy != "" && x.State != approve.Expired {
			l.Decider = p.account(names, x.DecidedBy)
		}
		t, err := x.Terms()
		if err == nil && t.Serial != "" {
			l.About = t.Serial
		} else if err == nil && kind == "setting" {
			l.About = p.words().say("setting." + id)
		} else if err == nil && kind == "bulk" {
			n, _ := strconv.Atoi(t.Facts["bulk-count"])
			l.About = p.words().say("bulk.many", n)
		} else if err == nil && kind == "staff" {
			l.About = t.Facts["account"]
		} else if kind == "person" {
			who, err := p.site.Registry.Person(p.ctx(), p.actor(), ra.PersonID(id))
			switch {
			case err == nil:
				l.About = mask.Name(who.Name)
			case ra.KindOf(err) != ra.KindNotFound:
				return nil, err
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// approvalsOf are the proposals about one thing, newest first.
func (p *page) approvalsOf(object string) ([]approvalLine, error) {
	list, err := p.site.Approvals.Proposals(p.ctx(), p.actor(), approve.Query{Object: object, Limit: shownRows})
	if err != nil {
		return nil, err
	}
	return p.approvalLines(list)
}

func (p *page) approval() error { return p.approvalWith(nil) }

// approvalData is everything about one proposal.
type approvalData struct {
	approvalLine
	Terms   approve.Terms
	Whole   bool // the payload is what was proposed
	Payload string
	Short   string // the hash's first digits, to read out
	Own     bool
	Late    bool
	History []event
}

// approvalWith shows exactly what is to be approved, after an error with what was typed.
func (p *page) approvalWith(failed error) error {
	x, err := p.site.Approvals.Proposal(p.ctx(), p.actor(), p.Param("id"))
	if err != nil {
		return err
	}
	lines, err := p.approvalLines([]approve.Proposal{x})
	if err != nil {
		return err
	}
	d := approvalData{approvalLine: lines[0], Payload: string(x.Payload), Short: x.Hash[:min(16, len(x.Hash))], Own: x.ProposedBy == string(p.who.Staff.ID),
		Late: !p.site.Now().Before(x.ExpiresAt)}
	v := view{Title: "approval.one", Heading: p.words().say("approval.act." + string(x.Act)), Up: "/approvals", UpTitle: "approvals.title"}
	var changed error
	if d.Terms, changed = x.Terms(); changed != nil {
		v.Problem = p.explain(problem.Of(changed, problem.RequestID(p)))
	}
	d.Whole = changed == nil
	if d.History, err = p.history("approval/" + x.ID); err != nil {
		return err
	}
	v.Data = d
	if failed == nil {
		return p.show(http.StatusOK, "approval", v)
	}
	return p.again(failed, "approval", v, map[string][2]string{"note": {"reason", "approval.reason"}})
}

// decided does what an approver decided. A contractor decides on nothing (HCA-3.2), whatever his account says.
func (p *page) decided(what string, decide func(id string) error) error {
	if p.who.Staff.Contractor {
		return p.approvalWith(ra.Refuse("HCA-3.2", "contractor-role", "A contractor's account approves nothing. Nothing was changed.", nil))
	}
	id := p.Param("id")
	if err := decide(id); err != nil {
		return p.approvalWith(err)
	}
	return p.done("/approvals/"+id, what)
}

func (p *page) approve() error {
	return p.decided("approved", func(id string) error { return p.site.Approvals.Approve(p.ctx(), p.actor(), id, p.FormValue("hash")) })
}

func (p *page) reject() error {
	return p.decided("rejected", func(id string) error { return p.site.Approvals.Reject(p.ctx(), p.actor(), id, p.FormValue("reason")) })
}

func (p *page) withdraw() error {
	id := p.Param("id")
	if err := p.site.Approvals.Withdraw(p.ctx(), p.actor(), id); err != nil {
		return p.approvalWith(err)
	}
	return p.done("/approvals/"+id, "withdrawn")
}

// groundOptions are the cases of HCA-5.2.2.
func (p *page) groundOptions() (out []option) {
	for _, g := range policy.Grounds() {
		out = append(out, option{Value: g.Name, Label: p.words().say("ground." + g.Name)})
	}
	return out
}

func (p *page) suspend() error {
	id := ra.CertificateID(p.Param("id"))
	if err := p.site.Revocations.Suspend(p.ctx(), p.actor(), id, p.FormValue("suspend_note")); err != nil {
		return p.certificateWith(err, map[string][2]string{"note": {"suspend_note", "certificate.note"}})
	}
	return p.done("/certificates/"+string(id), "suspended")
}

func (p *page) proposeRevocation() error {
	x, err := p.site.Approvals.ProposeRevocation(p.ctx(), p.actor(), ra.CertificateID(p.Param("id")), p.FormValue("ground"), p.FormValue("window_note"))
	if err != nil {
		return p.certificateWith(err, map[string][2]string{"note": {"window_note", "certificate.note"}, "ground-unknown": {"ground", "application.ground"}})
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

func (p *page) proposeResumption() error {
	x, err := p.site.Approvals.ProposeResumption(p.ctx(), p.actor(), ra.CertificateID(p.Param("id")), p.FormValue("resume_note"))
	if err != nil {
		return p.certificateWith(err, map[string][2]string{"note": {"resume_note", "certificate.note"}})
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// proposeExemption proposes to record HCA's reply. The day that is typed is the last one on which it holds.
func (p *page) proposeExemption() error {
	e := policy.Exemption{Reply: p.FormValue("reply")}
	last, err := day(p.FormValue("last_day"))
	if err == nil {
		e.Limit, _ = strconv.Atoi(strings.TrimSpace(p.FormValue("limit"))) // what is no number is out of bounds
		if !last.IsZero() {
			e.Until = last.AddDate(0, 0, 1)
		}
		var x approve.Proposal
		if x, err = p.site.Approvals.ProposeExemption(p.ctx(), p.actor(), ra.PersonID(p.Param("id")), e); err == nil {
			return p.done("/approvals/"+x.ID, "proposed")
		}
	}
	return p.personWith(err)
}

// personFields are the fields of a person's page that errors belong to.
var personFields = map[string][2]string{"unmask-reason": {"unmask_reason", "unmask.reason"}, "unmask-note": {"unmask_note", "unmask.note"}, "copy-note": {"copy_note", "copy.note"},
	"exemption-limit": {"limit", "exemption.limit"}, "exemption-until": {"last_day", "exemption.last-day"},
	"date-malformed": {"last_day", "exemption.last-day"}, "exemption-reply": {"reply", "exemption.reply"}}

// certificateForm is what the forms of a certificate's page begin with.
func certificateForm() url.Values {
	return url.Values{"reason": {string(ra.ReasonUnspecified)}, "ground": {policy.Grounds()[0].Name}}
}

// fact is the value of a fact in words, where the pages have them.
func (w catalogue) fact(name, value string) string {
	switch kind := strings.TrimPrefix(name, "was-"); {
	case value == "yes" || value == "no":
		return w.say("answer." + value)
	case kind == "ceremony":
		return w.say("ceremony.kind." + value)
	case kind == "setting":
		return w.say("setting." + value)
	case kind == "role":
		return w.say("role." + value)
	case kind == "app-reviewed":
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return at.In(taipei).Format(time.DateOnly)
		}
	case kind == "app-platform":
		return w.say("platform." + value)
	case kind == "app-state":
		return w.say("state.app." + value)
	case kind == "dispute-wrong":
		return w.say("dispute.wrong." + value)
	case kind == "dispute-choice":
		return w.say("dispute.choice." + value)
	case kind == "bulk-ground":
		return w.say("ground." + value)
	case kind == "bulk-standing" && value != "":
		return w.say("state.certificate." + value)
	case kind == "bulk-device" && value != "":
		return w.say("state.device." + value)
	case strings.HasPrefix(kind, "bulk-") && value == "":
		return w.say("filter.all")
	case kind == "institution" && value == "":
		return w.say("staff.whole-window")
	}
	return value
}
