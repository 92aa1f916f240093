package csc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

// system is a document system that knows the specification and nothing of this window: it finds everything by info
// (section 11.1) and by the authorisation server's own description (RFC 8414), and reads answers by the members that the
// specification requires.
type system struct {
	x         *ward
	authorize string
	tokens    string
	access    string
}

// discover reads what a service says of itself, and judges it as a client would.
func discover(x *ward) *system {
	x.t.Helper()
	var info map[string]any
	x.call(x.his, "", "info", "{}").into(x.t, &info)
	if fault := faultOf(info, "2.0.0.0"); fault != "" {
		x.t.Fatalf("info: %s: %v", fault, info)
	}
	for _, m := range []string{"info", "auth/revoke", "credentials/list", "credentials/info", "credentials/authorize", "credentials/authorizeCheck", "signatures/signHash"} {
		if !slices.Contains(texts(info["methods"]), m) {
			x.t.Errorf("info does not list %s", m)
		}
	}
	issuer := info["oauth2Issuer"].(string)
	a := x.do(x.his, x.request(http.MethodGet, strings.TrimPrefix(issuer, x.w.Server.URL)+"/.well-known/oauth-authorization-server", "", ""))
	var server struct {
		Issuer    string
		Authorize string   `json:"authorization_endpoint"`
		Token     string   `json:"token_endpoint"`
		Revoke    string   `json:"revocation_endpoint"`
		Methods   []string `json:"code_challenge_methods_supported"`
		Responses []string `json:"response_types_supported"`
		Bound     bool     `json:"tls_client_certificate_bound_access_tokens"`
	}
	a.into(x.t, &server)
	if server.Issuer != issuer || !slices.Equal(server.Methods, []string{"S256"}) || !slices.Equal(server.Responses, []string{"code"}) || !server.Bound {
		x.t.Fatalf("%s", a.body)
	}
	for _, at := range []string{server.Authorize, server.Token, server.Revoke} {
		if u, err := url.Parse(at); err != nil || u.Scheme != "https" || u.Fragment != "" {
			x.t.Fatalf("RFC 8414 section 2: %s", at)
		}
	}
	return &system{x: x, authorize: strings.TrimPrefix(server.Authorize, x.w.Server.URL), tokens: strings.TrimPrefix(server.Token, x.w.Server.URL)}
}

func (s *system) token(f url.Values) (answer, map[string]any) {
	s.x.t.Helper()
	f.Set("client_id", "his")
	a := s.x.form(s.x.his, s.tokens, f)
	var got map[string]any
	a.into(s.x.t, &got)
	if a.status != http.StatusOK || !strings.EqualFold(got["token_type"].(string), "Bearer") || a.header.Get("Cache-Control") != "no-store" {
		s.x.t.Fatalf("%d %s", a.status, a.body)
	}
	s.access = got["access_token"].(string)
	return a, got
}

func (s *system) do(method string, body any, v any) int {
	s.x.t.Helper()
	a := s.x.call(s.x.his, s.access, method, body)
	if a.status != http.StatusOK && a.status != http.StatusAccepted {
		s.x.t.Fatalf("%s: %d %s", method, a.status, a.body)
	}
	if kind := a.header.Get("Content-Type"); kind != "application/json" {
		s.x.t.Errorf("%s: %s (section 7.1)", method, kind)
	}
	a.into(s.x.t, v)
	return a.status
}

// described is what a client reads of a credential (section 11.5).
type described struct {
	Key struct {
		Status string
		Algo   []string
		Len    int
		Curve  string
	}
	Cert struct {
		Status, IssuerDN, SerialNumber, SubjectDN, ValidFrom, ValidTo string
		Certificates                                                  []string
	}
	Auth struct {
		Mode, Expression string
		Objects          []struct{ Type, ID string }
	}
	SCAL      string
	Multisign int
}

func (d described) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(d.Cert.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// good verifies a raw signature as it is put into CMS: DER for ECDSA, PKCS #1 v1.5 for RSA.
func good(t *testing.T, c *x509.Certificate, h crypto.Hash, digest []byte, signature string) bool {
	t.Helper()
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := c.PublicKey.(*rsa.PublicKey); ok {
		return rsa.VerifyPKCS1v15(k, h, digest, sig) == nil
	}
	return ecdsa.VerifyASN1(c.PublicKey.(*ecdsa.PublicKey), digest, sig)
}

// released asks for signatures of digests under the system's own access (sections 11.6 and 11.7), with the holder's yes,
// and gives the SAD.
func (s *system) released(id, hashOID string, digests ...[]byte) string {
	s.x.t.Helper()
	var list []string
	for _, d := range digests {
		list = append(list, base64.StdEncoding.EncodeToString(d))
	}
	var got struct{ Handle, SAD string }
	status := s.do("credentials/authorize", map[string]any{"credentialID": id, "numSignatures": len(digests), "hashes": list, "hashAlgorithmOID": hashOID,
		"authData": []any{map[string]string{"id": "phone"}}, "description": "出院病歷\n第一頁", "clientData": "12345678"}, &got)
	if status != http.StatusAccepted || got.Handle == "" {
		s.x.t.Fatalf("%d %+v", status, got)
	}
	if status := s.do("credentials/authorizeCheck", map[string]any{"handle": got.Handle}, &got); status != http.StatusAccepted {
		s.x.t.Fatalf("before the release: %d", status)
	}
	s.x.release()
	if status := s.do("credentials/authorizeCheck", map[string]any{"handle": got.Handle}, &got); status != http.StatusOK || got.SAD == "" {
		s.x.t.Fatalf("after the release: %d", status)
	}
	return got.SAD
}

// Every algorithm that key/algo lists makes signatures that verify under the certificate of credentials/info, and one that
// it does not list is refused (sections 5, 11.5 and 11.10).
func TestEveryAlgorithmOfAKey(t *testing.T) {
	sum256, sum384, sum512 := sha256.Sum256([]byte("record")), sha512.Sum384([]byte("record")), sha512.Sum512([]byte("record"))
	hashes := map[string]struct {
		hash   crypto.Hash
		digest []byte
	}{"2.16.840.1.101.3.4.2.1": {crypto.SHA256, sum256[:]}, "2.16.840.1.101.3.4.2.2": {crypto.SHA384, sum384[:]}, "2.16.840.1.101.3.4.2.3": {crypto.SHA512, sum512[:]}}
	rsaOIDs := map[string]string{"1.2.840.113549.1.1.11": "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.12": "2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.13": "2.16.840.1.101.3.4.2.3",
		"1.2.840.113549.1.1.1": "2.16.840.1.101.3.4.2.1"}
	ecOIDs := map[string]string{"1.2.840.10045.4.3.2": "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.3": "2.16.840.1.101.3.4.2.2", "1.2.840.10045.4.3.4": "2.16.840.1.101.3.4.2.3"}
	for _, c := range []struct {
		algorithm string
		bits      int
		curve     string
		algos     map[string]string
		others    []string
	}{
		{"P-256", 256, "1.2.840.10045.3.1.7", ecOIDs, []string{"1.2.840.113549.1.1.11", "1.2.840.10045.2.1", "1.2.840.10045.4.1"}},
		{"RSA-2048", 2048, "", rsaOIDs, []string{"1.2.840.113549.1.1.10", "1.2.840.113549.1.1.5", "1.2.840.10045.4.3.2"}},
	} {
		t.Run(c.algorithm, func(t *testing.T) {
			x := newWardOf(t, phonetest.Options{}, c.algorithm)
			s := discover(x)
			s.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"service"}})
			id := string(x.cert.ID)
			var d described
			s.do("credentials/info", map[string]any{"credentialID": id, "certificates": "chain", "certInfo": true, "authInfo": true}, &d)
			if d.Key.Len != c.bits || d.Key.Curve != c.curve || d.Key.Status != "enabled" || len(d.Key.Algo) != len(c.algos) || d.SCAL != "2" || d.Auth.Mode != "explicit" {
				t.Fatalf("%+v", d)
			}
			for _, algo := range d.Key.Algo {
				hashOID, known := c.algos[algo]
				if !known {
					t.Fatalf("key/algo has %s", algo)
				}
				h := hashes[hashOID]
				body := map[string]any{"credentialID": id, "SAD": s.released(id, hashOID, h.digest), "hashes": []string{base64.StdEncoding.EncodeToString(h.digest)}, "signAlgo": algo, "operationMode": "S"}
				for _, other := range c.others {
					with := map[string]any{"signAlgo": other, "hashAlgorithmOID": hashOID}
					for name, value := range body {
						if name != "signAlgo" {
							with[name] = value
						}
					}
					x.call(x.his, s.access, "signatures/signHash", with).want(t, other, 400, "invalid_request", "Invalid parameter signAlgo")
				}
				if strings.HasPrefix(algo, "1.2.840.113549") {
					body["signAlgoParams"] = "BQA=" // NULL, as such algorithms have it (RFC 8017 appendix A.2.4)
				}
				if algo == "1.2.840.113549.1.1.1" {
					x.call(x.his, s.access, "signatures/signHash", body).want(t, "no hash algorithm", 400, "invalid_request", "Missing (or invalid type) string parameter hashAlgorithmOID")
					body["hashAlgorithmOID"] = hashOID
				}
				var got struct{ Signatures []string }
				s.do("signatures/signHash", body, &got)
				if len(got.Signatures) != 1 || !good(t, d.leaf(t), h.hash, h.digest, got.Signatures[0]) {
					t.Errorf("%s: the signature does not verify", algo)
				}
			}
		})
	}
}

// A whole run of a client that holds to the specification alone: the code flow with PKCE, by the parameters of section
// 8.4.2 and by authorization_details, and the token in every place that section 11.10 gives it.
func TestCodeFlowByTheBook(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	s := discover(x)
	b := &browser{ward: x}
	digests := func(n int) (out []string) {
		for i := range n {
			out = append(out, base64.StdEncoding.EncodeToString(hash(i)))
		}
		return out
	}
	details := []any{map[string]any{"type": "credential", "credentialID": string(x.cert.ID), "hashAlgorithmOID": sha256OID, "locations": []string{x.w.Server.URL},
		"documentDigests": []any{map[string]string{"hash": digests(3)[0], "label": "Example Contract"}, map[string]string{"hash": digests(3)[1], "label": "出院病歷"},
			map[string]string{"hash": digests(3)[2], "label": "Example Terms of Service"}}}}
	raw, err := json.Marshal(details)
	if err != nil {
		t.Fatal(err)
	}
	flow := func(f url.Values) (answer, map[string]any) {
		f.Set("response_type", "code")
		f.Set("client_id", "his")
		f.Set("redirect_uri", back)
		f.Set("code_challenge", challengeOf(verifier))
		f.Set("code_challenge_method", "S256")
		f.Set("state", "12345678")
		f.Set("prompt", "login") // RFC 6749 section 3.1: what is not known is ignored
		if a := b.get(s.authorize + "?" + f.Encode()); a.status != http.StatusOK {
			t.Fatalf("%d %s %s", a.status, a.body, a.header.Get("Location"))
		}
		wait := b.begin(f)
		x.release()
		q := b.code(wait)
		if q.Get("state") != "12345678" || q.Get("iss") != x.w.Server.URL || q.Has("error") {
			t.Fatalf("%v", q)
		}
		again := url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {back}, "code_verifier": {verifier}, "client_secret": {""}}
		if f.Has("authorization_details") {
			again.Set("authorization_details", f.Get("authorization_details"))
		}
		return s.token(again)
	}
	signed := func(under string, body map[string]any, n int) {
		t.Helper()
		body["credentialID"], body["signAlgo"], body["hashAlgorithmOID"], body["hashes"] = string(x.cert.ID), ecdsaOID, sha256OID, digests(3)[n:n+1]
		a := x.call(x.his, under, "signatures/signHash", body)
		var got struct{ Signatures []string }
		a.into(t, &got)
		if a.status != http.StatusOK || len(got.Signatures) != 1 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	_, first := flow(url.Values{"scope": {"credential"}, "credentialID": {string(x.cert.ID)}, "numSignatures": {"3"}, "hashAlgorithmOID": {sha256OID},
		"hashes": {strings.Join(digests(3), ",")}, "description": {"三份病歷"}, "clientData": {"12345678"}, "lang": {"zh-TW"}})
	if _, there := first["authorization_details"]; there {
		t.Errorf("authorization_details that nobody asked for: %v", first)
	}
	credential := s.access
	var d described
	s.do("credentials/info", map[string]any{"credentialID": string(x.cert.ID)}, &d) // section 8.4: it covers this
	s.token(url.Values{"grant_type": {"client_credentials"}})
	service := s.access
	signed(credential, map[string]any{}, 0)
	signed(credential, map[string]any{"SAD": credential}, 1) // section 13.7
	signed(service, map[string]any{"SAD": credential}, 2)    // section 11.10
	x.call(x.his, credential, "signatures/signHash", x.signing(service, digests(1))).want(t, "another token as SAD", 400, "invalid_request", "Invalid parameter SAD")
	x.call(x.his, service, "signatures/signHash", x.signing(service, digests(1))).want(t, "a service token as SAD", 400, "invalid_request", "Invalid parameter SAD")

	a, second := flow(url.Values{"scope": {"credential"}, "authorization_details": {string(raw)}})
	granted, _ := second["authorization_details"].([]any)
	if len(granted) != 1 || granted[0].(map[string]any)["credentialID"] != string(x.cert.ID) || len(granted[0].(map[string]any)["documentDigests"].([]any)) != 3 {
		t.Errorf("RFC 9396 section 7: %s", a.body)
	}
	signed(s.access, map[string]any{}, 0)
	a = x.form(x.his, s.tokens, url.Values{"grant_type": {"authorization_code"}, "client_id": {"his"}, "code": {"x"}, "redirect_uri": {back}, "code_verifier": {verifier}, "authorization_details": {`[{"type":"credential"}]`}})
	a.want(t, "no such code", 400, "invalid_grant", "")
}

// RFC 9396 section 6.1: what a client asks for again must be what was granted; else it has nothing of the code. Section 8.4:
// a token for one credential's signatures tells of that credential alone.
func TestCredentialTokenIsForItsCredential(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	first := x.cert
	a := x.w.Apply(t, x.person, first.DeviceID, ra.KeyHSM, "P-256")
	if err := x.phone.Enrol(t.Context(), string(a.ID)); err != nil {
		t.Fatal(err)
	}
	other := x.w.Issue(t, a.ID)
	b := &browser{ward: x}
	wait := b.begin(x.wants(2))
	x.release()
	code := b.code(wait).Get("code")
	swapped := `[{"type":"credential","credentialID":"` + string(other.ID) + `","hashAlgorithmOID":"` + sha256OID + `","documentDigests":[{"hash":"` + hashes(1)[0] + `","label":"x"}]}]`
	f := url.Values{"grant_type": {"authorization_code"}, "client_id": {"his"}, "code": {code}, "redirect_uri": {back}, "code_verifier": {verifier}, "authorization_details": {swapped}}
	x.form(x.his, "/oauth2/token", f).want(t, "another credential's details", 400, "invalid_authorization_details", "")
	f.Del("authorization_details")
	x.form(x.his, "/oauth2/token", f).want(t, "after it", 400, "invalid_grant", "")

	wait = b.begin(x.wants(2))
	x.release()
	var got struct {
		Token string `json:"access_token"`
	}
	x.exchange(b.code(wait).Get("code"), verifier).into(t, &got)
	if a := x.call(x.his, got.Token, "credentials/info", map[string]any{"credentialID": first.ID}); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	x.call(x.his, got.Token, "credentials/info", map[string]any{"credentialID": other.ID}).want(t, "another of the holder's", 400, "invalid_request", "Invalid parameter credentialID")
	body := x.signing("", hashes(1))
	body["credentialID"] = other.ID
	x.call(x.his, got.Token, "signatures/signHash", body).want(t, "signatures by another", 400, "invalid_request", "Invalid parameter credentialID")
}
