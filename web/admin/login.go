package admin

import (
	"net/http"
	"net/url"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/web/problem"
	"certwindow/web/session"
)

var sessionRoutes = []route{
	{method: get, path: "/static/:name", handle: (*page).staticFile, open: true},
	{method: get, path: "/login", handle: (*page).loginForm, open: true},
	{method: post, path: "/login", handle: (*page).login, open: true},
	{method: post, path: "/lang", handle: (*page).switchLanguage, open: true},
	{method: post, path: "/logout", handle: (*page).logout, roles: anyone, first: true},
	{method: post, path: "/logout/everywhere", handle: (*page).logoutEverywhere, roles: anyone, first: true},
	{method: get, path: "/password", handle: (*page).passwordForm, roles: anyone, first: true},
	{method: post, path: "/password", handle: (*page).changePassword, roles: anyone, first: true},
	{method: get, path: "/session", handle: (*page).sessionState, roles: anyone, first: true, poll: true},
	{method: post, path: "/session/stay", handle: (*page).sessionState, roles: anyone, first: true},
}

// loginData is what the sign-in page shows beside its form.
type loginData struct {
	Next  string
	Cards bool   // signing in by card is offered
	Kept  bool   // what was typed is kept for who signs in again
	Why   string // a key of the catalogue: why the last session ended
}

func (p *page) loginForm() error {
	d := loginData{Next: localPath(p.QueryParam("next")), Kept: p.QueryParam("kept") == "yes", Cards: p.site.Accounts.TakesCards()}
	if why := "code." + p.QueryParam("why"); why != "code." {
		if _, ok := p.words().find(why); ok {
			d.Why = why
		}
	}
	return p.show(http.StatusOK, "login", view{Title: "login.title", Data: d})
}

func (p *page) login() error {
	next := localPath(p.FormValue("next"))
	g, err := p.site.Accounts.Login(p.ctx(), session.Attempt{Account: p.FormValue("account"), Password: session.Secret(p.FormValue("password")),
		Code: session.Secret(p.FormValue("code")), Address: p.RealIP(), RequestID: problem.RequestID(p)})
	if err != nil {
		return p.again(err, "login", view{Title: "login.title", Data: loginData{Next: next, Cards: p.site.Accounts.TakesCards()}}, map[string][2]string{"login-refused": {"account", "login.account"}})
	}
	session.SetCookie(p.Response(), g.Token)
	if g.Session.Staff.MustChange {
		return p.Redirect(http.StatusSeeOther, "/password")
	}
	return p.Redirect(http.StatusSeeOther, next)
}

func (p *page) logout() error {
	if err := p.site.Accounts.Logout(p.ctx(), p.who, p.actor()); err != nil {
		return err
	}
	session.ClearCookie(p.Response())
	return p.Redirect(http.StatusSeeOther, "/login")
}

func (p *page) logoutEverywhere() error {
	if err := p.site.Accounts.LogoutEverywhere(p.ctx(), p.who, p.actor()); err != nil {
		return err
	}
	session.ClearCookie(p.Response())
	return p.Redirect(http.StatusSeeOther, "/login")
}

func (p *page) passwordForm() error {
	return p.show(http.StatusOK, "password", view{Title: "password.title"})
}

func (p *page) changePassword() error {
	v := view{Title: "password.title", Form: url.Values{}}
	fields := map[string][2]string{
		"password-wrong": {"current", "password.current"}, "password-locked": {"current", "password.current"},
		"password-too-short": {"next", "password.next"}, "password-is-account": {"next", "password.next"}, "password-same": {"next", "password.next"},
		"password-malformed": {"next", "password.next"}, "password-too-long": {"next", "password.next"}, "password-repeat": {"repeat", "password.repeat"},
	}
	if p.FormValue("next") != p.FormValue("repeat") {
		return p.again(ra.Errorf(ra.KindMalformed, "password-repeat", nil, "The two new passwords differ. Nothing was changed."), "password", v, fields)
	}
	g, err := p.site.Accounts.ChangePassword(p.ctx(), p.who, session.Secret(p.FormValue("current")), session.Secret(p.FormValue("next")), p.actor())
	if err != nil {
		return p.again(err, "password", v, fields)
	}
	session.SetCookie(p.Response(), g.Token)
	return p.done("/", "password")
}

// sessionState tells a page how long the session has left. Asked by POST it is also a use of it: that is what
// the button of the warning does.
func (p *page) sessionState() error {
	if p.Request().Method == http.MethodPost && problem.WantsPage(p.Request()) {
		return p.Redirect(http.StatusSeeOther, localPath(p.FormValue("back")))
	}
	left := p.who.EndsAt().Sub(p.site.Now())
	return p.JSON(http.StatusOK, map[string]int{"seconds": max(0, int(left/time.Second))})
}

// remindPassword tells whether the password is due for a change (HCA-8.2.6(3)).
func (p *page) remindPassword() bool {
	return policy.PasswordAge(p.who.Staff.PasswordAt, p.site.Now())
}
