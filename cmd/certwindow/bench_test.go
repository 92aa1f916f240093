package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"certwindow/cmd/certwindow/bench"
)

// TestBench holds the cost of verifying a message against the raw cryptography in it, measured in the same run, by
// processor time. The bound is 1.5; the test leaves room for a busy machine, and finds what makes it a multiple.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for two seconds")
	}
	var out, errs bytes.Buffer
	code := dispatch(t.Context(), []string{"bench", "verify", "--for", "300ms", "--cores", "1", "--json"}, streams{nil, &out, &errs})
	if code != exitYes && code != exitNo {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var report benchReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if report.Held != (code == exitYes) {
		t.Errorf("exit %d, held is %v", code, report.Held)
	}
	messages := 0
	for _, f := range report.Figures {
		t.Logf("%s: %.0f %s, raw %.0f, ratio %.2f", f.Name, f.Ours, f.Unit, f.Raw, f.Ratio)
		if f.Group != bench.Verify || f.Ours <= 0 || f.Raw <= 0 || f.Ratio < 1 {
			t.Errorf("%+v is no measurement", f)
		}
		if !strings.Contains(f.Name, "message") {
			continue
		}
		messages++
		if f.Bound != bench.MaxRatio || f.Held != (f.Ratio <= f.Bound) {
			t.Errorf("%s: ratio %.2f, bound %v, held %v", f.Name, f.Ratio, f.Bound, f.Held)
		}
		if f.Ratio > 2 {
			t.Errorf("%s: %.2f times the raw operations", f.Name, f.Ratio)
		}
	}
	if messages != 2 {
		t.Errorf("%d kinds of messages were measured", messages)
	}
}

// TestBenchMisused: wrong use is told apart from a bound that is not held.
func TestBenchMisused(t *testing.T) {
	for _, args := range [][]string{
		{"bench", "all"}, {"bench", "--for", "0s"}, {"bench", "verify", "--cores", "0"}, {"bench", "verify", "--cores", "1,"},
		{"bench", "verify", "crl"},
	} {
		var out, errs bytes.Buffer
		if code := dispatch(t.Context(), args, streams{nil, &out, &errs}); code != exitUsage || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%v: exit %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
}
