package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
	"certwindow/web/api/httpsig"
)

const anID = "01JD8Z00000000000000000000"

// Bodies that no object of the contract is: each is a problem document of 400, and no state changes.
func TestHostileBodies(t *testing.T) {
	_, p, _, _ := bound(t, phonetest.Options{})
	path := "/certificates/" + anID + "/signatures"
	good := signatureBody
	for name, body := range map[string]string{
		"not JSON":         "hash=1&hash_algorithm=SHA-256",
		"an array":         "[" + good + "]",
		"a string":         `"SHA-256"`,
		"null":             "null",
		"empty object":     "{}",
		"white space":      "  ",
		"cut off":          good[:20],
		"two objects":      good + good,
		"trailing bytes":   good + "x",
		"unknown member":   strings.Replace(good, "{", `{"admin":true,`, 1),
		"other case":       strings.Replace(good, "hash_algorithm", "Hash_Algorithm", 1),
		"member twice":     strings.Replace(good, "{", `{"hash_algorithm":"SHA-256",`, 1),
		"escaped twice":    strings.Replace(good, "{", `{"hash\u005falgorithm":"SHA-256",`, 1),
		"number":           strings.Replace(good, `"SHA-256"`, "256", 1),
		"huge number":      strings.Replace(good, `"SHA-256"`, strings.Repeat("9", 5000), 1),
		"huge exponent":    strings.Replace(good, `"SHA-256"`, "1e999999999", 1),
		"null member":      strings.Replace(good, `"SHA-256"`, "null", 1),
		"object member":    strings.Replace(good, `"SHA-256"`, "{}", 1),
		"unknown hash":     strings.Replace(good, "SHA-256", "SHA-1", 1),
		"invalid UTF-8":    strings.Replace(good, "SHA-256", "SHA-256\xff", 1),
		"lone surrogate":   strings.Replace(good, "SHA-256", `\ud800`, 1),
		"NUL":              strings.Replace(good, "SHA-256", `SHA-256\u0000`, 1),
		"byte order mark":  "\ufeff" + good,
		"comment":          "/**/" + good,
		"base64url":        strings.Replace(good, "AAAA", "A-_A", 1),
		"base64 lines":     strings.Replace(good, "AAAA", `AA\nAA`, 1),
		"five factors":     strings.Replace(good, `"factors":[]`, `"factors":[`+strings.Repeat(`{"kind":"password","value":"x"},`, 4)+`{"kind":"password","value":"x"}]`, 1),
		"nameless factor":  strings.Replace(good, `"factors":[]`, `"factors":[{"kind":"","value":""}]`, 1),
		"no base64":        strings.Replace(good, `"secret":"AAAA"`, `"secret":""`, 1),
		"no padding":       strings.Replace(good, "=", "", 1),
		"loose last bits":  strings.Replace(good, "A=", "B=", 1),
		"deep arrays":      strings.Repeat("[", 30000) + strings.Repeat("]", 30000),
		"deep objects":     strings.Repeat(`{"hash":`, 7000) + "1" + strings.Repeat("}", 7000),
		"deep, cut off":    strings.Repeat("[", 60000),
		"deep member":      strings.Replace(good, `"SHA-256"`, strings.Repeat("[", 100)+strings.Repeat("]", 100), 1),
		"many members":     "{" + strings.Repeat(`"a":1,`, 9000) + `"b":1}`,
		"a very long name": `{"` + strings.Repeat("a", 60000) + `":1}`,
	} {
		if a := p.post(path, body, nonce()); a.status != 400 {
			t.Errorf("%s: %d %.200s", name, a.status, a.body)
		}
	}
	want(t, "too large", p.post(path, strings.Repeat(" ", 1<<20)+good, nonce()), 413, "too-large", "")
	want(t, "too large for one request", p.post("/applications/"+anID+"/request", strings.Repeat(" ", 64<<10)+"{}", nonce()), 413, "too-large", "")
}

// The outside of a request: what a browser, a form or a proxy's guess would send is refused.
func TestHostileRequests(t *testing.T) {
	_, p, _, _ := bound(t, phonetest.Options{})
	good := `{"csr":"AAAA","signature":"AAAA"}`
	post := "/applications/" + anID + "/request"
	for name, c := range map[string]struct {
		method, path, body string
		mutate             func(*http.Request)
		status             int
	}{
		"a form":                 {"POST", post, "csr=1", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		"a multipart form":       {"POST", post, "x", header("Content-Type", "multipart/form-data; boundary=x"), 415},
		"plain text":             {"POST", post, good, header("Content-Type", "text/plain"), 415},
		"no type":                {"POST", post, good, func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"another charset":        {"POST", post, good, header("Content-Type", "application/json; charset=utf-16"), 415},
		"two types":              {"POST", post, good, func(r *http.Request) { r.Header.Add("Content-Type", "application/json") }, 415},
		"packed":                 {"POST", post, good, header("Content-Encoding", "gzip"), 415},
		"a cookie":               {"GET", "/device", "", header("Cookie", "session=1"), 400},
		"a bearer token":         {"GET", "/device", "", header("Authorization", "Bearer x"), 400},
		"a query":                {"GET", "/device", "", func(r *http.Request) { r.URL.RawQuery = "a=1" }, 400},
		"an empty query":         {"GET", "/device", "", func(r *http.Request) { r.URL.ForceQuery = true }, 400},
		"a body where none is":   {"GET", "/device", "{}", nil, 400},
		"no body":                {"POST", post, "", nil, 400},
		"no idempotency key":     {"POST", post, good, nil, 400},
		"a short one":            {"POST", post, good, header("Idempotency-Key", "short"), 400},
		"a strange one":          {"POST", post, good, header("Idempotency-Key", "0123456789abcdef'--"), 400},
		"two of them":            {"POST", post, good, func(r *http.Request) { r.Header["Idempotency-Key"] = []string{nonce(), nonce()} }, 400},
		"no such path":           {"GET", "/devices", "", nil, 404},
		"no such method":         {"DELETE", "/device", "", nil, 405},
		"another case":           {"GET", "/Device", "", nil, 404},
		"a slash too many":       {"GET", "/device/", "", nil, 404},
		"a short id":             {"GET", "/applications/1", "", nil, 404},
		"an id in small letters": {"GET", "/applications/" + strings.ToLower(anID), "", nil, 404},
		"an escaped id":          {"GET", "/applications/%30" + anID[1:], "", nil, 404},
		"an escaped slash":       {"GET", "/applications%2F" + anID, "", nil, 404},
		"dots":                   {"GET", "/applications/../device", "", nil, 404},
	} {
		r := p.request(c.method, c.path, c.body)
		p.sign(r, c.body)
		if c.mutate != nil {
			c.mutate(r)
		}
		if a := p.do(r); a.status != c.status || a.problem().Type == "" {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, c.status)
		}
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// HCA-8.1.3: only what the device's own key signed is taken.
func TestSignatureIsNeeded(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{})
	for name, mutate := range map[string]func(*http.Request){
		"unsigned": func(r *http.Request) {
			r.Header.Del(httpsig.HeaderSignature)
			r.Header.Del(httpsig.HeaderInput)
		},
		"half signed":      func(r *http.Request) { r.Header.Del(httpsig.HeaderSignature) },
		"double input":     func(r *http.Request) { r.Header.Add(httpsig.HeaderInput, r.Header.Get(httpsig.HeaderInput)) },
		"double signature": func(r *http.Request) { r.Header.Add(httpsig.HeaderSignature, r.Header.Get(httpsig.HeaderSignature)) },
		"for another path": func(r *http.Request) { r.URL.Path = "/api/v1/certificates" },
	} {
		r := p.sign(p.request("GET", "/device", ""), "")
		mutate(r)
		a := p.do(r)
		want(t, name, a, 401, "signature", "")
		if a.header.Get("WWW-Authenticate") == "" { // RFC 9110 section 15.5.2
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	thief := newPhone(t, w)
	thief.der = p.der // names our key, signs with another
	want(t, "under another's key id", thief.get("/device"), 401, "signature", "")
	want(t, "a key that nobody bound", newPhone(t, w).get("/device"), 401, "key-unknown", "")

	r := p.sign(p.request("GET", "/device", ""), "")
	w.Pass(61 * time.Second)
	want(t, "a minute late", p.do(r), 401, "clock", "")
}

// HCA-8.1.4: a request is taken once, also by another replica on the same database.
func TestReplay(t *testing.T) {
	w, p, _, _ := bound(t, phonetest.Options{})
	r := p.sign(p.request("GET", "/device", ""), "")
	if a := p.do(r); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want(t, "the same again", p.do(r), 422, "nonce-used", "HCA-8.1.4")
	err := w.Store.UseRequestNonce(t.Context(), ra.KeyHash(p.der), "0123456789abcdef", w.Now(), w.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	r = p.request("GET", "/device", "")
	if err := httpsig.Sign(r, nil, p.key, httpsig.Params{Created: w.Now(), Nonce: "0123456789abcdef", KeyID: ra.KeyHash(p.der)}); err != nil {
		t.Fatal(err)
	}
	want(t, "after another replica took it", p.do(r), 422, "nonce-used", "HCA-8.1.4")
}

// A phone that runs wild is slowed down, and others are not.
func TestDeviceRateLimit(t *testing.T) {
	w, p, person, _ := bound(t, phonetest.Options{})
	other := newPhone(t, w)
	other.bind(w.Device(t, "ER-02", person))
	w.Pass(time.Minute) // the bucket is full again
	codes := map[int]int{}
	for range 105 {
		codes[p.get("/device").status]++
	}
	if codes[200] != 100 || codes[429] != 5 {
		t.Errorf("answers: %v", codes)
	}
	if a := other.get("/device"); a.status != 200 {
		t.Errorf("another phone: %d %s", a.status, a.body)
	}
}
