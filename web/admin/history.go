package admin

import (
	"encoding/json"
	"slices"
	"strings"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/audit"
)

// event is a row of the audit log as pages show it.
type event struct {
	audit.Record
	Who     string // the account, where the actor is one
	WhoPath string
	Path    string // the object's page, where there is one
	Notes   []string
	Rule    string // what the clause says, in plain words
}

// pagesOf are the kinds of objects that have a page.
var pagesOf = map[string]string{"person": "/persons/", "device": "/devices/", "application": "/applications/", "certificate": "/certificates/", "staff": "/staff/",
	"approval": "/approvals/", "import": "/imports/", "bulk": "/bulks/", "institution": "/institutions/", "scope": "/scopes/", "app": "/apps/", "client": "/clients/", "setting": "/settings/"}

// history is what the audit log knows of one thing, newest first.
func (p *page) history(objects ...string) ([]event, error) {
	var all []audit.Record
	for _, o := range objects {
		rows, err := p.site.AuditLog(p.ctx(), LogQuery{Object: o, Limit: pageRows})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			// Rows of the window itself name no institution; those of another one are not this one's to see.
			if at := p.who.Staff.Institution; at == "" || r.Institution == "" || r.Institution == string(at) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b audit.Record) int { return int(b.Seq - a.Seq) })
	out := p.events(all)
	for i, e := range out {
		if e.ActorKind == string(ra.ActorSystem) || e.ActorKind == string(ra.ActorSweep) { // which part of the system it was stands in the log
			out[i].Who = p.words().say("actor." + e.ActorKind)
		}
	}
	return out, nil
}

// events puts names and links to rows of the log.
func (p *page) events(rows []audit.Record) []event {
	names, codes := map[string]string{}, map[string]string{}
	out := make([]event, 0, len(rows))
	for _, r := range rows {
		e := event{Record: r, Who: r.Actor, Notes: notes(r.Details), Rule: ruleOf(policy.Clause(r.Clause), p.lang)}
		if r.ActorKind == string(ra.ActorStaff) && r.Actor != "" {
			e.Who = p.account(names, r.Actor)
			if p.may(get, "/staff/:id") {
				e.WhoPath = "/staff/" + r.Actor
			}
		}
		if r.ActorKind == string(ra.ActorDevice) && r.Actor != "" {
			if e.Who = p.deviceOf(codes, r.Actor); e.Who != r.Actor {
				e.WhoPath = "/devices/" + r.Actor
			}
		}
		if kind, id, ok := strings.Cut(r.Object, "/"); ok && id != "unknown" && pagesOf[kind] != "" && (p.may(get, pagesOf[kind]+":id") || p.may(get, pagesOf[kind]+":code") || p.may(get, pagesOf[kind]+":name")) {
			e.Path = pagesOf[kind] + id
		}
		out = append(out, e)
	}
	return out
}

// account is the name of a member of staff's account; its id where there is no such account any more.
func (p *page) account(known map[string]string, id string) string {
	if name, ok := known[id]; ok {
		return name
	}
	known[id] = id
	if st, err := p.site.Accounts.Find(p.ctx(), ra.Actor{Kind: ra.ActorSystem}, ra.StaffID(id)); err == nil {
		known[id] = st.Account
	}
	return known[id]
}

// deviceOf is what a device is called, asked for once.
func (p *page) deviceOf(known map[string]string, id string) string {
	if _, ok := known[id]; !ok {
		known[id] = id
		if p.may(get, "/devices/:id") {
			known[id] = p.deviceCode(id)
		}
	}
	return known[id]
}

// notes are the details of a row, in a fixed order.
func notes(details string) []string {
	var m map[string]string
	if json.Unmarshal([]byte(details), &m) != nil {
		return nil
	}
	out := make([]string, 0, len(m))
	for k, v := range m {
		if v != "" {
			out = append(out, k+" "+v)
		}
	}
	slices.Sort(out)
	return out
}
