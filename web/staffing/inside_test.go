package staffing

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"certwindow/ra"
)

// The table of routes and the contract are the same list, and agree on who must prove himself.
func TestTableIsContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			left[method+" "+path] = op
		}
	}
	for _, r := range routes {
		op := left[r.method+" "+r.path]
		if op == nil {
			t.Errorf("%s %s is not in the contract", r.method, r.path)
			continue
		}
		delete(left, r.method+" "+r.path)
		if public := op.Security != nil && len(*op.Security) == 0; public != r.public {
			t.Errorf("%s: public in the contract: %v", r.path, public)
		}
	}
	if len(left) > 0 {
		t.Errorf("in the contract and not in the table: %v", left)
	}
}

func TestNewRefusesGaps(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a configuration with nothing in it was taken")
	}
}

// FuzzDecode: no body makes the reader panic, what is refused is refused as malformed, and what is taken names one
// person and one of the five events.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"person":{"national_id":"A123456789"},"event":"left","date":"2026-11-22"}`, `{"person":{"holder":"000000A100000001"},"event":"died","date":"2026-11-22"}`,
		`{"person":{"national_id":null,"holder":"x"},"event":"left","date":"2026-11-22"}`, `{"person":{"a":{"a":{}}}}`, `{"event":"left","event":"died"}`, `[]`, `{"person":null}`, "{\"event\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decode(body)
		if err != nil {
			if ra.KindOf(err) != ra.KindMalformed {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if (e.NationalID == "") == (e.Holder == "") || !strings.Contains("changed left suspended ceased died", e.Event) || len(e.Date) != 10 {
			t.Errorf("%q was taken as %+v", body, e)
		}
	})
}
