package admin

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"strconv"

	"certwindow/ra"
	"certwindow/ra/exchange"
	"certwindow/ra/hca"
	"certwindow/ra/hca/file"
	"certwindow/web/problem"
)

var exchangeRoutes = []route{
	{method: get, path: "/exchange", handle: (*page).exchange, roles: managers},
	{method: post, path: "/exchange/fetch", handle: (*page).fetchRequests, roles: managers},
	{method: post, path: "/exchange/answers", handle: (*page).takeAnswers, roles: managers, upload: true},
}

// Exchange carries requests to the HCA by hand, where the window is set up so, and shows what does not fit (HCA-3.3);
// exchange.Service is one.
type Exchange interface {
	ByHand() bool
	Waiting(ctx context.Context, actor ra.Actor, fetched bool, after ra.ApplicationID, limit int) ([]exchange.Carried, error)
	Fetch(ctx context.Context, actor ra.Actor, again bool, after ra.ApplicationID) ([]hca.Prepared, error)
	TakeIn(ctx context.Context, actor ra.Actor, answer []byte) (ra.Application, error)
	Dispute(ctx context.Context, actor ra.Actor, id ra.ApplicationID) (exchange.Dispute, error)
	Export(ctx context.Context, actor ra.Actor, id ra.ApplicationID, part exchange.Part) ([]byte, error)
}

// taken is what became of one file that was brought back.
type taken struct {
	Name        string
	Application ra.Application
	Problem     *shown
}

// exchangeData is the page: what waits to be fetched, what waits for its answer, and what was brought back just now.
type exchangeData struct {
	ByHand       bool
	New, Out     []exchange.Carried
	NewMore      bool
	OutMore      string // the next page of those that were fetched
	After        string // the page of them that is shown begins after this one
	Most         int
	Taken        []taken
	Fitted, Left int
}

func (p *page) exchange() error { return p.exchangeWith(nil, nil) }

// exchangeWith shows the page, after an upload with what became of each file.
func (p *page) exchangeWith(failed error, results []taken) error {
	d := exchangeData{ByHand: p.site.Exchange.ByHand(), After: p.FormValue("after"), Most: exchange.MaxBundle, Taken: results}
	for _, r := range results {
		if r.Problem == nil {
			d.Fitted++
		}
	}
	d.Left = len(results) - d.Fitted
	if d.ByHand {
		if err := p.loadCarried(&d); err != nil {
			return err
		}
	}
	v := view{Title: "exchange.title", Data: d}
	if failed == nil {
		return p.show(http.StatusOK, "exchange", v)
	}
	return p.again(failed, "exchange", v, map[string][2]string{"file-missing": {"answers", "exchange.answers"}, "answers-unreadable": {"answers", "exchange.answers"}})
}

func (p *page) loadCarried(d *exchangeData) (err error) {
	if d.New, err = p.site.Exchange.Waiting(p.ctx(), p.actor(), false, "", exchange.MaxBundle+1); err != nil {
		return err
	}
	if d.NewMore = len(d.New) > exchange.MaxBundle; d.NewMore {
		d.New = d.New[:exchange.MaxBundle]
	}
	if d.Out, err = p.site.Exchange.Waiting(p.ctx(), p.actor(), true, ra.ApplicationID(d.After), exchange.MaxBundle+1); err != nil {
		return err
	}
	if len(d.Out) > exchange.MaxBundle {
		d.Out = d.Out[:exchange.MaxBundle]
		d.OutMore = "/exchange?after=" + string(d.Out[exchange.MaxBundle-1].Application)
	}
	return nil
}

// fetchRequests gives the signed requests out as one ZIP: those that wait, or once more a page of those that were fetched
// before. The bytes of a request never change, so that fetching it twice asks for nothing twice.
func (p *page) fetchRequests() error {
	list, err := p.site.Exchange.Fetch(p.ctx(), p.actor(), p.FormValue("which") == "again", ra.ApplicationID(p.FormValue("after")))
	if err != nil {
		return p.exchangeWith(err, nil)
	}
	if len(list) == 0 {
		return p.exchangeWith(ra.Errorf(ra.KindConflict, "nothing-to-fetch", nil, "Nothing waits to be fetched. Nothing was changed."), nil)
	}
	now := p.site.Now()
	var out bytes.Buffer
	if err := file.WriteBundle(&out, p.site.Window, now, list); err != nil {
		return err
	}
	name := "hca-requests-" + now.In(taipei).Format("20060102-150405") + ".zip"
	h := p.Response().Header()
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	return p.Blob(http.StatusOK, "application/zip", out.Bytes())
}

// takeAnswers reads back what the HCA answered, a file at a time: what is wrong with one keeps no other from being taken.
func (p *page) takeAnswers() error {
	name, raw, err := p.upload("answers")
	if err != nil {
		return p.exchangeWith(err, nil)
	}
	answers, err := file.ReadAnswers(name, raw)
	if err != nil {
		return p.exchangeWith(ra.Errorf(ra.KindMalformed, "answers-unreadable", err, "The file cannot be read: %v. Nothing was changed.", err), nil)
	}
	results := make([]taken, 0, len(answers))
	for _, a := range answers {
		r := taken{Name: printable(a.Name)}
		err := a.Err
		if err != nil {
			err = ra.Errorf(ra.KindMalformed, "answer-unreadable", err, "The file cannot be read. Nothing was changed.")
		} else {
			r.Application, err = p.site.Exchange.TakeIn(p.ctx(), p.actor(), a.Content)
		}
		if err != nil {
			problem.Log(p, p.site.Log, err)
			r.Problem = p.explain(problem.Of(err, problem.RequestID(p)))
		}
		results = append(results, r)
	}
	return p.exchangeWith(nil, results)
}
