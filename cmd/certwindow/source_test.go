package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// modulePath is this module's name, before every import path of ours.
const modulePath = "certwindow"

// goFile is one Go file of the repository.
type goFile struct {
	path    string // from the root, with slashes
	dir     string // the package's folder, from the root
	pkg     string // the name in its package clause
	text    string
	test    bool
	imports []string
	tree    *ast.File
	fset    *token.FileSet
}

// span is the text of a declaration with its comment.
func (f *goFile) span(d *ast.FuncDecl) string {
	from := d.Pos()
	if d.Doc != nil {
		from = d.Doc.Pos()
	}
	return f.text[f.fset.Position(from).Offset:f.fset.Position(d.End()).Offset]
}

// importNames are the names by which the file calls the packages it imports.
func (f *goFile) importNames() map[string]string {
	names := map[string]string{}
	for i, imp := range f.imports {
		name := path.Base(imp)
		if alias := f.tree.Imports[i].Name; alias != nil {
			name = alias.Name
		}
		names[name] = imp
	}
	return names
}

// repoRoot walks up to the folder of go.mod.
func repoRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// walkFiles hands over every file of the repository's own, by its path from the root.
func walkFiles(t *testing.T, visit func(rel string, read func() []byte)) {
	t.Helper()
	root := repoRoot(t)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); rel != "." && (n == "testdata" || n == "node_modules" || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			visit(filepath.ToSlash(rel), func() []byte {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				return b
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var goSource struct {
	sync.Mutex
	files []*goFile
}

// goFiles are all Go files of the repository, parsed once.
func goFiles(t *testing.T) []*goFile {
	t.Helper()
	goSource.Lock()
	defer goSource.Unlock()
	if goSource.files != nil {
		return goSource.files
	}
	walkFiles(t, func(rel string, read func() []byte) {
		if path.Ext(rel) != ".go" {
			return
		}
		f := &goFile{path: rel, dir: path.Dir(rel), text: string(read()), test: strings.HasSuffix(rel, "_test.go"), fset: token.NewFileSet()}
		tree, err := parser.ParseFile(f.fset, rel, f.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		f.tree, f.pkg = tree, tree.Name.Name
		for _, imp := range tree.Imports {
			p, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			f.imports = append(f.imports, p)
		}
		goSource.files = append(goSource.files, f)
	})
	if len(goSource.files) == 0 {
		t.Fatal("no Go files found")
	}
	return goSource.files
}

// ours cuts the module's name off an import path; false for a path that is not this module's.
func ours(imp string) (dir string, ok bool) {
	if imp == modulePath {
		return ".", true
	}
	return strings.CutPrefix(imp, modulePath+"/")
}

// within tells whether a folder is another one or lies in it.
func within(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// linked are the folders of this module that are part of the window's programs: the server with its commands,
// and the card agent.
func linked(t *testing.T) map[string]bool {
	t.Helper()
	imports := map[string][]string{}
	for _, f := range goFiles(t) {
		if !f.test {
			imports[f.dir] = append(imports[f.dir], f.imports...)
		}
	}
	in := map[string]bool{}
	for todo := []string{"cmd/certwindow", "cmd/cardagent"}; len(todo) > 0; {
		dir := todo[0]
		todo = todo[1:]
		if in[dir] {
			continue
		}
		in[dir] = true
		for _, imp := range imports[dir] {
			if d, ok := ours(imp); ok {
				todo = append(todo, d)
			}
		}
	}
	return in
}
