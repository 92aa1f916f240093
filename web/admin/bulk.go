package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/ra/bulk"
	"certwindow/web/session"
)

var bulkRoutes = []route{
	{method: get, path: "/bulks", handle: (*page).bulks, roles: lookers},
	{method: get, path: "/bulks/new", handle: (*page).bulkForm, roles: proposers},
	{method: post, path: "/bulks/remind", handle: (*page).remindMany, roles: proposers},
	{method: post, path: "/bulks/propose", handle: (*page).proposeRevokeMany, roles: proposers},
	{method: get, path: "/bulks/:id", handle: (*page).oneBulk, roles: lookers},
	{method: get, path: "/bulks/:id/progress", handle: (*page).oneBulk, roles: lookers, poll: true},
	{method: post, path: "/bulks/:id/stop", handle: (*page).stopBulk, roles: stoppers},
}

// stoppers are those who may stop at once what others began.
var stoppers = []session.Role{session.Clerk, session.InstitutionAdmin, session.WindowAdmin, session.Approver, session.Helpdesk}

// Bulks work on many certificates at once; bulk.Service is one.
type Bulks interface {
	Preview(ctx context.Context, actor ra.Actor, f bulk.Filter) (bulk.Preview, error)
	Remind(ctx context.Context, actor ra.Actor, f bulk.Filter, list string) (id string, err error)
	NewObject() (string, error)
	Stop(ctx context.Context, actor ra.Actor, id string) error
	Bulk(ctx context.Context, actor ra.Actor, id string) (bulk.Bulk, error)
	Bulks(ctx context.Context, actor ra.Actor, q bulk.Query) ([]bulk.Bulk, error)
	Items(ctx context.Context, actor ra.Actor, id string, q bulk.ItemQuery) ([]bulk.Item, error)
}

var bulkStates = []bulk.State{bulk.Running, bulk.Stopped, bulk.Finished}

// bulkStandings are the states of certificates that can be searched for.
var bulkStandings = []ra.CertificateState{ra.CertLive, ra.CertSuspended}

// bulkAddress leads from the list of certificates to the same search for bulk work; nowhere when the list is narrowed by
// what that search cannot be, so that no link finds more than was shown.
func bulkAddress(a asked) string {
	q := url.Values{}
	for k, v := range a.values {
		switch {
		case k == "institution" || k == "to" || k == "state" && known(v, bulkStandings) != "":
			q.Set(k, v)
		default:
			return ""
		}
	}
	return "/bulks/new?" + q.Encode()
}

func (p *page) bulks() error {
	list, err := p.site.Bulks.Bulks(p.ctx(), p.actor(), bulk.Query{Before: p.QueryParam("before"), Limit: pageRows + 1})
	if err != nil {
		return err
	}
	d := map[string]any{"More": ""}
	if len(list) > pageRows {
		list = list[:pageRows]
		d["More"] = p.next("before", list[pageRows-1].ID)
	}
	d["List"] = list
	return p.show(http.StatusOK, "bulks", view{Title: "bulks.title", Data: d})
}

// bulkFilter is the search that the address, or a form, asks for. The day is the last one on which a certificate is valid.
func (p *page) bulkFilter() (f bulk.Filter, err error) {
	if s, d := p.FormValue("state"), p.FormValue("device"); s != "" && known(s, bulkStandings) == "" || d != "" && known(d, deviceStates) == "" {
		return f, ra.Errorf(ra.KindMalformed, "filter-unknown", nil, "The list cannot be filtered by what the address says.")
	}
	f = bulk.Filter{Institution: ra.InstitutionCode(p.FormValue("institution")), Standing: known(p.FormValue("state"), bulkStandings), Device: known(p.FormValue("device"), deviceStates)}
	if own := p.who.Staff.Institution; own != "" && f.Institution == "" {
		f.Institution = own
	}
	if f.Expires, err = day(p.FormValue("to")); err == nil && !f.Expires.IsZero() {
		f.Expires = f.Expires.AddDate(0, 0, 1)
	}
	return f, err
}

// bulkData is a search with what it finds.
type bulkData struct {
	Institutions, States, Devices, Grounds []option
	Preview                                *bulk.Preview
	Names                                  map[ra.PersonID]string
	More                                   int // certificates that the sample does not show
	Kept                                   []option
}

func (p *page) bulkForm() error { return p.bulkFormWith(nil) }

// bulkFormWith shows what a search finds, exactly how many, and what can be done to them; after an error with what was typed.
func (p *page) bulkFormWith(failed error) error {
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	d := bulkData{Institutions: institutions, States: choices(p, "state.certificate.", bulkStandings), Devices: choices(p, "state.device.", deviceStates), Grounds: p.groundOptions()}
	if p.who.Staff.Institution == "" {
		d.Institutions = append([]option{{Label: p.words().say("filter.all")}}, institutions...)
	}
	form := url.Values{"ground": {policy.Grounds()[0].Name}}
	asked := false
	for _, name := range []string{"institution", "to", "state", "device"} {
		v := p.FormValue(name)
		form.Set(name, v)
		d.Kept = append(d.Kept, option{Value: v, Label: name})
		asked = asked || v != ""
	}
	if failed != nil {
		form.Set("ground", p.FormValue("ground"))
		form.Set("note", p.FormValue("note"))
	}
	f, wrong := p.bulkFilter()
	if wrong == nil && asked {
		var found bulk.Preview
		if found, wrong = p.site.Bulks.Preview(p.ctx(), p.actor(), f); wrong == nil {
			d.Preview, d.More = &found, found.Count-len(found.Sample)
			if d.Names, err = holders(p, found.Sample, func(c ra.Certificate) ra.PersonID { return c.PersonID }); err != nil {
				return err
			}
		}
	}
	if failed == nil {
		failed = wrong
	}
	v := view{Title: "bulk.new", Up: "/bulks", UpTitle: "bulks.title", Form: form, Data: d}
	if failed == nil {
		return p.show(http.StatusOK, "bulk-new", v)
	}
	return p.again(failed, "bulk-new", v, map[string][2]string{"date-malformed": {"to", "bulk.to"}, "bulk-filter": {"institution", "application.institution"},
		"note": {"note", "certificate.note"}, "ground-unknown": {"ground", "application.ground"}})
}

func (p *page) remindMany() error {
	f, err := p.bulkFilter()
	var id string
	if err == nil {
		id, err = p.site.Bulks.Remind(p.ctx(), p.actor(), f, p.FormValue("list"))
	}
	if err != nil {
		return p.bulkFormWith(err)
	}
	return p.Redirect(http.StatusSeeOther, "/bulks/"+id)
}

// proposeRevokeMany proposes to revoke exactly what was shown (HCA-5.2.2, HCA-8.1.6).
func (p *page) proposeRevokeMany() error {
	f, err := p.bulkFilter()
	if err != nil {
		return p.bulkFormWith(err)
	}
	object, err := p.site.Bulks.NewObject()
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(p.FormValue("count")) // what is no number is not what was shown
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.RevokeMany, object, f.Institution, bulk.Facts(f, p.FormValue("ground"), p.FormValue("note"), n, p.FormValue("list")))
	if err != nil {
		return p.bulkFormWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// bulkOne is one piece of work: how far it has come, and what became of each certificate.
type bulkOne struct {
	bulk.Bulk
	Items                  []bulkItem
	Counts                 []bulkCount
	Chosen                 bulk.Result
	Who, Second, StoppedBy string
	More, Path, Again      string // Again is where a page that waits looks next
}

// bulkItem is a certificate of it as the page shows it.
type bulkItem struct {
	bulk.Item
	Serial, Text string
}

// bulkCount is how many certificates came to a result, with where to see them.
type bulkCount struct {
	Result bulk.Result
	Count  int
	Path   string
}

func (p *page) oneBulk() error { return p.oneBulkWith(nil) }

func (p *page) oneBulkWith(failed error) error {
	b, err := p.site.Bulks.Bulk(p.ctx(), p.actor(), p.Param("id"))
	if err != nil {
		return err
	}
	names := map[string]string{}
	d := bulkOne{Bulk: b, Path: "/bulks/" + b.ID, Chosen: known(p.QueryParam("result"), bulk.Results), Who: p.account(names, b.CreatedBy)}
	if b.ApprovedBy != "" {
		d.Second = p.account(names, b.ApprovedBy)
	}
	if b.StoppedBy != "" {
		d.StoppedBy = p.account(names, b.StoppedBy)
	}
	for _, c := range []bulkCount{{Result: bulk.Left, Count: b.LeftOver()}, {Result: bulk.Skipped, Count: b.Skipped}, {Result: bulk.Done, Count: b.Done}} {
		c.Path = d.Path + "?result=" + string(c.Result)
		d.Counts = append(d.Counts, c)
	}
	if b.State == bulk.Running {
		d.Again = d.Path + "/progress"
	}
	if err := p.bulkItems(&d); err != nil {
		return err
	}
	v := view{Title: "bulk.one", Heading: p.words().say("bulk.kind." + string(b.Kind)), Up: "/bulks", UpTitle: "bulks.title", Data: d}
	if failed == nil {
		return p.show(http.StatusOK, "bulk", v)
	}
	return p.again(failed, "bulk", v, nil)
}

// bulkItems are a page of the certificates, with the words why one was skipped.
func (p *page) bulkItems(d *bulkOne) error {
	items, err := p.site.Bulks.Items(p.ctx(), p.actor(), d.ID, bulk.ItemQuery{Result: d.Chosen, After: ra.CertificateID(p.QueryParam("after")), Limit: pageRows + 1})
	if err != nil {
		return err
	}
	if len(items) > pageRows {
		items = items[:pageRows]
		q := url.Values{"after": {string(items[pageRows-1].Certificate)}}
		if d.Chosen != "" {
			q.Set("result", string(d.Chosen))
		}
		d.More = d.Path + "?" + q.Encode()
	}
	for _, i := range items {
		x := bulkItem{Item: i, Serial: string(i.Certificate), Text: i.Code}
		c, err := p.site.Revocations.Certificate(p.ctx(), p.actor(), i.Certificate)
		switch {
		case err == nil:
			x.Serial = c.Serial
		case ra.KindOf(err) != ra.KindNotFound:
			return err
		}
		if m, ok := p.words().find("code." + i.Code); ok {
			x.Text = m
		}
		d.Items = append(d.Items, x)
	}
	return nil
}

func (p *page) stopBulk() error {
	if err := p.site.Bulks.Stop(p.ctx(), p.actor(), p.Param("id")); err != nil {
		return p.oneBulkWith(err)
	}
	return p.Redirect(http.StatusSeeOther, "/bulks/"+p.Param("id"))
}
