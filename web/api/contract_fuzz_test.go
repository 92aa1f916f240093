package api_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

// huge is a number that no type of ours holds.
type huge struct{}

func (huge) MarshalJSON() ([]byte, error) { return []byte("1" + strings.Repeat("0", 400)), nil }

// sample is a document of a schema that has its form.
func sample(s *openapi3.Schema) any {
	if len(s.OneOf) > 0 {
		return sample(s.OneOf[0].Value)
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Const != nil:
		return s.Const
	case s.Type.Is("object"):
		out := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) {
				out[name] = sample(p.Value)
			}
		}
		return out
	case s.Type.Is("array"):
		return []any{sample(s.Items.Value)}
	case s.Type.Is("boolean"):
		return true
	case s.Type.Is("integer"):
		return 1
	}
	for _, text := range []string{"AAAA", "482913", strings.Repeat("A", 43), anID, "xxxxxxxxxxxxxxxx"} {
		if s.Pattern == "" || regexp.MustCompile(s.Pattern).MatchString(text) {
			return text
		}
	}
	return "x"
}

// wrong are values that a schema does not have, whatever else it allows.
func wrong(s *openapi3.Schema) []any {
	deep := any("x")
	for range 200 {
		deep = []any{deep}
	}
	out := []any{huge{}, deep, map[string]any{"x": 1}}
	if !s.Type.Is("boolean") {
		out = append(out, true)
	}
	if !s.Type.Is("array") {
		out = append(out, []any{})
	}
	if s.Type.Is("boolean") || s.Type.Is("integer") || s.Type.Is("array") || s.Type.Is("object") {
		out = append(out, "x")
	}
	return out
}

// mutants are bodies that are almost those of an operation.
func mutants(t *testing.T, s *openapi3.Schema) map[string]string {
	whole := sample(s).(map[string]any)
	good := text(t, whole)
	out := map[string]string{"nothing": "", "null": "null", "an array": "[" + good + "]", "cut off": good[:len(good)-1], "twice": good + good,
		"deep": strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "deep objects": strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		"too large": `{"x":"` + strings.Repeat("x", 4<<20) + `"}`, "not UTF-8": strings.Replace(good, "{", "{\"\xff\":1,", 1)}
	with := func(name string, v any) string {
		c := maps.Clone(whole)
		c[name] = v
		return text(t, c)
	}
	out["an unknown member"] = with("no_such_member", 1)
	for name, p := range s.Properties {
		for i, v := range wrong(p.Value) {
			out[fmt.Sprintf("%s is wrong %d", name, i)] = with(name, v)
		}
		if slices.Contains(s.Required, name) {
			c := maps.Clone(whole)
			delete(c, name)
			out["without "+name] = text(t, c)
		}
	}
	return out
}

// state is what the database holds, without what every request leaves: its nonce, its key's answer, that a device and a
// login were heard of, and the rows of refusals.
func state(t *testing.T, w *phonetest.Window) map[string]string {
	t.Helper()
	var tables []string
	if err := w.DB.Gorm.Raw(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'audit%' AND name NOT LIKE 'sqlite%'
		AND name NOT IN ('nonces', 'request_nonces', 'idempotency_keys', 'devices', 'holder_logins')`).Scan(&tables).Error; err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, table := range tables {
		var rows []map[string]any
		if err := w.DB.Gorm.Raw("SELECT * FROM " + table).Scan(&rows).Error; err != nil {
			t.Fatal(err)
		}
		out[table] = fmt.Sprintf("%d rows, %x", len(rows), sha256.Sum256([]byte(fmt.Sprint(rows))))
	}
	for table, columns := range map[string]string{"devices": "id, state, generation, key_hash", "holder_logins": "person_id, device_id, started_at"} {
		var rows []map[string]any
		if err := w.DB.Gorm.Raw("SELECT " + columns + " FROM " + table).Scan(&rows).Error; err != nil {
			t.Fatal(err)
		}
		out[table] = fmt.Sprint(rows)
	}
	return out
}

// Every operation of the contract, asked in almost the right way by a bound device whose holder is signed in: unknown
// members, wrong types, huge numbers, deep and oversized documents, wrong media types, missing and double headers. Each
// answer is a problem document of the 4xx kind that tells nothing of the inside, and nothing is changed (HCA-8.1.3).
func TestContractIsHeld(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{})
	ids := map[string]string{"application": string(w.Apply(t, person, device, ra.KeyApp, "").ID), "version": "1"}
	doc, err := openapi3.NewLoader().LoadFromData(p.get("/openapi.yaml").body)
	if err != nil {
		t.Fatal(err)
	}
	before, asked := state(t, w), 0
	hold := func(what string, r *http.Request) {
		t.Helper()
		w.Pass(2 * time.Second) // for the limits of rates
		body := ""
		if r.GetBody != nil {
			rc, err := r.GetBody()
			if err != nil {
				t.Fatal(err)
			}
			body = readAll(t, rc)
		}
		a := p.do(p.sign(r, body))
		asked++
		if a.status < 400 || a.status > 499 || a.problem().Type == "" {
			t.Errorf("%s: %d %.300s", what, a.status, a.body)
		}
		for _, inside := range []string{"goroutine ", ".go:", "panic", "runtime", "SQL", "json: ", "jsontext"} {
			if strings.Contains(string(a.body), inside) {
				t.Errorf("%s: the answer holds %q: %.300s", what, inside, a.body)
			}
		}
	}
	for path, item := range doc.Paths.Map() {
		where := regexp.MustCompile(`\{(\w+)\}`).ReplaceAllStringFunc(path, func(s string) string {
			if id := ids[s[1:len(s)-1]]; id != "" {
				return id
			}
			return anID
		})
		for method, op := range item.Operations() {
			ask := func(body string) *http.Request {
				r := p.request(method, where, body)
				if body != "" {
					r.Header.Set("Idempotency-Key", nonce())
				}
				return r
			}
			name := method + " " + path
			query := ask("")
			query.URL.RawQuery = "a=1"
			hold(name+" with a query", query)
			cookie := ask("")
			if op.Security == nil { // the public ones take no notice of it
				cookie.Header.Set("Cookie", "a=b")
				hold(name+" with a cookie", cookie)
			}
			if op.RequestBody == nil {
				hold(name+" with a body", ask(`{"a":1}`))
				continue
			}
			schema := op.RequestBody.Value.Content["application/json"].Schema.Value
			for what, body := range mutants(t, schema) {
				hold(name+": "+what, ask(body))
			}
			good := text(t, sample(schema))
			for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16"} {
				r := ask(good)
				r.Header.Set("Content-Type", media)
				hold(name+" as "+media, r)
			}
			double := ask(good)
			double.Header.Add("Content-Type", "application/json")
			hold(name+" with two media types", double)
			packed := ask(good)
			packed.Header.Set("Content-Encoding", "gzip")
			hold(name+" packed", packed)
			if slices.ContainsFunc(op.Parameters, func(x *openapi3.ParameterRef) bool { return x.Value.Name == "Idempotency-Key" }) {
				none := ask(good)
				none.Header.Del("Idempotency-Key")
				hold(name+" without its key", none)
				two := ask(good)
				two.Header.Add("Idempotency-Key", nonce())
				hold(name+" with two keys", two)
			}
		}
	}
	for table, was := range before {
		if now := state(t, w)[table]; now != was {
			t.Errorf("%s was changed: %s, before %s", table, now, was)
		}
	}
	if asked < 500 {
		t.Errorf("%d requests only", asked)
	}
}

func readAll(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
