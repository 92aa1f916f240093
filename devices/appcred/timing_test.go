package appcred_test

import (
	"slices"
	"testing"
	"time"

	"certwindow/devices/appcred"
	"certwindow/ra"
)

// likelier is how likely a time of a is longer than one of b (the area under the ROC curve): a half when nothing tells them
// apart. Only the order of the times counts, so that a machine that is busy now and then changes nothing.
func likelier(a, b []time.Duration) float64 {
	longer := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				longer++
			case x == y:
				longer += 0.5
			}
		}
	}
	return longer / float64(len(a)*len(b))
}

// HCA-8.2.6, HCA-8.2.7: the time that an answer takes does not tell whether an account exists, is locked, stopped, or of
// somebody who does not use this device. The cases take turns, so that whatever else the machine does falls on all of them
// alike, and passwords are cheap here, so that the rest is seen.
func TestTimeTellsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		w.account(w.lin, "lin", "correct horse")
		locked, elsewhere := w.doctor("C123456781", "吳明", "3000"), w.doctor("D123456782", "何俊", "4000")
		if err := w.register.AddUser(t.Context(), w.clerk, w.tablet, locked); err != nil {
			t.Fatal(err)
		}
		for name, person := range map[string]ra.PersonID{"wuming": locked, "hejun": elsewhere} {
			if _, err := w.Open(t.Context(), w.clerk, person, name); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			w.try("wuming", pw("wrong horse"))
		}
		if err := w.Stop(t.Context(), w.clerk, w.lin); err != nil {
			t.Fatal(err)
		}
		const rounds = 80
		names := []string{"nobody", "chen", "lin", "wuming", "hejun"}
		login, code := map[string][]time.Duration{}, map[string][]time.Duration{}
		for i := range rounds {
			for j := range names {
				name := names[(i+j)%len(names)]
				begin := time.Now()
				w.try(name, pw("wrong horse"))
				login[name] = append(login[name], time.Since(begin))
				begin = time.Now()
				if err := w.SendCode(t.Context(), w.phone, name, w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
					t.Fatal(err)
				}
				code[name] = append(code[name], time.Since(begin))
				w.Close() // the sending itself is in the background
			}
			// What was counted is forgotten, so that the next round finds them as this one did.
			if err := w.db.Gorm.Exec("UPDATE holder_accounts SET failures = 0 WHERE name IN ('chen', 'lin')").Error; err != nil {
				t.Fatal(err)
			}
		}
		for what, times := range map[string]map[string][]time.Duration{"a login": login, "asking for a code": code} {
			for _, name := range names[1:] {
				p := likelier(times[name], times["nobody"])
				t.Logf("%s of %s is longer than of nobody with probability %.2f; medians %v and %v", what, name, p, median(times[name]), median(times["nobody"]))
				if p < 0.25 || p > 0.75 {
					t.Errorf("%s of %s is longer than of nobody with probability %.2f", what, name, p)
				}
			}
		}
	})
}

func median(times []time.Duration) time.Duration {
	times = slices.Clone(times)
	slices.Sort(times)
	return times[len(times)/2]
}
