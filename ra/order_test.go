package ra

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestKeyset(t *testing.T) {
	columns := map[string]Column{"id": {Name: "id"}, "code": {Name: "code"}, "until": {Name: "not_after", Time: true}}
	noon := time.Date(2026, 11, 22, 12, 0, 0, 5, time.FixedZone("x", 8*3600))
	for name, c := range map[string]struct {
		order        Order
		sorts, where string
		args         []any
		code         string
	}{
		"beginning":     {Order{By: "id", Desc: true}, "id DESC", "", nil, ""},
		"by id":         {Order{By: "id", Desc: true, After: &Mark{ID: "x"}}, "id DESC", "id < ?", []any{"x"}, ""},
		"by a text":     {Order{By: "code", After: &Mark{"' OR 1=1", "x"}}, "code, id", "(code, id) > (?, ?)", []any{"' OR 1=1", "x"}, ""},
		"by a time":     {Order{By: "until", After: &Mark{MarkTime(noon), "x"}}, "not_after, id", "(not_after, id) > (?, ?)", []any{noon.UTC(), "x"}, ""},
		"no time":       {Order{By: "until", After: &Mark{"yesterday", "x"}}, "", "", nil, "cursor"},
		"a time beyond": {Order{By: "until", After: &Mark{"0000-01-01T00:00:00Z", "x"}}, "", "", nil, "cursor"},
		"no such order": {Order{By: "id; DROP TABLE persons"}, "", "", nil, "order-unknown"},
	} {
		sorts, where, args, err := c.order.Keyset(columns, "id")
		if c.code != "" {
			if err == nil || AsError(err).Code != c.code || KindOf(err) != KindMalformed {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || sorts != c.sorts || where != c.where || !reflect.DeepEqual(args, c.args) || strings.Contains(sorts+where, "'") {
			t.Errorf("%s: %q, %q, %v, %v", name, sorts, where, args, err)
		}
	}
}
