package admin

import (
	"certwindow/ra"
	"certwindow/web/admin/mask"
	"certwindow/web/session"
)

var accountStates = []string{"active", "stopped"}

var staffList = &list[session.Staff]{
	path:   "staff",
	title:  "staff.title",
	none:   "staff.none",
	add:    "staff.new",
	orders: []order{{"account", false}, {"id", true}},
	filters: []filter{
		{name: "role", label: "staff.role", kind: "select", options: func(p *page) []option { return choices(p, "role.", session.Roles) }},
		{name: "state", label: "state", kind: "select", options: func(p *page) []option { return choices(p, "state.staff.", accountStates) }},
		{name: "institution", label: "list.institution", kind: "text"},
	},
	columns: []column[session.Staff]{
		{label: "staff.account", by: "account", cell: func(_ *page, st session.Staff) cell { return leading("/staff/"+string(st.ID), st.Account) }},
		{label: "staff.name", cell: func(p *page, st session.Staff) cell {
			if st.Contractor {
				return plain(mask.Name(st.Name) + " (" + p.words().say("staff.contractor-short") + ")")
			}
			return plain(mask.Name(st.Name))
		}},
		{label: "staff.role", cell: func(p *page, st session.Staff) cell { return p.word("role", string(st.Role)) }},
		{label: "staff.institution", class: "code", cell: func(p *page, st session.Staff) cell {
			if st.Institution == "" {
				return plain(p.words().say("staff.whole-window"))
			}
			return p.institutionCell(st.Institution)
		}},
		{label: "state", cell: func(p *page, st session.Staff) cell { return p.state("staff", staffState(st)) }},
		{label: "staff.created", class: "when", by: "id", cell: func(p *page, st session.Staff) cell { return p.when(st.CreatedAt) }},
	},
	read: func(p *page, a asked) ([]session.Staff, error) {
		return p.site.Accounts.Staff(p.ctx(), p.actor(), staffQuery(a))
	},
	count: func(p *page, a asked) (int, error) {
		return p.site.Accounts.CountStaff(p.ctx(), p.actor(), staffQuery(a))
	},
	mark: func(by string, st session.Staff) ra.Mark {
		if by == "account" {
			return ra.Mark{Key: st.Account, ID: string(st.ID)}
		}
		return ra.Mark{ID: string(st.ID)}
	},
}

func staffQuery(a asked) session.StaffQuery {
	q := session.StaffQuery{Role: session.Role(a.get("role")), Institution: ra.InstitutionCode(a.get("institution")), Order: a.order, Limit: a.limit}
	if v := a.get("state"); v != "" {
		active := v == "active"
		q.Active = &active
	}
	return q
}

// staffState is the state of an account as pages name it.
func staffState(st session.Staff) string {
	switch {
	case !st.Active:
		return "stopped"
	case st.PasswordLocked || st.CodeLocked:
		return "locked"
	case st.MustChange:
		return "initial"
	}
	return "active"
}
