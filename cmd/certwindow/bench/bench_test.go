package bench

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestJudge: a bound is of the ratio or of our own figure, from above or from below, and a figure without one
// is never a no.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		f    Figure
		held bool
	}{
		"no bound":         {Figure{Ours: 9, Raw: 1}, true},
		"ratio below":      {Figure{Ours: 15, Raw: 10, Bound: 1.5, OnRatio: true}, true},
		"ratio above":      {Figure{Ours: 15.1, Raw: 10, Bound: 1.5, OnRatio: true}, false},
		"median of ratios": {Figure{Ours: 15, Raw: 10, Ratio: 1.6, Bound: 1.5, OnRatio: true}, false},
		"gain":             {Figure{Ours: 1.6, Raw: 2, Bound: 1.6, AtLeast: true}, true},
		"too little gain":  {Figure{Ours: 1.59, Raw: 2, Bound: 1.6, AtLeast: true}, false},
		"gain of a busy machine": {
			Figure{Ours: 1.1, Raw: 1.2, Bound: 0.8, AtLeast: true, OnRatio: true}, true},
		"milliseconds":      {Figure{Ours: 299, Raw: 10, Bound: 300}, true},
		"more milliseconds": {Figure{Ours: 301, Bound: 300}, false},
	} {
		got := c.f.judge()
		if got.Held != c.held {
			t.Errorf("%s: held is %v", name, got.Held)
		}
		var out bytes.Buffer
		if err := Table(&out, []Figure{got}); err != nil || strings.Contains(out.String(), "NOT HELD") == c.held {
			t.Errorf("%s: %v, %s", name, err, out.String())
		}
	}
}

// TestRawIsJudged: every signature that is counted as unavoidable is one of the message that is judged, or the raw
// sum would be of something else.
func TestRawIsJudged(t *testing.T) {
	m, err := newMessage(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.judge(); err != nil {
		t.Fatal(err)
	}
	if err := m.rawMessage(); err != nil || len(m.raw) != 5 {
		t.Fatalf("%d signatures, %v", len(m.raw), err)
	}
	judged := slices.Concat(m.der, m.ocsp, m.path.Intermediates[0].Raw)
	for i, s := range m.raw[1:] {
		if !bytes.Contains(judged, s.sig) {
			t.Errorf("signature %d is in nothing that is judged", i+1)
		}
	}
	for i := range m.raw {
		m.raw[i].sig[len(m.raw[i].sig)-1] ^= 1
		if m.rawMessage() == nil {
			t.Errorf("signature %d is not verified", i)
		}
		m.raw[i].sig[len(m.raw[i].sig)-1] ^= 1
	}
}
