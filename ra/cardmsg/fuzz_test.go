package cardmsg

import (
	"bytes"
	"context"
	"testing"

	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/cms"
)

// FuzzDecode: whatever bytes come from a component, nothing panics, and what is accepted is the text that was
// issued, signed by the card that signed it.
func FuzzDecode(f *testing.F) {
	w := theWorld(f)
	card := w.pki.Card(f, cardtest.CardOptions{EC: true})
	o := w.options(f, card)
	f.Add(card.Sign(f, w.text, now, testNonce))
	f.Add(card.Sign(f, []byte("other"), now, ""))
	f.Add(card.SignWith(f, w.text, cms.SignOptions{SigningTime: now, Detached: true}))
	f.Add(card.SignWith(f, w.text, cms.SignOptions{SigningTime: now, Certificates: [][]byte{w.pki.CA.Cert.Raw}}))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		u, err := Decode(der)
		if err != nil {
			return
		}
		for _, judge := range []func(context.Context, Options) (*Verified, error){u.Verify, u.VerifyBare} {
			v, err := judge(context.Background(), o)
			if err == nil && (!bytes.Equal(v.Content(), w.text) || !bytes.Equal(v.Signer().Raw, card.Cert.Raw)) {
				t.Fatalf("accepted %q", v.Content())
			}
		}
	})
}

// FuzzValue: a value that passes is one line and stays one.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"王小明", "a\nb", "\u2028", "谷縱‧喀勒芳安", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		e := enrolment()
		e.Name = v
		text, err := e.Text()
		if err != nil {
			return
		}
		if n := bytes.Count(text, []byte("\n")); n != 16 {
			t.Fatalf("%q makes %d lines", v, n)
		}
		if !bytes.Contains(text, []byte("\nname: "+v+"\ndevice: ")) {
			t.Fatalf("%q is not in the text as it is", v)
		}
	})
}
