package mask

import (
	"strings"
	"testing"
	"unicode"
)

// HCA-8.1.5
func TestMasks(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Name("王大明"), "王○明"}, {Name("王明"), "王○"}, {Name("王"), "○"}, {Name(""), ""}, {Name("歐陽大明"), "歐○○明"},
		{Name("Mary Smith"), "M○○○ S○○○○"}, {Name("王 大 明"), "王 ○ ○"}, {Name("谷辣斯‧尤達卡"), "谷○○○○○卡"},
		{ID("A123456789"), "A12****789"}, {ID("A1234"), "*****"}, {ID(""), ""},
		{Card("0000000112345678"), "00********5678"}, {Phone("0912345678"), "0912****678"},
		{Email("amy@example.org"), "a***@example.org"}, {Email("@x"), "***@x"}, {Email("nonsense"), "********"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// However odd the input, a mask shows at most this many of its characters, and a name of two words or more no
// more than one of each.
func FuzzMasksHide(f *testing.F) {
	for _, s := range []string{"A123456789", "王大明", "Mary Ann Smith", "a@b@c", "", "\x00\xff", "0\u00850", "王 大 明"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.NewReplacer("*", "x", "○", "x").Replace(s)
		words := len(strings.Fields(s))
		for _, m := range []struct {
			mask func(string) string
			most int
		}{{Name, max(2, words)}, {ID, 6}, {Card, 6}, {Phone, 7}} {
			shown := 0
			for _, r := range m.mask(s) {
				if r != '*' && r != '○' && !unicode.IsSpace(r) {
					shown++
				}
			}
			if shown > m.most {
				t.Errorf("%q: %d characters are shown", s, shown)
			}
		}
		if strings.TrimSpace(s) != "" && Name(s) == s {
			t.Errorf("%q is shown whole", s)
		}
		if local, _, ok := strings.Cut(Email(s), "@"); ok && len([]rune(local)) > 4 {
			t.Errorf("%q: %q of the address is shown", s, local)
		}
	})
}
