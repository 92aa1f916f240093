package csc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

// stamps is an authority that answers with what it was asked.
type stamps struct{ nonce []byte }

// Stamp implements csc.Stamper.
func (s *stamps) Stamp(_ context.Context, _ string, digest, nonce []byte) ([]byte, error) {
	s.nonce = nonce
	return digest, nil
}

// Sections 11.3 to 11.13: each error case of their tables, in its words.
func TestErrorCasesOfTheSpecification(t *testing.T) {
	x := newWard(t, phonetest.Options{Stamper: &stamps{}})
	token := x.token(x.his, "his")
	id, digest := string(x.cert.ID), hashes(1)[0]
	sad := x.check2(token)
	for _, c := range []struct{ method, body, say string }{
		// 11.4
		{"credentials/list", `{}`, "Missing (or invalid type) string parameter userID"},
		{"credentials/list", `{"userID":7}`, "Missing (or invalid type) string parameter userID"},
		{"credentials/list", `{"userID":"Dr. Who?"}`, "Invalid parameter userID"},
		{"credentials/list", `{"userID":"doctor","credentialInfo":true,"certificates":"all"}`, "Invalid parameter certificates"},
		{"credentials/list", `{"userID":"doctor","credentialInfo":"yes"}`, "Missing (or invalid type) boolean parameter credentialInfo"},
		// 11.5
		{"credentials/info", `{}`, "Missing (or invalid type) string parameter credentialID"},
		{"credentials/info", `{"credentialID":null}`, "Missing (or invalid type) string parameter credentialID"},
		{"credentials/info", `{"credentialID":["` + id + `"]}`, "Missing (or invalid type) string parameter credentialID"},
		{"credentials/info", `{"credentialID":"GX0112348"}`, "Invalid parameter credentialID"},
		{"credentials/info", `{"credentialID":"` + id + `","certificates":"ALL"}`, "Invalid parameter certificates"},
		// 11.6
		{"credentials/authorize", `{"numSignatures":1}`, "Missing (or invalid type) string parameter credentialID"},
		{"credentials/authorize", `{"credentialID":"` + id + `","numSignatures":"1","hashes":["` + digest + `"],"hashAlgorithmOID":"` + sha256OID + `"}`, "Missing (or invalid type) integer parameter numSignatures"},
		{"credentials/authorize", `{"credentialID":"` + id + `","numSignatures":1.5,"hashes":["` + digest + `"],"hashAlgorithmOID":"` + sha256OID + `"}`, "Missing (or invalid type) integer parameter numSignatures"},
		{"credentials/authorize", `{"credentialID":"` + id + `","numSignatures":-1,"hashes":["` + digest + `"],"hashAlgorithmOID":"` + sha256OID + `"}`, "Invalid value for parameter numSignatures"},
		{"credentials/authorize", `{"credentialID":"` + id + `","numSignatures":1,"hashes":"` + digest + `","hashAlgorithmOID":"` + sha256OID + `"}`, "Missing (or invalid type) array parameter hashes"},
		{"credentials/authorize", `{"credentialID":"` + id + `","numSignatures":1,"hashes":["` + digest + `"],"hash":["` + digest + `"],"hashAlgorithmOID":"` + sha256OID + `"}`, "Invalid parameter hash"},
		// 11.7
		{"credentials/authorizeCheck", `{}`, "Invalid parameter handle"},
		{"credentials/authorizeCheck", `{"handle":"878287f37b2bv293bv2bv237bv297bvbv"}`, "Invalid parameter handle"},
		// 11.10
		{"signatures/signHash", `{"SAD":"` + sad + `"}`, "Missing (or invalid type) string parameter credentialID"},
		{"signatures/signHash", `{"credentialID":"` + id + `","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `"}`, "Missing (or invalid type) string parameter SAD"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":9,"hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `"}`, "Missing (or invalid type) string parameter SAD"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"x","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `"}`, "Invalid parameter SAD"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","signAlgo":"` + ecdsaOID + `"}`, "Missing (or invalid type) array parameter hash"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":{},"signAlgo":"` + ecdsaOID + `"}`, "Missing (or invalid type) array parameter hash"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":[],"signAlgo":"` + ecdsaOID + `"}`, "Empty hash array"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["?"],"signAlgo":"` + ecdsaOID + `"}`, "Invalid Base64 hash string parameter"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["AAAA"],"signAlgo":"` + ecdsaOID + `"}`, "Invalid digest value length"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"]}`, "Missing (or invalid type) string parameter signAlgo"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"],"signAlgo":"1.2.3"}`, "Invalid parameter signAlgo"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `","signAlgoParams":"BQA="}`, "Invalid parameter signAlgoParams"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `","signAlgoParams":5}`, "Missing (or invalid type) string parameter signAlgoParams"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `","validity_period":1.5}`, "Missing (or invalid type) integer parameter validity_period"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `","operationMode":"A"}`, "Invalid parameter operationMode"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + digest + `"],"signAlgo":"` + ecdsaOID + `","validity_period":"x"}`, "Missing (or invalid type) integer parameter validity_period"},
		{"signatures/signHash", `{"credentialID":"` + id + `","SAD":"` + sad + `","hashes":["` + hashes(9)[8] + `"],"signAlgo":"` + ecdsaOID + `"}`, "Hash is not authorized by the SAD"},
		// 11.13
		{"signatures/timestamp", `{"hashAlgo":"` + sha256OID + `"}`, "Missing (or invalid type) string parameter hash"},
		{"signatures/timestamp", `{"hash":"","hashAlgo":"` + sha256OID + `"}`, "Empty hash parameter"},
		{"signatures/timestamp", `{"hash":"AAAA","hashAlgo":"` + sha256OID + `"}`, "Invalid digest value length"},
		{"signatures/timestamp", `{"hash":"%%%%","hashAlgo":"` + sha256OID + `"}`, "Invalid Base64 hash string parameter"},
		{"signatures/timestamp", `{"hash":"` + digest + `","hashAlgo":"1.3.14.3.2.26"}`, "Invalid parameter hashAlgo"},
		{"signatures/timestamp", `{"hash":"` + digest + `","hashAlgo":"` + sha256OID + `","nonce":"xyz"}`, "Invalid parameter nonce"},
		// 11.3
		{"auth/revoke", `{}`, "Missing (or invalid type) string parameter token"},
		{"auth/revoke", `{"token":"x","token_type_hint":"id_token"}`, "Invalid parameter token_type_hint"},
	} {
		x.call(x.his, token, c.method, c.body).want(t, c.method+" "+c.body, 400, "invalid_request", c.say)
	}
	// Nothing of that used anything up: what was released is still there.
	if a := x.call(x.his, token, "signatures/signHash", `{"credentialID":"`+id+`","SAD":"`+sad+`","hashes":["`+digest+`"],"signAlgo":"`+ecdsaOID+`",
		"hashAlgorithmOID":"1.3.14.3.2.26","signAlgoParams":null,"operationMode":"S","validity_period":null,"response_uri":null,"clientData":"12345678"}`); a.status != http.StatusOK {
		t.Errorf("sections 7.1 and 11.10: %d %s", a.status, a.body)
	}
}

// check2 is the SAD of one released record.
func (x *ward) check2(token string) string {
	x.t.Helper()
	handle := x.ask(token, 1)
	x.release()
	return x.check(token, handle).SAD
}

var describes = regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]+$`)

// Section 10: the form of every error, 501 for a method of the specification that is not here, and what RFC 6750 section 3
// says of a token that is missing, malformed or wrong.
func TestFormOfErrors(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	list := `{"userID":"doctor"}`
	for what, c := range map[string]struct {
		method, path, authorization, body string
		status                            int
		word, challenge                   string
	}{
		"no such method":         {"POST", "/csc/v2/signatures/forge", "Bearer " + token, "{}", 404, "invalid_request", ""},
		"another verb":           {"GET", "/csc/v2/info", "", "", 405, "invalid_request", ""},
		"login":                  {"POST", "/csc/v2/auth/login", "Basic Y2xpZW50OnNlY3JldA==", "{}", 501, "invalid_request", ""},
		"extendTransaction":      {"POST", "/csc/v2/credentials/extendTransaction", "Bearer " + token, "{}", 501, "invalid_request", ""},
		"getChallenge":           {"POST", "/csc/v2/credentials/getChallenge", "Bearer " + token, "{}", 501, "invalid_request", ""},
		"sendOTP":                {"POST", "/csc/v2/credentials/sendOTP", "Bearer " + token, "{}", 501, "invalid_request", ""},
		"signDoc":                {"POST", "/csc/v2/signatures/signDoc", "Bearer " + token, "{}", 501, "invalid_request", ""},
		"signPolling":            {"POST", "/csc/v2/signatures/signPolling", "Bearer " + token, "{}", 501, "invalid_request", ""},
		"no time stamps":         {"POST", "/csc/v2/signatures/timestamp", "Bearer " + token, "{}", 501, "invalid_request", ""},
		"no token":               {"POST", "/csc/v2/credentials/list", "", list, 401, "invalid_token", `Bearer realm="certwindow"`},
		"a wrong token":          {"POST", "/csc/v2/credentials/list", "Bearer " + strings.Repeat("A", 43), list, 401, "invalid_token", `Bearer realm="certwindow", error="invalid_token"`},
		"a malformed header":     {"POST", "/csc/v2/credentials/list", "Bearer", list, 400, "invalid_request", ""},
		"another scheme":         {"POST", "/csc/v2/credentials/list", "Basic Y2xpZW50OnNlY3JldA==", list, 400, "invalid_request", ""},
		"a scheme in capitals":   {"POST", "/csc/v2/credentials/list", "BEARER " + token, list, 200, "", ""},
		"a member in Chinese":    {"POST", "/csc/v2/credentials/list", "Bearer " + token, `{"病歷":1}`, 400, "invalid_request", ""},
		"a member with a quote":  {"POST", "/csc/v2/credentials/list", "Bearer " + token, `{"userID":"doctor","lang":{"\"":1}}`, 400, "invalid_request", ""},
		"a form in JSON's place": {"POST", "/csc/v2/info", "", "lang=en", 400, "invalid_request", ""},
	} {
		r := x.request(c.method, c.path, "application/json", c.body)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		a := x.do(x.his, r)
		if a.status != c.status || a.header.Get("WWW-Authenticate") != c.challenge || c.status == 405 && a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d %v %s", what, a.status, a.header, a.body)
		}
		var e struct {
			Error       string
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal([]byte(a.body), &e); c.status != 200 && (err != nil || e.Error != c.word || !describes.MatchString(e.Description)) {
			t.Errorf("%s: %s", what, a.body)
		}
	}
}

// Sections 11.1, 11.4 and 11.5: the language that was asked for where it is spoken; what is asked for, and no more; who is
// not to be used.
func TestCredentialsByTheBook(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	token := x.token(x.his, "his")
	for asked, want := range map[string]string{`"en-US"`: "en", `"zh-TW"`: "zh-Hant-TW", `"zh-Hant-TW"`: "zh-Hant-TW", `"it"`: "en", `null`: "en", `""`: "en"} {
		var info, credential struct{ Lang, Description string }
		x.call(x.his, "", "info", `{"lang":`+asked+`}`).into(t, &info)
		x.call(x.his, token, "credentials/info", `{"credentialID":"`+string(x.cert.ID)+`","lang":`+asked+`}`).into(t, &credential)
		if chinese := want != "en"; info.Lang != want || credential.Lang != want || strings.Contains(info.Description, "手機") != chinese || strings.Contains(credential.Description, "憑證") != chinese {
			t.Errorf("%s: %+v %+v", asked, info, credential)
		}
	}
	type answered struct {
		IDs       []string     `json:"credentialIDs"`
		Infos     *[]described `json:"credentialInfos"`
		OnlyValid *bool        `json:"onlyValid"`
	}
	ask := func(body string) (got answered) {
		x.call(x.his, token, "credentials/list", body).into(t, &got)
		return got
	}
	if got := ask(`{"userID":"doctor","certificates":"chain","certInfo":true}`); len(got.IDs) != 1 || got.Infos != nil || got.OnlyValid != nil {
		t.Errorf("without credentialInfo: %+v", got)
	}
	if got := ask(`{"userID":"Doctor"}`); len(got.IDs) != 1 {
		t.Errorf("in capitals: %+v", got)
	}
	if got := ask(`{"userID":"nobody","credentialInfo":true}`); len(got.IDs) != 0 || got.Infos == nil || len(*got.Infos) != 0 {
		t.Errorf("of nobody: %+v", got)
	}
	for which, n := range map[string]int{"none": 0, "single": 1, "chain": 2} {
		got := ask(`{"userID":"doctor","credentialInfo":true,"certificates":"` + which + `"}`)
		if c := (*got.Infos)[0].Cert; len(c.Certificates) != n || c.IssuerDN != "" || c.ValidTo != "" {
			t.Errorf("%s: %+v", which, c)
		}
	}
	x.w.SetState(t, x.cert.ID, ra.CertSuspended)
	got := ask(`{"userID":"doctor","credentialInfo":true,"certInfo":true}`)
	if d := (*got.Infos)[0]; d.Key.Status != "disabled" || d.Cert.Status != "suspended" || d.Cert.SubjectDN != "CN=holder" || d.Cert.IssuerDN != "CN=Test authority" {
		t.Errorf("suspended: %+v", d)
	}
	if got := ask(`{"userID":"doctor","onlyValid":true}`); len(got.IDs) != 0 || got.OnlyValid == nil || !*got.OnlyValid {
		t.Errorf("onlyValid: %+v", got)
	}
	x.call(x.his, token, "credentials/authorize", x.asking(1)).want(t, "suspended", 400, "invalid_request", "The credential identified by credentialID is disabled")
}

// Clients of version 1 and of both write hash and hashAlgo; section 11.6 allows no, empty and named authentication objects.
func TestOtherClientsShapes(t *testing.T) {
	s := &stamps{}
	x := newWard(t, phonetest.Options{Stamper: s})
	token := x.token(x.his, "his")
	body := map[string]any{"credentialID": x.cert.ID, "numSignatures": 1, "hash": hashes(1), "hashAlgo": sha256OID}
	var sad string
	for _, data := range []any{nil, []any{}, []any{map[string]any{"id": "phone"}}, []any{map[string]any{"id": "phone", "value": ""}}} {
		body["authData"] = data
		var got struct{ Handle string }
		a := x.call(x.his, token, "credentials/authorize", body)
		if a.into(t, &got); a.status != http.StatusAccepted {
			t.Fatalf("%v: %d %s", data, a.status, a.body)
		}
		x.release()
		sad = x.check(token, got.Handle).SAD
	}
	a := x.call(x.his, token, "signatures/signHash", map[string]any{"credentialID": x.cert.ID, "SAD": sad, "hash": hashes(1), "hashAlgo": sha256OID, "signAlgo": ecdsaOID, "clientData": "x"})
	if a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	body["authData"] = []any{map[string]any{"id": "PIN", "value": "123456"}}
	x.call(x.his, token, "credentials/authorize", body).want(t, "a PIN", 400, "invalid_authentication_data", "The authentication data is invalid")
	for nonce, want := range map[string]string{"1a2b3": "\x01\xa2\xb3", "FF": "\xff", "00000000000000000000000000000001": strings.Repeat("\x00", 15) + "\x01"} {
		a := x.call(x.his, token, "signatures/timestamp", map[string]any{"hash": hashes(1)[0], "hashAlgo": sha256OID, "nonce": nonce, "clientData": "x"})
		if a.status != http.StatusOK || string(s.nonce) != want || !strings.Contains(a.body, base64.StdEncoding.EncodeToString(hash(0))) {
			t.Errorf("%s: %d %s %x", nonce, a.status, a.body, s.nonce)
		}
	}
}

// Section 8.4.2 with RFC 6749 section 4.1.2.1 and RFC 9396 section 5: what the client is told by a redirection, and in
// which word.
func TestAuthorizationErrors(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	details := func(change func(map[string]any)) string {
		d := map[string]any{"type": "credential", "credentialID": string(x.cert.ID), "hashAlgorithmOID": sha256OID, "documentDigests": []any{map[string]string{"hash": hashes(1)[0], "label": "x"}}}
		change(d)
		raw, err := json.Marshal([]any{d})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for what, c := range map[string]struct {
		change func(url.Values)
		word   string
	}{
		"no response type":   {func(f url.Values) { f.Del("response_type") }, "invalid_request"},
		"a token at once":    {func(f url.Values) { f.Set("response_type", "token") }, "unsupported_response_type"},
		"an unknown scope":   {func(f url.Values) { f.Set("scope", "service credential everything") }, "invalid_scope"},
		"plain PKCE":         {func(f url.Values) { f.Set("code_challenge_method", "plain") }, "invalid_request"},
		"a qualifier":        {func(f url.Values) { f.Del("credentialID"); f.Set("signatureQualifier", "eu_eidas_qes") }, "invalid_request"},
		"a qualifier beside": {func(f url.Values) { f.Set("signatureQualifier", "eu_eidas_qes") }, "invalid_request"},
		"no hashes":          {func(f url.Values) { f.Del("hashes") }, "invalid_request"},
		"no hash algorithm":  {func(f url.Values) { f.Del("hashAlgorithmOID") }, "invalid_request"},
		"details of a kind": {func(f url.Values) {
			f.Set("authorization_details", details(func(d map[string]any) { d["type"] = "payment" }))
		}, "invalid_authorization_details"},
		"details with more": {func(f url.Values) {
			f.Set("authorization_details", details(func(d map[string]any) { d["amount"] = 1 }))
		}, "invalid_authorization_details"},
		"details that are none": {func(f url.Values) { f.Set("authorization_details", "[") }, "invalid_authorization_details"},
		"details of a qualifier": {func(f url.Values) {
			f.Set("authorization_details", details(func(d map[string]any) { d["signatureQualifier"] = "x" }))
		}, "invalid_request"},
	} {
		f := x.wants(2)
		c.change(f)
		a := x.do(x.his, x.request(http.MethodGet, "/oauth2/authorize?"+f.Encode(), "", ""))
		u, err := url.Parse(a.header.Get("Location"))
		if err != nil || a.status != http.StatusFound {
			t.Errorf("%s: %d %v", what, a.status, err)
			continue
		}
		q := u.Query()
		if q.Get("error") != c.word || q.Get("state") != "s 1" || q.Get("iss") != x.w.Server.URL || !describes.MatchString(q.Get("error_description")) || q.Has("code") {
			t.Errorf("%s: %v", what, q)
		}
	}
}

// Sections 8.4.4 and 8.4.5, with RFC 6749 section 5.2: the error cases of the token endpoint, and revocation as it is answered.
func TestTokenEndpointErrors(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	grant := func(pairs ...string) url.Values {
		f := url.Values{"grant_type": {"client_credentials"}, "client_id": {"his"}}
		for i := 0; i < len(pairs); i += 2 {
			if f.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
				f.Del(pairs[i])
			}
		}
		return f
	}
	code := []string{"grant_type", "authorization_code", "redirect_uri", back, "code_verifier", verifier}
	for what, c := range map[string]struct {
		f         url.Values
		status    int
		word, say string
	}{
		"no client":         {grant("client_id", ""), 400, "invalid_request", "Missing parameter client_id"},
		"no grant type":     {grant("grant_type", ""), 400, "invalid_request", "Missing parameter grant_type"},
		"another grant":     {grant("grant_type", "password"), 400, "unsupported_grant_type", "Invalid parameter grant_type"},
		"a refresh token":   {grant("grant_type", "refresh_token", "refresh_token", "x"), 400, "unsupported_grant_type", "Invalid parameter grant_type"},
		"no code":           {grant(code...), 400, "invalid_request", "Missing parameter code"},
		"a wrong code":      {grant(append(code, "code", strings.Repeat("A", 43))...), 400, "invalid_grant", ""},
		"an unknown client": {grant("client_id", "nobody"), 401, "invalid_client", "Invalid parameter client_id"},
		"a secret":          {grant("client_secret", "x"), 401, "invalid_client", ""},
		"an assertion":      {grant("client_assertion", "x", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), 401, "invalid_client", ""},
		"a holder's scope":  {grant("scope", "credential"), 400, "invalid_scope", ""},
		"bad details":       {grant(append(code, "code", strings.Repeat("A", 43), "authorization_details", "{}")...), 400, "invalid_authorization_details", ""},
	} {
		a := x.form(x.his, "/oauth2/token", c.f)
		a.want(t, what, c.status, c.word, c.say)
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", what, a.header)
		}
	}
	// Nobody learns which systems there are: one that is not, and one whose certificate another shows, get the same answer.
	stranger := x.w.NewSystem(t)
	if a, b := x.form(stranger, "/oauth2/token", grant()), x.form(stranger, "/oauth2/token", grant("client_id", "nobody")); a.status != 401 || a.status != b.status || a.body != b.body {
		t.Errorf("%d %s, and %d %s", a.status, a.body, b.status, b.body)
	}
	empty := grant()
	empty.Set("client_secret", "") // RFC 6749 section 3.2: as if it were not there
	var got struct {
		Token string `json:"access_token"`
	}
	x.form(x.his, "/oauth2/token", empty).into(t, &got)
	for range 2 { // RFC 7009 section 2.2: a second time it is no error
		a := x.form(x.his, "/oauth2/revoke", url.Values{"token": {got.Token}, "token_type_hint": {"refresh_token"}, "client_id": {"his"}, "clientData": {"12345678"}})
		if a.status != http.StatusNoContent || a.body != "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	x.call(x.his, got.Token, "credentials/list", `{"userID":"doctor"}`).want(t, "revoked", 401, "expired_token", "")
}
