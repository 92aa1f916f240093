package policy

import "testing"

// HCA-5.1.1, HCA-7.3: a card becomes a person's only when holder, name and, where it carries them, last digits agree,
// and an identity document was seen.
func TestCardLink(t *testing.T) {
	good := CardClaim{SameHolder: true, SameName: true, Digits: "6789", NationalID: "A123456789", DocumentChecked: true}
	for want, change := range map[string]func(*CardClaim){
		"":                     func(*CardClaim) {},
		"card-another-persons": func(c *CardClaim) { c.SameHolder = false },
		"card-name-differs":    func(c *CardClaim) { c.SameName = false },
		"card-digits-differ":   func(c *CardClaim) { c.Digits = "6780" },
		"document-not-checked": func(c *CardClaim) { c.DocumentChecked = false },
	} {
		c := good
		change(&c)
		if d := CardLink(c); d.Code != want || d.Allowed != (want == "") {
			t.Errorf("%q: %+v", want, d)
		}
	}
	good.Digits = ""
	if d := CardLink(good); !d.Allowed {
		t.Errorf("a card without digits: %+v", d)
	}
	if CardChecked(false).Allowed || !CardChecked(true).Allowed {
		t.Error("first use")
	}
}
