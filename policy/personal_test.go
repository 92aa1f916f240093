package policy

import (
	"strings"
	"testing"
	"time"
)

// HCA-8.1.5: a record is unmasked for a named reason that is explained, and not by the dozen.
func TestUnmask(t *testing.T) {
	const note = "來電核對身分，回撥確認"
	for _, c := range []struct {
		name, reason, note string
		before             int
		code               string
	}{
		{"explained", "identify", note, 0, ""},
		{"the last of the hour", "contact", note, MaxUnmaskings - 1, ""},
		{"one too many", "contact", note, MaxUnmaskings, "unmask-too-many"},
		{"no reason", "", note, 0, "unmask-reason"},
		{"a reason of one's own", "curious", note, 0, "unmask-reason"},
		{"not explained", "identify", "  why ", 0, "unmask-note"},
		{"a novel", "identify", strings.Repeat("字", 501), 0, "unmask-note"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, Unmask(c.reason, c.note, c.before), "HCA-8.1.5", c.code) })
	}
}

// HCA-9: data is kept for the retention and no longer, and nobody is erased who was not announced.
func TestErasure(t *testing.T) {
	last := noon.AddDate(-7, 0, 0)
	at := func(d time.Duration) *time.Time { x := noon.Add(d); return &x }
	for _, c := range []struct {
		name   string
		last   time.Time
		listed *time.Time
		years  int
		code   string
	}{
		{"due and announced", last, at(-ErasureNotice), 7, ""},
		{"announced a moment too late", last, at(-ErasureNotice + 1), 7, "erasure-not-announced"},
		{"never announced", last, nil, 7, "erasure-not-announced"},
		{"not due", last.Add(time.Second), at(-2 * ErasureNotice), 7, "retention-runs"},
		{"a shorter retention", noon.AddDate(-3, 0, 0), at(-ErasureNotice), 3, ""},
		{"a longer one is none", last, at(-ErasureNotice), 70, ""},
		{"no setting", noon.AddDate(-6, 0, 0), at(-ErasureNotice), 0, "retention-runs"},
		{"no facts", time.Time{}, at(-ErasureNotice), 7, "retention-runs"},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, Erasure(c.last, c.listed, c.years, noon), "HCA-9", c.code) })
	}
}
