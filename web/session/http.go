package session

import (
	"crypto/subtle"
	"net/http"

	"certwindow/ra"
)

// CookieName holds the token. The prefix makes browsers insist on Secure, on the path / and on no Domain.
const CookieName = "__Host-cw"

// BrowserCookieName holds the token of a browser that is about to sign in by card. It binds the text that the card
// signs to the browser that was shown it (HCA-8.1.4).
const BrowserCookieName = "__Host-cw-card"

// FormField and FormHeader carry the session's form token on unsafe methods.
const (
	FormField  = "csrf"
	FormHeader = "X-CSRF-Token"
)

// SetCookie gives the browser a session's token. It lives as long as the browser; the server decides when it ends.
func SetCookie(w http.ResponseWriter, token Secret) {
	http.SetCookie(w, &http.Cookie{Name: CookieName, Value: token.Reveal(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// SetBrowserCookie gives the browser the token that its challenges are bound to.
func SetBrowserCookie(w http.ResponseWriter, token Secret) {
	http.SetCookie(w, &http.Cookie{Name: BrowserCookieName, Value: token.Reveal(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// BrowserTokenOf is the token of a request's browser cookie, empty when it has none.
func BrowserTokenOf(r *http.Request) Secret {
	c, err := r.Cookie(BrowserCookieName)
	if err != nil || len(c.Value) != tokenLength {
		return ""
	}
	return Secret(c.Value)
}

// ClearCookie takes the token away again.
func ClearCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: CookieName, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// TokenOf is the token of a request's cookie, empty when it has none.
func TokenOf(r *http.Request) Secret {
	c, err := r.Cookie(CookieName)
	if err != nil {
		return ""
	}
	return Secret(c.Value)
}

// SameOrigin refuses a request with an unsafe method that another site's page caused, by Sec-Fetch-Site or
// Origin. Sign-in, which has no session yet, relies on it.
func SameOrigin(r *http.Request) error {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return ra.Errorf(ra.KindForbidden, "cross-origin", err, "The request came from another site's page. Nothing was changed.")
	}
	return nil
}

// CheckForm refuses an unsafe request that does not hold this session's form token, or comes from another
// site. The caller has capped the body's size.
func (x Session) CheckForm(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if err := SameOrigin(r); err != nil {
		return err
	}
	got := r.Header.Get(FormHeader)
	if got == "" {
		got = r.PostFormValue(FormField)
	}
	if x.CSRF == "" || subtle.ConstantTimeCompare([]byte(got), []byte(x.CSRF)) != 1 {
		return errFormToken()
	}
	return nil
}

func errFormToken() error {
	return ra.Errorf(ra.KindForbidden, "form-token", nil, "The form is from another session. Nothing was changed; open the page anew and try again.")
}
