package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"certwindow/cmd/certwindow/bench"
)

// benchReport is what bench prints with --json.
type benchReport struct {
	Held    bool           `json:"held"`
	Machine string         `json:"machine"`
	Figures []bench.Figure `json:"figures"`
}

// cmdBench measures this program beside the raw cryptography that it cannot avoid, in one run. The first argument
// names what is measured; without it everything is. It exits with no when a bound is not held.
func cmdBench(ctx context.Context, args []string, s streams) int {
	o := bench.Options{Groups: bench.Groups(), Cores: []int{1, 2}, Log: s.err, Crowd: bench.Country}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		known := append(bench.Groups(), bench.Search)
		if !slices.Contains(known, bench.Group(args[0])) {
			fmt.Fprintf(s.err, "certwindow bench: %q is none of %v\n", args[0], known)
			return exitUsage
		}
		o.Groups, args = []bench.Group{bench.Group(args[0])}, args[1:]
	}
	f := newVerifyFlags("bench", s)
	f.DurationVar(&o.For, "for", 2*time.Second, "how long each figure is measured, `DURATION`")
	f.StringVar(&o.Module, "module", bench.FindModule(), "SoftHSM's library, `FILE`; empty leaves its figures out")
	f.StringVar(&o.Database, "database", "", "for search: an empty PostgreSQL database that may be thrown away, `ADDRESS`")
	f.IntVar(&o.Crowd.Certificates, "certificates", o.Crowd.Certificates, "for search: how many certificates it is filled with, `N`")
	f.Func("cores", "numbers of cores to compare with one, `N,N` (1,2)", func(v string) (err error) {
		o.Cores, err = parseCores(v)
		return err
	})
	if code, done := f.parse(args, s); done {
		return code
	}
	if o.For <= 0 {
		f.misused(errors.New("--for is not positive"))
		code, _ := f.usable(s)
		return code
	}
	figures, err := bench.Run(ctx, o)
	if err != nil {
		fmt.Fprintln(s.err, "certwindow:", err)
		return exitNo
	}
	report := benchReport{Held: true, Figures: figures,
		Machine: fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	for _, one := range figures {
		report.Held = report.Held && one.Held
	}
	if f.asJSON {
		err = json.NewEncoder(s.out).Encode(report)
	} else {
		fmt.Fprintf(s.out, "%s; only ratios compare between machines\n\n", report.Machine)
		err = bench.Table(s.out, figures)
	}
	if err != nil {
		fmt.Fprintln(s.err, "certwindow: writing the figures:", err)
		return exitNo
	}
	if !report.Held {
		return exitNo
	}
	return exitYes
}

func parseCores(list string) ([]int, error) {
	var out []int
	for one := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(one)
		if err != nil || n < 1 || n > 1024 {
			return nil, fmt.Errorf("%q is no number of cores", one)
		}
		out = append(out, n)
	}
	return out, nil
}
