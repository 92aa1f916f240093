package sweep_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
	"certwindow/ra/sweep"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// ward is a hospital with its sweep, and the HCA's list as a test writes it.
type ward struct {
	*storetest.World
	list
	revoker sweep.Revoker
	doctor  ra.PersonID
}

// list is the HCA's list of revoked serial numbers.
type list struct {
	mu      sync.Mutex
	revoked map[string]bool
	err     error
}

func (l *list) Revoked(c ra.Certificate) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revoked[c.Serial], l.err
}

func newWard(t testing.TB, db *store.DB) *ward {
	t.Helper()
	w := &ward{World: storetest.NewWorld(t, db), list: list{revoked: map[string]bool{}}}
	w.doctor = w.Doctor(t, "陳小華", "1001")
	w.revoker = revoke.NewService(store.RevokeStore{Store: w.Store}, storetest.Accepts{},
		revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)}, w.Clock.Now, rand.Reader)
	return w
}

// all is a cap that stops nothing.
var all = sweep.Config{CapPercent: 100, CapAbsolute: 1000}

func (w *ward) service(cfg sweep.Config, name string) *sweep.Service {
	return sweep.New(store.SweepStore{Store: w.Store}, w.revoker, &w.list, policy.Always(cfg), name, w.Clock.Now, rand.Reader)
}

func (w *ward) run(t testing.TB, dry bool) sweep.Report {
	t.Helper()
	r, err := w.service(all, "replica").Run(context.Background(), dry)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// holder is a doctor with a phone and a certificate on it.
func (w *ward) holder(t testing.TB, i int) ra.Certificate {
	t.Helper()
	d := w.Doctor(t, "醫師", fmt.Sprint(2000+i))
	w.Clock.Advance(time.Millisecond) // pages go by the order of the ids
	return w.Issue(t, d, w.Phone(t, storetest.Window, d), 1, nil)
}

// HCA-3.6, HCA-4.2, HCA-5.2.2: each ground that the register proves, with the reason that goes to the HCA, and no other
// certificate.
func TestGrounds(t *testing.T) {
	cases := map[string]struct {
		ground string
		change func(w *ward, c ra.Certificate)
	}{
		"device lost":      {"device-lost", deviceState(ra.DeviceLost)},
		"device scrapped":  {"device-scrapped", deviceState(ra.DeviceRetired)},
		"device broken":    {"device-broken", deviceState(ra.DeviceBroken)},
		"bound anew":       {"device-broken", device(func(d *ra.DeviceFacts) { d.Generation++ })},
		"unbound":          {"device-broken", device(func(d *ra.DeviceFacts) { d.State, d.KeySPKI = ra.DeviceRegistered, nil })},
		"left":             {"person-left", person(func(p *ra.PersonFacts) { p.Institutions = []ra.InstitutionCode{storetest.Window} })},
		"no longer active": {"person-left", person(func(p *ra.PersonFacts) { p.Active = false })},
		"institution suspended": {"no-permission", func(w *ward, c ra.Certificate) {
			w.Register.Institution(storetest.Clinic, func(i *ra.InstitutionFacts) { i.Active = false })
		}},
		"not a user any more": {"no-permission", func(w *ward, c ra.Certificate) { w.Register.SetUsers(c.DeviceID) }},
		"carrier gone for a day (HCA-7.1)": {"carrier-not-allowed", func(w *ward, c ra.Certificate) {
			since := w.Clock.Now().Add(-policy.CarrierGrace)
			w.Register.Device(c.DeviceID, func(d *ra.DeviceFacts) { d.CarrierGone = &since })
		}},
		"scope withdrawn": {"no-permission", func(w *ward, c ra.Certificate) {
			w.Register.SetScopes(store.Scope{Code: "EMR-SIGN", Institutions: []string{string(storetest.Window)}})
		}},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				w := newWard(t, db)
				defer w.empty(t)
				good := w.Issue(t, w.doctor, w.Phone(t, storetest.Window, w.doctor), 1, nil)
				other := w.Doctor(t, "王美麗", w.ID(t))
				bad := w.Issue(t, other, w.Phone(t, storetest.Clinic, other), 1, func(x *ra.Certificate) { x.Institution = storetest.Clinic })
				c.change(w, bad)
				before := w.Jobs(t, "exchange")
				r := w.run(t, false)
				if len(r.Findings) != 1 || r.Findings[0].Certificate != bad.ID || r.Findings[0].What != c.ground || r.Findings[0].Action != "revoke" || r.Findings[0].Error != "" {
					t.Fatalf("findings: %+v", r.Findings)
				}
				g, _ := policy.GroundOf(c.ground)
				got := w.Certificate(t, bad.ID)
				if got.State != ra.CertRevoking || got.StateNote != c.ground || string(got.Reason) != g.Reason {
					t.Errorf("the certificate is %s, %q, %q", got.State, got.StateNote, got.Reason)
				}
				if s := w.Certificate(t, good.ID).State; s != ra.CertLive {
					t.Errorf("a good certificate is %s", s)
				}
				if len(w.Slots(t, other)) != 1 {
					t.Error("the place is free before the HCA has confirmed (HCA-7.5)")
				}
				if n := w.Count(t, "applications WHERE kind = 'revocation' AND certificate_id = ? AND ground = ? AND state = 'requested' AND consent IS NULL",
					string(bad.ID), c.ground); n != 1 || w.Jobs(t, "exchange") != before+1 {
					t.Errorf("%d requests, %d jobs", n, w.Jobs(t, "exchange")-before)
				}
				if again := w.run(t, false); len(again.Findings) != 0 {
					t.Errorf("found a second time: %+v", again.Findings)
				}
			})
		}
	})
}

// empty removes the certificates, for the next case.
func (w *ward) empty(t testing.TB) {
	t.Helper()
	for _, table := range []string{"certificates", "applications"} {
		if err := w.DB.Gorm.Exec("DELETE FROM " + table).Error; err != nil {
			t.Fatal(err)
		}
	}
}

func device(change func(*ra.DeviceFacts)) func(*ward, ra.Certificate) {
	return func(w *ward, c ra.Certificate) { w.Register.Device(c.DeviceID, change) }
}

func deviceState(s ra.DeviceState) func(*ward, ra.Certificate) {
	return device(func(d *ra.DeviceFacts) { d.State = s })
}

func person(change func(*ra.PersonFacts)) func(*ward, ra.Certificate) {
	return func(w *ward, c ra.Certificate) { w.Register.Person(c.PersonID, change) }
}

// HCA-3.6, HCA-7.2, HCA-7.5: what expired, and what the HCA's own list holds revoked, is recorded, and its place is free.
func TestExpiredAndRevokedUpstream(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		phone := w.Phone(t, storetest.Window, w.doctor)
		old := w.Issue(t, w.doctor, phone, 1, func(c *ra.Certificate) { c.NotAfter = w.Clock.Now().Add(-time.Second) })
		stopped := w.Issue(t, w.doctor, phone, 2, func(c *ra.Certificate) { c.State, c.NotAfter = ra.CertRevoking, w.Clock.Now().Add(-time.Second) })
		gone := w.Issue(t, w.doctor, phone, 3, nil)
		going := w.Issue(t, w.doctor, phone, 4, func(c *ra.Certificate) { c.State = ra.CertRevoking })
		live := w.Issue(t, w.doctor, phone, 5, nil)
		w.revoked[gone.Serial], w.revoked[going.Serial] = true, true
		r := w.run(t, false)
		if r.Looked != 5 || len(r.Findings) != 4 || r.OverCap {
			t.Errorf("%+v", r)
		}
		for id, want := range map[ra.CertificateID]ra.CertificateState{old.ID: ra.CertExpired, stopped.ID: ra.CertExpired, gone.ID: ra.CertRevoked,
			going.ID: ra.CertRevoked, live.ID: ra.CertLive} {
			if got := w.Certificate(t, id).State; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		if got := w.Slots(t, w.doctor); len(got) != 1 || got[0] != 5 {
			t.Errorf("places %v", got)
		}
		if n := w.Count(t, "notices WHERE kind = 'revoked'"); n != 2 {
			t.Errorf("%d holders were told", n)
		}
		w.Audit(t)
	})
}

// HCA-3.6: without a list that is fresh the sweep judges nothing, and says why.
func TestWithoutList(t *testing.T) {
	w := newWard(t, storetest.SQLite(t))
	c := w.holder(t, 1)
	deviceState(ra.DeviceLost)(w, c)
	w.err = errors.New("stale")
	if _, err := w.service(all, "replica").Run(context.Background(), false); ra.AsError(err).Code != "crl" {
		t.Errorf("%v", err)
	}
	if s := w.Certificate(t, c.ID).State; s != ra.CertLive {
		t.Errorf("%s", s)
	}
	w.err = nil
	if r := w.run(t, false); len(r.Findings) != 1 {
		t.Errorf("afterwards: %+v", r)
	}
}

// HCA-3.6: a dry run tells what a real one would do, and changes nothing but its own report.
func TestDryRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		lost, left := w.holder(t, 1), w.holder(t, 2)
		old := w.Issue(t, w.doctor, w.Phone(t, storetest.Window, w.doctor), 1, func(c *ra.Certificate) { c.NotAfter = w.Clock.Now().Add(-time.Second) })
		deviceState(ra.DeviceLost)(w, lost)
		person(func(p *ra.PersonFacts) { p.Institutions = nil })(w, left)
		before := []int{w.Count(t, "applications"), w.Jobs(t, "exchange"), w.Count(t, "notices")}
		r := w.run(t, true)
		if !r.DryRun || len(r.Findings) != 3 || r.FinishedAt == nil {
			t.Errorf("%+v", r)
		}
		for _, f := range r.Findings {
			if f.Action != "none" {
				t.Errorf("a dry run did %q", f.Action)
			}
		}
		for _, c := range []ra.Certificate{lost, left, old} {
			if s := w.Certificate(t, c.ID).State; s != ra.CertLive {
				t.Errorf("a certificate is %s", s)
			}
		}
		if after := []int{w.Count(t, "applications"), w.Jobs(t, "exchange"), w.Count(t, "notices")}; fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("applications, jobs and notices: %v, before %v", after, before)
		}
	})
}

// HCA-3.6: a certificate that was taken over before its device had a binding is left alone while there is none, and when
// there is; that the device was lost ends it like any other.
func TestATakenOverCertificateNeedsNoBinding(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWard(t, db)
		phone := w.Phone(t, storetest.Window, w.doctor)
		c := w.Issue(t, w.doctor, phone, 1, func(x *ra.Certificate) { x.Generation = 0 })
		w.Register.Device(phone.ID, func(d *ra.DeviceFacts) { d.State, d.Generation, d.KeySPKI = ra.DeviceRegistered, 0, nil })
		if r := w.run(t, false); len(r.Findings) != 0 || r.Looked != 1 || w.Certificate(t, c.ID).State != ra.CertLive {
			t.Errorf("without a binding: %+v", r.Findings)
		}
		w.Register.Device(phone.ID, func(d *ra.DeviceFacts) { d.State = ra.DeviceLost })
		if r := w.run(t, false); len(r.Findings) != 1 || r.Findings[0].What != "device-lost" || w.Certificate(t, c.ID).State != ra.CertRevoking {
			t.Errorf("lost: %+v", r.Findings)
		}
	})
}
