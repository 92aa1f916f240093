package policy

import (
	"math"
	"testing"
	"time"
)

// HCA-7.5: five valid certificates, more only while HCA's exemption runs, and none when it ended above five.
func TestLimit(t *testing.T) {
	ten := &Exemption{Limit: 10, Until: noon, Reply: "115-0042"}
	before, end := noon.Add(-time.Nanosecond), noon
	for _, c := range []struct {
		name string
		held int
		e    *Exemption
		at   time.Time
		code string
	}{
		{"the first", 0, nil, noon, ""},
		{"the fifth", 4, nil, noon, ""},
		{"the sixth", 5, nil, noon, "limit-reached"},
		{"far above", math.MaxInt, nil, noon, "limit-reached"},
		{"a count that cannot be", -1, nil, noon, "limit-reached"},
		{"the sixth under an exemption", 5, ten, before, ""},
		{"the tenth under an exemption", 9, ten, before, ""},
		{"the eleventh under an exemption", 10, ten, before, "limit-reached"},
		{"the sixth at the exemption's end", 5, ten, end, "limit-reached"},
		{"nine held at the exemption's end", 9, ten, end, "limit-reached"},
		{"four held after the exemption's end", 4, ten, end, ""},
		{"an exemption without HCA's reply", 5, &Exemption{Limit: 10, Until: noon}, before, "limit-reached"},
		{"an exemption without an end", 5, &Exemption{Limit: 10, Reply: "x"}, before, "limit-reached"},
		{"an exemption never lowers", 4, &Exemption{Limit: 2, Until: noon, Reply: "x"}, before, ""},
	} {
		t.Run(c.name, func(t *testing.T) { wantDecision(t, Limit(c.held, MaxValidCertificates, c.e, c.at), "HCA-7.5", c.code) })
	}
}

// HCA-7.5: the number itself, on both sides of an exemption's end.
func TestLimitAt(t *testing.T) {
	e := &Exemption{Limit: 8, Until: noon, Reply: "115-0042"}
	for most, want := range map[int]int{3: 3, 6: 5} { // HCA-9: tightened, never loosened
		if n := LimitAt(most, nil, noon); n != want {
			t.Errorf("a window's limit of %d: %d, want %d", most, n, want)
		}
	}
	if n := LimitAt(3, e, noon.Add(-time.Second)); n != 8 {
		t.Errorf("an exemption in a window with a limit of three: %d, want 8", n)
	}
	if n := LimitAt(5, nil, noon); n != 5 {
		t.Errorf("without exemption %d, want 5", n)
	}
	if n := LimitAt(5, e, noon.Add(-time.Second)); n != 8 {
		t.Errorf("while it runs %d, want 8", n)
	}
	if n := LimitAt(5, e, noon); n != 5 {
		t.Errorf("at its end %d, want 5", n)
	}
}
