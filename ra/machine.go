package ra

import (
	"fmt"
	"slices"
	"strings"
)

// machine is a table of what may follow what. States and events that are not in it are refused.
type machine[S, E ~string] map[S]map[E]S

// next follows one event. It changes nothing.
func (m machine[S, E]) next(thing string, s S, e E) (S, error) {
	if to, ok := m[s][e]; ok {
		return to, nil
	}
	return s, &Error{Kind: KindConflict, Code: "state-conflict",
		Detail: fmt.Sprintf("The %s is %q; %q cannot happen to it now. Nothing was changed.", thing, s, e)}
}

// diagram draws the table as a Mermaid state diagram, in a fixed order.
func (m machine[S, E]) diagram(start ...S) string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for _, s := range start {
		fmt.Fprintf(&b, "    [*] --> %s\n", ident(s))
	}
	var lines []string
	for from, events := range m {
		if len(events) == 0 {
			lines = append(lines, fmt.Sprintf("    %s --> [*]\n", ident(from)))
		}
		for e, to := range events {
			lines = append(lines, fmt.Sprintf("    %s --> %s: %s\n", ident(from), ident(to), e))
		}
	}
	slices.Sort(lines)
	for _, l := range lines {
		b.WriteString(l)
	}
	return b.String()
}

// ident makes a state's name usable as a Mermaid identifier.
func ident[S ~string](s S) string { return strings.ReplaceAll(string(s), "-", "_") }
