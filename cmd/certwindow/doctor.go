package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"certwindow/cmd/certwindow/config"
	"certwindow/cmd/certwindow/window"
	"certwindow/policy"
)

// finding is one thing that the doctor looked at.
type finding struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// cmdDoctor tells what is configured, reachable and about to expire. With --clauses it prints the compliance
// report, which needs no configuration.
func cmdDoctor(ctx context.Context, args []string, s streams) int {
	fs := flag.NewFlagSet("certwindow doctor", flag.ContinueOnError)
	fs.SetOutput(s.err)
	clauses := fs.Bool("clauses", false, "print every clause, what enforces it and what tests it")
	asJSON := fs.Bool("json", false, "print one JSON object")
	path := fs.String("config", "", "the configuration file")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitYes
		}
		return exitUsage
	}
	if fs.NArg() > 0 || *clauses == (*path != "") {
		fmt.Fprintln(s.err, "certwindow doctor: give --config FILE, or --clauses, and nothing beside the flags")
		return exitUsage
	}
	if *clauses {
		return clauseReport(s.out, *asJSON)
	}
	f := operatorFlags{FlagSet: fs, config: path, json: asJSON, s: s}
	c, err := config.Load(*path)
	if err != nil {
		fmt.Fprintln(s.err, err)
		return exitUsage
	}
	found := diagnose(ctx, c, s)
	healthy := true
	for _, x := range found {
		healthy = healthy && x.OK
	}
	f.result(map[string]any{"healthy": healthy, "findings": found}, func() {
		for _, x := range found {
			fmt.Fprintf(s.out, "%-4s %-24s %s\n", map[bool]string{true: "ok", false: "NO"}[x.OK], x.What, x.Detail)
		}
	})
	if !healthy {
		return exitNo
	}
	return exitYes
}

func diagnose(ctx context.Context, c *config.Config, s streams) []finding {
	found := []finding{{"configuration", true, c.Mode + " mode, window " + c.Window.Institution}}
	w, err := window.Open(ctx, c, logger(c, s), now)
	if err != nil {
		return append(found, finding{"open", false, err.Error()})
	}
	defer w.Close()
	info := w.Token.Info()
	found = append(found, finding{"HSM", true, fmt.Sprintf("%s %s, token %s, %s", info.Manufacturer, info.Model, info.Label, certification(c.HSM.Certification))})
	if generations, err := w.Token.MasterGenerations(ctx); err != nil || len(generations) == 0 {
		found = append(found, finding{"master key", false, "there is none: run certwindow ceremony master (HCA-6.3.2)"})
	} else {
		found = append(found, finding{"master key", true, fmt.Sprintf("generations %v", generations)})
	}
	for _, check := range w.Checks() {
		ctx, stop := context.WithTimeout(ctx, 10*time.Second)
		err := check.Run(ctx)
		stop()
		found = append(found, finding{check.Name, err == nil, errText(err, "answers")})
	}
	return append(found, dedicatedFinding(ctx, w), crlFinding(ctx, w))
}

// warnings are the days ahead of which HCA-3.1 wants the dedicated certificate's end to be told.
var warnings = [...]int{1, 7, 14, 30, 60}

func dedicatedFinding(ctx context.Context, w *window.Window) finding {
	standing := w.Dedicated.Standing(ctx)
	if d := policy.WindowMayEnrol(standing, now()); !d.Allowed {
		return finding{"dedicated certificate", false, string(d.Clause) + ": " + d.Detail}
	}
	left := int(standing.NotAfter.Sub(now()).Hours() / 24)
	detail := fmt.Sprintf("valid until %s, %d days", standing.NotAfter.Format(time.DateOnly), left)
	for _, days := range warnings {
		if left <= days {
			return finding{"dedicated certificate", true, detail + fmt.Sprintf(": renew it, %d days or fewer are left (HCA-3.1)", days)}
		}
	}
	return finding{"dedicated certificate", true, detail}
}

func crlFinding(ctx context.Context, w *window.Window) finding {
	err := w.RefreshCRL(ctx)
	return finding{"revocation list", err == nil, errText(err, "fresh")}
}

// certification says what is on record of the module (HCA-6.3.1).
func certification(c config.Certification) string {
	if c.Scheme == "" {
		return "no certification on record"
	}
	return fmt.Sprintf("%s level %d, certificate %s", c.Scheme, c.Level, c.Number)
}

func errText(err error, good string) string {
	if err != nil {
		return err.Error()
	}
	return good
}
