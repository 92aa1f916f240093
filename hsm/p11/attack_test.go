package p11_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"

	"github.com/miekg/pkcs11"
)

// operator is someone who holds the user PIN and the database, and talks to the module without our code.
type operator struct {
	t   *testing.T
	ctx *pkcs11.Ctx
	h   pkcs11.SessionHandle
}

// newOperator opens a raw session beside the open Token, whose login it shares: login is the process's.
func newOperator(t *testing.T, p p11test.Place) *operator {
	t.Helper()
	ctx := pkcs11.New(p.Module)
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slots {
		if i, err := ctx.GetTokenInfo(s); err != nil || i.Label != p.Label {
			continue
		}
		h, err := ctx.OpenSession(s, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ctx.CloseSession(h) })
		return &operator{t, ctx, h}
	}
	t.Fatal("no such token")
	return nil
}

func a(typ uint, v any) *pkcs11.Attribute { return pkcs11.NewAttribute(typ, v) }

func (o *operator) object(class uint, label string) pkcs11.ObjectHandle {
	o.t.Helper()
	if err := o.ctx.FindObjectsInit(o.h, []*pkcs11.Attribute{a(pkcs11.CKA_CLASS, class), a(pkcs11.CKA_LABEL, label)}); err != nil {
		o.t.Fatal(err)
	}
	hs, _, err := o.ctx.FindObjects(o.h, 2)
	o.ctx.FindObjectsFinal(o.h)
	if err != nil || len(hs) != 1 {
		o.t.Fatalf("%s: %d objects, %v", label, len(hs), err)
	}
	return hs[0]
}

func (o *operator) readable(h pkcs11.ObjectHandle) bool {
	for _, typ := range []uint{pkcs11.CKA_VALUE, pkcs11.CKA_PRIVATE_EXPONENT, pkcs11.CKA_PRIME_1, pkcs11.CKA_PRIME_2, pkcs11.CKA_EXPONENT_1} {
		if as, err := o.ctx.GetAttributeValue(o.h, h, []*pkcs11.Attribute{a(typ, nil)}); err == nil && len(as[0].Value) > 0 {
			return true
		}
	}
	return false
}

// ownKey is a wrapping key whose value the operator knows.
func (o *operator) ownKey(extra ...*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	return o.ctx.CreateObject(o.h, append([]*pkcs11.Attribute{
		a(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), a(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES), a(pkcs11.CKA_VALUE, make([]byte, 32)),
		a(pkcs11.CKA_TOKEN, false), a(pkcs11.CKA_PRIVATE, true), a(pkcs11.CKA_WRAP, true), a(pkcs11.CKA_UNWRAP, true),
	}, extra...))
}

// escapes tries every way out of the module for a key, and says which one worked.
func (o *operator) escapes(h pkcs11.ObjectHandle) string {
	o.t.Helper()
	if o.readable(h) {
		return "its value is readable"
	}
	own, err := o.ownKey()
	if err != nil {
		o.t.Fatal(err)
	}
	wrap := func(h pkcs11.ObjectHandle) bool {
		for _, m := range []uint{pkcs11.CKM_AES_KEY_WRAP_PAD, pkcs11.CKM_AES_KEY_WRAP} {
			if _, err := o.ctx.WrapKey(o.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(m, nil)}, own, h); err == nil {
				return true
			}
		}
		return false
	}
	if wrap(h) {
		return "it can be wrapped under a key that the operator knows"
	}
	for _, weaker := range []*pkcs11.Attribute{
		a(pkcs11.CKA_EXTRACTABLE, true), a(pkcs11.CKA_SENSITIVE, false), a(pkcs11.CKA_WRAP_WITH_TRUSTED, false),
	} {
		changed := o.ctx.SetAttributeValue(o.h, h, []*pkcs11.Attribute{weaker}) == nil
		if changed && (o.readable(h) || wrap(h)) {
			return "an attribute can be weakened"
		}
		c, err := o.ctx.CopyObject(o.h, h, []*pkcs11.Attribute{a(pkcs11.CKA_TOKEN, false), weaker})
		if err == nil && (o.readable(c) || wrap(c)) {
			return "a copy can be weaker"
		}
	}
	return ""
}

// TestOperatorCannotExport: HCA-6.3.5, HCA-6.3.2. The user PIN gets no key of the token out of it.
func TestOperatorCannotExport(t *testing.T) {
	p := p11test.Prepare(t)
	addRollover(t, p, 1)
	tok := p11test.Open(t, p)
	for label, alg := range map[string]hsm.Algorithm{"ec": hsm.P256, "rsa": hsm.RSA2048} {
		if _, err := tok.GenerateKeyPair(context.Background(), label, alg); err != nil {
			t.Fatal(err)
		}
	}
	o := newOperator(t, p)
	for _, k := range []struct {
		class uint
		label string
	}{
		{pkcs11.CKO_PRIVATE_KEY, "ec"}, {pkcs11.CKO_PRIVATE_KEY, "rsa"}, {pkcs11.CKO_SECRET_KEY, p11.MACLabel},
		{pkcs11.CKO_SECRET_KEY, "certwindow-master-1"}, {pkcs11.CKO_SECRET_KEY, "certwindow-rollover-1"},
	} {
		if way := o.escapes(o.object(k.class, k.label)); way != "" {
			t.Errorf("%s: %s", k.label, way)
		}
	}
	if _, err := o.ownKey(a(pkcs11.CKA_TRUSTED, true)); err == nil {
		t.Error("the operator can mark a key of its own trusted")
	}
}

// TestOperatorCannotUnwrapForExport: HCA-6.3.5. With a holder's blob from the database, under the master key and
// under the rollover object, whatever template is asked for.
func TestOperatorCannotUnwrapForExport(t *testing.T) {
	p := p11test.Prepare(t)
	addRollover(t, p, 1)
	tok := p11test.Open(t, p)
	ctx := context.Background()
	k, err := tok.GenerateWrapped(ctx, hsm.P256, binding)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := tok.ExportMACKey(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	o := newOperator(t, p)
	wrapPad := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil)}
	kinds := map[string][]*pkcs11.Attribute{
		"EC":      {a(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), a(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC)},
		"generic": {a(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), a(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET)},
		"AES":     {a(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), a(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES)},
	}
	weaker := map[string][]*pkcs11.Attribute{
		"nothing asked":        nil,
		"as SignerFor":         {a(pkcs11.CKA_SENSITIVE, true), a(pkcs11.CKA_EXTRACTABLE, false)},
		"as Rewrap":            {a(pkcs11.CKA_SENSITIVE, true), a(pkcs11.CKA_EXTRACTABLE, true), a(pkcs11.CKA_WRAP_WITH_TRUSTED, true)},
		"extractable, signing": {a(pkcs11.CKA_SENSITIVE, true), a(pkcs11.CKA_EXTRACTABLE, true), a(pkcs11.CKA_WRAP_WITH_TRUSTED, false)},
		"extractable":          {a(pkcs11.CKA_EXTRACTABLE, true)},
		"not sensitive":        {a(pkcs11.CKA_SENSITIVE, false)},
		"both":                 {a(pkcs11.CKA_EXTRACTABLE, true), a(pkcs11.CKA_SENSITIVE, false)},
		"wrapped by untrusted": {a(pkcs11.CKA_EXTRACTABLE, true), a(pkcs11.CKA_WRAP_WITH_TRUSTED, false)},
	}
	unwrapped := map[string]int{}
	for _, label := range []string{"certwindow-master-1", "certwindow-rollover-1"} {
		key := o.object(pkcs11.CKO_SECRET_KEY, label)
		for kind, base := range kinds {
			for ask, extra := range weaker {
				for _, blob := range [][]byte{k.Blob, mac} {
					template := append(append([]*pkcs11.Attribute{a(pkcs11.CKA_TOKEN, false), a(pkcs11.CKA_PRIVATE, true)}, base...), extra...)
					h, err := o.ctx.UnwrapKey(o.h, wrapPad, key, blob, template)
					if err != nil {
						continue
					}
					unwrapped[label]++
					if way := o.escapes(h); way != "" {
						t.Errorf("%s as %s, %s: %s", label, kind, ask, way)
					}
				}
			}
		}
	}
	if len(unwrapped) != 2 {
		t.Errorf("unwrapped %v: where nothing is, the test shows nothing", unwrapped)
	}
}

// TestOperatorCannotUseMasterOtherwise: HCA-6.3.5. The master key decrypts no blob by another mechanism, and cannot
// be changed or copied so that it would.
func TestOperatorCannotUseMasterOtherwise(t *testing.T) {
	p := p11test.Prepare(t)
	addRollover(t, p, 1)
	p11test.Open(t, p)
	o := newOperator(t, p)
	ecb := binary.NativeEndian.AppendUint64(nil, uint64(pkcs11.CKM_AES_ECB))
	sensitive := []byte{0}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&sensitive[0])
	weakTemplate := binary.NativeEndian.AppendUint64(nil, uint64(pkcs11.CKA_SENSITIVE))
	weakTemplate = binary.NativeEndian.AppendUint64(weakTemplate, uint64(uintptr(unsafe.Pointer(&sensitive[0]))))
	weakTemplate = binary.NativeEndian.AppendUint64(weakTemplate, 1)
	for _, label := range []string{"certwindow-master-1", "certwindow-rollover-1"} {
		key := o.object(pkcs11.CKO_SECRET_KEY, label)
		for name, weaker := range map[string]*pkcs11.Attribute{
			"decrypt":         a(pkcs11.CKA_DECRYPT, true),
			"encrypt":         a(pkcs11.CKA_ENCRYPT, true),
			"derive":          a(pkcs11.CKA_DERIVE, true),
			"wrap":            a(pkcs11.CKA_WRAP, false),
			"mechanisms":      {Type: pkcs11.CKA_ALLOWED_MECHANISMS, Value: ecb},
			"unwrap template": {Type: pkcs11.CKA_UNWRAP_TEMPLATE, Value: weakTemplate},
			"modifiable":      a(pkcs11.CKA_MODIFIABLE, true),
		} {
			if err := o.ctx.SetAttributeValue(o.h, key, []*pkcs11.Attribute{weaker}); err == nil {
				t.Errorf("%s: %s can be changed", label, name)
			}
		}
		only := binary.NativeEndian.AppendUint64(nil, uint64(pkcs11.CKM_AES_KEY_WRAP_PAD))
		if as, err := o.ctx.GetAttributeValue(o.h, key, []*pkcs11.Attribute{a(pkcs11.CKA_ALLOWED_MECHANISMS, nil)}); err != nil || !bytes.Equal(as[0].Value, only) {
			t.Errorf("%s: other mechanisms than key wrap are allowed (%v)", label, err)
		}
		keys := []pkcs11.ObjectHandle{key}
		for _, weaker := range []*pkcs11.Attribute{a(pkcs11.CKA_DECRYPT, true), a(pkcs11.CKA_DERIVE, true), a(pkcs11.CKA_MODIFIABLE, true),
			{Type: pkcs11.CKA_ALLOWED_MECHANISMS, Value: ecb}, {Type: pkcs11.CKA_UNWRAP_TEMPLATE, Value: weakTemplate}} {
			if c, err := o.ctx.CopyObject(o.h, key, []*pkcs11.Attribute{a(pkcs11.CKA_TOKEN, false), weaker}); err == nil {
				for _, change := range []*pkcs11.Attribute{a(pkcs11.CKA_DECRYPT, true), a(pkcs11.CKA_DERIVE, true),
					{Type: pkcs11.CKA_ALLOWED_MECHANISMS, Value: ecb}, {Type: pkcs11.CKA_UNWRAP_TEMPLATE, Value: weakTemplate}} {
					err := o.ctx.SetAttributeValue(o.h, c, []*pkcs11.Attribute{change})
					if err == nil && (change.Type == pkcs11.CKA_ALLOWED_MECHANISMS || change.Type == pkcs11.CKA_UNWRAP_TEMPLATE) {
						t.Errorf("%s: attribute 0x%X of a copy can be changed", label, change.Type)
					}
				}
				keys = append(keys, c)
			}
		}
		for _, k := range keys {
			o.refusesOtherUse(label, k)
		}
	}
}

// refusesOtherUse tries the key with every way of decrypting, encrypting and deriving with an AES key.
func (o *operator) refusesOtherUse(label string, key pkcs11.ObjectHandle) {
	o.t.Helper()
	for _, m := range []uint{pkcs11.CKM_AES_ECB, pkcs11.CKM_AES_CBC, pkcs11.CKM_AES_CBC_PAD, pkcs11.CKM_AES_CTR} {
		mech := []*pkcs11.Mechanism{pkcs11.NewMechanism(m, make([]byte, 16))}
		if m == pkcs11.CKM_AES_ECB {
			mech = []*pkcs11.Mechanism{pkcs11.NewMechanism(m, nil)}
		}
		if o.ctx.DecryptInit(o.h, mech, key) == nil {
			o.t.Errorf("%s: decrypts with mechanism 0x%X", label, m)
		}
		if o.ctx.EncryptInit(o.h, mech, key) == nil {
			o.t.Errorf("%s: encrypts with mechanism 0x%X", label, m)
		}
	}
	data := make([]byte, 32)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	params := binary.NativeEndian.AppendUint64(nil, uint64(uintptr(unsafe.Pointer(&data[0]))))
	params = binary.NativeEndian.AppendUint64(params, 32)
	_, err := o.ctx.DeriveKey(o.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_ECB_ENCRYPT_DATA, params)}, key, []*pkcs11.Attribute{
		a(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), a(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES), a(pkcs11.CKA_VALUE_LEN, 32), a(pkcs11.CKA_TOKEN, false),
		a(pkcs11.CKA_SENSITIVE, false), a(pkcs11.CKA_EXTRACTABLE, true)})
	if err == nil {
		o.t.Errorf("%s: derives keys", label)
	}
}

// TestImposterMaster: a key that only carries a master key's label is none; the security officer's mark decides.
func TestImposterMaster(t *testing.T) {
	p := p11test.Prepare(t)
	tok := p11test.Open(t, p)
	o := newOperator(t, p)
	if _, err := o.ownKey(a(pkcs11.CKA_TOKEN, true), a(pkcs11.CKA_LABEL, "certwindow-master-9")); err == nil {
		t.Log("the imposter is in the token") // CKA_TOKEN twice: the module may refuse it
	} else if _, err := o.ctx.GenerateKey(o.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		a(pkcs11.CKA_TOKEN, true), a(pkcs11.CKA_VALUE_LEN, 32), a(pkcs11.CKA_WRAP, true), a(pkcs11.CKA_LABEL, "certwindow-master-9")}); err != nil {
		t.Fatal(err)
	}
	k, err := tok.GenerateWrapped(context.Background(), hsm.P256, binding)
	if err != nil {
		t.Fatal(err)
	}
	if k.Generation != 1 {
		t.Errorf("wrapped under the imposter of generation %d", k.Generation)
	}
}

// TestSwappedRows: HCA-6.3.5. Who edits the database so that another's key is used, or another key, is noticed
// before anything is unwrapped.
func TestSwappedRows(t *testing.T) {
	tok := p11test.Token(t)
	ctx := context.Background()
	k, err := tok.GenerateWrapped(ctx, hsm.P256, binding)
	if err != nil {
		t.Fatal(err)
	}
	other, err := tok.GenerateWrapped(ctx, hsm.P256, hsm.Binding{Person: "q", Device: "e", Application: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*hsm.WrappedKey, *hsm.Binding){
		"person":      func(_ *hsm.WrappedKey, b *hsm.Binding) { b.Person = "q" },
		"device":      func(_ *hsm.WrappedKey, b *hsm.Binding) { b.Device = "e" },
		"application": func(_ *hsm.WrappedKey, b *hsm.Binding) { b.Application = "b" },
		"shifted":     func(_ *hsm.WrappedKey, b *hsm.Binding) { b.Person, b.Device = b.Person+b.Device[:1], b.Device[1:] },
		"no person":   func(_ *hsm.WrappedKey, b *hsm.Binding) { b.Person = "" },
		"blob":        func(k *hsm.WrappedKey, _ *hsm.Binding) { k.Blob = other.Blob },
		"public key":  func(k *hsm.WrappedKey, _ *hsm.Binding) { k.SPKI = other.SPKI },
		"whole key":   func(k *hsm.WrappedKey, _ *hsm.Binding) { *k = other },
		"MAC":         func(k *hsm.WrappedKey, _ *hsm.Binding) { k.MAC = other.MAC },
		"no MAC":      func(k *hsm.WrappedKey, _ *hsm.Binding) { k.MAC = nil },
		"generation":  func(k *hsm.WrappedKey, _ *hsm.Binding) { k.Generation = 2 },
		"algorithm":   func(k *hsm.WrappedKey, _ *hsm.Binding) { k.Algorithm = hsm.P384 },
		"one bit":     func(k *hsm.WrappedKey, _ *hsm.Binding) { k.Blob = bytes.Clone(k.Blob); k.Blob[20] ^= 1 },
		"no blob":     func(k *hsm.WrappedKey, _ *hsm.Binding) { k.Blob = nil },
		"huge blob":   func(k *hsm.WrappedKey, _ *hsm.Binding) { k.Blob = make([]byte, 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			changed, b := k, binding
			change(&changed, &b)
			for what, f := range map[string]func() error{
				"SignerFor": func() error { _, err := tok.SignerFor(ctx, changed, b); return err },
				"Rewrap":    func() error { _, err := tok.Rewrap(ctx, changed, b, 1); return err },
			} {
				if err := f(); err == nil || name != "no person" && !errors.Is(err, hsm.ErrBinding) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// TestBindingFieldsCannotMove: HCA-6.3.5. Identifiers that hold what separates two fields give another MAC.
func TestBindingFieldsCannotMove(t *testing.T) {
	tok := p11test.Token(t)
	ctx := context.Background()
	zeros := string(make([]byte, 8))
	k, err := tok.GenerateWrapped(ctx, hsm.P256, hsm.Binding{Person: "x", Device: "y" + zeros + "w", Application: "v"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.SignerFor(ctx, k, hsm.Binding{Person: "x" + zeros + "y", Device: "w", Application: "v"}); !errors.Is(err, hsm.ErrBinding) {
		t.Errorf("a field's end moved: %v", err)
	}
}

// TestMACDomains: what MAC gives for chosen data is never a derived secret or a binding.
func TestMACDomains(t *testing.T) {
	tok := p11test.Token(t)
	ctx := context.Background()
	secret, err := tok.DeriveSecret(ctx, "columns")
	if err != nil {
		t.Fatal(err)
	}
	message := binary.BigEndian.AppendUint64(nil, 31)
	message = append(message, "certwindow mac v1 derived secret"...)
	for _, data := range [][]byte{[]byte("columns"), append(binary.BigEndian.AppendUint64(message, 7), "columns"...)} {
		if m, err := tok.MAC(ctx, p11.MACLabel, data); err != nil || bytes.Equal(m, secret.Bytes()) {
			t.Errorf("MAC gives the derived secret away (%v)", err)
		}
	}
	if again, err := tok.DeriveSecret(ctx, "columns"); err != nil || !bytes.Equal(again.Bytes(), secret.Bytes()) {
		t.Error("the secret is not the same again")
	}
	if other, err := tok.DeriveSecret(ctx, "another"); err != nil || bytes.Equal(other.Bytes(), secret.Bytes()) {
		t.Error("two purposes share a secret")
	}
}
