package remotesign_test

import (
	"slices"
	"testing"
	"time"

	"certwindow/hsm/p11/p11test"
	"certwindow/ra/news"
	"certwindow/ra/remotesign"
	"certwindow/ra/store/storetest"
)

// HCA-6.3.5: a system that asks without end does not hide what another asks for, neither from the app nor from what wakes it.
func TestNoSystemCrowdsOutAnother(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	for range 40 {
		w.request(t, 1)
		w.Clock.Advance(time.Millisecond)
	}
	w.systems["laboratory"] = remotesign.Client{ID: "laboratory", Institution: storetest.Window, Scopes: []string{"EMR-SIGN"}}
	a, _, err := w.Request(t.Context(), system,
		remotesign.Ask{Client: "laboratory", Certificate: w.cert.ID, Scope: "EMR-SIGN", HashAlgorithm: "SHA-256", Items: items(1)})
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.Pending(t.Context(), w.phone.ID, w.doctor)
	if err != nil || !slices.ContainsFunc(list, func(x remotesign.Authorisation) bool { return x.ID == a.ID }) {
		t.Errorf("the laboratory's is not among the %d that are shown, %v", len(list), err)
	}
	s, err := w.Store.Standing(t.Context(), news.Holder{Device: w.phone.ID, Person: w.doctor}, w.Clock.Now())
	if err != nil || !slices.Contains(s.Authorisations, a.ID) {
		t.Errorf("the laboratory's is not among the %d that the app is told of, %v", len(s.Authorisations), err)
	}
}
