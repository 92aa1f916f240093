package remotesign_test

import (
	"testing"

	"certwindow/hsm/p11/p11test"
)

// HCA-6.3.7: a system outside the hospital's network asks for no signature and collects none, whose phone ever is inside.
func TestSystemOutside(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	a, handle := w.request(t, 1)
	if out, err := w.accept(t, a, nil); err != nil || out.Stopped != nil {
		t.Fatal(err)
	}
	s, err := w.Check(t.Context(), system, records, handle)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"203.0.113.5", "2001:db8::1", "", "10.1.2.3, 203.0.113.5"} {
		outside := system
		outside.Address = address
		_, _, err := w.Request(t.Context(), outside, w.ask(1))
		refusal(t, "asked from "+address, err, "HCA-6.3.7", "outside-network")
		_, err = w.Collect(t.Context(), outside, records, s.SAD, [][]byte{a.Items[0].Hash})
		refusal(t, "collected from "+address, err, "HCA-6.3.7", "outside-network")
	}
	if sigs, err := w.Collect(t.Context(), system, records, s.SAD, [][]byte{a.Items[0].Hash}); err != nil || len(sigs) != 1 {
		t.Errorf("from inside: %v", err)
	}
}
