package remotesign_test

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"certwindow/hsm/p11/p11test"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/revoke"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// eachTwice runs a test on both databases, with the store of another server on each: it has connections of its own.
func eachTwice(t *testing.T, fn func(t *testing.T, w *ward, other *store.Store)) {
	for name, address := range map[string]func(testing.TB) string{"SQLite": storetest.SQLiteAddress, "PostgreSQL": storetest.PostgresAddress} {
		t.Run(name, func(t *testing.T) {
			at := address(t)
			w := newWardOn(t, p11test.Token(t), storetest.Open(t, at))
			fn(t, w, store.New(storetest.Open(t, at), w.Register, w.Queue.Enqueue, storetest.Sealer(), w.Clock.Now, rand.Reader))
		})
	}
}

// on is the use case at another server.
func (w *ward) on(t testing.TB, other *store.Store) *remotesign.Service {
	t.Helper()
	here := w.Service
	defer func() { w.Service = here }()
	w.serve(t, func(c *remotesign.Config) { c.Store = store.SignStore{Store: other} })
	return w.Service
}

// HCA-7.2, HCA-8.1.6: while phones sign at one server, another suspends or revokes the certificate. Fifty times over no
// signature's row comes after that of the decision, and none is given out whose row does not come before it.
func TestRevokedWhileOthersSign(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, other *store.Store) {
		stops := revoke.NewService(store.RevokeStore{Store: other}, storetest.Accepts{}, revoke.Config{Window: storetest.Window, MessageLife: policy.Always(5 * time.Minute)},
			w.Clock.Now, rand.Reader)
		helpdesk := ra.Actor{Kind: ra.ActorStaff, ID: "helpdesk", Institution: storetest.Window}
		lost := func() (bool, error) { return true, nil }
		given := 0
		for round := range 50 {
			var signers sync.WaitGroup
			var mu sync.Mutex
			for range 4 {
				signers.Go(func() {
					for {
						_, err := w.sign(t, nil)
						if err != nil {
							if c := ra.AsError(err).Code; c != "certificate-suspended" && c != "certificate-revoked" {
								t.Error(err)
							}
							return
						}
						mu.Lock()
						given++
						mu.Unlock()
					}
				})
			}
			time.Sleep(time.Duration(mathrand.IntN(20)) * time.Millisecond) // somewhere in the middle of their work
			var err error
			if round%2 == 0 {
				err = stops.Suspend(t.Context(), helpdesk, w.cert.ID, "the doctor says that the phone is gone")
			} else {
				var started bool
				if started, err = stops.Proved(t.Context(), ra.Actor{Kind: ra.ActorSweep}, w.cert.ID, "device-lost", "lost", lost); !started {
					t.Error("not revoked")
				}
			}
			signers.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if err := w.DB.Gorm.Exec("UPDATE certificates SET state = 'live'").Error; err != nil {
				t.Fatal(err)
			}
			if err := w.DB.Gorm.Exec("DELETE FROM applications WHERE kind = 'revoke'").Error; err != nil {
				t.Fatal(err)
			}
		}
		w.heldTo(t, given)
	})
}

// heldTo goes through the log: after each decision against the certificate nothing is signed before the last signer of the
// round has been refused, and there are as many rows as signatures.
func (w *ward) heldTo(t *testing.T, given int) {
	t.Helper()
	refused, signed, decided := 4, 0, 0
	for _, r := range w.Audit(t) {
		switch {
		case r.Act == "certificate.suspend" || r.Act == "revoke.window":
			decided++
			refused = 0
		case r.Act == "sign.hash" && r.Outcome == string(ra.OutcomeRefused):
			refused++
		case r.Act == "sign.hash":
			if signed++; refused < 4 {
				t.Errorf("row %d: signed after the decision against its certificate", r.Seq)
			}
		}
	}
	if decided != 50 || signed != given || given < 50 {
		t.Errorf("%d decisions, %d rows of %d signatures", decided, signed, given)
	}
}

// HCA-6.3.5: an authorisation, and activation data, release once, whichever servers they reach at the same moment; a
// signature is handed out once, and a hash of a batch signed once.
func TestOnceAcrossReplicas(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, other *store.Store) {
		replicas := []*remotesign.Service{w.Service, w.on(t, other)}
		again := func(r remotesign.Release) remotesign.Release {
			r.Factors = []remotesign.Factor{remotesign.NewFactor("password", []byte("right"))} // each call wipes its own
			return r
		}
		for range 10 {
			a, handle := w.request(t, 2)
			r := w.release(t, activationOf(a), a.Items, nil)
			once(t, "a release", replicas, func(s *remotesign.Service) error {
				_, err := s.Release(context.Background(), device(w.phone), w.phone.ID, a.ID, again(r))
				return err
			})
			standing, err := replicas[1].Check(t.Context(), system, records, handle)
			if err != nil || standing.State != remotesign.Released {
				t.Fatalf("%+v %v", standing, err)
			}
			once(t, "a collection", replicas, func(s *remotesign.Service) error {
				_, err := s.Collect(context.Background(), system, records, standing.SAD, [][]byte{a.Items[0].Hash})
				return err
			})
			own, act := w.own(t, w.cert, items(1))
			mine := w.release(t, act, own.Items, nil)
			once(t, "the app's own activation", replicas, func(s *remotesign.Service) error {
				_, err := s.Sign(context.Background(), device(w.phone), w.phone.ID, own, again(mine))
				return err
			})
		}
		w.Audit(t)
	})
}

// once runs an act six times at the same moment, at both servers; exactly one must be done, the others be refused.
func once(t *testing.T, what string, replicas []*remotesign.Service, act func(*remotesign.Service) error) {
	t.Helper()
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = act(replicas[i%2]) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if k := ra.KindOf(err); k != ra.KindRefused && k != ra.KindConflict {
			t.Errorf("%s: %v", what, err)
		}
	}
	if done != 1 {
		t.Errorf("%s was taken %d times", what, done)
	}
}

// HCA-7.2, HCA-7.3, HCA-8.2.1: what one server does against a certificate the other knows at the next signature: there is
// nothing that it remembers.
func TestStatusIsNotRemembered(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, other *store.Store) {
		replicas := []*remotesign.Service{w.Service, w.on(t, other)}
		stops := revoke.NewService(store.RevokeStore{Store: w.Store}, storetest.Accepts{}, revoke.Config{}, w.Clock.Now, rand.Reader)
		sign := func(s *remotesign.Service) error {
			own, a := w.own(t, w.cert, items(1))
			_, err := s.Sign(t.Context(), device(w.phone), w.phone.ID, own, w.release(t, a, own.Items, nil))
			return err
		}
		for _, s := range replicas {
			if err := sign(s); err != nil {
				t.Fatal(err)
			}
		}
		sound := policy.App{Reported: true, State: "approved", OSVersion: "1", MinOS: "1", CarrierPresent: true}
		for _, c := range []struct {
			what, clause, code string
			change, back       func()
		}{
			{"a device that is lost", "HCA-7.3", "device-lost", func() { w.Register.Device(w.phone.ID, func(d *ra.DeviceFacts) { d.State = ra.DeviceLost }) },
				func() { w.Register.Device(w.phone.ID, func(d *ra.DeviceFacts) { d.State = ra.DeviceBound }) }},
			{"a new binding", "HCA-7.3", "device-bound-again", func() { w.Register.Device(w.phone.ID, func(d *ra.DeviceFacts) { d.Generation = 2 }) },
				func() { w.Register.Device(w.phone.ID, func(d *ra.DeviceFacts) { d.Generation = 1 }) }},
			{"an app that was withdrawn", "HCA-8.2.1", "app-withdrawn", func() {
				app := sound
				app.State = "withdrawn"
				w.Register.SetApp(w.phone.ID, app)
			}, func() { w.Register.SetApp(w.phone.ID, sound) }},
			{"a holder who left", "HCA-7.3", "person-differs", func() { w.Register.Person(w.doctor, func(p *ra.PersonFacts) { p.Active = false }) },
				func() { w.Register.Person(w.doctor, func(p *ra.PersonFacts) { p.Active = true }) }},
			{"a suspended certificate", "HCA-7.2", "certificate-suspended", func() {
				if err := stops.Suspend(t.Context(), ra.Actor{Kind: ra.ActorStaff, ID: "helpdesk"}, w.cert.ID, "lost"); err != nil {
					t.Fatal(err)
				}
			}, func() {}},
		} {
			c.change()
			for i, s := range replicas {
				if e := ra.AsError(sign(s)); e == nil || string(e.Clause) != c.clause {
					t.Errorf("%s at server %d: %v, want a refusal under %s", c.what, i, e, c.clause)
				} else if e.Code != c.code {
					t.Errorf("%s at server %d: %s, want %s", c.what, i, e.Code, c.code)
				}
				if _, err := s.Status(t.Context(), device(w.phone), w.phone.ID, w.cert.ID, ""); err == nil {
					t.Errorf("%s at server %d: a status statement", c.what, i)
				}
			}
			c.back()
		}
	})
}
