package main

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"certwindow/policy"
)

// clauseIDs finds clause ids in any text, with the numbers of sub-rules behind them: HCA-5.2.2(1)(3).
var clauseIDs = regexp.MustCompile(`\b(?:HCA|SAM|NET|CRT|SSP)-[0-9]+(?:\.[0-9]+)*(?:\([0-9]\))*`)

// mention is a clause, or one sub-rule of it, as a text names it.
type mention struct {
	id   policy.Clause
	part int // 0: the clause as a whole
}

// mentions are the clauses and sub-rules that a text names. A sub-rule names its clause too.
func mentions(text string) map[mention]bool {
	found := map[mention]bool{}
	for _, m := range clauseIDs.FindAllString(text, -1) {
		id, parts, _ := strings.Cut(m, "(")
		found[mention{id: policy.Clause(id)}] = true
		for p := range strings.SplitSeq(parts, "(") {
			if n, err := strconv.Atoi(strings.TrimSuffix(p, ")")); err == nil {
				found[mention{policy.Clause(id), n}] = true
			}
		}
	}
	return found
}

// knownClause tells whether the catalogue has what a text mentions. A chapter such as HCA-4 or HCA-5.1 may be
// mentioned; it has no line of its own.
func knownClause(m mention) bool {
	return slices.ContainsFunc(policy.Clauses(), func(e policy.Entry) bool {
		chapter := m.part == 0 && strings.HasPrefix(string(e.ID), string(m.id)+".")
		return chapter || (e.ID == m.id && m.part <= e.Parts)
	})
}

// functions are the functions and methods of the repository by their full names, such as
// certwindow/ra/enrol.(*Service).Sign; those of test files too when tests is set, and only those.
func functions(t *testing.T, tests bool) map[string]*goFunc {
	t.Helper()
	all := map[string]*goFunc{}
	for _, f := range goFiles(t) {
		if f.test != tests {
			continue
		}
		for _, d := range f.tree.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				name = receiver(fn) + "." + name
			}
			all[path.Join(modulePath, f.dir)+"."+name] = &goFunc{f, fn}
		}
	}
	return all
}

type goFunc struct {
	file *goFile
	decl *ast.FuncDecl
}

// receiver is a method's receiver type as a symbol writes it: T or (*T), without type parameters.
func receiver(fn *ast.FuncDecl) string {
	x, star := fn.Recv.List[0].Type, false
	if p, ok := x.(*ast.StarExpr); ok {
		x, star = p.X, true
	}
	switch g := x.(type) {
	case *ast.IndexExpr:
		x = g.X
	case *ast.IndexListExpr:
		x = g.X
	}
	name := x.(*ast.Ident).Name
	if star {
		return "(*" + name + ")"
	}
	return name
}

// usedNames are the names that the linked code uses, apart by folder: "Name" within a package,
// "certwindow/ra/enrol.Name" of another one, ".Name" for whatever is selected from a value.
func usedNames(t *testing.T) map[string]map[string]bool {
	t.Helper()
	in := linked(t)
	used := map[string]map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test || !in[f.dir] {
			continue
		}
		if used[f.dir] == nil {
			used[f.dir] = map[string]bool{}
		}
		names, packages, passed := used[f.dir], f.importNames(), map[*ast.Ident]bool{}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				passed[n.Name] = true
			case *ast.SelectorExpr:
				passed[n.Sel] = true
				name := "." + n.Sel.Name
				if x, ok := n.X.(*ast.Ident); ok {
					name = packages[x.Name] + name // a value's name is no package's
				}
				names[name] = true
			case *ast.Ident:
				if !passed[n] {
					names[n.Name] = true
				}
			}
			return true
		})
	}
	return used
}

// asked tells whether the running system uses a function: anything of the linked code names it. A rule of package
// policy must be named outside of it.
func asked(used map[string]map[string]bool, fn *goFunc) bool {
	name := fn.decl.Name.Name
	for dir, names := range used {
		switch {
		case fn.decl.Recv != nil && names["."+name],
			fn.decl.Recv == nil && names[path.Join(modulePath, fn.file.dir)+"."+name],
			fn.decl.Recv == nil && names[name] && dir == fn.file.dir && dir != "policy":
			return true
		}
	}
	return false
}

// What the catalogue says enforces a clause is there, is part of the programs that run, and is used by them: a rule that
// nothing asks enforces nothing.
func TestClausesAreEnforcedByWhatRuns(t *testing.T) {
	all, in, used := functions(t, false), linked(t), usedNames(t)
	for _, e := range policy.Clauses() {
		for _, name := range e.EnforcedBy {
			fn := all[name]
			switch {
			case fn == nil:
				t.Errorf("%s: there is no function %s", e.ID, name)
			case !in[fn.file.dir]:
				t.Errorf("%s: %s is not part of any program of the window", e.ID, name)
			case !asked(used, fn):
				t.Errorf("%s: nothing that runs uses %s", e.ID, name)
			}
		}
	}
}

// A test that is said to prove a clause exists and names the clause in its comment or body; where a clause has numbered
// sub-rules and is called tested, its tests name each of them.
func TestClausesAreProvedByTheirTests(t *testing.T) {
	all := functions(t, true)
	for _, e := range policy.Clauses() {
		named := map[mention]bool{}
		for _, name := range e.Tests {
			fn := all[name]
			if fn == nil {
				t.Errorf("%s: there is no test %s", e.ID, name)
				continue
			}
			if n := fn.decl.Name.Name; fn.decl.Recv != nil || !(strings.HasPrefix(n, "Test") || strings.HasPrefix(n, "Fuzz")) {
				t.Errorf("%s: %s is not a test", e.ID, name)
			}
			m := mentions(fn.file.span(fn.decl))
			if !m[mention{id: e.ID}] {
				t.Errorf("%s: the test %s does not name it", e.ID, name)
			}
			for k := range m {
				named[k] = true
			}
		}
		for part := 1; part <= e.Parts && e.State() == policy.StateTested; part++ {
			if !named[mention{e.ID, part}] {
				t.Errorf("%s is called tested, but none of its tests names (%d)", e.ID, part)
			}
		}
	}
}

// No code, SQL or page cites a clause that is not there.
func TestMentionedClausesExist(t *testing.T) {
	texts := []string{".go", ".sql", ".html", ".js", ".yaml", ".yml", ".md"}
	seen := 0
	walkFiles(t, func(rel string, read func() []byte) {
		if !slices.Contains(texts, path.Ext(rel)) {
			return
		}
		for m := range mentions(string(read())) {
			seen++
			if !knownClause(m) {
				t.Errorf("%s cites %s, part %d, which the catalogue does not have", rel, m.id, m.part)
			}
		}
	})
	if seen == 0 {
		t.Error("no citation was found at all")
	}
}

// The reading of citations, where a mistake would let wrong ones pass.
func TestMentions(t *testing.T) {
	const open = "HCA-"
	for _, c := range []struct {
		text  string
		id    policy.Clause
		part  int
		known bool
	}{
		{"see " + open + "7.5.", "HCA-7.5", 0, true},
		{open + "5.1 and more", "HCA-5.1", 0, true},
		{open + "8.2.6(6) holds", "HCA-8.2.6", 6, true},
		{open + "8.2.6(7) does not", "HCA-8.2.6", 7, false},
		{open + "7.5(1) neither", "HCA-7.5", 1, false},
		{open + "7.55", open + "7.55", 0, false},
		{open + "5.1(2)", "HCA-5.1", 2, false},
		{open + "10", open + "10", 0, false},
	} {
		m := mention{c.id, c.part}
		if !mentions(c.text)[m] {
			t.Errorf("%q: %+v is not found", c.text, m)
		}
		if knownClause(m) != c.known {
			t.Errorf("%+v known: %v, want %v", m, !c.known, c.known)
		}
	}
}
