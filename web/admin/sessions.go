package admin

import (
	"net/http"

	"certwindow/web/session"
)

var ownSessionRoutes = []route{
	{method: get, path: "/account/sessions", handle: (*page).ownSessions, roles: anyone},
	{method: post, path: "/account/sessions", handle: (*page).endOwnSession, roles: anyone, private: true},
}

// ownSessions shows whoever is signed in where his account is open (HCA-8.1.1).
func (p *page) ownSessions() error {
	v, err := p.ownSessionsView()
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "own-sessions", v)
}

func (p *page) ownSessionsView() (view, error) {
	open, err := p.site.Accounts.Sessions(p.ctx(), p.who)
	return view{Title: "own-sessions.title", Up: "/password", UpTitle: "password.title", Data: map[string]any{"Open": open, "Others": len(open) > 1}}, err
}

// endOwnSession ends one of them.
func (p *page) endOwnSession() error {
	err := p.site.Accounts.EndSession(p.ctx(), p.who, p.FormValue("session"), session.Secret(p.FormValue("current")), p.actor())
	if err == nil {
		return p.done("/account/sessions", "session-ended")
	}
	v, verr := p.ownSessionsView()
	if verr != nil {
		return verr
	}
	return p.again(err, "own-sessions", v, presentPassword)
}
