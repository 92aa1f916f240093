package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requirements are the modules that go.mod names, with their versions.
func requirements(t *testing.T) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\t?([^\s()]+\.[^\s()]+) (v\S+)`).FindAllStringSubmatch(readFile(t, "go.mod"), -1) {
		versions[m[1]] = m[2]
	}
	if len(versions) == 0 {
		t.Fatal("go.mod names no module")
	}
	return versions
}

// moduleOf is the module that a package comes from: the longest of the names it begins with.
func moduleOf(versions map[string]string, pkg string) (module string) {
	for name := range versions {
		if within(pkg, name) && len(name) > len(module) {
			module = name
		}
	}
	return module
}

// directModules are the modules that this one needs itself: what its files import, and its tools. The value tells
// whether a program is linked with it, or tests and tools alone need it.
func directModules(t *testing.T) map[string]bool {
	t.Helper()
	versions := requirements(t)
	direct := map[string]bool{}
	need := func(pkg, where string, linked bool) {
		module := moduleOf(versions, pkg)
		if module == "" {
			t.Errorf("%s needs %s, and go.mod names no module that has it", where, pkg)
			return
		}
		direct[module] = direct[module] || linked
	}
	programs := linked(t)
	for _, f := range goFiles(t) {
		for _, imp := range f.imports {
			if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
				need(imp, f.path, !f.test && programs[f.dir])
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:tool |\t)([^\s()]+\.[^\s()]+)$`).FindAllStringSubmatch(readFile(t, "go.mod"), -1) {
		need(m[1], "go.mod", false)
	}
	return direct
}

// dependencyRow is a line of a table in docs/dependencies.md: module, what for, why, licence, version, released.
var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\| (v[^| ]+) \\| ([^|]+) \\|$")

// Every module we chose has its reasons written down with the version in use; and no row outlives its module.
func TestDependenciesAreDocumented(t *testing.T) {
	text := readFile(t, "docs/dependencies.md")
	programs, tests, ok := strings.Cut(text, "\n## Tests and tools\n")
	if !ok {
		t.Fatal(`docs/dependencies.md has no section "Tests and tools"`)
	}
	versions := requirements(t)
	rows := map[string]bool{}
	for _, section := range []struct {
		text     string
		programs bool
	}{{programs, true}, {tests, false}} {
		for _, m := range dependencyRow.FindAllStringSubmatch(section.text, -1) {
			if _, twice := rows[m[1]]; twice {
				t.Errorf("%s has two rows", m[1])
			}
			rows[m[1]] = section.programs
			if versions[m[1]] != m[5] {
				t.Errorf("%s: the row says %s, go.mod says %q", m[1], m[5], versions[m[1]])
			}
		}
	}
	direct := directModules(t)
	for _, name := range slices.Sorted(maps.Keys(direct)) {
		inPrograms, documented := rows[name]
		switch {
		case !documented:
			t.Errorf("%s has no row", name)
		case inPrograms != direct[name]:
			t.Errorf("%s is in the wrong section: linked into a program is %v", name, direct[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if _, ok := direct[name]; !ok {
			t.Errorf("%s has a row and nothing imports it", name)
		}
	}
}

// A licence that would bind the window's own sources, or that nobody has read, does not come in unnoticed.
func TestDependencyLicences(t *testing.T) {
	allowed := []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MPL-2.0"}
	rows := dependencyRow.FindAllStringSubmatch(readFile(t, "docs/dependencies.md"), -1)
	if len(rows) == 0 {
		t.Fatal("docs/dependencies.md has no rows")
	}
	for _, m := range rows {
		if !slices.Contains(allowed, strings.TrimSpace(m[4])) {
			t.Errorf("%s: the licence %q is not one of %q", m[1], m[4], allowed)
		}
	}
}
