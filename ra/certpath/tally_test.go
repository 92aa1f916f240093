package certpath

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tallies into docs/conformance.md")

type outcome int

const (
	right outcome = iota
	unsupported
	refusedWrongly
	accepted
)

// tally counts the outcomes of a suite and is compared with the section of the same name in
// docs/conformance.md, so that the document cannot say what the tests do not.
type tally struct {
	suite  string
	groups map[string]*[4]int
	order  []string
	notes  []string
}

func newTally(suite string) *tally { return &tally{suite: suite, groups: map[string]*[4]int{}} }

func (y *tally) add(group string, wantValid bool, err error) outcome {
	if y.groups[group] == nil {
		y.groups[group] = &[4]int{}
		y.order = append(y.order, group)
	}
	out := right
	var refusal *Error
	switch {
	case err == nil && !wantValid:
		out = accepted
	case err != nil && wantValid:
		out = refusedWrongly
		if errors.As(err, &refusal) && (refusal.Reason == ReasonUnsupported || refusal.Reason == ReasonWeakAlgorithm) {
			out = unsupported
		}
	}
	y.groups[group][out]++
	return out
}

func (y *tally) note(format string, args ...any) {
	y.notes = append(y.notes, fmt.Sprintf(format, args...))
}

func (y *tally) String() string {
	var b strings.Builder
	b.WriteString("| group | cases | right | refused as unsupported | refused without need | accepted against the expectation |\n|---|---|---|---|---|---|\n")
	var sum [4]int
	for _, g := range y.order {
		row(&b, g, *y.groups[g])
		for i, n := range y.groups[g] {
			sum[i] += n
		}
	}
	row(&b, "**all**", sum)
	if len(y.notes) > 0 {
		b.WriteString("\n")
	}
	slices.Sort(y.notes)
	for _, n := range y.notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	return b.String()
}

func row(b *strings.Builder, name string, n [4]int) {
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d |\n", name, n[0]+n[1]+n[2]+n[3], n[right], n[unsupported], n[refusedWrongly], n[accepted])
}

// check prints the tally and compares it with the document.
func (y *tally) check(t *testing.T) {
	t.Helper()
	text := y.String()
	t.Logf("%s\n%s", y.suite, text)
	path := filepath.Join(root(t), "docs", "conformance.md")
	begin, end := "<!-- tally "+y.suite+" -->\n", "<!-- end "+y.suite+" -->\n"
	doc := string(readFile(t, path))
	head, rest, ok := strings.Cut(doc, begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no section %s", path, y.suite)
	}
	if old == text {
		return
	}
	if !*update {
		t.Errorf("docs/conformance.md does not say what the suite %s gave; run this test with -update", y.suite)
		return
	}
	if err := os.WriteFile(path, []byte(head+begin+text+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
