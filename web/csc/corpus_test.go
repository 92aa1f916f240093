package csc_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
)

func corpusFolder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CERTWINDOW_CORPORA")
	if dir == "" {
		dir = "../../../shared/corpora"
	}
	if _, err := os.Stat(filepath.Join(dir, "csc")); err != nil {
		t.Skip("the corpora are not there")
	}
	return filepath.Join(dir, "csc")
}

func document(t *testing.T, path string) (m map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Every document of other people's services is judged as its name says, the invalid ones for the reason that is theirs. One
// that is added to the folder is judged too.
func TestDocumentsOfOtherServices(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(corpusFolder(t), "*.json"))
	if err != nil || len(paths) < 19 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(judges, func(j struct {
				name  string
				fault func(map[string]any) string
			}) bool {
				return strings.HasPrefix(name, j.name)
			})
			if i < 0 {
				t.Fatal("nothing judges this kind of document")
			}
			fault, why := judges[i].fault(document(t, path)), reasons[name]
			switch {
			case strings.Contains(name, "invalid") && fault == "":
				t.Error("it was taken")
			case why != "" && fault != why:
				t.Errorf("refused for %s, and is wrong by %s", fault, why)
			case !strings.Contains(name, "invalid") && fault != "":
				t.Error(fault)
			}
		})
	}
}

// One change makes a sound document unsound: the judges see each.
func TestJudgesSeeEachFault(t *testing.T) {
	dir := corpusFolder(t)
	at := func(m map[string]any, path string) map[string]any {
		for _, name := range strings.Split(path, "/") {
			switch v := m[name].(type) {
			case map[string]any:
				m = v
			case []any:
				m = v[0].(map[string]any)
			}
		}
		return m
	}
	for _, c := range []struct {
		file, in, member string
		value            any
	}{
		{"rssp_metadata_valid", "", "name", nil}, {"rssp_metadata_valid", "", "logo", "logo.png"}, {"rssp_metadata_valid", "", "region", "TWN"},
		{"rssp_metadata_valid", "", "authType", "oauth2code"}, {"rssp_metadata_valid", "", "authType", []any{"oauth2code", "magic"}}, {"rssp_metadata_valid", "", "methods", nil},
		{"rssp_metadata_valid", "", "oauth2", "http://auth.domain.org"}, {"rssp_metadata_valid", "", "oauth2Issuer", "https://auth.domain.org"},
		{"rssp_metadata_valid", "", "description", strings.Repeat("a", 256)}, {"rssp_metadata_valid", "signAlgorithms", "algos", nil},
		{"rssp_metadata_valid", "signature_formats", "formats", []any{"P"}}, {"rssp_metadata_valid_with_oauth2servers", "", "oauth2Servers", []any{}},
		{"rssp_metadata_valid_with_oauth2servers", "oauth2Servers", "issuerIdentifier", "https://auth.domain.org"}, {"rssp_metadata_valid_with_oauth2servers", "oauth2Servers", "baseUri", nil},
		{"credentials_info_scal2_explicit_valid", "key", "status", "on"}, {"credentials_info_scal2_explicit_valid", "key", "algo", "1.2.840.113549.1.1.1"},
		{"credentials_info_scal2_explicit_valid", "key", "len", "2048"}, {"credentials_info_scal2_explicit_valid", "cert", "status", "good"},
		{"credentials_info_scal2_explicit_valid", "cert", "validTo", "2026-10-21"}, {"credentials_info_scal2_explicit_valid", "cert", "certificates", []any{"-----BEGIN"}},
		{"credentials_info_scal2_explicit_valid", "auth", "mode", "implicit"}, {"credentials_info_scal2_explicit_valid", "auth", "objects", nil},
		{"credentials_info_scal2_explicit_valid", "auth/objects", "type", "PIN"}, {"credentials_info_scal2_explicit_valid", "", "SCAL", "3"},
		{"credentials_info_scal1_oauth_valid", "", "multisign", 0.0}, {"credentials_info_scal2_oauth_valid", "", "auth", nil},
		{"credentials_list_valid", "", "credentialIDs", nil}, {"credentials_list_valid", "", "credentialIDs", []any{"another"}}, {"credentials_list_valid", "credentialInfos", "credentialID", nil},
		{"sign_hash_valid", "", "signatures", nil}, {"sign_hash_valid", "", "signatures", []any{"!"}},
		{"oauth_authorization_server_metadata", "", "issuer", "http://auth.domain.org"}, {"oauth_authorization_server_metadata", "", "token_endpoint", nil},
		{"openid-configuration", "", "response_types_supported", []any{"token"}},
	} {
		m := document(t, filepath.Join(dir, c.file+".json"))
		if at(m, c.in)[c.member] = c.value; c.value == nil {
			delete(at(m, c.in), c.member)
		}
		for _, j := range judges {
			if strings.HasPrefix(c.file, j.name) && j.fault(m) == "" {
				t.Errorf("%s: %s/%s = %v was taken", c.file, c.in, c.member, c.value)
			}
		}
	}
}

// Our own answers pass the judges, and have no member and no kind of value that other people's do not have.
func TestShapesOfOtherServices(t *testing.T) {
	dir := corpusFolder(t)
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	read := func(method, theirs, fault string, body any, judge func(map[string]any) string, more ...string) {
		t.Helper()
		var ours map[string]any
		x.call(x.his, token, method, body).into(t, &ours)
		if got := judge(ours); got != fault {
			t.Errorf("%s: %s: %v", method, got, ours)
		}
		like(t, method, ours, document(t, filepath.Join(dir, theirs+".json")), more...)
	}
	read("info", "rssp_metadata_valid_with_oauth2issuer", "", "{}", func(m map[string]any) string { return faultOf(m, "2.0.0.0") }, "asynchronousOperationMode")
	read("info", "rssp_metadata_valid_with_oauth2issuer", "specs", "{}", func(m map[string]any) string { return faultOf(m, specsOfCorpus) }, "asynchronousOperationMode")
	all := map[string]any{"credentialID": x.cert.ID, "certificates": "chain", "certInfo": true, "authInfo": true}
	read("credentials/info", "credentials_info_scal2_explicit_valid", "", all, func(m map[string]any) string { return credentialFault(m, false) })
	read("credentials/list", "credentials_list_valid", "", map[string]any{"userID": "doctor", "credentialInfo": true, "certInfo": true, "onlyValid": true}, listFault, "expression", "objects", "onlyValid")
	handle := x.ask(token, 1)
	x.release()
	read("signatures/signHash", "sign_hash_valid", "", x.signing(x.check(token, handle).SAD, hashes(1)), signaturesFault)
	var server map[string]any
	x.do(x.his, x.request("GET", "/.well-known/oauth-authorization-server", "", "")).into(t, &server)
	if fault := serverFault(server); fault != "" {
		t.Errorf("the authorisation server: %s", fault)
	}
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
