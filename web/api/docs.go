package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the contract and its page are part of the program
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var contract []byte

//go:embed docs.html
var docsPage string

//go:embed docs.css
var docsStyle string

// docsPolicy allows the page its own style, by its hash, and nothing else: no script, no font, no foreign host.
func docsPolicy() string {
	sum := sha256.Sum256([]byte(docsStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// getContract serves openapi.yaml as it is.
func (c *call) getContract() (answer, error) {
	return answer{status: http.StatusOK, mediaType: "application/yaml", body: contract}, nil
}

// getDocs serves the contract as a page to read.
func (c *call) getDocs() (answer, error) {
	c.Response().Header().Set("Content-Security-Policy", docsPolicy())
	return answer{status: http.StatusOK, mediaType: "text/html; charset=utf-8", body: c.api.docs}, nil
}

// The parts of the contract that the page shows.
type (
	contractDoc struct {
		Info struct {
			Title, Version, Summary, Description string
		}
		Tags       []struct{ Name, Description string }
		Paths      map[string]map[string]operation
		Components struct {
			Schemas       yaml.MapSlice
			Responses     map[string]response
			RequestBodies map[string]struct{ Content content } `yaml:"requestBodies"`
		}
	}
	operation struct {
		Tags        []string
		OperationID string `yaml:"operationId"`
		Summary     string
		Description string
		Security    *[]any
		RequestBody struct {
			Ref     string `yaml:"$ref"`
			Content content
		} `yaml:"requestBody"`
		Responses map[string]response
	}
	response struct {
		Ref         string `yaml:"$ref"`
		Description string
		Content     content
	}
	content map[string]struct {
		Schema struct {
			Ref string `yaml:"$ref"`
		}
		Example  any
		Examples yaml.MapSlice
	}
)

// schema is the name of the content's schema; empty when it has none of its own.
func (c content) schema() string {
	for _, x := range c {
		return named(x.Schema.Ref)
	}
	return ""
}

// example is the content's example as people read it; empty when it has none.
func (c content) example() (string, error) {
	for _, x := range c {
		if text, ok := x.Example.(string); ok {
			return text, nil
		}
		if x.Example != nil {
			return indented(x.Example)
		}
	}
	return "", nil
}

// named is the last word of a reference.
func named(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// indented is a value of the contract as JSON, its members in their order there.
func indented(v any) (string, error) {
	raw, err := yaml.MarshalWithOptions(v, yaml.JSON())
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = json.Indent(&out, bytes.TrimSpace(raw), "", "  ")
	return out.String(), err
}

// What the template is given.
type (
	docsView struct {
		Contract contractDoc
		Style    template.CSS
		Groups   []groupView
		Refusals []refusalView
		Schemas  []schemaView
	}
	groupView struct {
		Name, Description string
		Operations        []operationView
	}
	operationView struct {
		operation
		Method, Path, Takes, Asked string
		Signed, Once, Login, Plain bool
		Answers                    []answerView
	}
	answerView  struct{ Status, Description, Schema, Example string }
	schemaView  struct{ Name, Text string }
	refusalView struct{ Status, Code, Clause, Detail, Do string }
)

// renderDocs writes the page once, at the start. An operation of the table that the contract lacks is an error.
func renderDocs(source []byte, table []route) ([]byte, error) {
	var doc contractDoc
	if err := yaml.UnmarshalWithOptions(source, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("api: the contract: %w", err)
	}
	view := docsView{Contract: doc, Style: template.CSS(docsStyle)}
	var err error
	if view.Groups, err = groupsOf(doc, table); err != nil {
		return nil, fmt.Errorf("api: the contract: %w", err)
	}
	view.Refusals = refusalsOf(doc)
	for _, s := range doc.Components.Schemas {
		text, err := yaml.Marshal(s.Value)
		if err != nil {
			return nil, fmt.Errorf("api: the contract: %w", err)
		}
		view.Schemas = append(view.Schemas, schemaView{Name: fmt.Sprint(s.Key), Text: string(text)})
	}
	t, err := template.New("docs").Funcs(template.FuncMap{"prose": prose, "marked": marked}).Parse(docsPage)
	if err != nil {
		return nil, fmt.Errorf("api: the page of the contract: %w", err)
	}
	var out bytes.Buffer
	err = t.Execute(&out, view)
	return out.Bytes(), err
}

// groupsOf puts the table's operations under the contract's tags, in the order of both.
func groupsOf(doc contractDoc, table []route) ([]groupView, error) {
	groups := make([]groupView, len(doc.Tags))
	for i, tag := range doc.Tags {
		groups[i] = groupView{Name: tag.Name, Description: tag.Description}
	}
	for _, r := range table {
		op, ok := doc.Paths[r.path][strings.ToLower(r.method)]
		at := slices.IndexFunc(groups, func(g groupView) bool { return slices.Contains(op.Tags, g.Name) })
		if !ok || at < 0 {
			return nil, fmt.Errorf("no %s %s under a tag", r.method, r.path)
		}
		view, err := operationOf(doc, op, r)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		groups[at].Operations = append(groups[at].Operations, view)
	}
	return groups, nil
}

func operationOf(doc contractDoc, op operation, r route) (operationView, error) {
	body := op.RequestBody.Content
	if op.RequestBody.Ref != "" {
		body = doc.Components.RequestBodies[named(op.RequestBody.Ref)].Content
	}
	asked, err := body.example()
	if err != nil {
		return operationView{}, err
	}
	answers, err := answersOf(doc, op)
	return operationView{operation: op, Method: r.method, Path: prefix + r.path, Takes: body.schema(), Asked: asked, Signed: r.signer != nobody,
		Once: r.once || r.joined, Login: r.holder != anyHolder, Plain: r.plain || r.signer != device, Answers: answers}, err
}

// answersOf are the answers of one operation. What all refusals have in common is told once on the page.
func answersOf(doc contractDoc, op operation) (out []answerView, err error) {
	for status, r := range op.Responses {
		if r.Ref != "" {
			r = doc.Components.Responses[named(r.Ref)]
		}
		a := answerView{Status: status, Description: r.Description, Schema: r.Content.schema()}
		if a.Example, err = r.Content.example(); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b answerView) int { return strings.Compare(a.Status, b.Status) })
	return out, nil
}

// refusalsOf is the table of refusals: the examples of the contract's one problem response.
func refusalsOf(doc contractDoc) (out []refusalView) {
	text := func(m yaml.MapSlice, name string) string {
		for _, x := range m {
			if x.Key == name {
				return fmt.Sprint(x.Value)
			}
		}
		return ""
	}
	for _, c := range doc.Components.Responses["Problem"].Content {
		for _, e := range c.Examples {
			one, _ := e.Value.(yaml.MapSlice)
			for _, x := range one {
				if p, ok := x.Value.(yaml.MapSlice); ok {
					out = append(out, refusalView{text(p, "status"), text(p, "code"), text(p, "clause"), text(p, "detail"), text(one, "summary")})
				}
			}
		}
	}
	return out
}

// prose sets a description's paragraphs and its words in backquotes; everything else is text.
func prose(s string) template.HTML {
	var b strings.Builder
	for p := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		b.WriteString("<p>" + string(marked(p)) + "</p>")
	}
	return template.HTML(b.String())
}

// marked sets the words in backquotes.
func marked(s string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
			continue
		}
		b.WriteString(template.HTMLEscapeString(part))
	}
	return template.HTML(b.String())
}
