package main

import (
	"encoding/json"
	"fmt"
	"io"

	"certwindow/policy"
)

// clauseReport prints every clause with its state, and what enforces and tests it, as text or as one JSON object.
// It returns exitYes, or exitNo when the result cannot be written.
func clauseReport(w io.Writer, asJSON bool) int {
	var err error
	if asJSON {
		err = writeClausesJSON(w)
	} else {
		err = writeClausesText(w)
	}
	if err != nil {
		return exitNo
	}
	return exitYes
}

func writeClausesJSON(w io.Writer) error {
	type clause struct {
		ID    policy.Clause `json:"id"`
		State string        `json:"state"`
		By    []string      `json:"by"`
		Tests []string      `json:"tests"`
	}
	report := struct {
		Clauses []clause `json:"clauses"`
	}{}
	for _, e := range policy.Clauses() {
		report.Clauses = append(report.Clauses, clause{e.ID, e.State(), e.EnforcedBy, e.Tests})
	}
	return json.NewEncoder(w).Encode(report)
}

func writeClausesText(w io.Writer) error {
	counts := map[string]int{}
	for _, e := range policy.Clauses() {
		counts[e.State()]++
		if _, err := fmt.Fprintf(w, "%-10s %-9s %s\n", e.ID, e.State(), e.Title); err != nil {
			return err
		}
		if e.Missing != "" {
			if _, err := fmt.Fprintf(w, "%20s missing: %s\n", "", e.Missing); err != nil {
				return err
			}
		}
		for _, name := range e.EnforcedBy {
			if _, err := fmt.Fprintf(w, "%20s by %s\n", "", name); err != nil {
				return err
			}
		}
		for _, name := range e.Tests {
			if _, err := fmt.Fprintf(w, "%20s test %s\n", "", name); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "\ntested %d, enforced %d, not yet %d\n",
		counts[policy.StateTested], counts[policy.StateEnforced], counts[policy.StateNotYet])
	return err
}
