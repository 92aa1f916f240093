package admin

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"certwindow/devices"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/approve"
	"certwindow/web/admin/mask"
	"certwindow/web/session"
)

// unmaskers may see one record, listers propose lists.
var (
	unmaskers = []session.Role{session.Clerk, session.InstitutionAdmin, session.Helpdesk}
	listers   = []session.Role{session.InstitutionAdmin, session.WindowAdmin}
)

var personalRoutes = []route{
	{method: post, path: "/persons/:id/unmask", handle: (*page).unmask, roles: unmaskers},
	{method: post, path: "/persons/:id/copy", handle: (*page).copyFor, roles: registrar},
	{method: get, path: "/unmasked", handle: (*page).unmaskedLists, roles: listers},
	{method: post, path: "/unmasked", handle: (*page).proposeUnmask, roles: listers},
	{method: post, path: "/unmasked/:id/fetch", handle: (*page).fetchUnmasked, roles: listers},
	{method: get, path: "/retention", handle: (*page).retention, roles: managed},
}

// Personal is what shows persons' data otherwise than masked, and what ends it; devices.Service has it.
type Personal interface {
	Unmask(ctx context.Context, actor ra.Actor, id ra.PersonID, reason, note string) (devices.Person, error)
	Unmaskings(ctx context.Context, actor ra.Actor, id ra.PersonID) ([]devices.Unmasking, error)
	UnmaskFacts(ctx context.Context, actor ra.Actor, at ra.InstitutionCode, purpose string) (map[string]string, error)
	UnmaskedLists(ctx context.Context, actor ra.Actor) ([]devices.UnmaskedList, error)
	FetchUnmaskedList(ctx context.Context, actor ra.Actor, id string) ([]devices.Person, error)
	CopyFor(ctx context.Context, actor ra.Actor, id ra.PersonID, note string) (devices.Copy, error)
	Erasures(ctx context.Context, after ra.PersonID, limit, years int) ([]devices.Erasure, error)
}

// unmask shows one record's values, once: the answer is kept nowhere (HCA-8.1.5).
func (p *page) unmask() error {
	id := ra.PersonID(p.Param("id"))
	x, err := p.site.Personal.Unmask(p.ctx(), p.actor(), id, p.FormValue("unmask_reason"), p.FormValue("unmask_note"))
	if err != nil {
		return p.personWith(err)
	}
	p.Response().Header().Set("Cache-Control", "no-store")
	return p.show(http.StatusOK, "unmasked-person", view{Title: "unmask.title", Up: "/persons/" + string(id), UpTitle: "person.one", Data: x})
}

func (p *page) unmaskReasons() (out []option) {
	for _, r := range policy.UnmaskReasons {
		out = append(out, option{Value: r, Label: p.words().say("unmask-reason." + r)})
	}
	return out
}

// look is one look at a person's data, as his page shows it. The note is for auditors alone.
type look struct {
	devices.Unmasking
	Who string
}

func (p *page) looks(id ra.PersonID) ([]look, error) {
	list, err := p.site.Personal.Unmaskings(p.ctx(), p.actor(), id)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	var out []look
	for _, u := range list {
		out = append(out, look{u, p.account(names, u.Staff)})
	}
	return out, nil
}

func (p *page) unmaskedLists() error { return p.unmaskedWith(nil) }

func (p *page) unmaskedWith(failed error) error {
	list, err := p.site.Personal.UnmaskedLists(p.ctx(), p.actor())
	if err != nil {
		return err
	}
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	v := view{Title: "unmasked.title", Up: "/persons", UpTitle: "persons.title", Data: map[string]any{"List": list, "Institutions": institutions, "Now": p.site.Now()}}
	if failed == nil {
		return p.show(http.StatusOK, "unmasked", v)
	}
	return p.again(failed, "unmasked", v, map[string][2]string{"unmask-note": {"purpose", "unmasked.purpose"}, "unmask-list-empty": {"institution", "person.institution"},
		"not-yours": {"institution", "person.institution"}, "unmask-list-large": {"institution", "person.institution"}})
}

// proposeUnmask proposes to unmask an institution's persons, which takes a second person.
func (p *page) proposeUnmask() error {
	at := ra.InstitutionCode(p.FormValue("institution"))
	facts, err := p.site.Personal.UnmaskFacts(p.ctx(), p.actor(), at, p.FormValue("purpose"))
	if err != nil {
		return p.unmaskedWith(err)
	}
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), approve.UnmaskMany, "institution/"+string(at), at, facts)
	if err != nil {
		return p.unmaskedWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// fetchUnmasked hands an approved list out as CSV (RFC 4180), once and to the one who proposed it.
func (p *page) fetchUnmasked() error {
	people, err := p.site.Personal.FetchUnmaskedList(p.ctx(), p.actor(), p.Param("id"))
	if err != nil {
		return p.unmaskedWith(err)
	}
	var out bytes.Buffer
	out.WriteString("\ufeff")
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	say := p.words().say
	rows := [][]string{{"id", say("person.name"), say("person.national-id"), say("person.holder"), say("person.email"), say("person.phone"), say("person.institution")}}
	for _, x := range people {
		rows = append(rows, []string{string(x.ID), x.Name, x.NationalID, x.Holder, x.Email, x.Phone, line(x).Institutions})
	}
	for _, r := range rows {
		for i := range r {
			r[i] = harmless(r[i])
		}
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	p.file("persons", "csv")
	return p.Blob(http.StatusOK, "text/csv; charset=utf-8", out.Bytes())
}

// file names what leaves as a file, and keeps it out of every cache.
func (p *page) file(name, ending string) {
	p.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+"-"+p.site.Now().In(taipei).Format("20060102-1504")+"."+ending+`"`)
	p.Response().Header().Set("Cache-Control", "no-store")
}

// copyFor hands a person everything that is held about him: the data as JSON, and a page to read (HCA-9).
func (p *page) copyFor() error {
	c, err := p.site.Personal.CopyFor(p.ctx(), p.actor(), ra.PersonID(p.Param("id")), p.FormValue("copy_note"))
	if err != nil {
		return p.personWith(err)
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	t, ok := p.site.pages[p.lang]["copy"]
	if !ok {
		t = p.site.pages[chinese]["copy"]
	}
	var readable bytes.Buffer
	if err := t.ExecuteTemplate(&readable, "copy", map[string]any{"Lang": p.lang, "Copy": c, "Columns": columns}); err != nil {
		return err
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range []struct {
		name string
		body []byte
	}{{"copy.json", raw}, {"copy.html", readable.Bytes()}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: c.MadeAt.UTC()})
		if err == nil {
			_, err = w.Write(f.body)
		}
		if err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	p.file("copy", "zip")
	return p.Blob(http.StatusOK, "application/zip", out.Bytes())
}

// columns are the names of a kind's values, in the order of the first that has them.
func columns(h ra.Held) (out []string) {
	for _, r := range h.Rows {
		for k := range r {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out)
	return out
}

// erasureLine is a person who will be erased, masked.
type erasureLine struct {
	devices.Erasure
	Name string
}

// retention lists whose data will be erased, and when (HCA-9).
func (p *page) retention() error {
	list, err := p.site.Personal.Erasures(p.ctx(), ra.PersonID(p.QueryParam("after")), pageRows, p.site.Retention)
	if err != nil {
		return err
	}
	more := ""
	if len(list) == pageRows {
		more = p.next("after", string(list[len(list)-1].Person))
	}
	var out []erasureLine
	for _, x := range list {
		who, err := p.site.Registry.Person(p.ctx(), p.actor(), x.Person)
		if ra.KindOf(err) == ra.KindNotFound && err != nil {
			continue // another institution's
		}
		if err != nil {
			return err
		}
		out = append(out, erasureLine{x, mask.Name(who.Name)})
	}
	return p.show(http.StatusOK, "retention", view{Title: "retention.title", Up: "/persons", UpTitle: "persons.title",
		Data: map[string]any{"List": out, "More": more, "Years": policy.Retention(p.site.Retention), "Days": int(policy.ErasureNotice / (24 * time.Hour))}})
}
