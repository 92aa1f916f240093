package policy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// noon is the moment at which most tests judge.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// wantDecision fails unless d is the refusal of that clause and code, or an allowance where code is empty, and
// unless a refusal can be shown to a person: a stable code and one sentence.
func wantDecision(t *testing.T, d Decision, c Clause, code string) {
	t.Helper()
	if code == "" {
		if d != Allow() {
			t.Errorf("got %+v, want an allowance", d)
		}
		return
	}
	if d.Allowed || d.Clause != c || d.Code != code {
		t.Errorf("got %+v, want a refusal under %s with code %s", d, c, code)
		return
	}
	if !kebab.MatchString(d.Code) {
		t.Errorf("code %q is not kebab-case", d.Code)
	}
	if !strings.HasSuffix(d.Detail, ".") || strings.ContainsAny(d.Detail, "\r\n") {
		t.Errorf("detail %q is not one sentence", d.Detail)
	}
	if !slices.ContainsFunc(Clauses(), func(e Entry) bool { return e.ID == d.Clause }) {
		t.Errorf("clause %q is not in the catalogue", d.Clause)
	}
}

// A rule that forgets to answer, and a caller that asks no rule, must both end in a refusal.
func TestDecisionFailsClosed(t *testing.T) {
	if (Decision{}).Allowed {
		t.Error("the zero decision allows")
	}
	if d := All(); d.Allowed || d.Code != "no-rule-applied" {
		t.Errorf("no rule at all gave %+v", d)
	}
	first, second := Refuse("HCA-7.5", "limit-reached", "One."), Refuse("HCA-2.1", "platform-not-allowed", "Two.")
	if d := All(Allow(), first, second); d != first {
		t.Errorf("got %+v, want the first refusal", d)
	}
	if d := All(Allow(), Decision{}); d.Allowed {
		t.Error("an unanswered rule was passed over")
	}
	if d := All(Allow(), Allow()); d != Allow() {
		t.Errorf("got %+v, want an allowance", d)
	}
}
