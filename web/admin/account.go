package admin

import (
	"context"
	"maps"
	"net/http"

	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/web/session"
)

// HolderAccounts are the holders' own accounts on phones; appcred.Service is one.
type HolderAccounts interface {
	Account(ctx context.Context, person ra.PersonID) (a appcred.Standing, found bool, err error)
	Open(ctx context.Context, actor ra.Actor, person ra.PersonID, name string) (appcred.Credentials, error)
	Stop(ctx context.Context, actor ra.Actor, person ra.PersonID) error
	ResetByCard(ctx context.Context, actor ra.Actor, card appcred.Card, next appcred.Secret) (account string, err error)
	SetUpHOTP(ctx context.Context, actor ra.Actor, person ra.PersonID, secret appcred.Secret) error
}

var accountRoutes = []route{
	{method: post, path: "/persons/:id/account", handle: (*page).openAccount, roles: counter},
	{method: post, path: "/persons/:id/account/stop", handle: (*page).stopAccount, roles: reporters},
	{method: post, path: "/persons/:id/generator", handle: (*page).addGenerator, roles: counter},
}

// accountData is a holder's account as the person's page shows it.
type accountData struct {
	appcred.Standing
	Found bool
}

func (p *page) accountOf(id ra.PersonID) (d accountData, err error) {
	d.Standing, d.Found, err = p.site.Holders.Account(p.ctx(), id)
	return d, err
}

// openAccount opens a holder's account on phones, or gives it a new initial password after the clerk has identified
// him again (HCA-8.2.6(4), HCA-8.2.7(2)). The password is shown once.
func (p *page) openAccount() error {
	id := ra.PersonID(p.Param("id"))
	if p.FormValue("identified") != "yes" {
		return p.personWith(ra.Refuse("HCA-8.2.7", "not-identified", "New credentials are given only to a person who was identified. Nothing was changed.", nil))
	}
	c, err := p.site.Holders.Open(p.ctx(), p.actor(), id, p.FormValue("account"))
	if err != nil {
		return p.personWith(err)
	}
	p.Response().Header().Set("Cache-Control", "no-store")
	return p.show(http.StatusOK, "account", view{Title: "account.title", Up: "/persons/" + string(id), UpTitle: "person.one",
		Data: map[string]any{"Account": c.Account, "Password": c.Password.Reveal(), "Person": id}})
}

// stopAccount stops a holder's account on phones, one person alone at any hour (HCA-8.1.6).
func (p *page) stopAccount() error {
	id := ra.PersonID(p.Param("id"))
	if err := p.site.Holders.Stop(p.ctx(), p.actor(), id); err != nil {
		return p.personWith(err)
	}
	return p.done("/persons/"+string(id), "account-stopped")
}

// addGenerator registers the counter-based code generator that a holder was handed.
func (p *page) addGenerator() error {
	id := ra.PersonID(p.Param("id"))
	if err := p.site.Holders.SetUpHOTP(p.ctx(), p.actor(), id, session.Secret(p.FormValue("generator"))); err != nil {
		return p.personWith(err)
	}
	return p.done("/persons/"+string(id), "generator")
}

// accountFields are the fields that an account's errors belong to.
var accountFields = map[string][2]string{"account-name": {"account", "account.name"}, "account-taken": {"account", "account.name"},
	"hotp-secret": {"generator", "account.generator"}, "no-account": {"generator", "account.generator"}}

// fieldsOf joins the fields of several forms on one page.
func fieldsOf(forms ...map[string][2]string) map[string][2]string {
	all := map[string][2]string{}
	for _, f := range forms {
		maps.Copy(all, f)
	}
	return all
}
