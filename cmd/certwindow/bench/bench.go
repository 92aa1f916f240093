// Package bench measures this program against the raw cryptographic operations that it cannot avoid, both in the
// same run: what a machine of another class, or a busy one, does to the one it does to the other as well. It makes
// throw-away certificates, messages, lists and tokens for itself, and touches nothing of a window's.
package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// Group is a set of figures that are measured together.
type Group string

// The groups, in the order in which they are measured.
const (
	Verify Group = "verify" // card messages with chain and OCSP response
	CRL    Group = "crl"    // a revocation list of half a million entries
	HSM    Group = "hsm"    // holders' keys under SoftHSM
	Sign   Group = "sign"   // signatures with holders' keys, from a phone's side
)

// Groups lists those that need nothing but this machine. Search is asked for by name.
func Groups() []Group { return []Group{Verify, CRL, HSM, Sign} }

// Options say what is measured.
type Options struct {
	Groups []Group
	For    time.Duration // how long each figure is measured, about
	Cores  []int         // whether throughput on so many cores is compared with one; 1 is always measured
	Module string        // the PKCS#11 library of SoftHSM; "" leaves its figures out
	Log    io.Writer     // progress, for a person

	Database string // for Search: an empty PostgreSQL database that may be thrown away
	Crowd    Crowd  // what it is filled with
}

// Figure is one line of the table. Ours and Raw are in Unit; Bound is what Ratio, or Ours where there is no ratio,
// may be at most, or at least where AtLeast is set. A zero Bound is none.
type Figure struct {
	Group   Group   `json:"group"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Ours    float64 `json:"ours"`
	Raw     float64 `json:"raw,omitempty"` // 0 where no cryptography is unavoidable
	Ratio   float64 `json:"ratio,omitempty"`
	Bound   float64 `json:"bound,omitempty"`
	AtLeast bool    `json:"at_least,omitempty"`
	OnRatio bool    `json:"on_ratio,omitempty"` // the bound is of Ratio and not of Ours
	Held    bool    `json:"held"`               // the bound is kept; true where there is none
	Note    string  `json:"note,omitempty"`
}

// judge sets Ratio and Held.
func (f Figure) judge() Figure {
	if f.Raw > 0 && f.Ratio == 0 {
		f.Ratio = f.Ours / f.Raw
	}
	value := f.Ours
	if f.OnRatio {
		value = f.Ratio
	}
	f.Held = f.Bound == 0 || !f.AtLeast && value <= f.Bound || f.AtLeast && value >= f.Bound
	return f
}

// Run measures the groups one after the other. ctx ends it between two figures.
func Run(ctx context.Context, o Options) ([]Figure, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	measure := map[Group]func(context.Context, Options) ([]Figure, error){Verify: verify, CRL: crl, HSM: token, Sign: signing, Search: search}
	var all []Figure
	for _, g := range o.Groups {
		run, ok := measure[g]
		if !ok {
			return nil, fmt.Errorf("bench: no group %q", g)
		}
		found, err := run(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("bench %s: %w", g, err)
		}
		for _, f := range found {
			f.Group = g
			all = append(all, f.judge())
		}
	}
	return all, nil
}

// Table prints figures for a person.
func Table(w io.Writer, figures []Figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tours\traw\tunit\tratio\tbound\t\t")
	for _, f := range figures {
		raw, ratio, bound, verdict := "-", "-", "-", ""
		if f.Raw > 0 {
			raw, ratio = number(f.Raw), fmt.Sprintf("%.2f", f.Ratio)
		}
		if f.Bound > 0 {
			sign := "<="
			if f.AtLeast {
				sign = ">="
			}
			bound, verdict = fmt.Sprintf("%s %g", sign, f.Bound), "held"
			if f.OnRatio {
				bound = "ratio " + bound
			}
			if !f.Held {
				verdict = "NOT HELD"
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", f.Name, number(f.Ours), raw, f.Unit, ratio, bound, verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range figures {
		if f.Note != "" {
			if _, err := fmt.Fprintf(w, "%s: %s\n", f.Name, f.Note); err != nil {
				return err
			}
		}
	}
	return nil
}

// number prints three digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// FindModule is SoftHSM's library where Debian puts it, or "".
func FindModule() string {
	for _, p := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}
