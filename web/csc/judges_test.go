package csc_test

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Documents of other services of this API, and the faults that a client finds in them. The judges below are what a client
// does with a document before it goes on; our own answers pass the same ones.

// specsOfCorpus is the version that the corpus' documents are of; ours say 2.0.0.0 (section 11.1).
const specsOfCorpus = "2.2.0.0"

func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// lacks names the first member that is not there, or is not of its kind: "s" text, "a" list of texts, "o" object.
func lacks(m map[string]any, members ...string) string {
	for _, want := range members {
		name, kind, _ := strings.Cut(want, " ")
		ok := false
		switch v := m[name].(type) {
		case string:
			ok = kind == "s" && v != ""
		case []any:
			ok = kind == "a" && len(texts(v)) == len(v)
		case map[string]any:
			ok = kind == "o"
		}
		if !ok {
			return name
		}
	}
	return ""
}

func isOAuth(kind string) bool { return kind == "oauth2code" || kind == "oauth2client" }

// faultOf judges a service's description (section 11.1) for a client that speaks one version; empty: it can go on.
func faultOf(m map[string]any, specs string) string {
	if name := lacks(m, "specs s", "name s", "logo s", "region s", "lang s", "description s", "authType a", "methods a", "signAlgorithms o", "signature_formats o", "conformance_levels a"); name != "" {
		return "lacks " + name
	}
	if m["specs"] != specs {
		return "specs"
	}
	if len(m["region"].(string)) != 2 || len([]rune(m["name"].(string))) > 255 || len([]rune(m["description"].(string))) > 255 {
		return "region, name or description"
	}
	if u, err := url.Parse(m["logo"].(string)); err != nil || !u.IsAbs() {
		return "logo"
	}
	algos, formats := m["signAlgorithms"].(map[string]any), m["signature_formats"].(map[string]any)
	if lacks(algos, "algos a") != "" || lacks(formats, "formats a") != "" {
		return "lacks algos or formats"
	}
	if p, there := algos["algoParams"].([]any); there && len(p) > len(algos["algos"].([]any)) {
		return "algoParams"
	}
	if p, there := formats["envelope_properties"].([]any); there && len(p) != len(formats["formats"].([]any)) {
		return "envelope_properties"
	}
	return accessFault(m)
}

// accessFault judges where access is had: OAuth is offered if, and only if, it is said in one way where.
func accessFault(m map[string]any) string {
	kinds := texts(m["authType"])
	for _, k := range kinds {
		if !isOAuth(k) && !slices.Contains([]string{"external", "tls", "basic", "digest"}, strings.ToLower(k)) {
			return "authType"
		}
	}
	wants, ways := slices.ContainsFunc(kinds, isOAuth), 0
	for _, way := range []string{"oauth2", "oauth2Issuer", "oauth2Servers"} {
		if m[way] == nil {
			continue
		}
		if at, text := m[way].(string); way != "oauth2Servers" && (!text || !strings.HasPrefix(at, "https://")) {
			return way
		}
		ways++
	}
	switch {
	case wants && ways == 0:
		return "OAuth without a place"
	case !wants && ways > 0:
		return "a place without OAuth"
	case ways > 1:
		return "two places"
	}
	return serversFault(m, kinds)
}

// serversFault judges a list of authorisation servers, as later versions have it.
func serversFault(m map[string]any, kinds []string) string {
	servers, there := m["oauth2Servers"].([]any)
	if !there {
		return ""
	}
	if m["supportsRar"] != nil {
		return "supportsRar beside servers"
	}
	var covered []string
	for _, s := range servers {
		server, _ := s.(map[string]any)
		if (server["baseUri"] == nil) == (server["issuerIdentifier"] == nil) {
			return "a server without one place"
		}
		for _, k := range texts(server["authType"]) {
			if !isOAuth(k) {
				return "a server's authType"
			}
			covered = append(covered, k)
		}
	}
	for _, k := range kinds {
		if isOAuth(k) && !slices.Contains(covered, k) {
			return "a kind without a server"
		}
	}
	return ""
}

// credentialFault judges a CredentialInfo (section 11.4).
func credentialFault(m map[string]any, listed bool) string {
	if name := lacks(m, "key o", "cert o", "auth o"); name != "" || listed && lacks(m, "credentialID s") != "" {
		return "lacks " + name
	}
	key, cert, auth := m["key"].(map[string]any), m["cert"].(map[string]any), m["auth"].(map[string]any)
	n, ok := key["len"].(float64)
	if lacks(key, "status s", "algo a") != "" || len(texts(key["algo"])) == 0 || !ok || n < 1 || key["status"] != "enabled" && key["status"] != "disabled" {
		return "key"
	}
	if most, ok := m["multisign"].(float64); !ok || most < 1 {
		return "multisign"
	}
	if s := m["SCAL"]; s != nil && s != "1" && s != "2" {
		return "SCAL"
	}
	if s := cert["status"]; s != nil && !slices.Contains([]any{"valid", "expired", "revoked", "suspended"}, s) {
		return "cert/status"
	}
	for _, name := range []string{"validFrom", "validTo"} {
		if v := cert[name]; v != nil {
			if _, err := time.Parse("20060102150405Z", fmt.Sprint(v)); err != nil {
				return "cert/" + name
			}
		}
	}
	if v := cert["serialNumber"]; v != nil {
		if _, ok := new(big.Int).SetString(fmt.Sprint(v), 16); !ok {
			return "cert/serialNumber"
		}
	}
	for _, c := range texts(cert["certificates"]) {
		if _, err := base64.StdEncoding.DecodeString(c); err != nil {
			return "cert/certificates"
		}
	}
	return authFault(auth)
}

func authFault(auth map[string]any) string {
	objects, _ := auth["objects"].([]any)
	switch auth["mode"] {
	case "oauth2code":
		return ""
	case "explicit":
		if objects == nil {
			return "auth/objects"
		}
	default:
		return "auth/mode"
	}
	for _, o := range objects {
		object, _ := o.(map[string]any)
		if lacks(object, "type s", "id s") != "" || !slices.Contains([]any{"Password", "PasswordOOB", "ChallengeResponse", "ChallengeResponseOOB"}, object["type"]) {
			return "auth/objects"
		}
	}
	return ""
}

func listFault(m map[string]any) string {
	ids, infos := texts(m["credentialIDs"]), m["credentialInfos"]
	if lacks(m, "credentialIDs a") != "" {
		return "lacks credentialIDs"
	}
	list, _ := infos.([]any)
	if infos != nil && len(list) != len(ids) {
		return "credentialInfos"
	}
	for i, c := range list {
		info, _ := c.(map[string]any)
		if fault := credentialFault(info, true); fault != "" {
			return fault
		}
		if info["credentialID"] != ids[i] {
			return "order"
		}
	}
	return ""
}

func signaturesFault(m map[string]any) string {
	list := texts(m["signatures"])
	if m["signatures"] == nil && lacks(m, "responseID s") == "" {
		return "" // asynchronous
	}
	if len(list) == 0 {
		return "signatures"
	}
	for _, s := range list {
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return "signatures"
		}
	}
	return ""
}

// serverFault judges an authorisation server's description (RFC 8414 sections 2 and 3.3; OpenID Connect has the same members).
func serverFault(m map[string]any) string {
	if name := lacks(m, "issuer s", "authorization_endpoint s", "token_endpoint s", "response_types_supported a"); name != "" {
		return "lacks " + name
	}
	if u, err := url.Parse(m["issuer"].(string)); err != nil || u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return "issuer"
	}
	if !slices.Contains(texts(m["response_types_supported"]), "code") {
		return "response_types_supported"
	}
	return ""
}

// judges are by the beginnings of the corpus' names.
var judges = []struct {
	name  string
	fault func(map[string]any) string
}{
	{"rssp_metadata", func(m map[string]any) string { return faultOf(m, specsOfCorpus) }},
	{"credentials_info", func(m map[string]any) string { return credentialFault(m, false) }},
	{"credentials_list", listFault},
	{"sign_hash", signaturesFault},
	{"oauth_authorization_server", serverFault}, {"oidc_authorization_server", serverFault}, {"openid-configuration", serverFault},
	// What follows is of services that look into documents; the window signs hashes (docs/csc.md) and a client of it asks for neither.
	{"calculate_hash", func(m map[string]any) string { return lacks(m, "hashes a") }},
	{"obtain_signed_doc", func(m map[string]any) string { return lacks(m, "documentWithSignature a") }},
}

// reasons are why each invalid document of the corpus is refused.
var reasons = map[string]string{
	"rssp_metadata_invalid_missing_oauth2_params_when_oauth2_required":    "OAuth without a place",
	"rssp_metadata_invalid_oauth2server_authtype":                         "a server's authType",
	"rssp_metadata_invalid_specs":                                         "specs",
	"rssp_metadata_invalid_with_oauth2_but_missing_oauth2_authtype":       "a place without OAuth",
	"rssp_metadata_invalid_with_oauth2servers_and_oauth2issuer":           "two places",
	"rssp_metadata_invalid_with_oauth2servers_and_top_level_supports_rar": "supportsRar beside servers",
	"rssp_metadata_invalid_with_oauth2servers_not_covering_all_authtypes": "a kind without a server",
}
