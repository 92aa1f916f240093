package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the contract and its page are part of the program
	"encoding/base64"
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
			Schemas yaml.MapSlice
		}
	}
	operation struct {
		Tags        []string
		OperationID string `yaml:"operationId"`
		Summary     string
		Description string
		Security    *[]any
		RequestBody struct{ Content content } `yaml:"requestBody"`
		Responses   map[string]response
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
	}
)

// schema is the name of the content's schema; empty when it has none of its own.
func (c content) schema() string {
	for _, x := range c {
		return x.Schema.Ref[strings.LastIndexByte(x.Schema.Ref, '/')+1:]
	}
	return ""
}

// What the template is given.
type (
	docsView struct {
		Contract   contractDoc
		Style      template.CSS
		Operations []operationView
		Schemas    []schemaView
	}
	operationView struct {
		operation
		Method, Path, Takes string
		Signed, Once        bool
		Answers             []answerView
	}
	answerView struct{ Status, Description, Schema string }
	schemaView struct{ Name, Text string }
)

// renderDocs writes the page once, at the start. An operation of the table that the contract lacks is an error.
func renderDocs(source []byte, table []route) ([]byte, error) {
	var doc contractDoc
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, fmt.Errorf("api: the contract: %w", err)
	}
	view := docsView{Contract: doc, Style: template.CSS(docsStyle)}
	for _, r := range table {
		op, ok := doc.Paths[r.path][strings.ToLower(r.method)]
		if !ok {
			return nil, fmt.Errorf("api: the contract has no %s %s", r.method, r.path)
		}
		view.Operations = append(view.Operations, operationView{operation: op, Method: r.method, Path: prefix + r.path,
			Takes: op.RequestBody.Content.schema(), Signed: r.signer != nobody, Once: r.once || r.joined, Answers: answersOf(op)})
	}
	for _, s := range doc.Components.Schemas {
		text, err := yaml.Marshal(s.Value)
		if err != nil {
			return nil, fmt.Errorf("api: the contract: %w", err)
		}
		view.Schemas = append(view.Schemas, schemaView{Name: fmt.Sprint(s.Key), Text: string(text)})
	}
	t, err := template.New("docs").Funcs(template.FuncMap{"prose": prose}).Parse(docsPage)
	if err != nil {
		return nil, fmt.Errorf("api: the page of the contract: %w", err)
	}
	var out bytes.Buffer
	err = t.Execute(&out, view)
	return out.Bytes(), err
}

func answersOf(op operation) []answerView {
	var out []answerView
	for status, r := range op.Responses {
		a := answerView{Status: status, Description: r.Description, Schema: r.Content.schema()}
		if r.Ref != "" {
			a.Schema, a.Description = "Problem", "It was not done; the document says why, and by which rule."
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b answerView) int { return strings.Compare(a.Status, b.Status) })
	return out
}

// prose sets a description's paragraphs and its words in backquotes; everything else is text.
func prose(s string) template.HTML {
	var b strings.Builder
	for p := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		b.WriteString("<p>")
		for i, part := range strings.Split(p, "`") {
			if i%2 == 1 {
				b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
				continue
			}
			b.WriteString(template.HTMLEscapeString(part))
		}
		b.WriteString("</p>")
	}
	return template.HTML(b.String())
}
