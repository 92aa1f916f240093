package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"certwindow/cmd/certwindow/window"
	"certwindow/ra"
)

// cmdEvidence writes the evidence of one application as a zip that certwindow verify evidence, or openssl by
// hand, can judge without this window (HCA-3.3).
func cmdEvidence(ctx context.Context, args []string, s streams) int {
	f := newOperatorFlags("evidence", s)
	id := f.String("application", "", "id of the application")
	out := f.String("out", "", "zip to write; it must not exist")
	w, code := f.open(ctx, args)
	if w == nil {
		return code
	}
	defer w.Close()
	if *id == "" || *out == "" {
		fmt.Fprintf(s.err, "%s: --application and --out are needed\n", f.Name())
		return exitUsage
	}
	file, err := create(*out)
	if err != nil {
		return f.fail(err)
	}
	err = w.Evidence(ctx, window.Operator("evidence"), ra.ApplicationID(*id), file)
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(*out)
		return f.fail(err)
	}
	f.result(map[string]string{"application": *id, "file": *out}, func() { fmt.Fprintln(s.out, *out) })
	return exitYes
}
