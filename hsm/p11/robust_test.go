package p11_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"

	"github.com/miekg/pkcs11"
)

var binding = hsm.Binding{Person: "person-1", Device: "device-1", Application: "01JD8Z"}

// addRollover makes the rollover object of a generation, as a ceremony does with its custodians.
func addRollover(t testing.TB, p p11test.Place, generation int) {
	t.Helper()
	_, err := p11.CreateMaster(context.Background(), p.Admin(),
		p11.MasterSpec{Generation: generation, Components: p11test.Components(generation), Rollover: true})
	if err != nil {
		t.Fatal(err)
	}
}

// addMaster makes the master key of another generation.
func addMaster(t testing.TB, p p11test.Place, generation int) {
	t.Helper()
	_, err := p11.CreateMaster(context.Background(), p.Admin(),
		p11.MasterSpec{Generation: generation, Components: p11test.Components(generation), Master: true})
	if err != nil {
		t.Fatal(err)
	}
}

func signOnce(t testing.TB, s crypto.Signer) {
	t.Helper()
	d := p11test.Digest(t)
	sig, err := s.Sign(nil, d, crypto.SHA256)
	if err != nil {
		t.Error(err)
		return
	}
	if !verify(s.Public(), d, sig, crypto.SHA256) {
		t.Error("the signature does not verify")
	}
}

// TestLostSessions: a module that drops its sessions, its login or everything is used on without a restart.
func TestLostSessions(t *testing.T) {
	p := p11test.Prepare(t)
	tok := p11test.Open(t, p)
	ctx := context.Background()
	fixed, err := tok.GenerateKeyPair(ctx, "fixed", hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	k, err := tok.GenerateWrapped(ctx, hsm.P256, binding)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := tok.SignerFor(ctx, k, binding)
	if err != nil {
		t.Fatal(err)
	}
	raw := pkcs11.New(p.Module)
	slot := func() uint {
		slots, err := raw.GetSlotList(true)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(slots, func(s uint) bool { i, err := raw.GetTokenInfo(s); return err == nil && i.Label == p.Label })
		return slots[i]
	}
	for name, disturb := range map[string]func() error{
		"sessions closed": func() error { return raw.CloseAllSessions(slot()) },
		"logged out": func() error {
			h, err := raw.OpenSession(slot(), pkcs11.CKF_SERIAL_SESSION)
			return errors.Join(err, raw.Logout(h), raw.CloseSession(h))
		},
		"module restarted": func() error { return raw.Finalize() },
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time with sessions of the repaired kind
				if err := disturb(); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() { signOnce(t, fixed); signOnce(t, holder) })
				}
				wg.Wait()
				if err := tok.Healthy(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSessionsAreNotShared: numbers of sessions begin again when a module does, and one that the pool still holds
// from before may by then be the number of another caller's session.
func TestSessionsAreNotShared(t *testing.T) {
	p := p11test.Prepare(t)
	cfg := p.Config()
	cfg.Sessions = 2
	ctx := context.Background()
	tok, err := p11.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	raw := pkcs11.New(p.Module)
	for range 3 { // sessions are used in turn: either is the first after a restart
		if err := errors.Join(tok.Healthy(ctx), tok.Healthy(ctx), tok.Healthy(ctx), raw.Finalize(), tok.Healthy(ctx), tok.Healthy(ctx)); err != nil {
			t.Fatal(err)
		}
		if hs := p11.OpenSessions(tok); len(hs) != 2 || hs[0] == hs[1] {
			t.Fatalf("the pool's sessions are %v", hs)
		}
	}
}

// TestConcurrent: HCA-6.3.4 and -6.3.5 with eight users of four sessions: every key signs as itself.
func TestConcurrent(t *testing.T) {
	p := p11test.Prepare(t)
	addRollover(t, p, 1)
	addMaster(t, p, 2)
	tok := p11test.Open(t, p)
	ctx := context.Background()
	fixed, err := tok.GenerateKeyPair(ctx, "fixed", hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				signOnce(t, fixed)
				k, err := tok.GenerateWrapped(ctx, hsm.P256, binding)
				if err != nil || k.Generation != 2 {
					t.Errorf("generation %d: %v", k.Generation, err)
					return
				}
				s, err := tok.SignerFor(ctx, k, binding)
				if err != nil {
					t.Error(err)
					return
				}
				signOnce(t, s)
			}
		})
	}
	wg.Wait()
}

// TestNothingLeftBehind: HCA-6.3.5. No holder's key stays in the module after it was made or has signed.
func TestNothingLeftBehind(t *testing.T) {
	p := p11test.Prepare(t)
	tok := p11test.Open(t, p)
	ctx := context.Background()
	o := newOperator(t, p)
	for range 3 {
		k, err := tok.GenerateWrapped(ctx, hsm.P256, binding)
		if err != nil {
			t.Fatal(err)
		}
		s, err := tok.SignerFor(ctx, k, binding)
		if err != nil {
			t.Fatal(err)
		}
		signOnce(t, s)
		if _, err := s.Sign(nil, []byte("short"), crypto.SHA256); err == nil {
			t.Error("a digest of the wrong length was signed")
		}
		useSealed(t, tok)
	}
	if err := o.ctx.FindObjectsInit(o.h, []*pkcs11.Attribute{a(pkcs11.CKA_TOKEN, false)}); err != nil {
		t.Fatal(err)
	}
	defer o.ctx.FindObjectsFinal(o.h)
	if hs, _, err := o.ctx.FindObjects(o.h, 10); err != nil || len(hs) != 0 {
		t.Errorf("%d keys are left: %v", len(hs), err)
	}
}

// useSealed sends a phone's secret to the token, and signs with a key that is sealed under it.
func useSealed(t *testing.T, tok *p11.Token) {
	t.Helper()
	ctx := context.Background()
	pub, err := tok.ActivationKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := hsm.SealActivation(pub, nil, secretOf(1).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := tok.OpenActivation(ctx, nil, sent)
	if err != nil {
		t.Fatal(err)
	}
	k, err := tok.GenerateSealed(ctx, hsm.P256, binding, secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.SignSealed(ctx, k, binding, secret, crypto.SHA256, [][]byte{p11test.Digest(t)}); err != nil {
		t.Fatal(err)
	}
}

// TestWaitEnds: who waits for a session stops waiting with the context, or when the token is closed.
func TestWaitEnds(t *testing.T) {
	p := p11test.Prepare(t)
	cfg := p.Config()
	cfg.Sessions = 1
	tok, err := p11.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	release, busy := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() { done <- p11.HoldSession(tok, busy, release) }()
	<-busy
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := tok.Healthy(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the wait ended with %v", err)
	}
	waiting := make(chan error)
	go func() { waiting <- tok.Healthy(context.Background()) }()
	closed := make(chan error)
	go func() { closed <- tok.Close() }()
	if err := <-waiting; err == nil {
		t.Error("a closed token is healthy")
	}
	close(release)
	if err := errors.Join(<-done, <-closed); err != nil {
		t.Error(err)
	}
	if err := tok.Healthy(context.Background()); err == nil {
		t.Error("a closed token is healthy")
	}
}

func TestOpenRefusals(t *testing.T) {
	p := p11test.Prepare(t)
	ctx := context.Background()
	bad := p.Config()
	bad.PIN = hsm.NewSecret([]byte("9999999"))
	if _, err := p11.Open(ctx, bad); p11.RV(err) != p11.RVPINIncorrect {
		t.Errorf("wrong PIN: %v", err)
	}
	bad = p.Config()
	bad.TokenLabel = "none"
	if _, err := p11.Open(ctx, bad); err == nil {
		t.Error("a token that is not there was opened")
	}
	bad = p.Config()
	bad.Module = "/etc/hostname"
	if _, err := p11.Open(ctx, bad); err == nil {
		t.Error("a file that is no module was opened")
	}
	if err := p11.InitToken(p.Module, p.Label, p.SOPIN, p.UserPIN); !errors.Is(err, hsm.ErrExists) {
		t.Errorf("a label in use: %v", err)
	}
	if tok := p11test.Open(t, p); !tok.Info().Software {
		t.Error("SoftHSM counts as hardware (HCA-6.3.1)")
	}
	_, err := p11.CreateMaster(ctx, p.Admin(), p11.MasterSpec{Generation: 2, Components: p11test.Components(2), Master: true})
	if err == nil {
		t.Error("a ceremony ran beside logged-in sessions")
	}
}
