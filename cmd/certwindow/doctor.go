package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
)

// cmdDoctor tells what is in order and what is not. With --clauses it prints the compliance report, which needs
// no configuration.
func cmdDoctor(_ context.Context, args []string, s streams) int {
	fs := flag.NewFlagSet("certwindow doctor", flag.ContinueOnError)
	fs.SetOutput(s.err)
	clauses := fs.Bool("clauses", false, "print every clause, what enforces it and what tests it")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitYes
		}
		return exitUsage
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(s.err, "certwindow doctor: unexpected argument %q\n", fs.Arg(0))
		return exitUsage
	}
	if !*clauses {
		fmt.Fprintln(s.err, "certwindow doctor: the flag --clauses is needed")
		return exitUsage
	}
	return clauseReport(s.out, *asJSON)
}
