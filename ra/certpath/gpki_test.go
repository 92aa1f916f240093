package certpath

import (
	"context"
	"errors"
	"testing"
	"time"
)

// HCA-5.1.1: generations of the government root share a name; only key and signature tell them apart.
func TestGPKI(t *testing.T) {
	load := func(name string) *Certificate { return loadCert(t, corpora(t, "gpki", name+".pem")) }
	const (
		rollover = "GRCA-G2-issued-by-G1-selfissued-rollover"
	)
	at := time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC)
	later := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	cases := []struct {
		leaf, anchor  string
		intermediates []string
		at            time.Time
		reason        string
	}{
		{"MOICA-G2", "GRCA-G2", nil, at, ""},
		{"MOEACA-G2", "GRCA-G2", nil, at, ""},
		{"MOICA-G3", "GRCA-G3", nil, later, ""},
		{rollover, "GRCA-G1", nil, at, ReasonWeakAlgorithm},
		{"MOICA-G1", "GRCA-G1", nil, at, ReasonWeakAlgorithm},
		{"MOICA-G2", "GRCA-G1", []string{rollover}, at, ReasonWeakAlgorithm},
		{"MOICA-G2", "GRCA-G2", []string{rollover, "GRCA-G1"}, at, ""},
		{"MOICA-G2", "GRCA-G1", nil, at, ReasonSignature},
		{"MOICA-G2", "GRCA-G3", nil, later, ReasonNoPath},
		{"MOICA-G3", "GRCA-G2", nil, later, ReasonNoPath},
		{"MOICA-G1", "GRCA-G2", nil, at, ReasonWeakAlgorithm},
		{"MOICA-G3", "GRCA-G3", nil, at, ReasonNotYetValid},
		{"GTEST-GRCA-G4-test-root", "GRCA-G3", nil, later, ReasonNoPath},
	}
	table := newTally("GPKI")
	for _, c := range cases {
		o := Options{Anchors: []*Certificate{load(c.anchor)}, At: c.at}
		for _, name := range c.intermediates {
			o.Intermediates = append(o.Intermediates, load(name))
		}
		_, err := Validate(context.Background(), load(c.leaf), o)
		var refusal *Error
		got := ""
		if errors.As(err, &refusal) {
			got = refusal.Reason
		}
		table.add(c.anchor, c.reason == "", err)
		if got != c.reason {
			t.Errorf("%s below %s: %v, want reason %q", c.leaf, c.anchor, err, c.reason)
		}
	}
	table.check(t)
}
