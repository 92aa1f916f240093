package admin

import (
	"net/http"
	"net/url"

	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/web/problem"
	"certwindow/web/session"
)

// A holder whose account on phones was locked, or who forgot the password, sets a new one by his IC card at any computer
// with a reader: nobody has to be at the counter for it (HCA-8.2.6(4)).
var newPasswordRoutes = []route{
	{method: get, path: "/new-password", handle: (*page).newPasswordForm, open: true},
	{method: post, path: "/new-password", handle: (*page).newPassword, open: true},
}

// newPasswordFields are the fields that its errors belong to.
var newPasswordFields = map[string][2]string{
	"password-too-short": {"next", "password.next"}, "password-is-account": {"next", "password.next"}, "password-malformed": {"next", "password.next"},
	"password-too-long": {"next", "password.next"}, "password-common": {"next", "password.next"}, "password-repeat": {"repeat", "password.repeat"},
}

func (p *page) newPasswordForm() error {
	v, err := p.newPasswordView()
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, "new-password", v)
}

// newPasswordView makes a text for this browser to be signed by a holder's card.
func (p *page) newPasswordView() (view, error) {
	browser, err := p.browserToken()
	if err != nil {
		return view{}, err
	}
	c, err := p.site.Accounts.ResetChallenge(p.ctx(), browser, p.RealIP())
	if err != nil {
		return view{}, err
	}
	t := p.cardText(c)
	t.Action, t.Again, t.Submit, t.NewPassword = "/new-password", "/new-password", "new-password.submit", true
	return view{Title: "new-password.title", Up: "/login", UpTitle: "login.title", Scripts: cardScripts, Form: url.Values{}, Data: t}, nil
}

func (p *page) newPassword() error {
	account, err := p.setByCard()
	if err != nil {
		if ra.KindOf(err) == ra.KindTooMany {
			return err
		}
		v, verr := p.newPasswordView()
		if verr != nil {
			return verr
		}
		if ra.KindOf(err) == ra.KindNotFound { // he has shown his card: that he has no account is his to know
			err = ra.Refuse("HCA-8.2.6", "card-no-account", ra.AsError(err).Detail, err)
		}
		return p.again(err, "new-password", v, newPasswordFields)
	}
	return p.show(http.StatusOK, "new-password-set", view{Title: "new-password.set", Data: account})
}

// setByCard sets the password that was typed, for the holder whose card signed this browser's text.
func (p *page) setByCard() (account string, err error) {
	next := appcred.Secret(p.FormValue("next"))
	if next.Reveal() != p.FormValue("repeat") {
		return "", ra.Errorf(ra.KindMalformed, "password-repeat", nil, "The two new passwords differ. Nothing was changed.")
	}
	sig, err := p.cardSignature()
	if err != nil {
		return "", err
	}
	id := problem.RequestID(p)
	who, err := p.site.Accounts.CardHolder(p.ctx(), session.CardAttempt{Browser: session.BrowserTokenOf(p.Request()), Nonce: p.FormValue("nonce"), Answer: sig,
		Address: p.RealIP(), RequestID: id})
	if err != nil {
		return "", err
	}
	return p.site.Holders.ResetByCard(p.ctx(), ra.Actor{Kind: ra.ActorHolder, Address: p.RealIP(), RequestID: id},
		appcred.Card{Holder: who.Holder, Signer: who.SignerFingerprint, Message: who.MessageSHA256}, next)
}
