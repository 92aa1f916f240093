package mask

import "testing"

// HCA-8.1.5
func TestMasks(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Name("王大明"), "王○明"}, {Name("王明"), "王○"}, {Name("王"), "○"}, {Name(""), ""}, {Name("歐陽大明"), "歐○○明"},
		{Name("Mary Smith"), "M○○○ S○○○○"}, {Name("谷辣斯‧尤達卡"), "谷○○○○○卡"},
		{ID("A123456789"), "A12****789"}, {ID("A1234"), "*****"}, {ID(""), ""},
		{Card("0000000112345678"), "00********5678"}, {Phone("0912345678"), "0912****678"},
		{Email("amy@example.org"), "a***@example.org"}, {Email("@x"), "***@x"}, {Email("nonsense"), "********"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func FuzzMasksHide(f *testing.F) {
	f.Add("A123456789")
	f.Add("王大明")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		for _, m := range []func(string) string{Name, ID, Card, Phone, Email} {
			if got := m(s); got == s && s != "" && len([]rune(s)) > 3 && s[0] != '*' && s[0] != '@' && !hidden(s) {
				t.Errorf("%q is not masked", s)
			}
		}
	})
}

// hidden tells whether a text consists of nothing a mask would hide.
func hidden(s string) bool {
	for _, r := range s {
		if r != '*' && r != '○' && r != '@' && r != ' ' && r > ' ' {
			return false
		}
	}
	return true
}
