package csc_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

const verifier = "a-verifier-of-forty-three-characters-or-more"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// wants are the parameters of an authorization request for n records.
func (x *ward) wants(n int) url.Values {
	var list []string
	for i := range n {
		list = append(list, base64.RawURLEncoding.EncodeToString(hash(i)))
	}
	return url.Values{"response_type": {"code"}, "client_id": {"his"}, "redirect_uri": {back}, "scope": {"credential"}, "state": {"s 1"}, "code_challenge": {challengeOf(verifier)},
		"code_challenge_method": {"S256"}, "credentialID": {string(x.cert.ID)}, "numSignatures": {"2"}, "hashes": {strings.Join(list, ",")}, "hashAlgorithmOID": {sha256OID}}
}

// browser follows what a holder's browser does, and keeps its cookie.
type browser struct {
	*ward
	cookie string
}

func (b *browser) get(path string) answer {
	r := b.request(http.MethodGet, path, "", "")
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	return b.do(b.his, r)
}

// begin posts the page's form, and gives the address that waits.
func (b *browser) begin(f url.Values) string {
	b.t.Helper()
	a := b.form(b.his, "/oauth2/authorize", f)
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	b.cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	return a.header.Get("Location")
}

var shortCode = regexp.MustCompile(`<p class="code">([0-9]{6})</p>`)

// code waits until the holder has answered, and takes the code out of the address that leads back.
func (b *browser) code(wait string) url.Values {
	b.t.Helper()
	a := b.get(wait)
	if a.status != http.StatusFound || !strings.HasPrefix(a.header.Get("Location"), back+"?") {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Query()
}

func (x *ward) exchange(code, verifier string) answer {
	return x.form(x.his, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"his"}, "code": {code}, "redirect_uri": {back}, "code_verifier": {verifier}})
}

// The holder's release on the phone is the grant (CSC 8.4.2): the page asks for no password, the code goes to the browser
// that asked, is used once with PKCE, and its token collects what was released and nothing else.
func TestAuthorizeByThePhone(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	b := &browser{ward: x}
	page := b.get("/oauth2/authorize?" + x.wants(2).Encode())
	if page.status != http.StatusOK || strings.Contains(page.body, "password") || strings.Contains(page.body, "<script") ||
		!strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %s", page.status, page.body)
	}
	wait := b.begin(x.wants(2))
	shown := shortCode.FindStringSubmatch(b.get(wait).body)
	if len(shown) != 2 {
		t.Fatal("the page shows no code")
	}
	if a := x.do(x.his, x.request(http.MethodGet, wait, "", "")); a.status != http.StatusBadRequest && a.status != http.StatusNotFound {
		t.Errorf("another browser waits as well: %d", a.status)
	}
	x.release()
	q := b.code(wait)
	if q.Get("state") != "s 1" || q.Get("iss") != x.w.Server.URL {
		t.Errorf("%v", q)
	}
	if a := b.get(wait); a.status == http.StatusFound {
		t.Errorf("the code is given out twice: %s", a.header.Get("Location"))
	}
	var got struct {
		Token string `json:"access_token"`
		Scope string
	}
	a := x.exchange(q.Get("code"), verifier)
	a.into(t, &got)
	if got.Scope != "credential" || len(got.Token) != 43 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	x.call(x.his, got.Token, "credentials/list", map[string]string{"userID": "doctor"}).want(t, "a list under it", 400, "unauthorized_client", "scope")
	if a := x.call(x.his, got.Token, "signatures/signHash", x.signing("", hashes(1))); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	// RFC 6749 section 4.1.2: a code that comes again ends what came of it.
	x.exchange(q.Get("code"), verifier).want(t, "the code again", 400, "invalid_grant", "")
	x.call(x.his, got.Token, "signatures/signHash", x.signing("", hashes(2)[1:])).want(t, "its token after that", 401, "expired_token", "")
}

// RFC 7636: without the verifier a stolen code is worth nothing, and one wrong try uses it up.
func TestPKCE(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	b := &browser{ward: x}
	for what, change := range map[string]func(url.Values){
		"without a challenge":   func(f url.Values) { f.Del("code_challenge") },
		"with a plain one":      func(f url.Values) { f.Set("code_challenge_method", "plain") },
		"without its method":    func(f url.Values) { f.Del("code_challenge_method") },
		"of another size":       func(f url.Values) { f.Set("code_challenge", "short") },
		"for a token":           func(f url.Values) { f.Set("response_type", "token") },
		"for an unknown scope":  func(f url.Values) { f.Set("scope", "everything") },
		"for other credentials": func(f url.Values) { f.Set("credentialID", "01JD0000000000000000000000") },
		"for fewer hashes":      func(f url.Values) { f.Set("numSignatures", "3") },
	} {
		f := x.wants(2)
		change(f)
		a := b.get("/oauth2/authorize?" + f.Encode())
		u, _ := url.Parse(a.header.Get("Location"))
		if a.status != http.StatusFound || u == nil || u.Query().Get("error") == "" || u.Query().Get("state") != "s 1" {
			t.Errorf("%s: %d %s", what, a.status, a.header.Get("Location"))
		}
	}
	for what, change := range map[string]func(url.Values){
		"another address":   func(f url.Values) { f.Set("redirect_uri", back+"/") },
		"a longer address":  func(f url.Values) { f.Set("redirect_uri", back+"?x=1") },
		"another system":    func(f url.Values) { f.Set("client_id", "nobody") },
		"a repeated client": func(f url.Values) { f.Add("client_id", "his") },
	} {
		f := x.wants(2)
		change(f)
		if a := b.get("/oauth2/authorize?" + f.Encode()); a.status/100 != 4 || a.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", what, a.status, a.header.Get("Location"))
		}
	}
	wait := b.begin(x.wants(2))
	x.release()
	code := b.code(wait).Get("code")
	x.exchange(code, strings.Repeat("b", 43)).want(t, "another verifier", 400, "invalid_grant", "")
	x.exchange(code, verifier).want(t, "the right one after it", 400, "invalid_grant", "")
	x.exchange(code, "").want(t, "none", 400, "invalid_grant", "")
}

// HCA-7.4: access in a holder's name is granted by that holder on the phone; a name that nobody has is asked just so.
func TestServiceAccessOfAHolder(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	f := url.Values{"response_type": {"code"}, "client_id": {"his"}, "redirect_uri": {back}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "account": {"doctor"}}
	b, nobody := &browser{ward: x}, &browser{ward: x}
	wait := b.begin(f)
	f.Set("account", "nobody")
	other := nobody.begin(f)
	if a := nobody.get(other); !shortCode.MatchString(a.body) {
		t.Errorf("an account that there is not is told from one that there is: %d %s", a.status, a.body)
	}
	list, err := x.w.Grants.Waiting(t.Context(), x.person)
	if err != nil || len(list) != 1 || list[0].ShortCode != shortCode.FindStringSubmatch(b.get(wait).body)[1] {
		t.Fatalf("%+v %v", list, err)
	}
	if err := x.w.Grants.Answer(t.Context(), ra.Actor{Kind: ra.ActorDevice}, "01JD0000000000000000000000", list[0].ID, true); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("another holder answers: %v", err)
	}
	if err := x.w.Grants.Answer(t.Context(), ra.Actor{Kind: ra.ActorDevice}, x.person, list[0].ID, true); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Token string `json:"access_token"`
	}
	x.exchange(b.code(wait).Get("code"), verifier).into(t, &got)
	x.call(x.his, got.Token, "credentials/list", map[string]string{"userID": "doctor"}).want(t, "a name beside", 400, "invalid_request", "userID parameter MUST be null")
	if a := x.call(x.his, got.Token, "credentials/list", map[string]any{"userID": nil}); a.status != 200 || !strings.Contains(a.body, string(x.cert.ID)) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
