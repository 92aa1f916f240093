package api_test

import (
	"net/http"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
)

// HCA-8.2.1, HCA-6.1, HCA-7.1: from the moment an app version is withdrawn, or says that its device was tampered with or
// lacks the carrier, it gets neither a signature nor a status statement; approved and sound again, it does.
func TestWithdrawnAppSignsNothing(t *testing.T) {
	w, p, person, device := bound(t, phonetest.Options{HSM: true})
	c := inHSM(t, w, p, person, device)
	path := "/certificates/" + string(c.ID)
	signs := func(what string, status int, code, clause string) {
		t.Helper()
		if status == http.StatusOK {
			if got := p.post(path+"/signatures", p.signing(c.ID, 1), nonce()); got.status != status {
				t.Errorf("%s: %d %s", what, got.status, got.body)
			}
			if got := p.get(path + "/status"); got.status != status {
				t.Errorf("%s: no statement: %d %s", what, got.status, got.body)
			}
			return
		}
		want(t, what+", a signature", p.post(path+"/signatures", p.signing(c.ID, 1), nonce()), status, code, clause)
		want(t, what+", a statement", p.get(path+"/status"), status, code, clause)
	}
	signs("approved", 200, "", "")
	apps, err := w.Registry.Apps(t.Context(), devices.AppQuery{})
	if err != nil || len(apps) != 1 {
		t.Fatalf("%d apps, %v", len(apps), err)
	}
	if err := w.Registry.WithdrawApp(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "admin"}, apps[0].ID, "vulnerable"); err != nil {
		t.Fatal(err)
	}
	signs("withdrawn", 422, "app-withdrawn", "HCA-8.2.1")
	p.put("/device/check-in", checkIn)
	signs("withdrawn, and checked in", 422, "app-withdrawn", "HCA-8.2.1")
	if err := w.Register.Update(t.Context(), func(tx devices.Tx) error { return devices.ApproveApp(tx, apps[0].ID, w.Now()) }); err != nil {
		t.Fatal(err)
	}
	signs("approved again", 200, "", "")
	for what, c := range map[string]struct{ from, to, code, clause string }{
		"another version":     {`"1.0.0"`, `"1.0.1"`, "app-not-approved", "HCA-8.2.1"},
		"a rooted device":     {`"rooted":false`, `"rooted":true`, "device-tampered", "HCA-6.1"},
		"without its carrier": {`"carrier_present":true`, `"carrier_present":false`, "carrier-missing", "HCA-7.1"},
	} {
		if got := p.put("/device/check-in", strings.Replace(checkIn, c.from, c.to, 1)); got.status != 200 {
			t.Fatalf("%s: %d %s", what, got.status, got.body)
		}
		signs(what, 422, c.code, c.clause)
	}
	p.put("/device/check-in", checkIn)
	signs("sound again", 200, "", "")
}
