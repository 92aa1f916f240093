package story

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// visit is a holder's browser that a record system sent to the window for the holder's word.
type visit struct {
	from     *recordSystem
	http     *http.Client
	verifier string     // of PKCE, which the system alone has
	asked    url.Values // of the authorization request
	wait     string     // the address that waits for the phone
	code     string     // that it shows
}

// sends has a record system send a browser with an authorization request (RFC 6749 section 4.1.1), which the holder begins on
// the window's page.
func (s *Story) sends(ctx context.Context, r *recordSystem, asked url.Values) (*visit, error) {
	v, err := s.browser(r, asked)
	if err != nil {
		return nil, err
	}
	return v, v.begin(ctx)
}

// browser is one that has not gone to the window yet.
func (s *Story) browser(r *recordSystem, asked url.Values) (*visit, error) {
	client, err := s.st.Client()
	if err != nil {
		return nil, err
	}
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v := &visit{from: r, http: client, verifier: fmt.Sprintf("%064x", sha256.Sum256(fmt.Appendf(nil, "%s %d", r.id, time.Now().UnixNano()))), asked: asked}
	s.hide("PKCE verifier", v.verifier)
	sum := sha256.Sum256([]byte(v.verifier))
	for name, value := range map[string]string{"response_type": "code", "client_id": r.id, "redirect_uri": returnAddress, "state": "page 7", "lang": "en",
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256"} {
		asked.Set(name, value)
	}
	return v, nil
}

// page loads an address of the window.
func (v *visit) page(ctx context.Context, method, where string, form url.Values) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, v.from.base+where, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", v.from.base)
	}
	res, err := v.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode >= 400 {
		err = refusalOf(page{req.URL, res.StatusCode, string(raw)})
	}
	return res, string(raw), err
}

var codeShown = regexp.MustCompile(`<p class="code">([0-9]{6})</p>`)

func (v *visit) begin(ctx context.Context) error {
	parameters := url.Values{}
	for name, values := range v.asked {
		if name != "account" { // the holder types it
			parameters[name] = values
		}
	}
	_, body, err := v.page(ctx, http.MethodGet, "/oauth2/authorize?"+parameters.Encode(), nil)
	if err != nil {
		return err
	}
	if strings.Contains(body, `type="password"`) || strings.Contains(body, "<script") {
		return errors.New("the page asks for a password, or runs a script")
	}
	res, _, err := v.page(ctx, http.MethodPost, "/oauth2/authorize", v.asked)
	if err != nil {
		return err
	}
	v.wait = res.Header.Get("Location")
	for _, c := range res.Cookies() {
		v.from.hide("cookie of a browser", c.Value)
	}
	if _, body, err = v.page(ctx, http.MethodGet, v.wait, nil); err != nil {
		return err
	}
	m := codeShown.FindStringSubmatch(body)
	if m == nil {
		return errors.New("the page that waits shows no code")
	}
	v.code = m[1]
	return nil
}

// back waits until the window sends the browser back, and gives what it brings to the record system.
func (v *visit) back(ctx context.Context) (url.Values, error) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for {
		res, _, err := v.page(ctx, http.MethodGet, v.wait, nil)
		if err != nil {
			return nil, err
		}
		if to := res.Header.Get("Location"); to != "" {
			at, err := url.Parse(to)
			if err != nil || !strings.HasPrefix(to, returnAddress+"?") || at.Query().Get("state") != "page 7" || at.Query().Get("iss") != v.from.base {
				return nil, fmt.Errorf("the browser is sent to %s (%v)", to, err)
			}
			v.from.hide("authorization code", at.Query().Get("code"))
			return at.Query(), nil
		}
		pause(ctx, between)
	}
}

// token exchanges a code.
func (v *visit) token(ctx context.Context, code, verifier string) (string, error) {
	var got struct {
		Token string `json:"access_token"`
	}
	err := v.from.form(ctx, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {v.from.id}, "code": {code},
		"redirect_uri": {returnAddress}, "code_verifier": {verifier}}, &got)
	v.from.hide("access token that a holder granted", got.Token)
	return got.Token, err
}
