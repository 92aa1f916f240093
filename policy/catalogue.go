package policy

import "strings"

// module is the path before every symbol of this repository.
const module = "certwindow/"

// Entry is one clause of the catalogue: what it is about, what enforces it in the running system, and what
// tests that.
type Entry struct {
	ID      Clause
	Parts   int    // how many numbered sub-rules, (1) and on, it has; 0: none
	Title   string // a short English phrase of our own
	TitleZH string // the same in the language of the rule book

	// EnforcedBy names the functions that enforce it, e.g. "certwindow/ra/enrol.(*Service).Sign". A rule of this
	// package belongs here only once the running system asks it.
	EnforcedBy []string
	// Tests names the tests that prove it, e.g. "certwindow/policy.TestLimit".
	Tests []string
	// Missing says what of it the running system does not do yet; empty: nothing.
	Missing string
}

// The three states of a clause, as the compliance report prints them.
const (
	StateTested   = "tested"   // enforced, and a test proves it
	StateEnforced = "enforced" // enforced, and no test proves it yet
	StateNotYet   = "not yet"  // not enforced, or not in every part; Entry.Missing says which
)

// State says how far the clause is kept.
func (e Entry) State() string {
	switch {
	case len(e.EnforcedBy) == 0 || e.Missing != "":
		return StateNotYet
	case len(e.Tests) == 0:
		return StateEnforced
	}
	return StateTested
}

// Clauses lists every clause of the rule book and of the neighbouring systems' documents, in their order. The
// slices are the caller's own.
func Clauses() []Entry {
	all := make([]Entry, len(titles))
	for i, t := range titles {
		p := proofs[t.id]
		all[i] = Entry{ID: t.id, Parts: t.parts, Title: t.en, TitleZH: t.zh, EnforcedBy: symbols(p.by), Tests: symbols(p.tests), Missing: p.missing}
	}
	return all
}

// symbols reads a line of the table of proofs: names apart by blanks, without the module's own. It is never nil,
// so that it becomes a JSON array.
func symbols(line string) []string {
	names := strings.Fields(line)
	for i := range names {
		names[i] = module + names[i]
	}
	return names
}
