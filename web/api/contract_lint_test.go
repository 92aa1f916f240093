package api

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"certwindow/ra"
	"certwindow/web/problem"
)

// linted is the contract as its readers need it: what this test finds wrong would cost an app's developer an afternoon.
func linted(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Every operation says in one line what it does, has a name of its own and a known group, answers something, and refuses
// with the one problem document.
func TestContractOperations(t *testing.T) {
	doc := linted(t)
	seen, tags, used := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, tag := range doc.Tags {
		tags[tag.Name] = true
		if tag.Description == "" {
			t.Errorf("the tag %s says nothing", tag.Name)
		}
	}
	name := regexp.MustCompile(`^[a-z][A-Za-z]+$`)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			what := method + " " + path
			if !name.MatchString(op.OperationID) || seen[op.OperationID] != "" {
				t.Errorf("%s: operationId %q is none, or that of %s", what, op.OperationID, seen[op.OperationID])
			}
			seen[op.OperationID] = what
			if len(op.Summary) < 10 || len(op.Summary) > 140 || strings.HasSuffix(op.Summary, ".") {
				t.Errorf("%s: summary %q", what, op.Summary)
			}
			if len(op.Tags) != 1 || !tags[op.Tags[0]] {
				t.Errorf("%s: tags %v", what, op.Tags)
			}
			used[op.Tags[0]] = true
			if refusal := op.Responses.Default(); refusal == nil || refusal.Ref != "#/components/responses/Problem" {
				t.Errorf("%s: its refusals (4xx, 5xx) are not the problem document", what)
			}
			if !slices.ContainsFunc([]int{200, 201, 202}, func(s int) bool { return op.Responses.Status(s) != nil }) {
				t.Errorf("%s: nothing says what it answers", what)
			}
			if change := method != http.MethodGet; change != (op.RequestBody != nil) {
				t.Errorf("%s: takes a body: %v", what, op.RequestBody != nil)
			}
		}
	}
	for tag := range tags {
		if !used[tag] {
			t.Errorf("the tag %s is on no operation", tag)
		}
	}
}

// Every body that is asked or answered has an example, and each example is what its schema says.
func TestContractExamples(t *testing.T) {
	doc := linted(t)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			what := method + " " + path
			if op.RequestBody != nil {
				checkExample(t, doc, what+", request", op.RequestBody.Value.Content, openapi3.VisitAsRequest())
			}
			for status, r := range op.Responses.Map() {
				checkExample(t, doc, what+", "+status, r.Value.Content, openapi3.VisitAsResponse())
			}
		}
	}
}

func checkExample(t *testing.T, doc *openapi3.T, what string, content openapi3.Content, as openapi3.SchemaValidationOption) {
	t.Helper()
	for kind, media := range content {
		if kind == "application/yaml" || kind == "text/html" {
			continue // the contract and its page themselves
		}
		examples := []any{}
		if media.Example != nil {
			examples = append(examples, media.Example)
		}
		for _, e := range media.Examples {
			examples = append(examples, e.Value.Value)
		}
		if len(examples) == 0 {
			t.Errorf("%s has no example", what)
		}
		for _, e := range examples {
			if err := doc.ValidateSchemaJSON(media.Schema.Value, e, as, openapi3.EnableFormatValidation(), openapi3.MultiErrors()); err != nil {
				t.Errorf("%s: the example is not as the schema says: %v", what, err)
			}
		}
	}
}

// The refusals of the contract are such as the window gives: status, type and title belong together, the code is in the
// source, and the summary says what an app does.
func TestContractRefusals(t *testing.T) {
	doc := linted(t)
	source := sources(t)
	kinds := map[float64]ra.Kind{400: ra.KindMalformed, 401: ra.KindUnauthenticated, 404: ra.KindNotFound, 409: ra.KindConflict, 422: ra.KindRefused,
		429: ra.KindTooMany, 503: ra.KindUnavailable}
	left := map[float64]bool{400: true, 401: true, 404: true, 409: true, 422: true, 429: true, 503: true}
	for name, e := range doc.Components.Responses["Problem"].Value.Content.Get(problem.ContentType).Examples {
		v := e.Value.Value.(map[string]any)
		status := v["status"].(float64)
		delete(left, status)
		want := problem.Of(ra.Errorf(kinds[status], name, nil, "x"), "id")
		if v["type"] != want.Type || v["title"] != want.Title || v["code"] != name || float64(want.Status) != status {
			t.Errorf("%s: %v", name, v)
		}
		if base, _, _ := strings.Cut(name, "-challenge"); !strings.Contains(source, `"`+name+`"`) && !strings.Contains(source, `"`+base+`-"`) {
			t.Errorf("%s: no refusal has this code", name)
		}
		if _, clause := v["clause"]; status == 422 && !clause {
			t.Errorf("%s: a rule refused, and no clause is told", name)
		}
		if len(e.Value.Summary) < 10 {
			t.Errorf("%s: what does an app do?", name)
		}
	}
	for status := range left {
		t.Errorf("no example of %v", status)
	}
}

// sources is the program, without its tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"devices", "policy", "ra", "web"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, rerr := os.ReadFile(path)
			all.Write(text)
			return errors.Join(err, rerr)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
