package appcred_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/hsm/seal"
	"certwindow/ra"
	"certwindow/ra/store/storetest"
)

// eachTwice runs a test on both databases, with two servers on each: other has connections of its own.
func eachTwice(t *testing.T, fn func(t *testing.T, w *ward, replicas []*appcred.Service)) {
	for name, address := range map[string]func(testing.TB) string{"SQLite": storetest.SQLiteAddress, "PostgreSQL": storetest.PostgresAddress} {
		t.Run(name, func(t *testing.T) {
			at := address(t)
			w := newWard(t, storetest.Open(t, at))
			sealer, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			other := w.serve(w.open(storetest.Open(t, at), sealer), factor.PasswordCost{Time: 1, Memory: 64, Threads: 1})
			fn(t, w, []*appcred.Service{w.Service, other})
		})
	}
}

// at tries to sign in at one of the replicas.
func (w *ward) at(s *appcred.Service, name string, proofs ...appcred.Proof) (appcred.Grant, error) {
	return s.Login(context.Background(), w.phone, appcred.Attempt{Account: name, Device: w.tablet, Thumbprint: "tp", Proofs: proofs})
}

// atOnce runs fn many times at the same moment, in turn at each replica.
func atOnce(n int, replicas []*appcred.Service, fn func(i int, s *appcred.Service)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			fn(i, replicas[i%len(replicas)])
		})
	}
	close(begin)
	wg.Wait()
}

// HCA-8.2.6(4): twenty wrong passwords at once, at two replicas: five are judged, neither more nor fewer, and the account is
// locked at both.
func TestFiveFailuresAcrossReplicas(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, replicas []*appcred.Service) {
		w.account(w.chen, "chen", "correct horse")
		atOnce(20, replicas, func(_ int, s *appcred.Service) { w.at(s, "chen", pw("wrong horse")) })
		judged, locked := 0, 0
		for _, why := range w.whys("account.login") {
			switch why {
			case "password-wrong":
				judged++
			case "password-locked":
				locked++
			}
		}
		if judged != 5 || locked != 15 {
			t.Errorf("%d guesses were judged and %d found it locked, want 5 and 15", judged, locked)
		}
		for _, s := range replicas {
			if _, err := w.at(s, "chen", pw("correct horse")); err == nil || w.lastWhy() != "password-locked" {
				t.Errorf("not locked: %v, the log says %s", err, w.lastWhy())
			}
		}
		if st, _, err := w.Account(t.Context(), w.chen); err != nil || !st.PasswordLocked {
			t.Errorf("%+v %v", st, err)
		}
	})
}

// HCA-8.2.7(2): the same for codes: three are judged, of whatever kind.
func TestThreeWrongCodesAcrossReplicas(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, replicas []*appcred.Service) {
		w.account(w.chen, "chen", "correct horse")
		secret, _, err := w.SetUpTOTP(t.Context(), w.phone, w.login("chen", pw("correct horse")).Login)
		if err != nil {
			t.Fatal(err)
		}
		right := w.totpNow(secret)
		wrong := right
		wrong.Value = otherThan(right.Value)
		atOnce(20, replicas, func(i int, s *appcred.Service) {
			if i%4 < 2 {
				w.at(s, "chen", wrong)
			} else {
				w.at(s, "chen", code("000000"))
			}
		})
		judged := 0
		for _, why := range w.whys("account.login") {
			if why == "otp-wrong" {
				judged++
			}
		}
		if judged != 3 {
			t.Errorf("%d codes were judged, want 3", judged)
		}
		if _, err := w.at(replicas[1], "chen", right); err == nil || w.lastWhy() != "otp-locked" {
			t.Errorf("not locked: %v, the log says %s", err, w.lastWhy())
		}
	})
}

// HCA-8.2.7(3): each kind of code is taken once, whichever replicas it is sent to at the same moment.
func TestCodeOnceAcrossReplicas(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, replicas []*appcred.Service) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		totp, _, err := w.SetUpTOTP(t.Context(), w.phone, g.Login)
		if err != nil {
			t.Fatal(err)
		}
		hotp, err := factor.NewSecret(rand.Reader)
		if err == nil {
			err = w.SetUpHOTP(t.Context(), w.clerk, w.chen, hotp)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
			t.Fatal(err)
		}
		for name, p := range map[string]appcred.Proof{"TOTP": w.totpNow(totp), "HOTP": w.hotpAt(hotp, 3), "a code that was sent": code(w.lastCode())} {
			var taken atomic.Int32
			atOnce(8, replicas, func(_ int, s *appcred.Service) {
				if _, err := w.at(s, "chen", p); err == nil {
					taken.Add(1)
				}
			})
			if n := taken.Load(); n > 1 {
				t.Errorf("%s opens %d times", name, n)
			}
			c, err := w.Open(t.Context(), w.clerk, w.chen, "") // opens the lock that the other tries shut
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range replicas {
				if _, err := w.at(s, "chen", p); err == nil {
					t.Errorf("%s opens again", name)
				}
			}
			w.login("chen", pw(c.Password))
			if _, err := w.Open(t.Context(), w.clerk, w.chen, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// HCA-8.2.6(4), HCA-8.2.7(2): a try is counted before it is judged, and stays counted when what follows fails.
func TestFailuresSurviveRollback(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, replicas []*appcred.Service) {
		w.account(w.chen, "chen", "correct horse")
		database := &breaking{Store: w.store}
		failing := w.serve(database, factor.PasswordCost{Time: 1, Memory: 64, Threads: 1})
		for range 5 {
			database.left = 1 // the count of the try; what follows is lost
			if _, err := w.at(failing, "chen", pw("wrong horse")); err == nil {
				t.Fatal("a wrong password opens")
			}
		}
		if rows := w.whys("account.login"); len(rows) != 0 {
			t.Fatalf("what followed was not lost: %v", rows)
		}
		if _, err := w.at(replicas[1], "chen", pw("correct horse")); err == nil || w.lastWhy() != "password-locked" {
			t.Errorf("%v, the log says %s", err, w.lastWhy())
		}
	})
}

// breaking is a database that rolls every change back at its end, after those that are left.
type breaking struct {
	appcred.Store
	left int
}

func (b *breaking) UpdateAccounts(ctx context.Context, fn func(appcred.Tx) error) error {
	if b.left--; b.left >= 0 {
		return b.Store.UpdateAccounts(ctx, fn)
	}
	return b.Store.UpdateAccounts(ctx, func(tx appcred.Tx) error {
		return errors.Join(fn(tx), ra.Errorf(ra.KindUnavailable, "database", nil, "gone"))
	})
}

// HCA-8.2.7(1): no more codes are sent in an hour than a person may get, though they are asked for at once at two replicas.
func TestSentCodesAreCountedAcrossReplicas(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, replicas []*appcred.Service) {
		w.account(w.chen, "chen", "correct horse")
		atOnce(24, replicas, func(_ int, s *appcred.Service) {
			if err := s.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
				t.Error(err)
			}
		})
		for _, s := range replicas {
			s.Close()
		}
		if n := len(w.sent.codes); n != 10 {
			t.Errorf("%d codes were sent, want 10", n)
		}
		w.Clock.Advance(time.Hour + time.Second)
		if err := w.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
			t.Fatal(err)
		}
		if w.lastCode(); len(w.sent.codes) != 11 {
			t.Error("an hour later none is sent")
		}
	})
}

// HCA-8.1.6, HCA-7.4: a login that ended, and an account that was stopped, are seen by the other replica at its next
// question; and of signing in and stopping at the same moment nothing is left open.
func TestStopIsSeenAcrossReplicas(t *testing.T) {
	eachTwice(t, func(t *testing.T, w *ward, replicas []*appcred.Service) {
		w.account(w.chen, "chen", "correct horse")
		w.checkCard(w.chen, "陳小華", "1000")
		here, there := replicas[0], replicas[1]
		known := func(s *appcred.Service, g appcred.Grant) bool {
			_, err := s.Authenticate(t.Context(), g.Token, w.tablet, "tp")
			return err == nil
		}
		g := w.login("chen", pw("correct horse"))
		if !known(there, g) {
			t.Fatal("the other replica does not know the login")
		}
		if err := here.Logout(t.Context(), w.phone, g.Token, g.Login); err != nil || known(there, g) {
			t.Errorf("signed out here and in there: %v", err)
		}
		for range 20 {
			g := w.login("chen", pw("correct horse"))
			grants := make([]appcred.Grant, 6)
			atOnce(len(grants), replicas, func(i int, s *appcred.Service) {
				if i == 3 {
					if err := s.Stop(t.Context(), w.clerk, w.chen); err != nil {
						t.Error(err)
					}
					return
				}
				grants[i], _ = w.at(s, "chen", pw("correct horse"))
			})
			for _, g := range append(grants, g) {
				if g.Token != "" && (known(here, g) || known(there, g)) {
					t.Error("a login goes on after the account was stopped")
				}
			}
			if err := there.ProveAct(t.Context(), w.chen, w.facts(w.tablet, w.chen), []appcred.Proof{pw("correct horse")}, "an act"); ra.AsError(err).Code != "account-stopped" {
				t.Errorf("a signature after the stop: %v", err)
			}
			if _, err := here.ResetByCard(t.Context(), w.phone, appcred.Card{Holder: "1000"}, "correct horse"); ra.AsError(err).Code != "account-stopped" {
				t.Fatalf("the card opens an account that was stopped: %v", err)
			}
			w.account(w.chen, "chen", "correct horse")
		}
	})
}

// HCA-8.1.6, HCA-8.2.7: who had got into an account has nothing left of it once it was stopped and its holder identified:
// no authenticator, no generator, no biometric key, and no login that was just adding one.
func TestStoppedAccountKeepsNoProof(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		secret, _, err := w.SetUpTOTP(t.Context(), w.phone, g.Login)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Stop(t.Context(), w.clerk, w.chen); err != nil {
			t.Fatal(err)
		}
		_, _, err = w.SetUpTOTP(t.Context(), w.phone, g.Login)
		refused(t, "an authenticator by a login that was ended", err, "no-login")
		c, err := w.Open(t.Context(), w.clerk, w.chen, "")
		if err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		if _, err := w.try("chen", w.totpNow(secret)); err == nil {
			t.Error("the authenticator of before the stop opens the account")
		}
		w.login("chen", pw(c.Password))
		if st, _, err := w.Account(t.Context(), w.chen); err != nil || st.TOTP {
			t.Errorf("%+v %v", st, err)
		}
	})
}
