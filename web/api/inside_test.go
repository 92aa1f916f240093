package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"certwindow/ra"
)

// The table of routes and the contract are the same list, and agree on who signs and what is taken once.
func TestTableIsContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := make(map[string]*openapi3.Operation)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			left[method+" "+path] = op
		}
	}
	for _, r := range routes {
		name := r.method + " " + r.path
		op := left[name]
		if op == nil {
			t.Errorf("%s is not in the contract", name)
			continue
		}
		delete(left, name)
		if public := op.Security != nil && len(*op.Security) == 0; public != (r.signer == nobody) {
			t.Errorf("%s: public in the contract: %v", name, public)
		}
		once := false
		for _, p := range op.Parameters {
			once = once || p.Value.Name == "Idempotency-Key" && p.Value.Required
		}
		if once != (r.once || r.joined) {
			t.Errorf("%s: needs an Idempotency-Key in the contract: %v", name, once)
		}
		if r.method == http.MethodPost && r.signer == device && !r.once && !r.joined && !r.fresh {
			t.Errorf("%s changes something and may be carried out twice", name)
		}
	}
	for name := range left {
		t.Errorf("%s is in the contract and not in the table", name)
	}
}

// The page shows every operation and every schema, without a script, a frame or a foreign host.
func TestDocs(t *testing.T) {
	page, err := renderDocs(contract, routes)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if !strings.Contains(string(page), prefix+r.path) {
			t.Errorf("%s is not shown", r.path)
		}
	}
	for _, bad := range []string{"<script", "<iframe", "<form", " src=", `href="http`, "url(", "javascript:", " style=", " onclick="} {
		if strings.Contains(strings.ToLower(string(page)), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(page)
	sum := sha256.Sum256(style[1])
	if !strings.Contains(docsPolicy(), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Error("the policy does not allow the page its style")
	}
	ids := make(map[string]bool)
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllSubmatch(page, -1) {
		if ids[string(m[1])] {
			t.Errorf("id %s twice", m[1])
		}
		ids[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(` href="#([^"]+)"`).FindAllSubmatch(page, -1) {
		if !ids[string(m[1])] {
			t.Errorf("a link to %s leads nowhere", m[1])
		}
	}
	for _, shown := range []string{`&#34;short_code&#34;: &#34;583077&#34;`, "device-copied", "王小明", "over mutual TLS"} {
		if !strings.Contains(string(page), shown) {
			t.Errorf("the page does not show %s", shown)
		}
	}
	if _, err := renderDocs(contract, append(routes, route{method: "GET", path: "/secret"})); err == nil {
		t.Error("a route that the contract lacks was documented")
	}
}

func TestShallow(t *testing.T) {
	for body, want := range map[string]bool{"{}": true, `{"a":"b"}`: true, `{"a":[[[]]]}`: true, `{"a":[[[[]]]]}`: false, "[]": false, "null": false, `{"a":[{"a":[{}]}]}`: false,
		strings.Repeat("[", 60000): false, "{": false, "{}{}": true, "x": false, `{"a":1,"a":2}`: false} {
		if err := shallow([]byte(body)); (err == nil) != want {
			t.Errorf("%.40s: %v", body, err)
		}
	}
}

func TestNewRefusesGaps(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a configuration with nothing in it was taken")
	}
}

// FuzzInto: no body makes the reader panic, and what it takes holds no more than the contract's members.
func FuzzInto(f *testing.F) {
	f.Add([]byte(`{"code":"a","key":"b","platform":"ios","model":"c","os_version":"d","app":"e","app_version":"f"}`))
	f.Add([]byte(`{"code":{"a":[[[[[]]]]]}}`))
	f.Add([]byte(`{"code":1e999,"code":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var b bindingRequest
		if err := (&call{body: body}).into(&b); err != nil {
			if ra.KindOf(err) != ra.KindMalformed {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if len(body) > 0 && !strings.Contains(string(body), "{") && string(body) != "null" && strings.TrimSpace(string(body)) != "null" {
			t.Errorf("%q was taken", body)
		}
	})
}
