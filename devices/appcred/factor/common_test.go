package factor

import (
	"certwindow/policy"
	"testing"
	"unicode/utf8"
)

// ASVS 6.2.4, 6.2.11: what guessers try first is no password.
func TestCommonPasswords(t *testing.T) {
	list := commonPasswords()
	if len(list) < 3000 {
		t.Fatalf("%d common passwords", len(list))
	}
	for p := range list {
		if utf8.RuneCountInString(p) < policy.MinPasswordLength || !Common(Secret(p), "x") {
			t.Fatalf("%s is taken", p)
		}
	}
	for _, p := range []Secret{"12345678", "2026-11-22", "Password1", "Hospital2026!", "!!certwindow!!", "dr.chen2026", "DR.CHEN!"} {
		if !Common(p, "dr.chen") {
			t.Errorf("%s is taken", p.Reveal())
		}
	}
	for _, p := range []Secret{"correct horse", "battery staple", "我的密碼不好猜喔", "hospital garden 7", "x9!kd0pq"} {
		if Common(p, "dr.chen") {
			t.Errorf("%s is refused", p.Reveal())
		}
	}
}
