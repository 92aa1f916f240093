package policy

import (
	"slices"
	"testing"
	"time"
)

// HCA-7.2: the holder is reminded in the last 60 days, and not of what has ended.
func TestRenewBy(t *testing.T) {
	end := noon.Add(RenewalTime)
	for at, want := range map[time.Time]bool{noon.Add(-time.Second): false, noon: true, end.Add(-time.Second): true, end: false} {
		if by, due := RenewBy(end, at); due != want || !by.Equal(end) {
			t.Errorf("%s: %v", at, due)
		}
	}
}

// HCA-3.4: the holder is told as soon as a renewal may begin, and the last reminder comes first in the list.
func TestReminders(t *testing.T) {
	days := Reminders()
	if !slices.IsSorted(days) || time.Duration(days[len(days)-1])*24*time.Hour != RenewalTime || days[0] < 1 {
		t.Errorf("%v", days)
	}
}

// HCA-7.2, HCA-7.3, HCA-7.5: what may stand as the renewal of what.
func TestRenewal(t *testing.T) {
	good := RenewalFacts{Live: true, NotAfter: noon.Add(24 * time.Hour), SamePerson: true, SameDevice: true}
	change := func(f func(*RenewalFacts)) RenewalFacts {
		c := good
		f(&c)
		return c
	}
	for name, c := range map[string]struct {
		facts  RenewalFacts
		clause Clause
		code   string
	}{
		"in its last days":  {good, "", ""},
		"another person's":  {change(func(f *RenewalFacts) { f.SamePerson = false }), "HCA-7.3", "renewal-of-another"},
		"another device's":  {change(func(f *RenewalFacts) { f.SameDevice = false }), "HCA-7.3", "renewal-of-another"},
		"suspended":         {change(func(f *RenewalFacts) { f.Live = false }), "HCA-7.2", "renewal-of-ended"},
		"expired":           {change(func(f *RenewalFacts) { f.NotAfter = noon }), "HCA-7.2", "renewal-of-ended"},
		"61 days left":      {change(func(f *RenewalFacts) { f.NotAfter = noon.Add(61 * 24 * time.Hour) }), "HCA-7.5", "renewal-too-early"},
		"renewed meanwhile": {change(func(f *RenewalFacts) { f.Begun = true }), "HCA-7.5", "renewal-begun"},
		"nothing is known":  {RenewalFacts{}, "HCA-7.3", "renewal-of-another"},
	} {
		if d := Renewal(c.facts, noon); d.Allowed != (c.code == "") || d.Clause != c.clause || d.Code != c.code {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
