package policy

import (
	"strings"
	"testing"
)

// HCA-5.1.2: every declared scope is approved, for this institution, and one that is not is refused by name.
func TestScope(t *testing.T) {
	approved := []ApprovedScope{
		{Code: "EMR-SIGN"},
		{Code: "E-PRESCRIPTION", Institutions: []string{"0101090517", "1234567890"}},
		{Code: ""},
	}
	for _, c := range []struct {
		name        string
		declared    []string
		institution string
		refused     string // what the sentence must name; empty: allowed
	}{
		{"one for every institution", []string{"EMR-SIGN"}, "9999999999", ""},
		{"both at a listed institution", []string{"EMR-SIGN", "E-PRESCRIPTION"}, "1234567890", ""},
		{"none", nil, "0101090517", "no scope"},
		{"no institution", []string{"EMR-SIGN"}, "", "institution"},
		{"an empty entry, though an empty code is listed", []string{"EMR-SIGN", ""}, "0101090517", "Entry 2"},
		{"twice", []string{"EMR-SIGN", "EMR-SIGN"}, "0101090517", `"EMR-SIGN"`},
		{"unknown", []string{"EMR-SIGN", "BILLING"}, "0101090517", `"BILLING"`},
		{"known, but not at this institution", []string{"E-PRESCRIPTION"}, "9999999999", `"E-PRESCRIPTION"`},
		{"other letter case", []string{"emr-sign"}, "0101090517", `"emr-sign"`},
		{"blanks around", []string{" EMR-SIGN"}, "0101090517", `" EMR-SIGN"`},
		{"a line end cannot break the sentence", []string{"A\nB"}, "0101090517", `"A\nB"`},
		{"a name that just fits is whole", []string{strings.Repeat("字", 64)}, "0101090517", strings.Repeat("字", 64) + `" `},
		{"a long name is cut", []string{strings.Repeat("字", 10000)}, "0101090517", strings.Repeat("字", 64) + `…"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Scope(c.declared, c.institution, approved)
			if c.refused == "" {
				wantDecision(t, d, "", "")
				return
			}
			wantDecision(t, d, "HCA-5.1.2", "scope-not-approved")
			if !strings.Contains(d.Detail, c.refused) || len(d.Detail) > 500 {
				t.Errorf("detail %q does not name %s briefly", d.Detail, c.refused)
			}
		})
	}
	if d := Scope([]string{"EMR-SIGN"}, "0101090517", nil); d.Allowed {
		t.Error("a window that approved nothing allowed a scope")
	}
}
