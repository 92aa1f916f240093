package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/clauses.md anew")

// The catalogue holds every clause, each once, in order: sections and how many clauses each has are counted
// here by hand, from the rule book and the four documents beside it.
func TestClausesAreComplete(t *testing.T) {
	var want []Clause
	section := func(prefix string, from, to int) {
		for n := from; n <= to; n++ {
			want = append(want, Clause(fmt.Sprintf("%s%d", prefix, n)))
		}
	}
	section("HCA-2.", 1, 7)
	section("HCA-3.", 1, 8)
	section("HCA-4.", 1, 2)
	section("HCA-5.1.", 1, 3)
	section("HCA-5.2.", 1, 2)
	section("HCA-6.", 0, 2)
	section("HCA-6.3.", 1, 7)
	section("HCA-7.", 1, 5)
	section("HCA-8.1.", 1, 6)
	section("HCA-8.2.", 1, 8)
	section("HCA-", 9, 9)
	section("SAM-", 1, 3)
	section("NET-", 1, 2)
	section("CRT-", 1, 2)
	section("SSP-", 1, 4)

	var got []Clause
	for _, e := range Clauses() {
		got = append(got, e.ID)
		if e.Title == "" || e.TitleZH == "" || e.EnforcedBy == nil || e.Tests == nil {
			t.Errorf("%s lacks a title or a list", e.ID)
		}
		if _, ok := proofs[e.ID]; !ok {
			t.Errorf("%s has no line among the proofs", e.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("clauses are %v\nwant %v", got, want)
	}
	for id := range proofs {
		if !slices.Contains(want, id) {
			t.Errorf("the proofs hold %s, which is no clause", id)
		}
	}
}

// A clause is never called tested, or enforced, when nothing enforces it.
func TestEntryState(t *testing.T) {
	by, tests := []string{"certwindow/policy.Limit"}, []string{"certwindow/policy.TestLimit"}
	for _, c := range []struct {
		by, tests []string
		missing   string
		want      string
	}{
		{nil, nil, "", "not yet"},
		{nil, tests, "", "not yet"},
		{by, nil, "", "enforced"},
		{by, tests, "", "tested"},
		{by, tests, "a part of it", "not yet"},
	} {
		if got := (Entry{EnforcedBy: c.by, Tests: c.tests, Missing: c.missing}).State(); got != c.want {
			t.Errorf("by %v tests %v: %q, want %q", c.by, c.tests, got, c.want)
		}
	}
}

// docs/clauses.md is what the catalogue says; -update writes it.
func TestClausesPage(t *testing.T) {
	file := filepath.Join("..", "docs", "clauses.md")
	want := clausesPage()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/clauses.md is not what the catalogue says: run go test ./policy -run TestClausesPage -update")
	}
}

func clausesPage() string {
	var b strings.Builder
	counts := map[string]int{}
	for _, e := range Clauses() {
		counts[e.State()]++
	}
	fmt.Fprintf(&b, `# Clauses

Every clause of the rule book and of the neighbouring systems' documents: what enforces it in the running system,
and which tests prove that. This page is written by a test from the catalogue in package policy;
%scertwindow doctor --clauses%s prints the same.

*Tested* means enforced in every part and proved by the named tests, *enforced* that no test proves it yet, *not yet*
that the running system does not enforce it, or not in every part: then the last column says what is missing, or nothing if all of it is. Tested: %d, enforced: %d, not yet: %d.

| clause | about | 條文 | state | enforced by | tests | missing |
|---|---|---|---|---|---|---|
`, "`", "`", counts[StateTested], counts[StateEnforced], counts[StateNotYet])
	for _, e := range Clauses() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", e.ID, e.Title, e.TitleZH, e.State(), codeList(e.EnforcedBy), codeList(e.Tests), e.Missing)
	}
	return b.String()
}

func codeList(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, "`"+strings.TrimPrefix(n, module)+"`")
	}
	return strings.Join(quoted, ", ")
}
