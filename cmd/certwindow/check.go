package main

import (
	"context"
	"fmt"

	"certwindow/cmd/certwindow/checker"
)

// maxFindings bounds how many findings one JSON object lists; all of them are counted.
const maxFindings = 10_000

// checkReport is what check prints as JSON.
type checkReport struct {
	OK       bool              `json:"ok"`
	Findings []checker.Finding `json:"findings"`
	Counts   checker.Counts    `json:"counts"`
}

// cmdCheck is the independent checker: it re-derives limits, states, consents, keys and the audit log from the
// database and trusts none of the code that wrote it.
func cmdCheck(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("check", s)
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	r := checkReport{Findings: []checker.Finding{}}
	var err error
	r.Counts, err = w.Check(ctx, func(x checker.Finding) {
		if !*f.json {
			fmt.Fprintf(s.out, "%s %s %s: %s\n", x.Check, x.Clause, x.Object, x.Detail)
		} else if len(r.Findings) < maxFindings {
			r.Findings = append(r.Findings, x)
		}
	})
	if err != nil {
		return f.fail(err)
	}
	r.OK = r.Counts.Findings == 0
	f.result(r, func() {
		fmt.Fprintf(s.out, "%d findings in %d applications, %d certificates, %d consents, %d keys, %d approvals, %d rows of the audit log, %d checkpoints\n",
			r.Counts.Findings, r.Counts.Applications, r.Counts.Certificates, r.Counts.Consents, r.Counts.Keys, r.Counts.Approvals, r.Counts.AuditRows, r.Counts.Checkpoints)
	})
	if !r.OK {
		return exitNo
	}
	return exitYes
}
