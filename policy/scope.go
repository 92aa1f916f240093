package policy

import (
	"fmt"
	"slices"
)

// ApprovedScope is an application system that the window approved certificates to be used with (HCA-5.1.2).
type ApprovedScope struct {
	Code         string
	Institutions []string // where it may be used; empty: at every institution the window recognises
}

// Scope checks every entry of a declared scope of use (HCA-5.1.2: it must lie within what the window approved,
// at an institution it recognises). The first entry that does not is refused by its name. That the institution
// is recognised at all is InstitutionMayEnrol's to say.
func Scope(declared []string, institution string, approved []ApprovedScope) Decision {
	if len(declared) == 0 {
		return refuseScope("The application declares no scope of use; choose at least one approved application.")
	}
	if institution == "" {
		return refuseScope("A scope of use holds for one institution, and none was given; choose the institution.")
	}
	for i, code := range declared {
		switch {
		case code == "":
			return refuseScope(fmt.Sprintf("Entry %d of the scope of use is empty; remove it.", i+1))
		case slices.Contains(declared[:i], code):
			return refuseScope(fmt.Sprintf("The scope %s is declared twice; remove one.", quoted(code)))
		case !scopeApproved(code, institution, approved):
			return refuseScope(fmt.Sprintf("The scope %s is not approved for this institution; remove it, or have the window approve it first.", quoted(code)))
		}
	}
	return Allow()
}

func scopeApproved(code, institution string, approved []ApprovedScope) bool {
	return slices.ContainsFunc(approved, func(a ApprovedScope) bool {
		return a.Code == code && (len(a.Institutions) == 0 || slices.Contains(a.Institutions, institution))
	})
}

func refuseScope(detail string) Decision { return Refuse("HCA-5.1.2", "scope-not-approved", detail) }

// quoted shows a word from outside within a sentence: escaped, and cut where it would drown the sentence.
func quoted(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
