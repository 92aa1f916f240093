package csc_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

var methods = []string{"info", "auth/revoke", "credentials/list", "credentials/info", "credentials/authorize", "credentials/authorizeCheck", "signatures/signHash", "signatures/timestamp"}

// noStamps is an authority that is configured and never answers.
type noStamps struct{}

// Nothing that a stranger or a careless system sends is answered by anything but the specification's errors of the 4xx
// kind (section 10), and nothing of it changes anything. The contract's house holds that no answer is of the 5xx kind.
func TestHostileInput(t *testing.T) {
	x := newWard(t, phonetest.Options{Stamper: noStamps{}})
	token := x.token(x.his, "his")
	x.call(x.his, token, "credentials/authorize", x.asking(1))
	deep := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
	bodies := []string{"", "null", "[]", "1", `"x"`, "{", "{}{}", deep, strings.Repeat("[", 50000), `{"unknown":1}`, `{"clientData":1,"clientData":2}`, "{\"clientData\":\"\xff\"}",
		`{"clientData":{}}`, `{"credentialID":1,"handle":1,"hashes":"x","SAD":[]}`, `{"credentialID":"../../etc","numSignatures":1e999}`, `{"numSignatures":1.5}`,
		`{"hashes":[null]}`, `{"handle":"` + strings.Repeat("A", 43) + `"}`, `{"credentialID":null}`, `{"hash":"AAAA","hashAlgo":"1.3.14.3.2.26"}`,
		`{"userID":"` + strings.Repeat("a", 4000) + `"}`, `{"userID":"doctor' OR 1=1"}`, `{"certificates":"all"}`, `{"token":""}`}
	for _, m := range methods {
		for _, b := range bodies {
			a := x.call(x.his, token, m, b)
			var e struct{ Error string }
			if a.status/100 != 4 || json.Unmarshal([]byte(a.body), &e) != nil || e.Error == "" {
				t.Errorf("%s %.60s: %d %s", m, b, a.status, a.body)
			}
		}
		for what, change := range map[string]func(*http.Request){
			"two tokens":          func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+token) },
			"two content types":   func(r *http.Request) { r.Header.Add("Content-Type", "application/json") },
			"a form":              func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
			"an encoding":         func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
			"a query":             func(r *http.Request) { r.URL.RawQuery = "a=b" },
			"another charset":     func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=big5") },
			"a token's other lie": func(r *http.Request) { r.Header.Set("Authorization", "Basic "+token) },
		} {
			r := x.request(http.MethodPost, "/csc/v2/"+m, "application/json", "{}")
			r.Header.Set("Authorization", "Bearer "+token)
			change(r)
			if a := x.do(x.his, r); a.status/100 != 4 && !(m == "info" && strings.Contains(what, "token")) {
				t.Errorf("%s with %s: %d %s", m, what, a.status, a.body)
			}
		}
	}
	for _, f := range []string{"", "a", "grant_type=password&client_id=his", "grant_type=client_credentials", "grant_type=client_credentials&client_id=his&client_id=his",
		"grant_type=client_credentials&client_id=his&scope=credential", "grant_type=authorization_code&client_id=his", "grant_type=refresh_token&client_id=his&refresh_token=x",
		"grant_type=client_credentials&client_id=his&client_secret=x", "client_id=%ff&grant_type=client_credentials", strings.Repeat("a=b&", 9000)} {
		a := x.do(x.his, x.request(http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", f))
		if a.status/100 != 4 || !strings.Contains(a.body, `"error"`) {
			t.Errorf("%.60s: %d %s", f, a.status, a.body)
		}
	}
}

// A method that needs an argument says which one is missing, in the specification's words.
func TestWordsOfTheSpecification(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	with := func(name string, value any) map[string]any {
		b := x.asking(2)
		if value == nil {
			delete(b, name)
		} else {
			b[name] = value
		}
		return b
	}
	for _, c := range []struct {
		body any
		say  string
	}{
		{with("credentialID", nil), "Missing (or invalid type) string parameter credentialID"},
		{with("credentialID", "GX0112348"), "Invalid parameter credentialID"},
		{with("numSignatures", nil), "Missing (or invalid type) integer parameter numSignatures"},
		{with("numSignatures", 0), "Invalid value for parameter numSignatures"},
		{with("numSignatures", 501), "Numbers of signatures is too high"},
		{with("hashes", []string{"!", "!"}), "Invalid Base64 hash string parameter"},
		{with("hashes", []string{"AAAA", "AAAA"}), "Invalid digest value length"},
		{with("hashAlgorithmOID", "1.3.14.3.2.26"), "Invalid parameter hashAlgorithmOID"},
		{with("hashAlgorithmOID", nil), "Missing (or invalid type) string parameter hashAlgorithmOID"},
		{with("scope", "E-PRESCRIPTION"), "HCA-5.1.2: "},
	} {
		x.call(x.his, token, "credentials/authorize", c.body).want(t, c.say, 400, "invalid_request", c.say)
	}
	x.call(x.his, token, "credentials/authorize", with("authData", []map[string]string{{"id": "PIN", "value": "123456"}})).want(t, "a PIN", 400, "invalid_authentication_data", "")
}

// Stamp never answers.
func (noStamps) Stamp(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, ra.Errorf(ra.KindUnavailable, "timestamp", nil, "No answer.")
}
