package remotesign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"sync"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11/p11test"
	"certwindow/policy"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

// HCA-6.3.5: what the holder's device did not sign, or signed for something else, releases nothing, and each try is seen.
func TestActivationIsForThis(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	thief := w.Phone(t, storetest.Window, w.doctor)
	other, _ := w.request(t, 3)
	for name, c := range map[string]struct {
		clause, code string
		change       func(*told)
	}{
		"another device's signature": {"HCA-6.3.5", "activation", func(x *told) { x.phone = thief }},
		"a status statement":         {"HCA-6.3.5", "activation", func(x *told) { x.send = func(r *remotesign.Release) { r.Activation, _ = w.status(w.cert) } }},
		"no JWS":                     {"HCA-6.3.5", "activation", func(x *told) { x.send = func(r *remotesign.Release) { r.Activation = "a.b.c" } }},
		"too long":                   {"HCA-6.3.5", "activation", func(x *told) { x.activation.ID = string(bytes.Repeat([]byte("a"), 5000)) }},
		"another type": {"HCA-6.3.5", "activation", func(x *told) {
			x.send = func(r *remotesign.Release) { r.Activation = jws(t, w.phone.Key, "jwt", x.activation) }
		}},
		"another member": {"HCA-6.3.5", "activation", func(x *told) {
			x.send = func(r *remotesign.Release) {
				r.Activation = jws(t, w.phone.Key, remotesign.ActivationType, struct {
					remotesign.Activation
					Admin bool `json:"admin"`
				}{x.activation, true})
			}
		}},
		"another authorisation": {"HCA-6.3.5", "activation-authorisation", func(x *told) { x.activation.Authorisation = string(other.ID) }},
		"no authorisation":      {"HCA-6.3.5", "activation-authorisation", func(x *told) { x.activation.Authorisation = "" }},
		"another challenge":     {"HCA-6.3.5", "activation-challenge", func(x *told) { x.activation.Challenge = activationOf(other).Challenge }},
		"another certificate":   {"HCA-6.3.5", "activation-certificate", func(x *told) { x.activation.Certificate = "01JD8Z00000000000000000000" }},
		"another client":        {"HCA-6.3.5", "activation-client", func(x *told) { x.activation.Client = string(elsewhere) }},
		"the app itself":        {"HCA-6.3.5", "activation-client", func(x *told) { x.activation.Client = string(remotesign.DeviceClient) }},
		"another scope":         {"HCA-6.3.5", "activation-scope", func(x *told) { x.activation.Scope = "E-PRESCRIPTION" }},
		"another hash": {"HCA-6.3.5", "activation-hashes", func(x *told) {
			x.items[1].Hash = bytes.Repeat([]byte{1}, 32)
			x.activation.Hashes = digestOf(x.items)
		}},
		"another label": {"HCA-6.3.5", "activation-hashes", func(x *told) { x.items[1].Title = "會議紀錄"; x.activation.Hashes = digestOf(x.items) }},
		"more patients": {"HCA-6.3.5", "activation-hashes", func(x *told) { x.items[1].Patients = 9; x.activation.Hashes = digestOf(x.items) }},
		"another order": {"HCA-6.3.5", "activation-hashes", func(x *told) {
			x.items[0], x.items[1] = x.items[1], x.items[0]
			x.activation.Hashes = digestOf(x.items)
		}},
		"one hash less":          {"HCA-6.3.5", "activation-hashes", func(x *told) { x.activation.Count, x.activation.Hashes = 2, digestOf(x.items[:2]) }},
		"another algorithm":      {"HCA-6.3.5", "activation-hashes", func(x *told) { x.activation.HashAlgorithm = "SHA-512" }},
		"another secret":         {"HCA-6.3.5", "activation-secret", func(x *told) { x.activation.Secret = digestOf(nil) }},
		"another factor":         {"HCA-6.3.5", "activation-factor", func(x *told) { x.activation.Factor = "biometric" }},
		"expired":                {"HCA-6.3.5", "activation-expired", func(x *told) { x.activation.IssuedAt -= 120; x.activation.Expires -= 120 }},
		"of the future":          {"HCA-6.3.5", "activation-expired", func(x *told) { x.activation.IssuedAt += 120; x.activation.Expires += 120 }},
		"for a day":              {"HCA-6.3.5", "activation-expired", func(x *told) { x.activation.Expires += 86400 }},
		"for ever":               {"HCA-6.3.5", "activation-expired", func(x *told) { x.activation.Expires = 1 << 62 }},
		"a wrong password":       {"HCA-7.4", "holder-unknown", func(x *told) { x.factor = remotesign.NewFactor("password", []byte("wrong")) }},
		"for another act":        {"HCA-6.3.5", "secret", func(x *told) { x.info = activationOf(other).SecretInfo() }},
		"another phone's secret": {"HCA-6.3.5", "sole-control", func(x *told) { x.secret = bytes.Repeat([]byte{6}, hsm.SecretSize) }},
	} {
		a, handle := w.request(t, 3)
		before := w.Count(t, "audit_events WHERE outcome = 'refused' AND act = 'sign.release' AND code = ?", c.code)
		out, err := w.accept(t, a, func(x *told) {
			x.items = items(3)
			c.change(x)
		})
		refusal(t, name, err, c.clause, c.code)
		if len(out.Signatures) != 0 {
			t.Errorf("%s: signed", name)
		}
		if n := w.Count(t, "audit_events WHERE outcome = 'refused' AND act = 'sign.release' AND code = ?", c.code); n != before+1 {
			t.Errorf("%s: %d rows in the log", name, n-before)
		}
		if s, err := w.Check(t.Context(), ra.Actor{}, records, handle); err != nil || s.State != remotesign.Pending || s.SAD != "" {
			t.Errorf("%s: the authorisation is %+v, %v", name, s, err)
		}
	}
	a, _ := w.request(t, 1)
	if _, err := w.Release(t.Context(), device(thief), thief.ID, a.ID, w.release(t, activationOf(a), a.Items, nil)); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("from another device: %v", err)
	}
	if err := w.Deny(t.Context(), device(thief), thief.ID, a.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("denied by another device: %v", err)
	}
}

// HCA-5.1.2, HCA-6.3.7, HCA-7.3: who may ask for what, from where.
func TestWhoMayAsk(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	ask := func(change func(*remotesign.Ask)) error {
		x := w.ask(1)
		change(&x)
		_, _, err := w.Request(t.Context(), system, x)
		return err
	}
	refusal(t, "a system that nobody knows", ask(func(x *remotesign.Ask) { x.Client = "stranger" }), "HCA-5.1.2", "client-not-approved")
	refusal(t, "a system of another institution", ask(func(x *remotesign.Ask) { x.Client = elsewhere }), "HCA-5.1.2", "client-not-approved")
	refusal(t, "a scope that the certificate has not", ask(func(x *remotesign.Ask) { x.Scope = "E-PRESCRIPTION" }), "HCA-5.1.2", "scope-not-of-certificate")
	refusal(t, "no scope", ask(func(x *remotesign.Ask) { x.Scope = "" }), "HCA-5.1.2", "scope-missing")
	if err := ask(func(x *remotesign.Ask) { x.Client = remotesign.DeviceClient }); ra.KindOf(err) != ra.KindMalformed {
		t.Errorf("a system that calls itself the holder's app: %v", err)
	}
	a, _ := w.request(t, 1)
	delete(w.systems, records)
	_, err := w.accept(t, a, nil)
	refusal(t, "a system that was struck off since", err, "HCA-5.1.2", "client-not-approved")
	w.systems[records] = remotesign.Client{ID: records, Institution: storetest.Window}
	_, err = w.accept(t, a, nil)
	refusal(t, "a system that lost the scope since", err, "HCA-5.1.2", "scope-not-of-client")
	w.systems[records] = remotesign.Client{ID: records, Institution: storetest.Window, Scopes: []string{"EMR-SIGN"}}
	w.Register.SetScopes()
	_, err = w.accept(t, a, nil)
	refusal(t, "a scope that the window withdrew", err, "HCA-5.1.2", "scope-not-approved")
	w.Register.SetScopes(store.Scope{Code: "EMR-SIGN"})
	for _, address := range []string{"203.0.113.5", "2001:db8::1", "", "10.1.2.3, 203.0.113.5"} {
		actor := device(w.phone)
		actor.Address = address
		_, err := w.Release(t.Context(), actor, w.phone.ID, a.ID, w.release(t, activationOf(a), a.Items, nil))
		refusal(t, "from "+address, err, "HCA-6.3.7", "outside-network")
	}
	app := policy.App{Reported: true, State: "withdrawn", OSVersion: "1", MinOS: "1", CarrierPresent: true}
	w.Register.SetApp(w.phone.ID, app)
	_, err = w.accept(t, a, nil)
	refusal(t, "from a withdrawn app", err, "HCA-8.2.1", "app-withdrawn")
	app.State = "approved"
	w.Register.SetApp(w.phone.ID, app)
	if out, err := w.accept(t, a, nil); err != nil || out.Stopped != nil || len(out.Signatures) != 1 {
		t.Errorf("as it should be: %v", err)
	}
}

// HCA-6.3.5: each signature is handed out once, to the system that asked and for the hashes that were released; what
// nobody fetched is deleted.
func TestCollectOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWardOn(t, p11test.Token(t), db)
		ctx, actor := t.Context(), system
		a, handle := w.request(t, 3)
		if list, err := w.PendingOn(ctx, w.phone.ID, w.doctor, w.cert.ID); err != nil || len(list) != 1 || list[0].Items[2].Title != items(3)[2].Title {
			t.Errorf("what waits: %+v, %v", list, err)
		}
		if _, err := w.Check(ctx, actor, elsewhere, handle); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("another system asks: %v", err)
		}
		if out, err := w.accept(t, a, nil); err != nil || out.Stopped != nil {
			t.Fatal(err)
		}
		s, err := w.Check(ctx, actor, records, handle)
		if err != nil || s.State != remotesign.Released || s.Hashes[2] != remotesign.HashSigned || s.SAD == "" {
			t.Fatalf("%+v, %v", s, err)
		}
		two := [][]byte{a.Items[2].Hash, a.Items[0].Hash}
		if _, err := w.Collect(ctx, actor, elsewhere, s.SAD, two); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("another system collects: %v", err)
		}
		if _, err := w.Collect(ctx, actor, records, handle, two); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("collected by the handle: %v", err)
		}
		_, err = w.Collect(ctx, actor, records, s.SAD, [][]byte{a.Items[0].Hash, bytes.Repeat([]byte{1}, 32)})
		refusal(t, "another hash", err, "HCA-6.3.5", "hash-not-authorised")
		_, err = w.Collect(ctx, actor, records, s.SAD, [][]byte{a.Items[0].Hash, a.Items[0].Hash})
		refusal(t, "one hash twice in a call", err, "HCA-6.3.5", "collected-before")
		sigs, err := w.Collect(ctx, actor, records, s.SAD, two)
		if err != nil || !ecdsa.VerifyASN1(w.public, two[0], sigs[0]) || !ecdsa.VerifyASN1(w.public, two[1], sigs[1]) {
			t.Fatalf("%v", err)
		}
		_, err = w.Collect(ctx, actor, records, s.SAD, two[:1])
		refusal(t, "a second time", err, "HCA-6.3.5", "collected-before")
		if n := w.Count(t, "audit_events WHERE act = 'sign.collect' AND outcome = 'refused'"); n != 5 {
			t.Errorf("%d refusals in the log", n)
		}
		w.Clock.Advance(remotesign.Life + time.Hour)
		_, err = w.Collect(ctx, actor, records, s.SAD, [][]byte{a.Items[1].Hash})
		refusal(t, "too late", err, "HCA-6.3.5", "authorisation-over")
		late, _ := w.request(t, 1)
		w.Clock.Advance(remotesign.Life)
		_, err = w.accept(t, late, nil)
		refusal(t, "released too late", err, "HCA-6.3.5", "authorisation-over")
		for _, want := range []int{2, 0} {
			if n, err := w.Expire(ctx); err != nil || n != want {
				t.Errorf("%d ended, want %d: %v", n, want, err)
			}
		}
		if n := w.Count(t, "signature_hashes WHERE signature IS NOT NULL"); n != 0 {
			t.Errorf("%d signatures are kept that nobody fetched", n)
		}
		if s, err := w.Check(ctx, actor, records, handle); err != nil || s.State != remotesign.Closed || s.SAD != "" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// HCA-6.3.5: activation data releases once, and of two releases at the same moment one wins.
func TestReleaseOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWardOn(t, p11test.Token(t), db)
		a, _ := w.request(t, 2)
		r := w.release(t, activationOf(a), a.Items, nil)
		won, errs := 0, make([]error, 8)
		var group sync.WaitGroup
		for i := range errs {
			again := r
			again.Factors = []remotesign.Factor{remotesign.NewFactor("password", []byte("right"))} // each call wipes its own
			group.Go(func() { _, errs[i] = w.Release(context.Background(), device(w.phone), w.phone.ID, a.ID, again) })
		}
		group.Wait()
		for _, err := range errs {
			if err == nil {
				won++
			} else if k := ra.KindOf(err); k != ra.KindConflict && k != ra.KindRefused {
				t.Errorf("%v", err)
			}
		}
		if won != 1 || w.Count(t, "audit_events WHERE act = 'sign.release' AND outcome = 'done'") != 1 {
			t.Errorf("%d releases of one authorisation", won)
		}
		own, act := w.own(t, w.cert, items(1))
		r = w.release(t, act, own.Items, nil)
		if _, err := w.Sign(t.Context(), device(w.phone), w.phone.ID, own, r); err != nil {
			t.Fatal(err)
		}
		r.Factors = []remotesign.Factor{remotesign.NewFactor("password", []byte("right"))}
		_, err := w.Sign(t.Context(), device(w.phone), w.phone.ID, own, r)
		refusal(t, "the app's own activation again", err, "HCA-6.3.5", "activation-used")
		w.Audit(t)
	})
}

// The end of a shift: 500 hashes with one release, in their order.
func TestWholeShift(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	a, handle := w.request(t, remotesign.MaxHashes)
	out, err := w.accept(t, a, nil)
	if err != nil || out.Stopped != nil || len(out.Signatures) != remotesign.MaxHashes {
		t.Fatalf("%d signatures, %v", len(out.Signatures), err)
	}
	s, err := w.Check(t.Context(), ra.Actor{}, records, handle)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, i := range a.Items {
		all = append(all, i.Hash)
	}
	sigs, err := w.Collect(t.Context(), system, records, s.SAD, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, sig := range sigs {
		if !ecdsa.VerifyASN1(w.public, all[i], sig) {
			t.Fatalf("signature %d does not verify", i)
		}
	}
	if _, _, err := w.Request(t.Context(), system, w.ask(remotesign.MaxHashes+1)); ra.KindOf(err) != ra.KindMalformed {
		t.Errorf("501 hashes: %v", err)
	}
}

// meddling is an HSM at which something happens while it signs for the nth time.
type meddling struct {
	remotesign.Keys
	at   int
	then func()
}

func (m *meddling) SignSealed(ctx context.Context, k hsm.WrappedKey, b hsm.Binding, s hsm.Secret, h crypto.Hash, d [][]byte) ([][]byte, error) {
	if m.at--; m.at == 0 {
		m.then()
	}
	return m.Keys.SignSealed(ctx, k, b, s, h, d)
}

// HCA-7.2: a certificate that is revoked in the middle of a batch stops the rest of it, and what the module was just
// then signing is nobody's.
func TestRevokedInTheMiddle(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	m := &meddling{Keys: w.module, at: 3, then: func() {
		if err := w.DB.Gorm.Exec("UPDATE certificates SET state = 'revoking'").Error; err != nil {
			t.Error(err)
		}
	}}
	w.token = m
	w.serve(t, nil)
	a, handle := w.request(t, 200)
	out, err := w.accept(t, a, nil)
	if err != nil || len(out.Signatures) != 100 {
		t.Fatalf("%d signatures, %v", len(out.Signatures), err)
	}
	refusal(t, "the rest", out.Stopped, "HCA-7.2", "certificate-revoked")
	s, err := w.Check(t.Context(), ra.Actor{}, records, handle)
	if err != nil || s.Hashes[99] != remotesign.HashSigned || s.Hashes[100] != remotesign.HashRefused {
		t.Fatalf("%v %v, %v", s.Hashes[99], s.Hashes[100], err)
	}
	_, err = w.Collect(t.Context(), system, records, s.SAD, [][]byte{a.Items[100].Hash})
	refusal(t, "collecting the rest", err, "HCA-7.2", "batch-stopped")
	if n := w.Count(t, "audit_events WHERE act = 'sign.release' AND outcome = 'refused' AND clause = 'HCA-7.2'"); n != 1 {
		t.Errorf("%d rows tell of it", n)
	}
	if n := w.Count(t, "signature_hashes WHERE signature IS NOT NULL"); n != 100 {
		t.Errorf("%d signatures are kept", n)
	}
	// The same for the app's own batch, and for one signature: revoked while the module worked.
	if err := w.DB.Gorm.Exec("UPDATE certificates SET state = 'live'").Error; err != nil {
		t.Fatal(err)
	}
	m.at = 2
	own, act := w.own(t, w.cert, items(120))
	out, err = w.Sign(t.Context(), device(w.phone), w.phone.ID, own, w.release(t, act, own.Items, nil))
	if err != nil || len(out.Signatures) != 50 || ra.AsError(out.Stopped).Clause != "HCA-7.2" {
		t.Errorf("%d signatures, %v, stopped by %v", len(out.Signatures), err, out.Stopped)
	}
	if err := w.DB.Gorm.Exec("UPDATE certificates SET state = 'live'").Error; err != nil {
		t.Fatal(err)
	}
	m.at = 1
	sig, err := w.sign(t, nil)
	refusal(t, "one signature", err, "HCA-7.2", "certificate-revoked")
	if sig != nil {
		t.Error("a signature was given out")
	}
}

// HCA-7.3, HCA-7.4: what waits is shown to the holder alone, on a shared device too.
func TestPendingOfTheHolder(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	w.request(t, 1)
	colleague := w.Doctor(t, "王美麗", "1002")
	if list, err := w.Pending(t.Context(), w.phone.ID, colleague); err != nil || len(list) != 0 {
		t.Errorf("a colleague sees %d, %v", len(list), err)
	}
	if list, err := w.Pending(t.Context(), w.phone.ID, w.doctor); err != nil || len(list) != 1 {
		t.Errorf("the holder sees %d, %v", len(list), err)
	}
	w.Register.Device(w.phone.ID, func(d *ra.DeviceFacts) { d.Shared = true })
	if list, err := w.PendingOn(t.Context(), w.phone.ID, w.doctor, w.cert.ID); err != nil || len(list) != 1 {
		t.Errorf("the holder sees %d on a shared device, %v", len(list), err)
	}
	if _, err := w.PendingOn(t.Context(), w.phone.ID, colleague, w.cert.ID); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("a colleague asks for the holder's certificate on a shared device: %v", err)
	}
}

// HCA-8.1.4: a challenge is for one device and certificate, and for ten minutes.
func TestChallenge(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	second, _ := w.hsmCertificateAt(t, 2)
	foreign, _ := w.own(t, second, items(1))
	for name, c := range map[string]struct {
		code   string
		change func(*remotesign.Own)
	}{
		"another certificate's": {"challenge", func(o *remotesign.Own) { o.Challenge = foreign.Challenge }},
		"nobody's":              {"challenge", func(o *remotesign.Own) { o.Challenge = o.Challenge[:30] + "AAAA" + o.Challenge[34:] }},
		"too late":              {"challenge", func(*remotesign.Own) { w.Clock.Advance(remotesign.ChallengeLife) }},
		"short":                 {"challenge", func(o *remotesign.Own) { o.Challenge = o.Challenge[:40] }},
	} {
		own, a := w.own(t, w.cert, items(1))
		c.change(&own)
		a.Challenge = own.Challenge
		if _, err := w.Sign(t.Context(), device(w.phone), w.phone.ID, own, w.release(t, a, own.Items, nil)); err == nil || ra.AsError(err).Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
