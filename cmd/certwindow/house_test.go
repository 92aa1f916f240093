package main

import (
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// mayImport says which folders of this module a package in dir may import, the rules of the house. An answer
// of false needs no more: a package that no rule knows may import nothing of ours.
func mayImport(dir, imp string) bool {
	switch {
	case within(imp, "cmd") && !within(dir, "cmd"):
		return false
	case within(dir, "cmd"):
		return true
	case dir == "policy", dir == "migrations":
		return false
	case within(dir, "hsm"):
		return within(imp, "hsm")
	case dir == "ra":
		return imp == "policy"
	case dir == "ra/store" && imp == "migrations", dir == "ra/jobs/work" && imp == "migrations":
		return true // which of the two databases it is
	case within(dir, "ra"):
		return within(imp, "ra") || imp == "policy" || imp == "hsm"
	case within(dir, "devices"):
		return within(imp, "devices") || imp == "ra" || imp == "policy"
	case within(dir, "web"):
		return within(imp, "web") || within(imp, "ra") || within(imp, "devices") || imp == "policy"
	}
	return false
}

// mayImportForeign says who may use the libraries that are kept in one place.
func mayImportForeign(dir, imp string) bool {
	switch {
	case within(imp, "github.com/miekg/pkcs11"):
		return dir == "hsm/p11"
	case within(imp, "gorm.io"):
		return path.Base(dir) == "store" || within(dir, "web/session") || dir == "migrations" || dir == "ra/jobs/work" || within(dir, "cmd")
	}
	if standard := !strings.Contains(strings.Split(imp, "/")[0], "."); dir == "policy" {
		return standard
	}
	return true
}

// testSupport are the packages that serve tests alone. They may reach across as tests do, and what is built may
// not use them.
var testSupport = []string{"p11test", "cardtest", "hcatest", "storetest", "phonetest"}

func supportsTests(dir string) bool { return slices.Contains(testSupport, path.Base(dir)) }

// Imports go one way: rules at the bottom, then the authority, then the web, wired by the commands. Tests may reach
// across, what is built may not.
func TestImportsGoOneWay(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || supportsTests(f.dir) {
			continue
		}
		for _, imp := range f.imports {
			if dir, ok := ours(imp); ok {
				if !mayImport(f.dir, dir) || supportsTests(dir) {
					t.Errorf("%s imports %s, which its place in the house forbids", f.path, imp)
				}
				continue
			}
			if !mayImportForeign(f.dir, imp) {
				t.Errorf("%s imports %s, which another package is there for", f.path, imp)
			}
		}
	}
}

// The rules themselves, where a mistake in mayImport would let everything pass.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		dir, imp string
		want     bool
	}{
		{"policy", "ra", false},
		{"hsm", "policy", false},
		{"hsm/p11", "hsm", true},
		{"hsm/ceremony", "ra", false},
		{"ra", "policy", true},
		{"ra", "hsm", false},
		{"ra", "ra/cms", false},
		{"ra/enrol", "ra", true},
		{"ra/enrol", "hsm", true},
		{"ra/enrol", "hsm/p11", false},
		{"ra/enrol", "devices", false},
		{"ra/hca/cmc", "ra/cms", true},
		{"ra/store", "web/session", false},
		{"rabbit", "policy", false},
		{"devices", "ra", true},
		{"devices/store", "ra/store", false},
		{"devices/appcred", "devices", true},
		{"devices", "hsm", false},
		{"web/admin", "ra/enrol", true},
		{"web", "cmd/certwindow", false},
		{"web/api", "hsm", false},
		{"cmd/certwindow", "web", true},
		{"migrations", "ra", false},
		{"tools", "policy", false},
	} {
		if got := mayImport(c.dir, c.imp); got != c.want {
			t.Errorf("%s may import %s: %v, want %v", c.dir, c.imp, got, c.want)
		}
	}
	for _, c := range []struct {
		dir, imp string
		want     bool
	}{
		{"hsm/p11", "github.com/miekg/pkcs11", true},
		{"hsm", "github.com/miekg/pkcs11", false},
		{"cmd/certwindow", "github.com/miekg/pkcs11", false},
		{"ra/store", "gorm.io/gorm", true},
		{"devices/store", "gorm.io/gorm/clause", true},
		{"web/session", "gorm.io/gorm", true},
		{"web/admin", "gorm.io/gorm", false},
		{"ra", "gorm.io/gorm", false},
		{"ra/enrol", "gorm.io/gorm", false},
		{"policy", "github.com/oklog/ulid/v2", false},
		{"policy", "unicode/utf8", true},
		{"ra", "github.com/oklog/ulid/v2", true},
	} {
		if got := mayImportForeign(c.dir, c.imp); got != c.want {
			t.Errorf("%s may import %s: %v, want %v", c.dir, c.imp, got, c.want)
		}
	}
}

// A package is named after what lives in it.
func TestPackageNames(t *testing.T) {
	empty := []string{"core", "util", "utils", "common", "models", "helpers"}
	for _, f := range goFiles(t) {
		if name := strings.TrimSuffix(f.pkg, "_test"); slices.Contains(empty, name) || slices.Contains(empty, path.Base(f.dir)) {
			t.Errorf("%s: package %s says nothing of what lives there", f.path, f.pkg)
		}
	}
}

// A file is read in one sitting.
func TestFilesAreShort(t *testing.T) {
	const most = 400
	for _, f := range goFiles(t) {
		if n := strings.Count(f.text, "\n"); n > most {
			t.Errorf("%s has %d lines, over %d", f.path, n, most)
		}
	}
}

// The top level is fixed: people and programs outside know it.
func TestTopLevel(t *testing.T) {
	allowed := []string{"cmd", "ra", "devices", "hsm", "policy", "web", "migrations", "go.mod", "go.sum", "docker-compose.yml",
		"README.md", "LICENSE", "Makefile", ".ci", "docs", "deploy", "testdata", ".gitignore"}
	root := repoRoot(t)
	for _, name := range topLevel(t, root) {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// topLevel is what is tracked at the top; without a repository around, what lies there, but for what building
// leaves behind.
func topLevel(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	if out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--full-name").Output(); err == nil && len(out) > 0 {
		for file := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
			top, _, _ := strings.Cut(file, "/")
			names = append(names, top)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	programs := []string{"certwindow", "cardagent", "hcasim", "phone"}
	for _, e := range entries {
		if e.Name() == ".git" || (e.Type().IsRegular() && slices.Contains(programs, e.Name())) {
			continue
		}
		names = append(names, e.Name())
	}
	return names
}
