package admin

import (
	"net/http"

	"certwindow/ra"
	"certwindow/ra/approve"
)

var approvalList = &list[approvalLine]{
	path:   "approvals",
	title:  "approvals.title",
	none:   "approvals.none",
	orders: []order{{"id", true}},
	filters: []filter{
		{name: "state", label: "state", kind: "select", options: func(p *page) []option { return choices(p, "state.approval.", approvalStates) }},
		{name: "act", label: "approval.act", kind: "select", options: func(p *page) []option { return choices(p, "approval.act.", approve.Acts) }},
	},
	columns: []column[approvalLine]{
		{label: "approval.since", class: "when", by: "id", cell: func(p *page, x approvalLine) cell {
			return p.when(x.ProposedAt).to("/approvals/" + x.ID)
		}},
		{label: "approval.act", cell: func(p *page, x approvalLine) cell { return p.word("approval.act", string(x.Act)) }},
		{label: "state", cell: func(p *page, x approvalLine) cell { return p.state("approval", string(x.State)) }},
		{label: "approval.about", class: "code serials", cell: func(_ *page, x approvalLine) cell { return leading(x.AboutPath, x.About) }},
		{label: "approval.proposed-by", class: "short", cell: func(_ *page, x approvalLine) cell { return plain(x.Who) }},
		{label: "approval.decided-by", class: "short", cell: func(_ *page, x approvalLine) cell { return plain(x.Decider) }},
		{label: "approval.decided", class: "when", cell: func(p *page, x approvalLine) cell {
			if x.DecidedAt == nil {
				return cell{}
			}
			return p.when(*x.DecidedAt)
		}},
	},
	read: func(p *page, a asked) ([]approvalLine, error) {
		found, err := p.site.Approvals.Proposals(p.ctx(), p.actor(), approvalQuery(a))
		if err != nil {
			return nil, err
		}
		return p.approvalLines(found)
	},
	count: func(p *page, a asked) (int, error) {
		return p.site.Approvals.CountProposals(p.ctx(), p.actor(), approvalQuery(a))
	},
	mark: func(_ string, x approvalLine) ra.Mark { return ra.Mark{ID: x.ID} },
}

func approvalQuery(a asked) approve.Query {
	return approve.Query{State: approve.State(a.get("state")), Act: approve.Act(a.get("act")), Order: a.order, Limit: a.limit}
}

// approvals shows what waits, and below it the list of all.
func (p *page) approvals() error {
	d, err := approvalList.page(p)
	if err != nil {
		return err
	}
	data := map[string]any{"List": d, "First": d.First == "" && !d.Filtered}
	if d.First == "" && !d.Filtered {
		waiting, err := p.site.Approvals.Proposals(p.ctx(), p.actor(), approve.Query{State: approve.Proposed, Limit: countUpTo + 1})
		if err != nil {
			return err
		}
		if data["Waiting"], err = p.approvalLines(waiting); err != nil {
			return err
		}
	}
	return p.show(http.StatusOK, "approvals", view{Title: "approvals.title", Data: data})
}
