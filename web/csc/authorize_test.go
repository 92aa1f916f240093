package csc_test

import (
	"net/http"
	"testing"

	"certwindow/cmd/phone/phonetest"
)

// RFC 9700 section 2.1: another site's page begins nothing in a visitor's browser, and nobody who knows the address of a
// holder's credential asks that holder's phone without end.
func TestAuthorizeIsOurPagesFormWithinBounds(t *testing.T) {
	x := newWard(t, phonetest.Options{})
	r := x.request(http.MethodPost, "/oauth2/authorize", "application/x-www-form-urlencoded", x.wants(2).Encode())
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := x.do(x.his, r); a.status < 400 || a.status > 403 {
		t.Errorf("from another site: %d %s", a.status, a.body)
	}
	asked := 0
	for range 12 {
		if a := x.form(x.his, "/oauth2/authorize", x.wants(2)); a.status == http.StatusSeeOther {
			asked++
		} else if a.status != http.StatusTooManyRequests {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if asked == 0 || asked > 5 {
		t.Errorf("the phone was asked %d times", asked)
	}
}
