package story

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"certwindow/cmd/demo/stage"
	"certwindow/web/session"
)

// watcher remembers all that browsers and phones said to the window, and its answers.
type watcher struct {
	mu   sync.Mutex
	seen []stage.Exchange
}

func (w *watcher) see(x stage.Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, x)
}

func (w *watcher) all() []stage.Exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]stage.Exchange(nil), w.seen...)
}

// secret is a value that nobody may find where it does not belong.
type secret struct {
	what, value string
	person      bool     // it tells who somebody is, or how to reach him
	rest        bool     // it may not be in the database in clear
	never       bool     // no page shows it either
	alone       bool     // it counts where it is a number of its own
	forms       [][]byte // the ways in which the value may be written
}

// secrets collects values, each once.
type secrets struct {
	list  []secret
	known map[string]bool
}

func (s *secrets) add(what, value string) { s.put(secret{what: what, value: value}) }

// personal adds a value that is encrypted or hashed wherever it is kept (HCA-8.1.5, HCA-8.2.6(6)).
func (s *secrets) personal(what, value string) {
	s.put(secret{what: what, value: value, person: true, rest: true})
}

func (s *secrets) put(x secret) {
	if len(x.value) >= 6 && !s.known[x.value] { // two Han characters have six bytes
		s.known[x.value] = true
		x.forms = formsOf(x.value)
		x.alone = digitsOnly.MatchString(x.value)
		s.list = append(s.list, x)
	}
}

// secretsOf is every personal or secret value that a story used.
func secretsOf(t *testing.T, s *Story, w *watcher) []secret {
	t.Helper()
	out := &secrets{known: map[string]bool{}}
	for _, p := range []person{s.wang, s.chen} {
		out.personal("name", p.name)
		out.personal("national id", p.nationalID)
		out.personal("holder", p.holder)
		out.personal("e-mail", p.email)
	}
	for _, p := range []person{s.wang, s.chen} {
		if p.password != "" {
			out.put(secret{what: "password of a holder", value: p.password.Reveal(), rest: true, never: true})
		}
	}
	for _, x := range s.allHidden() {
		out.put(secret{what: x.what, value: x.value, rest: true, never: true})
	}
	out.personal("name of staff", "林主任")
	out.put(secret{what: "initial password", value: s.st.Admin.Password, rest: true})
	out.put(secret{what: "TOTP secret", value: s.st.Admin.TOTP, rest: true})
	for _, x := range w.all() {
		fromForm(out, x)
		fromAnswer(out, x)
		fromPhone(out, x)
	}
	fromFiles(t, out, s.st)
	return out.list
}

// handoverPath ends the address at which a half of an account's credentials is shown.
const handoverPath = "/handover"

// secretFields are the fields of forms that hold what may not be found elsewhere, by the form's address.
var secretFields = map[string]map[string]string{
	"/login":       {"password": "password", "code": "TOTP code"},
	"/password":    {"current": "password", "next": "changed password"},
	"/persons/new": {"name": "name", "national_id": "national id", "holder": "holder", "email": "e-mail", "phone": "phone"},
	handoverPath:   {"name": "name of staff"},
}

func fromForm(out *secrets, x stage.Exchange) {
	if c, err := x.Request.Cookie(session.CookieName); err == nil {
		out.put(secret{what: "session cookie", value: c.Value, rest: true})
	}
	if !strings.HasPrefix(x.Request.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return
	}
	form, err := url.ParseQuery(string(x.Sent))
	if err != nil {
		return
	}
	out.add("CSRF token", form.Get("csrf"))
	out.add("short code of a binding", form.Get("short_code"))
	where := x.Request.URL.Path
	if strings.HasSuffix(where, handoverPath) {
		where = handoverPath
	}
	for field, what := range secretFields[where] {
		_, person := secretFields["/persons/new"][field]
		out.put(secret{what: what, value: form.Get(field), person: person, rest: person || strings.Contains(what, "password")})
	}
}

var (
	noncePattern = regexp.MustCompile(`nonce: ([A-Za-z0-9_-]{43})`)
	bindPattern  = regexp.MustCompile(`data-bind-text[^>]*>([^<]+)<`)
)

func fromAnswer(out *secrets, x stage.Exchange) {
	for _, c := range (&http.Response{Header: x.Header}).Cookies() {
		out.put(secret{what: "session cookie", value: c.Value, rest: true})
	}
	body := html.UnescapeString(string(x.Body))
	for _, m := range csrfPattern.FindAllStringSubmatch(body, -1) {
		out.add("CSRF token", m[1])
	}
	for _, m := range noncePattern.FindAllStringSubmatch(body, -1) {
		out.add("nonce of a text", m[1])
	}
	if m := bindPattern.FindStringSubmatch(body); m != nil {
		if at, err := url.Parse(m[1]); err == nil {
			out.put(secret{what: "code of a binding", value: at.Query().Get("code"), rest: true})
		}
	}
	if strings.HasSuffix(x.Request.URL.Path, handoverPath) && x.Status == http.StatusOK {
		if m := codePattern.FindAllStringSubmatch(body, -1); len(m) == 2 {
			what := "initial password"
			if bytes.Contains(x.Sent, []byte("half=code")) {
				what = "TOTP secret"
			}
			out.put(secret{what: what, value: m[1][2], rest: true})
		}
	}
}

var signatureNonce = regexp.MustCompile(`nonce="([^"]+)"`)

// phoneFields are the fields of the phone's documents that are secret.
var phoneFields = []string{"challenge", "short_code", "activation", "component"}

func fromPhone(out *secrets, x stage.Exchange) {
	if !strings.HasPrefix(x.Request.URL.Path, "/api/") {
		return
	}
	if m := signatureNonce.FindStringSubmatch(x.Request.Header.Get("Signature-Input")); m != nil {
		out.add("nonce of a request", m[1])
	}
	out.add("signature of a request", x.Request.Header.Get("Signature"))
	for _, raw := range [][]byte{x.Sent, x.Body} {
		var doc map[string]any
		if json.Unmarshal(raw, &doc) != nil || x.Status >= 400 {
			continue
		}
		for _, field := range phoneFields {
			if v, ok := doc[field].(string); ok {
				out.add(field+" of a phone's document", v)
			}
		}
		fromHolder(out, doc)
	}
	if _, token, ok := strings.Cut(x.Request.Header.Get("Authorization"), "Bearer "); ok {
		out.put(secret{what: "token of a holder's login", value: token, rest: true, never: true})
	}
}

// holderFields are the members of a phone's documents by which a holder proves who he is, or lets a key be used. None is
// kept as it was sent: neither passwords and tokens, nor the secret of a key in the HSM as it came encrypted.
var holderFields = []string{"token", "value", "current", "next", "secret", "uri"}

func fromHolder(out *secrets, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			if text, ok := x.(string); ok && slices.Contains(holderFields, name) {
				out.put(secret{what: name + " of a holder", value: text, rest: true, never: true})
			}
			fromHolder(out, x)
		}
	case []any:
		for _, x := range v {
			fromHolder(out, x)
		}
	}
}

// fromFiles takes PINs, components, the control token and every private key that lies on the stage.
func fromFiles(t *testing.T, out *secrets, st *stage.Stage) {
	t.Helper()
	err := filepath.WalkDir(st.Path(""), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := d.Name()
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(name, ".pin"), strings.HasPrefix(name, "component-"), name == "control.token":
			out.put(secret{what: name, value: strings.TrimSpace(string(raw)), rest: true, never: true})
		case strings.HasSuffix(name, ".key"):
			block, _ := pem.Decode(raw)
			if block == nil {
				return nil
			}
			text := base64.StdEncoding.EncodeToString(block.Bytes)
			// What comes before are version and algorithm, which all keys share.
			out.put(secret{what: "private key " + name, value: text[len(text)/3 : len(text)/3+48], rest: true, never: true})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func formsOf(value string) [][]byte {
	out := [][]byte{[]byte(value)}
	for _, f := range []string{string(escapeASCII(value)), url.QueryEscape(value), base64.StdEncoding.EncodeToString([]byte(value)), hex.EncodeToString([]byte(value))} {
		if f != value {
			out = append(out, []byte(f))
		}
	}
	return out
}

// escapeASCII is JSON without a character beyond ASCII.
func escapeASCII(s string) []byte {
	var b bytes.Buffer
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		b.WriteString(`\u`)
		b.WriteString(hex.EncodeToString([]byte{byte(r >> 8), byte(r)}))
	}
	return b.Bytes()
}

var digitsOnly = regexp.MustCompile(`^[0-9]{6,8}$`)

// in tells whether a value can be found. A number counts where it stands alone: a log is full of fractions.
func (x secret) in(text []byte) bool {
	if x.alone {
		return standsAlone(text, x.forms[0])
	}
	return slices.ContainsFunc(x.forms, func(f []byte) bool { return bytes.Contains(text, f) })
}

// standsAlone tells whether a number is somewhere in a text and no part of a longer word, number or fraction.
func standsAlone(text, number []byte) bool {
	part := func(b byte) bool { return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }
	for from := 0; ; {
		i := bytes.Index(text[from:], number)
		if i < 0 {
			return false
		}
		begin, end := from+i, from+i+len(number)
		if (begin == 0 || !part(text[begin-1]) && text[begin-1] != '.') && (end == len(text) || !part(text[end])) {
			return true
		}
		from = begin + 1
	}
}

// The search finds a value however it is written, and a number only where it stands alone.
func TestSearch(t *testing.T) {
	s := &secrets{known: map[string]bool{}}
	s.personal("name", "王小明")
	s.add("code", "246813")
	name, code := s.list[0], s.list[1]
	for _, text := range []string{"a 王小明 b", `{"n":"\u738b\u5c0f\u660e"}`, "name=%E7%8E%8B%E5%B0%8F%E6%98%8E", "546L5bCP5piO", "e78e8be5b08fe6988e"} {
		if !name.in([]byte(text)) {
			t.Errorf("%q is not seen to hold the name", text)
		}
	}
	for text, want := range map[string]bool{"code=246813 ": true, `"246813"`: true, "246813": true, "0.246813": false, "12468135": false, "a246813f": false} {
		if code.in([]byte(text)) != want {
			t.Errorf("%q holds the code: %v", text, !want)
		}
	}
}
