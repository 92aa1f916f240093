package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"certwindow/ra"
	"certwindow/ra/apiclient"
)

var clientRoutes = append(clientList.routes(managed, nil), []route{
	{method: get, path: "/clients/new", handle: (*page).clientForm, roles: managers},
	{method: post, path: "/clients/new", handle: (*page).addClient, roles: managers},
	{method: get, path: "/clients/:id", handle: (*page).client, roles: slices.Concat(managed, approvers)},
	{method: post, path: "/clients/:id/stop", handle: (*page).stopClient, roles: managers},
}...)

// Clients are the systems that call the window; apiclient.Service has them.
type Clients interface {
	List(ctx context.Context, actor ra.Actor) ([]apiclient.Client, error)
	Registered(ctx context.Context, actor ra.Actor, id string) (apiclient.Client, error)
	Stop(ctx context.Context, actor ra.Actor, id string) error
}

var clientList = &list[apiclient.Client]{
	path:   "clients",
	title:  "clients.title",
	none:   "clients.none",
	add:    "client.new",
	orders: []order{{"id", false}},
	columns: []column[apiclient.Client]{
		{label: "client.id", class: "code", by: "id", cell: func(_ *page, c apiclient.Client) cell { return leading("/clients/"+c.ID, c.ID) }},
		{label: "client.name", cell: func(_ *page, c apiclient.Client) cell { return plain(c.Name) }},
		{label: "list.institution", class: "code", cell: func(p *page, c apiclient.Client) cell { return p.institutionCell(c.Institution) }},
		{label: "client.kind", cell: func(p *page, c apiclient.Client) cell { return plain(p.words().say("client.kind." + string(c.Kind))) }},
		{label: "client.scopes", class: "wrap", cell: func(_ *page, c apiclient.Client) cell { return joined(c.Scopes) }},
		{label: "state", cell: func(p *page, c apiclient.Client) cell { return p.state("client", clientState(c)) }},
		{label: "client.until", class: "when", cell: func(p *page, c apiclient.Client) cell { return p.when(c.NotAfter) }},
	},
	read: func(p *page, a asked) ([]apiclient.Client, error) {
		all, err := p.site.Clients.List(p.ctx(), p.actor())
		return pageOf(all, a, clientMark), err
	},
	count: func(p *page, _ asked) (int, error) {
		all, err := p.site.Clients.List(p.ctx(), p.actor())
		return len(all), err
	},
	mark: clientMark,
}

func clientMark(_ string, c apiclient.Client) ra.Mark { return ra.Mark{ID: c.ID} }

var clientStates = []string{"active", "stopped"}

func clientState(c apiclient.Client) string {
	if c.Active {
		return "active"
	}
	return "stopped"
}

// clientFields are the fields that a system's errors belong to.
var clientFields = map[string][2]string{"client-id": {"id", "client.id"}, "client-kind": {"kind", "client.kind"}, "client-staffing": {"scopes", "client.scopes"},
	"client-certificate-taken": {"certificate", "client.certificate"}, "client-name": {"name", "client.name"}, "client-scopes": {"scopes", "client.scopes"},
	"scope-not-approved": {"scopes", "client.scopes"}, "client-redirects": {"redirects", "client.redirects"}, "client-certificate": {"certificate", "client.certificate"},
	"institution-inactive": {"institution", "list.institution"}}

func (p *page) clientForm() error { return p.clientFormWith(nil) }

// clientFormWith shows the form, with a system that is to be changed in it where the address names one.
func (p *page) clientFormWith(failed error) error {
	institutions, err := p.institutionChoice()
	if err != nil {
		return err
	}
	v := view{Title: "client.new", Up: "/clients", UpTitle: "clients.title", Data: map[string]any{"Institutions": institutions, "Kinds": options(p, "client.kind.", apiclient.Kinds)}}
	if failed == nil {
		return p.show(http.StatusOK, "client-new", v)
	}
	return p.again(failed, "client-new", v, clientFields)
}

// addClient proposes a system, or a system as it is to be in place of the one that has this id.
func (p *page) addClient() error {
	c := apiclient.Client{ID: strings.TrimSpace(p.FormValue("id")), Kind: apiclient.Kind(p.FormValue("kind")), Name: strings.TrimSpace(p.FormValue("name")), Active: true,
		Institution: ra.InstitutionCode(p.FormValue("institution")), Scopes: strings.Fields(p.FormValue("scopes")), Redirects: strings.Fields(p.FormValue("redirects"))}
	var err error
	if c.Thumbprint, c.NotAfter, err = apiclient.ReadCertificate(p.FormValue("certificate")); err != nil {
		return p.clientFormWith(err)
	}
	var before *apiclient.Client
	stands, err := p.site.Clients.Registered(p.ctx(), p.actor(), c.ID)
	switch {
	case err == nil:
		before = &stands
	case ra.KindOf(err) != ra.KindNotFound:
		return err
	}
	x, err := p.site.Approvals.Propose(p.ctx(), p.actor(), apiclient.ActOf(c.Kind), "client/"+c.ID, c.Institution, c.Facts(before))
	if err != nil {
		return p.clientFormWith(err)
	}
	return p.done("/approvals/"+x.ID, "proposed")
}

// client is the page of one system.
func (p *page) client() error {
	c, err := p.site.Clients.Registered(p.ctx(), p.actor(), p.Param("id"))
	if err != nil {
		return err
	}
	object := "client/" + c.ID
	events, err := p.history(object)
	if err != nil {
		return err
	}
	proposals, err := p.approvalsOf(object)
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "client", view{Title: "client.one", Heading: c.Name, Up: "/clients", UpTitle: "clients.title",
		Data: map[string]any{"Client": c, "State": clientState(c), "Approvals": proposals, "History": events}})
}

func (p *page) stopClient() error {
	if err := p.site.Clients.Stop(p.ctx(), p.actor(), p.Param("id")); err != nil {
		return err
	}
	return p.done("/clients/"+p.Param("id"), "client-stopped")
}
