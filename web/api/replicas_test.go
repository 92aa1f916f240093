package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// twice is a window of two servers on PostgreSQL, with one doctor's phone bound, signed in and with a key in the HSM. It
// gives the phone as it comes to each of them.
func twice(t *testing.T) (w *phonetest.Window, here, there *phone, c ra.Certificate, device ra.DeviceID) {
	t.Helper()
	w, here, person, device := bound(t, phonetest.Options{HSM: true, Database: storetest.PostgresAddress(t)})
	c = inHSM(t, w, here, person, device)
	other := *here
	other.w = w.Replica(t)
	other.connect()
	return w, here, &other, c, device
}

// signs has the phone sign one record, and gives the answer.
func (p *phone) signs(c ra.CertificateID) answer {
	p.t.Helper()
	return p.post("/certificates/"+string(c)+"/signatures", p.signing(c, 1), nonce())
}

// HCA-6.3.5, HCA-7.2, HCA-7.3, HCA-7.4, HCA-8.2.1: what is done at one server the other knows at the phone's next request,
// also when it answered the same phone a moment before: nothing is remembered of certificates, devices, apps, logins and
// accounts.
func TestTheOtherServerKnows(t *testing.T) {
	w, here, there, c, device := twice(t)
	staff := ra.Actor{Kind: ra.ActorStaff, ID: "admin"}
	apps, err := w.Registry.Apps(t.Context(), devices.AppQuery{})
	if err != nil || len(apps) != 1 {
		t.Fatalf("%d apps, %v", len(apps), err)
	}
	update := func(fn func(devices.Tx) error) func() error {
		return func() error { return w.Register.Update(t.Context(), fn) }
	}
	state := func(s ra.DeviceState) func() error {
		return update(func(tx devices.Tx) error {
			d, err := tx.Device("", device)
			if err == nil {
				from := d.State
				d.State = s
				err = tx.UpdateDevice(d, from)
			}
			return err
		})
	}
	for _, step := range []struct {
		what         string
		change, back func() error
		status       int
		code, clause string
	}{
		{"an app that was withdrawn", func() error { return w.Registry.WithdrawApp(t.Context(), staff, apps[0].ID, "vulnerable") },
			update(func(tx devices.Tx) error { return devices.ApproveApp(tx, apps[0].ID, w.Now()) }), 422, "app-withdrawn", "HCA-8.2.1"},
		{"a device that is lost", state(ra.DeviceLost), state(ra.DeviceBound), 422, "device-lost", "HCA-7.3"},
		{"a suspended certificate", func() error { return w.Revoke.Suspend(t.Context(), staff, c.ID, "lost") },
			func() error { return w.DB.Gorm.Exec("UPDATE certificates SET state = 'live'").Error }, 422, "certificate-suspended", "HCA-7.2"},
		{"a login that ended", func() error {
			if got := here.post("/holder/logout", "{}", ""); got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
			return nil
		}, func() error { here.signIn("doctor"); there.token = here.token; return nil }, 401, "no-login", ""},
		{"an account that was stopped", func() error { return w.Holders.Stop(t.Context(), phonetest.Clerk, c.PersonID) },
			func() error { w.Account(t, c.PersonID, "doctor"); return nil }, 401, "no-login", ""},
	} {
		for _, p := range []*phone{here, there} {
			if got := p.signs(c.ID); got.status != http.StatusOK {
				t.Fatalf("before %s: %d %s", step.what, got.status, got.body)
			}
		}
		path := "/certificates/" + string(c.ID)
		body := there.signing(c.ID, 1) // prepared while it was good still
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		want(t, step.what+", a signature at the other", there.post(path+"/signatures", body, nonce()), step.status, step.code, step.clause)
		want(t, step.what+", a statement at the other", there.get(path+"/status"), step.status, step.code, step.clause)
		if err := step.back(); err != nil {
			t.Fatal(err)
		}
	}
}

// HCA-6.3.5, HCA-8.1.4: one request that reaches both servers at the same moment is carried out once: the same key has the
// same answer, and activation data signs once under whatever key.
func TestOneRequestAtBothServers(t *testing.T) {
	w, here, there, c, _ := twice(t)
	path := "/certificates/" + string(c.ID) + "/signatures"
	for round := range 8 {
		body, key := here.signing(c.ID, 1), nonce()
		got := make([]answer, 6)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				p, under := []*phone{here, there}[i%2], key
				if round%2 == 1 {
					under = nonce()
				}
				got[i] = p.post(path, body, under)
			})
		}
		wg.Wait()
		var first string
		done := 0
		for _, a := range got {
			switch {
			case a.status == http.StatusOK && first == "":
				first, done = string(a.body), 1
			case a.status == http.StatusOK:
				done++
				if round%2 == 1 || string(a.body) != first {
					t.Errorf("signed twice: %s", a.body)
				}
			case a.problem().Code != "under-way" && a.problem().Code != "activation-used":
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		if done == 0 {
			t.Error("nobody signed")
		}
	}
	var rows int
	if err := w.DB.Gorm.Raw("SELECT count(*) FROM audit_events WHERE act = 'sign.hash' AND outcome = 'done'").Scan(&rows).Error; err != nil || rows != 8 {
		t.Errorf("%d rows of 8 signatures, %v", rows, err)
	}
}

// HCA-8.1.4: a request that was taken at one server is a replay at the other.
func TestReplayAtTheOtherServer(t *testing.T) {
	_, here, there, _, _ := twice(t)
	r := here.sign(here.request(http.MethodGet, "/device", ""), "")
	if got := here.do(r.Clone(t.Context())); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	again := r.Clone(t.Context())
	again.URL.Host = strings.TrimPrefix(there.w.Server.URL, "https://")
	again.Host = r.URL.Host // as it was signed
	want(t, "the same request", there.do(again), 422, "nonce-used", "HCA-8.1.4")
}
