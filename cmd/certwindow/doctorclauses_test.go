package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"certwindow/policy"
)

// runDoctor runs the command as a user gives it.
func runDoctor(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = dispatch(context.Background(), append([]string{"doctor"}, args...), streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

// The compliance report is one JSON object of a fixed shape, needs no configuration, and lists every clause.
func TestDoctorClausesJSON(t *testing.T) {
	code, out, errs := runDoctor("--clauses", "--json")
	if code != exitYes || errs != "" {
		t.Fatalf("exit %d, %q", code, errs)
	}
	var got map[string][]map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	all := policy.Clauses()
	if len(got) != 1 || len(got["clauses"]) != len(all) {
		t.Fatalf("%d keys, %d clauses, want 1 and %d", len(got), len(got["clauses"]), len(all))
	}
	for i, c := range got["clauses"] {
		if len(c) != 4 || c["id"] != string(all[i].ID) || c["state"] != all[i].State() {
			t.Errorf("clause %d is %v", i, c)
		}
		by, isList := c["by"].([]any)
		tests, areList := c["tests"].([]any)
		if !isList || !areList || len(by) != len(all[i].EnforcedBy) || len(tests) != len(all[i].Tests) {
			t.Errorf("lists of %v", c)
		}
	}
}

// For people it is a table that ends in the counts.
func TestDoctorClausesText(t *testing.T) {
	code, out, errs := runDoctor("--clauses")
	if code != exitYes || errs != "" {
		t.Fatalf("exit %d, %q", code, errs)
	}
	for _, e := range policy.Clauses() {
		if !strings.Contains(out, string(e.ID)+" ") || !strings.Contains(out, e.Title+"\n") {
			t.Errorf("%s is not printed", e.ID)
		}
	}
	if !strings.Contains(out, "\ntested ") {
		t.Error("no counts")
	}
}

// Wrong use is exit 2 with nothing on standard output.
func TestDoctorUsage(t *testing.T) {
	for _, args := range [][]string{{"--no-such-flag"}, {"--clauses", "extra"}} {
		if code, out, errs := runDoctor(args...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: exit %d, out %q, err %q", args, code, out, errs)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

// A report that could not be written is not a yes.
func TestClauseReportNeedsItsOutput(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		if code := clauseReport(brokenWriter{}, asJSON); code != exitNo {
			t.Errorf("json %v: exit %d", asJSON, code)
		}
	}
}
