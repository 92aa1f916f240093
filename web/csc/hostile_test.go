package csc_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

func corpus(t *testing.T, name string) map[string]any {
	t.Helper()
	dir := os.Getenv("CERTWINDOW_CORPORA")
	if dir == "" {
		dir = "../../../shared/corpora"
	}
	raw, err := os.ReadFile(filepath.Join(dir, "csc", name))
	if os.IsNotExist(err) {
		t.Skip("the corpora are not there")
	}
	var out map[string]any
	if err != nil || json.Unmarshal(raw, &out) != nil {
		t.Fatal(err)
	}
	return out
}

// soundMetadata judges a service's description as its clients do: access by OAuth is offered if, and only if, it is said
// in one way where it is had.
func soundMetadata(m map[string]any) bool {
	var kinds []string
	list, _ := m["authType"].([]any)
	for _, k := range list {
		kinds = append(kinds, k.(string))
	}
	wants := slices.Contains(kinds, "oauth2code") || slices.Contains(kinds, "oauth2client")
	ways := 0
	for _, way := range []string{"oauth2", "oauth2Issuer", "oauth2Servers"} {
		if _, ok := m[way]; ok {
			ways++
		}
	}
	servers, _ := m["oauth2Servers"].([]any)
	var covered []string
	for _, s := range servers {
		kinds, _ := s.(map[string]any)["authType"].([]any)
		for _, k := range kinds {
			if k != "oauth2code" && k != "oauth2client" {
				return false
			}
			covered = append(covered, k.(string))
		}
	}
	_, flat := m["supportsRar"]
	if len(servers) > 0 && (flat || slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "oauth2") && !slices.Contains(covered, k) })) {
		return false
	}
	for _, must := range []string{"specs", "name", "logo", "region", "lang", "description", "methods", "signAlgorithms", "signature_formats", "conformance_levels"} {
		if _, ok := m[must]; !ok {
			return false
		}
	}
	return wants == (ways == 1) && ways <= 1
}

// Other people's documents of this API: the judge of descriptions agrees with them, and ours is sound; our answers have
// no member, and no kind of value, that theirs do not have.
func TestShapesOfOtherServices(t *testing.T) {
	for name, want := range map[string]bool{"rssp_metadata_valid": true, "rssp_metadata_valid_with_oauth2issuer": true, "rssp_metadata_valid_with_oauth2servers": true,
		"rssp_metadata_invalid_missing_oauth2_params_when_oauth2_required": false, "rssp_metadata_invalid_oauth2server_authtype": false,
		"rssp_metadata_invalid_with_oauth2_but_missing_oauth2_authtype": false, "rssp_metadata_invalid_with_oauth2servers_and_oauth2issuer": false,
		"rssp_metadata_invalid_with_oauth2servers_and_top_level_supports_rar": false, "rssp_metadata_invalid_with_oauth2servers_not_covering_all_authtypes": false} {
		if got := soundMetadata(corpus(t, name+".json")); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	var ours map[string]any
	x.call(x.his, "", "info", "{}").into(t, &ours)
	if !soundMetadata(ours) {
		t.Errorf("%v", ours)
	}
	like(t, "info", ours, corpus(t, "rssp_metadata_valid_with_oauth2issuer.json"), "asynchronousOperationMode")
	ours = nil
	x.call(x.his, token, "credentials/info", map[string]any{"credentialID": x.cert.ID, "certificates": "chain", "certInfo": true, "authInfo": true}).into(t, &ours)
	like(t, "credentials/info", ours, corpus(t, "credentials_info_scal2_explicit_valid.json"))
	ours = nil
	x.call(x.his, token, "credentials/list", map[string]any{"userID": "doctor", "credentialInfo": true, "certInfo": true}).into(t, &ours)
	like(t, "credentials/list", ours, corpus(t, "credentials_list_valid.json"), "expression", "objects")
	handle := x.ask(token, 1)
	x.release()
	ours = nil
	x.call(x.his, token, "signatures/signHash", x.signing(x.check(token, handle).SAD, hashes(1))).into(t, &ours)
	like(t, "signHash", ours, corpus(t, "sign_hash_valid.json"))
}

// like compares the shape of a value of ours with one of theirs, member by member. A null of theirs is any value.
func like(t *testing.T, at string, ours, theirs any, more ...string) {
	t.Helper()
	switch o := ours.(type) {
	case map[string]any:
		th, ok := theirs.(map[string]any)
		if !ok {
			t.Errorf("%s: an object, theirs is %T", at, theirs)
			return
		}
		for name, value := range o {
			other, known := th[name]
			switch {
			case slices.Contains(more, name):
			case !known:
				t.Errorf("%s has %s, which theirs has not", at, name)
			case other != nil:
				like(t, at+"/"+name, value, other, more...)
			}
		}
	case []any:
		th, ok := theirs.([]any)
		if !ok {
			t.Errorf("%s: a list, theirs is %T", at, theirs)
		}
		if ok && len(o) > 0 && len(th) > 0 {
			like(t, at+"/0", o[0], th[0], more...)
		}
	case string:
		if _, ok := theirs.(string); !ok {
			t.Errorf("%s: a text, theirs is %T", at, theirs)
		}
	}
}

// Stamp never answers.
func (noStamps) Stamp(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, ra.Errorf(ra.KindUnavailable, "timestamp", nil, "No answer.")
}
