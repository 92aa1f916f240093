package csc_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"certwindow/cmd/phone/client"
	"certwindow/cmd/phone/phonetest"
	"certwindow/devices/appcred"
	"certwindow/ra"
)

const sha256OID, ecdsaOID = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"

// ward is a hospital: a window, a doctor whose phone holds a certificate with its key in the HSM, and a record system on
// the register. Every exchange is held against openapi.yaml.
type ward struct {
	t      *testing.T
	w      *phonetest.Window
	phone  *client.Phone
	person ra.PersonID
	cert   ra.Certificate
	his    phonetest.System
}

const back = "https://his.example/back"

func newWard(t *testing.T, o phonetest.Options) *ward {
	t.Helper()
	return newWardOf(t, o, "P-256")
}

// newWardOf is a ward whose doctor has a key of another algorithm.
func newWardOf(t *testing.T, o phonetest.Options, algorithm string) *ward {
	t.Helper()
	o.HSM = true
	x := &ward{t: t, w: phonetest.New(t, o)}
	x.person = x.w.Person(t, 1)
	device := x.w.Device(t, "ER-01", x.person)
	var err error
	if x.phone, err = client.Open(filepath.Join(t.TempDir(), "phone"), client.About{Platform: "android", Model: "Pixel 10", OSVersion: "16", App: phonetest.App.Package,
		AppVersion: phonetest.App.Version}, x.w.Now); err != nil {
		t.Fatal(err)
	}
	code, err := x.phone.Bind(t.Context(), x.w.Offer(t, device))
	if err != nil {
		t.Fatal(err)
	}
	x.w.Confirm(t, device, code)
	if err := x.phone.WaitBound(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.w.Account(t, x.person, "doctor")
	if _, err := x.phone.Login(t.Context(), "doctor", appcred.Secret(phonetest.Password.Reveal())); err != nil {
		t.Fatal(err)
	}
	x.phone.SetPassword("of the phone's own")
	x.phone.ProveBy(appcred.Secret(phonetest.Password.Reveal()))
	a := x.w.Apply(t, x.person, device, ra.KeyHSM, algorithm)
	if err := x.phone.Enrol(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	x.cert = x.w.Issue(t, a.ID)
	if _, err := x.phone.Certificate(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	x.his = x.w.NewSystem(t)
	x.w.RegisterSystem(t, "his", x.his, back)
	return x
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
}

// want checks a refusal: its word, and a part of its description.
func (a answer) want(t *testing.T, what string, status int, word, part string) {
	t.Helper()
	var e struct {
		Error       string
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal([]byte(a.body), &e)
	if a.status != status || e.Error != word || !strings.Contains(e.Description, part) {
		t.Errorf("%s: %d %s, want %d %s …%s…", what, a.status, a.body, status, word, part)
	}
}

func (x *ward) do(s phonetest.System, r *http.Request) answer {
	x.t.Helper()
	res, err := s.HTTP.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (x *ward) request(method, path, media, body string) *http.Request {
	x.t.Helper()
	r, err := http.NewRequestWithContext(x.t.Context(), method, x.w.Server.URL+path, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	return r
}

func (x *ward) form(s phonetest.System, path string, f url.Values) answer {
	x.t.Helper()
	return x.do(s, x.request(http.MethodPost, path, "application/x-www-form-urlencoded", f.Encode()))
}

// call is one method of the API under a token.
func (x *ward) call(s phonetest.System, token, method string, body any) answer {
	x.t.Helper()
	text, ok := body.(string)
	if !ok {
		raw, err := json.Marshal(body)
		if err != nil {
			x.t.Fatal(err)
		}
		text = string(raw)
	}
	r := x.request(http.MethodPost, "/csc/v2/"+method, "application/json", text)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return x.do(s, r)
}

// token is a system's own access.
func (x *ward) token(s phonetest.System, id string) string {
	x.t.Helper()
	var got struct {
		Token string `json:"access_token"`
	}
	x.form(s, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "scope": {"service"}}).into(x.t, &got)
	return got.Token
}

func hash(n int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "record %d", n))
	return sum[:]
}

func hashes(n int) (out []string) {
	for i := range n {
		out = append(out, base64.StdEncoding.EncodeToString(hash(i)))
	}
	return out
}

// asking is the body of credentials/authorize for n records.
func (x *ward) asking(n int) map[string]any {
	return map[string]any{"credentialID": string(x.cert.ID), "numSignatures": n, "hashes": hashes(n), "hashAlgorithmOID": sha256OID, "description": "出院病歷"}
}

// ask puts n records before the holder.
func (x *ward) ask(token string, n int) (handle string) {
	x.t.Helper()
	var got struct{ Handle string }
	a := x.call(x.his, token, "credentials/authorize", x.asking(n))
	if a.status != http.StatusAccepted {
		x.t.Fatalf("%d %s", a.status, a.body)
	}
	a.into(x.t, &got)
	return got.Handle
}

// release is the holder's yes to everything that waits.
func (x *ward) release() {
	x.t.Helper()
	list, err := x.phone.Pending(x.t.Context(), string(x.cert.ID))
	if err != nil || len(list) == 0 {
		x.t.Fatal(list, err)
	}
	for _, a := range list {
		if _, err := x.phone.Release(x.t.Context(), a); err != nil {
			x.t.Fatal(err)
		}
	}
}

// signing is the body of signHash.
func (x *ward) signing(sad string, hashes []string) map[string]any {
	b := map[string]any{"credentialID": string(x.cert.ID), "hashes": hashes, "signAlgo": ecdsaOID, "hashAlgorithmOID": sha256OID}
	if sad != "" {
		b["SAD"] = sad
	}
	return b
}

type standing struct {
	SAD      string
	Ready    []int
	Progress struct{ Total, Signed, Collected, Refused int }
}

// check is authorizeCheck of what must be released.
func (x *ward) check(token, handle string) (s standing) {
	x.t.Helper()
	a := x.call(x.his, token, "credentials/authorizeCheck", map[string]string{"handle": handle})
	if a.status != http.StatusOK {
		x.t.Fatalf("%d %s", a.status, a.body)
	}
	a.into(x.t, &s)
	return s
}
