package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/web/problem"
	"certwindow/web/session"
)

// page is one request for a page: who asks, in which language.
type page struct {
	echo.Context
	site     *Site
	who      session.Session
	signedIn bool
	lang     string
}

func (p *page) ctx() context.Context { return p.Request().Context() }

func (p *page) actor() ra.Actor { return p.who.Actor(p.RealIP(), problem.RequestID(p)) }

// may tells whether the one who asks may use a route of the table.
func (p *page) may(method, path string) bool {
	for _, r := range p.site.table {
		if r.method == method && r.path == path {
			return p.signedIn && r.allows(p.who.Staff.Role)
		}
	}
	return false
}

// guard stands before every route: it knows who asks, and refuses whom the table does not name.
func (s *Site) guard(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", s.csp)
		// The card component's popup talks back to its opener, which a stricter value would cut off.
		h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
		p := &page{Context: c, site: s, lang: languageOf(c.Request())}
		if r.open {
			if r.method != http.MethodGet {
				if err := session.SameOrigin(c.Request()); err != nil {
					return err
				}
			}
			if err := p.readable(maxForm); err != nil {
				return err
			}
			return r.handle(p)
		}
		if err := p.signIn(r); err != nil {
			return p.sendToLogin(r, err)
		}
		most := int64(maxForm)
		if r.upload {
			most = maxUpload
		}
		if err := p.readable(most); err != nil {
			return err
		}
		if err := p.who.CheckForm(c.Request()); err != nil {
			if page, ok := p.keepFromBefore(r); ok {
				return c.Redirect(http.StatusSeeOther, page)
			}
			return err
		}
		if p.who.Staff.MustChange && !r.first {
			if r.method == http.MethodGet && !r.poll {
				return c.Redirect(http.StatusSeeOther, "/password")
			}
			d := policy.PasswordInitial(true)
			return &ra.Error{Kind: ra.KindForbidden, Clause: d.Clause, Code: d.Code, Detail: d.Detail}
		}
		if !r.allows(p.who.Staff.Role) {
			return s.Accounts.RefuseRole(p.ctx(), p.who, p.actor(), r.method, r.path, r.method == http.MethodGet)
		}
		if err := r.handle(p); err != nil {
			return err
		}
		return p.sent(r)
	}
}

// sent forgets what was kept of a form, once it has been sent and taken.
func (p *page) sent(r route) error {
	if !r.kept() || r.method != http.MethodPost || p.Response().Status >= http.StatusBadRequest {
		return nil
	}
	return p.site.Accounts.Sent(p.ctx(), p.who, p.Request().URL.Path)
}

// signIn finds the session of the request's cookie.
func (p *page) signIn(r route) error {
	token := session.TokenOf(p.Request())
	x, err := p.site.Accounts.Authenticate(p.ctx(), token, r.poll)
	if err != nil {
		return err
	}
	p.who, p.signedIn = x, true
	return nil
}

// sendToLogin answers a request without a session: people are sent to sign in and come back to where they
// were; programs get the problem. A form that was posted into a session that is over is kept for its sender.
//
// The cookie is not sent when a link on another site, such as a colleague's web mail, led here. A page that
// loads itself again brings it.
func (p *page) sendToLogin(to route, err error) error {
	r := p.Request()
	if ra.KindOf(err) != ra.KindUnauthenticated {
		return err
	}
	q := url.Values{"next": {r.URL.RequestURI()}}
	if code := ra.AsError(err).Code; code != "no-session" {
		q.Set("why", code)
	}
	if page, ok := p.keepPosted(to); ok {
		q.Set("next", page)
		q.Set("kept", "yes")
		return p.Redirect(http.StatusSeeOther, "/login?"+q.Encode())
	}
	if r.Method != http.MethodGet || wantsDocument(r) {
		return err
	}
	if session.TokenOf(r) == "" && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return p.show(http.StatusOK, "bounce", view{Title: "bounce.title", Data: r.URL.RequestURI()})
	}
	return p.Redirect(http.StatusSeeOther, "/login?"+q.Encode())
}

// wantsDocument tells whether the one who asks is one of our scripts, or another program that names what it reads.
// Whoever takes anything, such as a person with a command line, is sent to the page for signing in.
func wantsDocument(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return accept != "" && !strings.Contains(accept, "*/*") && !problem.WantsPage(r)
}

// localPath is a path on this site to go on to, or the home page when what was asked for is anything else.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

const languageCookie = "__Host-lang"

// Languages of the pages, the first of them for whoever has not chosen.
const (
	chinese = "zh-Hant-TW"
	english = "en"
)

func languageOf(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && c.Value == english {
		return english
	}
	return chinese
}

func (p *page) switchLanguage() error {
	lang := chinese
	if p.FormValue("lang") == english {
		lang = english
	}
	http.SetCookie(p.Response(), &http.Cookie{Name: languageCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 3600,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return p.Redirect(http.StatusSeeOther, localPath(p.FormValue("back")))
}
