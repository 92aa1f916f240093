package appcred_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/devices/appcred/factor"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/store/storetest"
)

// HCA-2.7, HCA-8.2.7(1): a code that was sent is good for five minutes, and once.
func TestSentCode(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		send := func() appcred.Secret {
			t.Helper()
			if err := w.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
				t.Fatal(err)
			}
			return w.lastCode()
		}
		first := send()
		w.login("chen", code(first))
		if _, err := w.try("chen", code(first)); err == nil {
			t.Error("a code opens twice") // HCA-8.2.7(3)
		}
		late := send()
		w.Clock.Advance(5 * time.Minute)
		if _, err := w.try("chen", code(late)); err == nil {
			t.Error("a code opens after five minutes")
		}
		w.login("chen", code(send()))
	})
}

// HCA-8.2.7(4): a code is for one person, device, app and purpose alone.
func TestCodeIsBound(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		w.account(w.lin, "lin", "correct horse")
		other := w.device("ICU-02", true, w.chen, w.lin)
		if err := w.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.Push); err != nil {
			t.Fatal(err)
		}
		c := w.lastCode()
		if _, err := w.try("lin", code(c)); err == nil {
			t.Error("another person's code opens")
		}
		if err := w.ProveAct(t.Context(), w.chen, w.facts(w.tablet, w.chen), []appcred.Proof{code(c)}, "an act"); err == nil {
			t.Error("a code for a login makes a signature")
		}
		if _, err := w.Login(t.Context(), w.phone, appcred.Attempt{Account: "chen", Device: other, Proofs: []appcred.Proof{code(c)}}); err == nil {
			t.Error("a code opens on another device")
		}
		w.login("chen", code(c))
	})
}

// HCA-8.2.7(4): a code that one app asked for opens nothing in another app of the same phone.
func TestCodeIsForItsAppAlone(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		runs := func(app string) {
			t.Helper()
			d, _, err := w.register.Device(t.Context(), w.clerk, w.tablet)
			if err == nil {
				_, err = w.register.CheckIn(t.Context(), w.phone, d, devices.CheckIn{OSVersion: "16", App: app, AppVersion: "1.0.0", CarrierPresent: true})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		runs("tw.hospital.sign")
		if err := w.SendCode(t.Context(), w.phone, "chen", w.tablet, appcred.ForLogin, appcred.SMS); err != nil {
			t.Fatal(err)
		}
		c := w.lastCode()
		runs("tw.hospital.other")
		if _, err := w.try("chen", code(c)); err == nil || w.lastWhy() != "otp-wrong" {
			t.Errorf("another app's code: %v, the log says %s", err, w.lastWhy())
		}
		runs("tw.hospital.sign")
		w.login("chen", code(c))
	})
}

// HCA-8.2.8(1), (2): each of the seven kinds, where the institution accepts it and nowhere else, from the next proof on.
func TestBiometricKindsAreTheInstitutions(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		own := w.device("CHEN-1", false, w.chen)
		key, spki := w.key()
		admin := ra.Actor{Kind: ra.ActorStaff, ID: "admin"}
		accept := func(kinds ...string) {
			t.Helper()
			if err := w.register.SetBiometrics(t.Context(), admin, storetest.Window, kinds); err != nil {
				t.Fatal(err)
			}
		}
		signed := func() (challenge string, signature []byte) {
			t.Helper()
			w.Clock.Advance(time.Second) // the newest challenges are the open ones
			challenge, err := w.Challenge(t.Context(), "chen", own, appcred.ForLogin)
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(appcred.Statement(appcred.ForLogin, challenge))
			if signature, err = ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
				t.Fatal(err)
			}
			return challenge, signature
		}
		opens := func(proofs ...appcred.Proof) (appcred.Grant, error) {
			return w.Login(t.Context(), w.phone, appcred.Attempt{Account: "chen", Device: own, Thumbprint: "tp", Proofs: proofs})
		}
		for i, kind := range policy.Biometrics {
			others := slices.Delete(slices.Clone(policy.Biometrics), i, i+1)
			add := func() error {
				t.Helper()
				g, err := opens(pw("correct horse"))
				if err != nil {
					t.Fatal(err)
				}
				c, sig := signed()
				return w.AddBiometric(t.Context(), w.phone, g.Login, kind, spki, sig, c)
			}
			accept(others...)
			refused(t, kind+" where it is not accepted", add(), "biometric-kind")
			accept(kind)
			if err := add(); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			c, sig := signed()
			proof := appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sig}
			if _, err := opens(proof); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			accept(others...)
			c, sig = signed()
			if _, err := opens(appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sig}); err == nil || w.lastWhy() != "biometric-kind" {
				t.Errorf("%s, taken away: %v, the log says %s", kind, err, w.lastWhy())
			}
		}
	})
}

// HCA-8.2.7(2): three wrong codes in a row lock them all, until the holder is identified again.
func TestThreeWrongCodesLock(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		secret, _, err := w.SetUpTOTP(t.Context(), w.phone, g.Login)
		if err != nil {
			t.Fatal(err)
		}
		right := w.totpNow(secret)
		for range 3 {
			wrong := right
			wrong.Value = otherThan(right.Value)
			w.try("chen", wrong)
		}
		if _, err := w.try("chen", right); err == nil || w.lastWhy() != "otp-locked" {
			t.Errorf("%v, the log says %s", err, w.lastWhy())
		}
		if _, err := w.Open(t.Context(), w.clerk, w.chen, ""); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		w.login("chen", w.totpNow(secret))
	})
}

// HCA-8.2.7(3): of many replicas that get the same code at once, one takes it.
func TestCodeOnceUnderConcurrency(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		g := w.login("chen", pw("correct horse"))
		secret, _, err := w.SetUpTOTP(t.Context(), w.phone, g.Login)
		if err != nil {
			t.Fatal(err)
		}
		p := w.totpNow(secret)
		var taken atomic.Int32
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if _, err := w.try("chen", pw("correct horse"), p); err == nil {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() > 1 {
			t.Errorf("taken %d times", taken.Load())
		}
	})
}

// HCA-2.7, HCA-8.2.7: a counter-based generator works on, after it was pressed in vain, and never back.
func TestCounterBasedCode(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		secret, err := factor.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "weak", w.SetUpHOTP(t.Context(), w.clerk, w.chen, "AAAA"), "hotp-secret")
		if err := w.SetUpHOTP(t.Context(), w.clerk, w.chen, secret); err != nil {
			t.Fatal(err)
		}
		w.login("chen", w.hotpAt(secret, 0))
		w.login("chen", w.hotpAt(secret, 7))
		for _, used := range []uint64{0, 3, 7, 30} {
			if _, err := w.try("chen", w.hotpAt(secret, used)); err == nil {
				t.Errorf("counter %d opens after 7", used)
			}
			w.login("chen", pw("correct horse")) // does not clear the codes' counter
			if used == 7 {
				break
			}
		}
		if _, err := w.try("chen", w.hotpAt(secret, 8)); err == nil || w.lastWhy() != "otp-locked" {
			t.Errorf("three failures did not lock: %v", err)
		}
	})
}

// HCA-8.2.8(1), HCA-8.2.8(2): a user-verified key of a kind that the institution accepts; on a shared device never alone.
func TestBiometric(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		own := w.device("CHEN-1", false, w.chen)
		key, spki := w.key()
		challenge := func(device ra.DeviceID) string {
			t.Helper()
			c, err := w.Challenge(t.Context(), "chen", device, appcred.ForLogin)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		sign := func(k *ecdsa.PrivateKey, c string, p appcred.Purpose) []byte {
			t.Helper()
			digest := sha256.Sum256(appcred.Statement(p, c))
			sig, err := ecdsa.SignASN1(rand.Reader, k, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}
		at := func(device ra.DeviceID, proofs ...appcred.Proof) error {
			_, err := w.Login(t.Context(), w.phone, appcred.Attempt{Account: "chen", Device: device, Thumbprint: "tp", Proofs: proofs})
			return err
		}
		add := func(device ra.DeviceID, kind string) error {
			g, err := w.Login(t.Context(), w.phone, appcred.Attempt{Account: "chen", Device: device, Thumbprint: "tp", Proofs: []appcred.Proof{pw("correct horse")}})
			if err != nil {
				t.Fatal(err)
			}
			c := challenge(device)
			return w.AddBiometric(t.Context(), w.phone, g.Login, kind, spki, sign(key, c, appcred.ForLogin), c)
		}
		refused(t, "voice", add(own, "voice"), "biometric-kind")
		for _, d := range []ra.DeviceID{own, w.tablet} {
			if err := add(d, "face"); err != nil {
				t.Fatal(err)
			}
		}
		proof := func(device ra.DeviceID) appcred.Proof {
			c := challenge(device)
			return appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sign(key, c, appcred.ForLogin)}
		}
		once := proof(own)
		if err := at(own, once); err != nil {
			t.Error(err)
		}
		if at(own, once) == nil {
			t.Error("a biometric proof opens twice")
		}
		if at(w.tablet, proof(w.tablet)) == nil || w.lastWhy() != "biometric-alone" {
			t.Errorf("on a shared device alone: %s", w.lastWhy())
		}
		if err := at(w.tablet, proof(w.tablet), pw("correct horse")); err != nil {
			t.Error(err)
		}
		if at(own, proof(w.tablet)) == nil {
			t.Error("another device's proof opens")
		}
		c := challenge(own)
		if at(own, appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sign(key, c, appcred.ForSignature)}) == nil {
			t.Error("a proof for another purpose opens")
		}
		if at(own, code(appcred.Secret(c))) == nil {
			t.Error("a challenge opens as a code that was sent")
		}
		thief, _ := w.key()
		c = challenge(own)
		if at(own, appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sign(thief, c, appcred.ForLogin)}) == nil {
			t.Error("another key opens")
		}
		act := func(p appcred.Proof, name string) error {
			return w.ProveAct(t.Context(), w.chen, w.facts(own, w.chen), []appcred.Proof{p}, name)
		}
		released := appcred.Proof{Kind: policy.FactorBiometric, Signature: sign(key, "this act", appcred.ForSignature)}
		if err := act(released, "this act"); err != nil {
			t.Errorf("a signature's release: %v", err)
		}
		c = challenge(own)
		for name, err := range map[string]error{
			"for another act":     act(released, "that act"),
			"of a login":          act(appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sign(key, c, appcred.ForLogin)}, c),
			"with a challenge":    act(appcred.Proof{Kind: policy.FactorBiometric, Challenge: c, Signature: sign(key, c, appcred.ForSignature)}, "this act"),
			"of another key":      act(appcred.Proof{Kind: policy.FactorBiometric, Signature: sign(thief, "this act", appcred.ForSignature)}, "this act"),
			"for no act":          act(appcred.Proof{Kind: policy.FactorBiometric, Signature: sign(key, "", appcred.ForSignature)}, ""),
			"for an act, a login": at(own, appcred.Proof{Kind: policy.FactorBiometric, Challenge: "this act", Signature: released.Signature}),
		} {
			if err == nil {
				t.Errorf("a proof %s is taken", name)
			}
		}
		w.bind(own)
		if act(released, "this act") == nil {
			t.Error("the key of an earlier binding releases a signature")
		}
		if at(own, proof(own)) == nil {
			t.Error("the key of an earlier binding opens")
		}
	})
}

// HCA-7.3, HCA-7.4, HCA-8.1.1: a login is of one holder on one device, and ends.
func TestLoginIsOfOneHolderOnOneDevice(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		w.account(w.chen, "chen", "correct horse")
		w.account(w.lin, "lin", "battery staple")
		other := w.device("ICU-02", true, w.chen)
		chen, lin := w.login("chen", pw("correct horse")), w.login("lin", pw("battery staple"))
		ok := func(g appcred.Grant) bool {
			l, err := w.Authenticate(t.Context(), g.Token, w.tablet, "tp")
			return err == nil && l.Person == g.Login.Person
		}
		if !ok(chen) || !ok(lin) || chen.Login.Person == lin.Login.Person {
			t.Fatal("two holders on one tablet")
		}
		for name, err := range map[string]error{
			"another device":      second(w.Authenticate(t.Context(), chen.Token, other, "tp")),
			"another certificate": second(w.Authenticate(t.Context(), chen.Token, w.tablet, "other")),
			"no token":            second(w.Authenticate(t.Context(), "", w.tablet, "tp")),
		} {
			refused(t, name, err, "no-login")
		}
		if err := w.Logout(t.Context(), w.phone, lin.Token, lin.Login); err != nil || ok(lin) {
			t.Error("signed out and still in", err)
		}
		w.Clock.Advance(9 * time.Minute)
		if !ok(chen) {
			t.Error("over after nine minutes")
		}
		w.Clock.Advance(10 * time.Minute)
		if ok(chen) {
			t.Error("ten minutes without use do not end it")
		}
		chen = w.login("chen", pw("correct horse"))
		for range 12*60/9 + 1 {
			w.Clock.Advance(9 * time.Minute)
			ok(chen)
		}
		if ok(chen) {
			t.Error("twelve hours do not end it")
		}
		chen = w.login("chen", pw("correct horse"))
		if err := w.register.RemoveUser(t.Context(), w.clerk, w.tablet, w.chen); err != nil || ok(chen) {
			t.Error("no user of the device any more, and still in", err)
		}
		lin = w.login("lin", pw("battery staple"))
		if err := w.register.EndMembership(t.Context(), w.clerk, w.lin, storetest.Window, "left"); err != nil || ok(lin) {
			t.Error("left the hospital, and still in", err)
		}
		if err := w.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
