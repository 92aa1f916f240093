package policy

import (
	"testing"
	"time"
)

// HCA-9: every limit can be tightened and none loosened past its rule, whoever wrote the value.
func TestSettingsAreNeverLoosened(t *testing.T) {
	for _, s := range AllSettings() {
		if s.Clause == "" || s.Least > s.Start || s.Start > s.Most {
			t.Errorf("%s starts outside its bounds, or under no clause: %+v", s.Name, s)
		}
		for v, allowed := range map[int64]bool{s.Least - 1: false, s.Least: true, s.Most: true, s.Most + 1: false} {
			text := s.Text(v)
			if s.Kind == MarkSetting && !allowed {
				text = "maybe"
			}
			got, d := s.Parse(text)
			if d.Allowed != allowed || d.Allowed && got != v || !d.Allowed && d.Clause != "HCA-9" {
				t.Errorf("%s %q: %d, %+v", s.Name, text, got, d)
			}
			if now := (Settings{s.Name: v}).Value(s.Name); now < s.Least || now > s.Most {
				t.Errorf("%s counts as %d, past its bounds", s.Name, now)
			}
		}
		for _, text := range []string{"", "x", "10", "-1", "1e9", "1.5s", "999999h", "9223372036854775808"} {
			if v, d := s.Parse(text); d.Allowed && (v < s.Least || v > s.Most) {
				t.Errorf("%s takes %q", s.Name, text)
			}
		}
		if got := (Settings)(nil).Value(s.Name); got != s.Start {
			t.Errorf("%s begins with %d, not %d", s.Name, got, s.Start)
		}
	}
	for name, most := range map[SettingName]time.Duration{Idle: 10 * time.Minute, SessionLife: 12 * time.Hour, MessageTextLife: 5 * time.Minute, StatementLife: 10 * time.Minute} {
		if got := (Settings{name: 1 << 40}).Life(name); got != most {
			t.Errorf("%s loosened to %s", name, got)
		}
	}
	if n := (Settings{MostCertificates: 99}).Number(MostCertificates); n != 5 { // HCA-7.5
		t.Errorf("%d certificates", n)
	}
	if (Settings{}).Value("no such") != 0 {
		t.Error("an unknown setting allows something")
	}
}

// A value is read as it is written.
func TestSettingTexts(t *testing.T) {
	for _, s := range AllSettings() {
		for _, v := range []int64{s.Least, s.Start, s.Most} {
			if got, d := s.Parse(s.Text(v)); !d.Allowed || got != v {
				t.Errorf("%s: %q reads as %d", s.Name, s.Text(v), got)
			}
		}
	}
	life := Setting{Kind: LifeSetting}
	for v, want := range map[int64]string{600: "10m", 43200: "12h", 90: "1m30s", 5400: "1h30m", 20: "20s"} {
		if got := life.Text(v); got != want {
			t.Errorf("%d is written %q, not %q", v, got, want)
		}
	}
}
