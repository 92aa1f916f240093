package api_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
	"certwindow/ra"
)

// HCA-7.2, HCA-3.4: the app hears of a certificate that is to be renewed when the time comes, without asking for its list, and
// no more once it has ended.
func TestEventsTellOfRenewals(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{HSM: true})
	c := inHSM(t, w, p, person, device)
	later := func(d time.Duration) {
		t.Helper()
		w.Pass(d)
		p.signIn("doctor")
	}
	var seen struct {
		Renewals []ra.CertificateID
	}
	first := p.events("")
	first.into(t, &seen)
	if len(seen.Renewals) != 0 {
		t.Errorf("a year before: %s", first.body)
	}
	later(310 * 24 * time.Hour)
	told := p.events(first.header.Get("ETag"))
	told.into(t, &seen)
	if told.status != http.StatusOK || !slices.Equal(seen.Renewals, []ra.CertificateID{c.ID}) {
		t.Errorf("55 days before: %d %s", told.status, told.body)
	}
	w.SetState(t, c.ID, ra.CertSuspended)
	got := p.events(told.header.Get("ETag"))
	if got.into(t, &seen); len(seen.Renewals) != 0 {
		t.Errorf("of what is stopped: %s", got.body)
	}
}
