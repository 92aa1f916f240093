package ceremony_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/ceremony"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
)

var (
	custodians = []string{"Health bureau: Lin", "Audit office: Chen", "Hospital board: Wu"}
	binding    = hsm.Binding{Person: "person-1", Device: "device-1", Application: "01JD8Z"}
)

// keepers are custodians who remember their components, by the name they are asked under.
type keepers map[string]hsm.Secret

func newKeepers(t testing.TB, names []string) keepers {
	t.Helper()
	k := keepers{}
	for _, n := range names {
		c, err := ceremony.NewComponent(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k[n] = c
	}
	return k
}

// read gives a copy, since a ceremony wipes what it is given.
func (k keepers) read(name string) (hsm.Secret, error) { return hsm.NewSecret(k[name].Bytes()), nil }

func options(p p11test.Place, generation int, k keepers, out *bytes.Buffer) ceremony.Options {
	return ceremony.Options{
		Module: p.Module, TokenLabel: p.Label, SOPIN: p.SOPIN, UserPIN: p.UserPIN,
		Generation: generation, Custodians: custodians, ReadComponent: k.read, Out: out,
		Now: func() time.Time { return time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC) }, Rand: rand.Reader,
	}
}

func setup(t testing.TB) p11test.Place {
	t.Helper()
	p := p11test.Empty(t)
	if _, err := ceremony.Setup(context.Background(), ceremony.SetupOptions{Module: p.Module, TokenLabel: p.Label,
		SOPIN: p.SOPIN, UserPIN: p.UserPIN, Keys: []ceremony.KeySpec{{Label: ceremony.LabelStatus, Algorithm: hsm.P256}}}); err != nil {
		t.Fatal(err)
	}
	return p
}

func signs(t testing.TB, tok *p11.Token, k hsm.WrappedKey) error {
	t.Helper()
	s, err := tok.SignerFor(context.Background(), k, binding)
	if err != nil {
		return err
	}
	d := p11test.Digest(t)
	sig, err := s.Sign(nil, d, crypto.SHA256)
	if err != nil {
		return err
	}
	pub, err := x509.ParsePKIXPublicKey(k.SPKI)
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), d, sig) {
		return errors.New("the signature does not verify")
	}
	return nil
}

// TestRestore proves HCA-6.3.2's backup: the token is lost, and from the custodians' components and the record a new
// token signs with keys wrapped before, and derives the same sealing secret.
func TestRestore(t *testing.T) {
	ctx := context.Background()
	p, k := setup(t), newKeepers(t, custodians)
	var out, progress bytes.Buffer
	o := options(p, 1, k, &out)
	o.Progress = &progress
	made, err := ceremony.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range made.Custodians {
		if !strings.Contains(progress.String(), c.CheckValue) {
			t.Errorf("the custodians were not shown check value %s", c.CheckValue)
		}
		if text := k[c.Name].Bytes(); !bytes.HasSuffix(text, []byte(c.CheckValue)) || bytes.Contains(out.Bytes(), text[5:40]) {
			t.Error("the record does not hold the check value alone")
		}
	}
	if !strings.Contains(progress.String(), made.MasterCheckValue) || made.MasterCheckValue == "" {
		t.Error("the check value of the master key was not shown")
	}
	old, err := p11.Open(ctx, p.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	wrapped, err := old.GenerateWrapped(ctx, hsm.P256, binding)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := old.DeriveSecret(ctx, "columns")
	if err != nil {
		t.Fatal(err)
	}

	record, _, err := ceremony.ParseRecord(out.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	q := p11test.Empty(t)
	if err := p11.InitToken(q.Module, q.Label, q.SOPIN, q.UserPIN); err != nil {
		t.Fatal(err)
	}
	ro := options(q, 1, k, &bytes.Buffer{})
	ro.Restore = record

	// Custodians in the wrong order, or with another component, are told before anything is made.
	wrong := ro
	wrong.Custodians = []string{custodians[1], custodians[0], custodians[2]}
	if _, err := ceremony.Run(ctx, wrong); err == nil || !strings.Contains(err.Error(), "check value") {
		t.Fatalf("components in the wrong order: %v", err)
	}
	again, err := ceremony.Run(ctx, ro)
	if err != nil {
		t.Fatal(err)
	}
	if again.Kind != ceremony.KindRestore || again.MasterCheckValue != made.MasterCheckValue {
		t.Errorf("restored %s %s, made %s", again.Kind, again.MasterCheckValue, made.MasterCheckValue)
	}
	fresh := p11test.Open(t, q)
	if err := signs(t, fresh, wrapped); err != nil {
		t.Errorf("a key wrapped before the loss: %v", err)
	}
	if s, err := fresh.DeriveSecret(ctx, "columns"); err != nil || !bytes.Equal(s.Bytes(), secret.Bytes()) {
		t.Errorf("the sealing secret changed: %v", err)
	}
	// The restored MAC key can be backed up again, under the next generation too.
	if len(again.MACBackup) == 0 {
		t.Error("no backup of the MAC key after the restore")
	}
}

// TestRollover proves HCA-6.3.4: both generations sign while keys move, and a repeated run changes nothing.
func TestRollover(t *testing.T) {
	ctx := context.Background()
	p, k1, k2 := setup(t), newKeepers(t, custodians), newKeepers(t, custodians)
	run := func(f func(context.Context, ceremony.Options) (*ceremony.Transcript, error), g int, k keepers) error {
		_, err := f(ctx, options(p, g, k, &bytes.Buffer{}))
		return err
	}
	if err := run(ceremony.Run, 1, k1); err != nil {
		t.Fatal(err)
	}
	inToken := func(f func(*p11.Token)) {
		tok, err := p11.Open(ctx, p.Config())
		if err != nil {
			t.Fatal(err)
		}
		defer tok.Close()
		f(tok)
	}
	var k hsm.WrappedKey
	inToken(func(tok *p11.Token) {
		var err error
		if k, err = tok.GenerateWrapped(ctx, hsm.P256, binding); err != nil {
			t.Fatal(err)
		}
	})
	if err := run(ceremony.Run, 1, k1); !errors.Is(err, hsm.ErrExists) {
		t.Fatalf("an existing generation: %v", err)
	}
	if err := run(ceremony.Run, 2, k2); err != nil {
		t.Fatal(err)
	}
	inToken(func(tok *p11.Token) {
		if _, err := tok.Rewrap(ctx, k, binding, 2); !errors.Is(err, hsm.ErrNotFound) {
			t.Fatalf("wrapped anew without the old custodians: %v", err)
		}
	})
	if err := run(ceremony.Rollover, 1, k2); err == nil || !strings.Contains(err.Error(), "check value") {
		t.Fatalf("rollover with other components: %v", err)
	}
	if err := run(ceremony.Rollover, 1, k1); err != nil {
		t.Fatal(err)
	}
	var moved hsm.WrappedKey
	inToken(func(tok *p11.Token) {
		var err error
		if moved, err = tok.Rewrap(ctx, k, binding, 2); err != nil {
			t.Fatal(err)
		}
		if again, err := tok.Rewrap(ctx, moved, binding, 2); err != nil || !bytes.Equal(again.Blob, moved.Blob) {
			t.Errorf("a second run: %v", err)
		}
		if moved.Generation != 2 || !bytes.Equal(moved.SPKI, k.SPKI) || bytes.Equal(moved.Blob, k.Blob) {
			t.Error("the key did not move to generation 2")
		}
		for _, w := range []hsm.WrappedKey{k, moved} {
			if err := signs(t, tok, w); err != nil {
				t.Errorf("generation %d does not sign during the rollover: %v", w.Generation, err)
			}
		}
	})
	if err := run(ceremony.Retire, 2, nil); err == nil {
		t.Fatal("the newest generation was retired")
	}
	if err := run(ceremony.Retire, 1, nil); err != nil {
		t.Fatal(err)
	}
	inToken(func(tok *p11.Token) {
		if g, err := tok.MasterGenerations(ctx); err != nil || !slices.Equal(g, []int{2}) {
			t.Errorf("generations after retiring: %v %v", g, err)
		}
		if g, _ := tok.RolloverGenerations(ctx); len(g) != 0 {
			t.Errorf("rollover objects are left: %v", g)
		}
		if err := signs(t, tok, moved); err != nil {
			t.Errorf("the moved key: %v", err)
		}
		if err := signs(t, tok, k); !errors.Is(err, hsm.ErrNotFound) {
			t.Errorf("the old form signs without its master key: %v", err)
		}
	})
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestRefusals: HCA-6.3.2 asks for two custodians with a component each, and no key without its record.
func TestRefusals(t *testing.T) {
	ctx := context.Background()
	p, k := setup(t), newKeepers(t, custodians)
	same := keepers{custodians[0]: k[custodians[0]], custodians[1]: k[custodians[0]], custodians[2]: k[custodians[2]]}
	for name, change := range map[string]func(*ceremony.Options){
		"one custodian":       func(o *ceremony.Options) { o.Custodians = custodians[:1] },
		"one custodian twice": func(o *ceremony.Options) { o.Custodians = []string{"Lin", " lin "} },
		"one component twice": func(o *ceremony.Options) { o.ReadComponent = same.read },
		"generation zero":     func(o *ceremony.Options) { o.Generation = 0 },
		"nowhere to record":   func(o *ceremony.Options) { o.Out = nil },
		"record not writable": func(o *ceremony.Options) { o.Out = failingWriter{} },
		"wrong security PIN":  func(o *ceremony.Options) { o.SOPIN = hsm.NewSecret([]byte("00000000")) },
		"a custodian walks out": func(o *ceremony.Options) {
			o.ReadComponent = func(string) (hsm.Secret, error) { return hsm.Secret{}, errors.New("left") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(p, 1, k, &bytes.Buffer{})
			change(&o)
			if _, err := ceremony.Run(ctx, o); err == nil {
				t.Fatal("accepted")
			}
			tok, err := p11.Open(ctx, p.Config())
			if err != nil {
				t.Fatal(err)
			}
			defer tok.Close()
			if g, err := tok.MasterGenerations(ctx); err != nil || len(g) != 0 {
				t.Fatalf("a master key was left behind: %v %v", g, err)
			}
		})
	}
}

// TestRecord: an edited record is refused, and so is one of another token where the key is pinned.
func TestRecord(t *testing.T) {
	ctx := context.Background()
	p, k := setup(t), newKeepers(t, custodians)
	var out bytes.Buffer
	if _, err := ceremony.Run(ctx, options(p, 1, k, &out)); err != nil {
		t.Fatal(err)
	}
	record, key, err := ceremony.ParseRecord(out.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !record.Token.Software {
		t.Error("SoftHSM is not recorded as software (HCA-6.3.1)")
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ceremony.ParseRecord(out.Bytes(), spki); err != nil {
		t.Error(err)
	}
	if _, _, err := ceremony.ParseRecord(out.Bytes(), append([]byte{}, spki[1:]...)); err == nil {
		t.Error("a record of another key was taken")
	}
	edited := bytes.Replace(out.Bytes(), []byte("Lin"), []byte("Lim"), 1)
	if _, _, err := ceremony.ParseRecord(edited, nil); err == nil {
		t.Error("an edited record was taken")
	}
}

func TestSetupTwice(t *testing.T) {
	ctx := context.Background()
	p := p11test.Empty(t)
	o := ceremony.SetupOptions{Module: p.Module, TokenLabel: p.Label, SOPIN: p.SOPIN, UserPIN: p.UserPIN, Keys: ceremony.DefaultKeys()}
	for _, first := range []bool{true, false} {
		r, err := ceremony.Setup(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Items) != 3+len(o.Keys) {
			t.Fatalf("%d items", len(r.Items))
		}
		for _, i := range r.Items {
			if i.Created != first {
				t.Errorf("first run %v: %s %s created %v", first, i.Kind, i.Label, i.Created)
			}
		}
	}
	o.Keys = []ceremony.KeySpec{{Label: ceremony.LabelStatus, Algorithm: hsm.P384}}
	if _, err := ceremony.Setup(ctx, o); err == nil {
		t.Error("a key of another algorithm was taken for the one asked for")
	}
}
