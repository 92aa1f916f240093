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

var cardRoutes = []route{
	{method: get, path: "/login/card", handle: (*page).cardLoginForm, open: true},
	{method: post, path: "/login/card", handle: (*page).cardLogin, open: true},
	{method: get, path: "/account/card", handle: (*page).ownCard, roles: anyone},
	{method: post, path: "/account/card", handle: (*page).linkCard, roles: anyone, private: true},
	{method: post, path: "/account/card/unlink", handle: (*page).unlinkOwnCard, roles: anyone, private: true},
	{method: post, path: "/staff/:id/card/unlink", handle: (*page).unlinkCard, roles: managers, private: true},
}

// cardText is a text that a page shows to be signed by a card.
type cardText struct {
	Text, Nonce string
	Seconds     int    // how long it may be signed
	Action      string // where the signature is posted to
	Again       string // where a new text is made
	Next        string
	Submit      string // a key of the catalogue
	NewPassword bool   // a password is set with it
	Password    bool   // the account's password is asked for once more
	PINOnPage   bool
	CardErrors  []cardError
}

// cardScripts are what a page needs that has a card sign.
var cardScripts = []string{"card.js", "servisign.js", "signin.js"}

func (p *page) cardText(c session.Challenge) cardText {
	t := cardText{Text: string(c.Text), Nonce: c.Nonce, Seconds: int(c.ExpiresAt.Sub(p.site.Now()) / time.Second), PINOnPage: p.site.Settings.Now().Mark(policy.PINOnPage)}
	for _, code := range cardCodes {
		t.CardErrors = append(t.CardErrors, cardError{code, p.words().say("card." + code)})
	}
	return t
}

func (p *page) cardLoginForm() error {
	v, err := p.cardLoginView(localPath(p.QueryParam("next")))
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "login-card", v)
}

// cardLoginView makes a text for this browser to sign in with. The browser's token binds the text to it before anybody
// is signed in (HCA-8.1.4).
func (p *page) cardLoginView(next string) (view, error) {
	browser, err := p.browserToken()
	if err != nil {
		return view{}, err
	}
	c, err := p.site.Accounts.LoginChallenge(p.ctx(), browser, p.RealIP())
	if err != nil {
		return view{}, err
	}
	t := p.cardText(c)
	t.Action, t.Next, t.Submit = "/login/card", next, "login-card.submit"
	t.Again = "/login/card?" + url.Values{"next": {next}}.Encode()
	return view{Title: "login-card.title", Up: "/login?" + url.Values{"next": {next}}.Encode(), UpTitle: "login-card.password", Scripts: cardScripts, Data: t}, nil
}

// browserToken is this browser's, or a new one that it is given.
func (p *page) browserToken() (session.Secret, error) {
	browser := session.BrowserTokenOf(p.Request())
	if browser != "" {
		return browser, nil
	}
	browser, err := p.site.Accounts.NewBrowserToken()
	if err == nil {
		session.SetBrowserCookie(p.Response(), browser)
	}
	return browser, err
}

func (p *page) cardLogin() error {
	next := localPath(p.FormValue("next"))
	sig, err := p.cardSignature()
	var g session.Grant
	if err == nil {
		g, err = p.site.Accounts.CardLogin(p.ctx(), session.CardAttempt{Browser: session.BrowserTokenOf(p.Request()), Nonce: p.FormValue("nonce"),
			Answer: sig, Address: p.RealIP(), RequestID: problem.RequestID(p)})
	}
	if err != nil {
		if ra.KindOf(err) == ra.KindTooMany {
			return err
		}
		v, verr := p.cardLoginView(next)
		if verr != nil {
			return verr
		}
		return p.again(err, "login-card", v, nil)
	}
	session.SetCookie(p.Response(), g.Token)
	if g.Session.Staff.MustChange {
		return p.Redirect(http.StatusSeeOther, "/password")
	}
	return p.Redirect(http.StatusSeeOther, next)
}

// ownCardData is the card of the account that is signed in.
type ownCardData struct {
	Takes      bool // the window takes cards at all
	Linked     bool
	Since      time.Time
	ByPassword bool // the session was begun by password and code, so that the card may be changed
	Sign       *cardText
}

func (p *page) ownCard() error {
	v, err := p.ownCardView()
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "own-card", v)
}

func (p *page) ownCardView() (view, error) {
	since, linked, err := p.site.Accounts.Card(p.ctx(), p.who.Staff.ID)
	if err != nil {
		return view{}, err
	}
	d := ownCardData{Takes: p.site.Accounts.TakesCards(), Linked: linked, Since: since, ByPassword: p.who.ByPassword()}
	v := view{Title: "own-card.title", Up: "/password", UpTitle: "password.title"}
	if d.Takes && !linked && d.ByPassword {
		c, err := p.site.Accounts.LinkChallenge(p.ctx(), p.who)
		if err != nil {
			return view{}, err
		}
		t := p.cardText(c)
		t.Action, t.Again, t.Submit, t.Password = "/account/card", "/account/card", "own-card.link", true
		d.Sign, v.Scripts = &t, cardScripts
	}
	v.Data = d
	return v, nil
}

func (p *page) linkCard() error {
	sig, err := p.cardSignature()
	if err == nil {
		err = p.site.Accounts.LinkCard(p.ctx(), p.who, session.Secret(p.FormValue("current")), p.FormValue("nonce"), sig, p.actor())
	}
	if err != nil {
		return p.ownCardAgain(err)
	}
	return p.done("/account/card", "card-linked")
}

// presentPassword is the field of errors about the password that is asked for once more.
var presentPassword = map[string][2]string{"password-wrong": {"current", "password.current"}, "password-locked": {"current", "password.current"}}

func (p *page) ownCardAgain(err error) error {
	v, verr := p.ownCardView()
	if verr != nil {
		return verr
	}
	return p.again(err, "own-card", v, presentPassword)
}

func (p *page) unlinkOwnCard() error {
	if err := p.site.Accounts.UnlinkOwnCard(p.ctx(), p.who, session.Secret(p.FormValue("current")), p.actor()); err != nil {
		return p.ownCardAgain(err)
	}
	return p.done("/account/card", "card-unlinked")
}

// linkedSince is when a card was linked to an account, nil when none is.
func (p *page) linkedSince(id ra.StaffID) (*time.Time, error) {
	since, ok, err := p.site.Accounts.Card(p.ctx(), id)
	if err != nil || !ok {
		return nil, err
	}
	return &since, nil
}

// unlinkCard is the administrator's, for a card that was lost or given back.
func (p *page) unlinkCard() error {
	id := ra.StaffID(p.Param("id"))
	if err := p.site.Accounts.UnlinkCard(p.ctx(), p.actor(), id); err != nil {
		return err
	}
	return p.done("/staff/"+string(id), "card-unlinked")
}
