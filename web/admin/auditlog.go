package admin

import (
	"slices"
	"strconv"
	"strings"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/web/session"
)

var auditRoutes = auditList.routes(auditors, nil)

var outcomes = []ra.Outcome{ra.OutcomeDone, ra.OutcomeRefused, ra.OutcomeFailed}

var auditList = &list[event]{
	path:   "audit",
	title:  "audit.title",
	none:   "audit.none",
	wide:   true,
	orders: []order{{"seq", true}},
	filters: []filter{
		{name: "act", label: "audit.act", kind: "select", options: (*page).actOptions},
		{name: "actor", label: "audit.who", kind: "text"},
		{name: "object", label: "audit.object", kind: "text"},
		{name: "clause", label: "audit.clause", kind: "text"},
		{name: "outcome", label: "audit.outcome", kind: "select", options: func(p *page) []option { return choices(p, "state.outcome.", outcomes) }},
		{name: "institution", label: "list.institution", kind: "text"},
		{name: "from", label: "audit.from", kind: "day"},
		{name: "to", label: "audit.to", kind: "day"},
	},
	columns: []column[event]{
		{label: "audit.seq", class: "num", by: "seq", cell: func(_ *page, e event) cell { return plain(strconv.FormatInt(e.Seq, 10)) }},
		{label: "audit.at", class: "when", cell: func(p *page, e event) cell { return p.when(e.At) }},
		{label: "audit.who", class: "who", cell: func(_ *page, e event) cell { return leading(e.WhoPath, e.Who) }},
		{label: "audit.as", class: "short", cell: func(p *page, e event) cell { return p.word("actor", e.ActorKind) }},
		{label: "audit.act", class: "wrap", cell: func(p *page, e event) cell { return plain(p.words().act(e.Act)) }},
		{label: "audit.object", class: "code object", cell: func(_ *page, e event) cell { return leading(e.Path, e.Object) }},
		{label: "audit.outcome", cell: func(p *page, e event) cell { return p.state("outcome", e.Outcome) }},
		{label: "audit.clause", class: "short", cell: func(_ *page, e event) cell { return plain(e.Clause) }},
		{label: "audit.code", class: "code", cell: func(_ *page, e event) cell { return plain(e.Code) }},
		{label: "audit.details", class: "details", cell: func(_ *page, e event) cell { return plain(strings.Join(e.Notes, "; ")) }},
	},
	read: func(p *page, a asked) ([]event, error) {
		q, err := p.logQuery(a)
		if err != nil {
			return nil, err
		}
		rows, err := p.site.AuditLog(p.ctx(), q)
		return p.events(rows), err
	},
	count: func(p *page, a asked) (int, error) {
		q, err := p.logQuery(a)
		if err != nil {
			return 0, err
		}
		return p.site.CountLog(p.ctx(), q)
	},
	mark: func(_ string, e event) ra.Mark { return ra.Mark{ID: strconv.FormatInt(e.Seq, 10)} },
}

// logQuery is what a list of the log asks for. Who is meant by an account's name is looked up, since rows hold ids.
func (p *page) logQuery(a asked) (LogQuery, error) {
	q := LogQuery{Institution: ra.InstitutionCode(a.get("institution")), Object: a.get("object"), Act: a.get("act"), Actor: a.get("actor"),
		Outcome: ra.Outcome(a.get("outcome")), Clause: policy.Clause(a.get("clause")), From: a.day("from", 0), To: a.day("to", 1), Limit: a.limit}
	if at := p.who.Staff.Institution; at != "" {
		q.Institution = at
	}
	if q.Actor != "" {
		found, err := p.site.Accounts.Staff(p.ctx(), p.actor(), session.StaffQuery{Account: q.Actor, Limit: 1})
		if err != nil {
			return q, err
		}
		if len(found) == 1 {
			q.Actor = string(found[0].ID)
		}
	}
	q.OldestFirst = !a.order.Desc
	if a.order.After == nil {
		return q, nil
	}
	seq, err := strconv.ParseInt(a.order.After.ID, 10, 64)
	if err != nil || seq < 1 {
		return q, ra.Errorf(ra.KindMalformed, "cursor", nil, "The place in the list cannot be read.")
	}
	if q.OldestFirst {
		q.After = seq
	} else {
		q.Before = seq
	}
	return q, nil
}

// actOptions are the acts that have words, by their words.
func (p *page) actOptions() []option {
	out := []option{}
	for k, words := range p.words() {
		if act, ok := strings.CutPrefix(k, "act."); ok {
			out = append(out, option{Value: act, Label: words})
		}
	}
	slices.SortFunc(out, func(a, b option) int { return strings.Compare(a.Label+a.Value, b.Label+b.Value) })
	return append([]option{{Label: p.words().say("filter.all")}}, out...)
}
