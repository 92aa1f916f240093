package remotesign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"os"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
	"certwindow/ra/remotesign"
)

// plunder is what somebody finds who has the machine: every value of every table, and the bytes of the database's
// files, which a backup holds as well.
type plunder struct {
	values [][]byte
	files  []byte
}

func (w *ward) plunder(t *testing.T) (p plunder) {
	t.Helper()
	var tables []string
	if err := w.DB.Gorm.Raw("SELECT name FROM sqlite_master WHERE type = 'table'").Scan(&tables).Error; err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		rows, err := w.DB.SQL.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			row, into := make([][]byte, len(columns)), make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			p.values = append(p.values, row...)
		}
		rows.Close()
	}
	var file string
	if err := w.DB.SQL.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + "-wal"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p.files = append(p.files, raw...)
	}
	return p
}

// HCA-6.3.5: the operator, with root, the PIN file, the database and every backup, makes no signature without the phone.
// The phone has signed before, by itself and for a system; nothing of that helps.
func TestOperatorCannotSign(t *testing.T) {
	place := p11test.Prepare(t)
	w := newWard(t, p11test.Open(t, place))
	var sent []remotesign.Release
	keep := func(x *told) { x.send = func(r *remotesign.Release) { sent = append(sent, *r) } }
	if _, err := w.sign(t, keep); err != nil {
		t.Fatal(err)
	}
	a, _ := w.request(t, 2)
	if _, err := w.accept(t, a, keep); err != nil {
		t.Fatal(err)
	}
	w.request(t, 1)
	p := w.plunder(t)
	token, err := p11.Open(context.Background(), place.Config()) // the PIN file's PIN
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()

	t.Run("no secret is kept", func(t *testing.T) {
		for name, secret := range map[string][]byte{"the phone's secret": w.secret, "encrypted, by the app": sent[0].Secret, "encrypted, for a system": sent[1].Secret} {
			for form, b := range map[string][]byte{"": secret, " in base64": []byte(base64.StdEncoding.EncodeToString(secret)),
				" in base64url": []byte(base64.RawURLEncoding.EncodeToString(secret)), " in hex": []byte(hex.EncodeToString(secret))} {
				if bytes.Contains(p.files, b) {
					t.Errorf("the database holds %s%s", name, form)
				}
			}
		}
		if !bytes.Contains(p.files, []byte(sent[1].Activation[:200])) { // the search would find what is there
			t.Error("the activation data is not kept as evidence")
		}
	})
	t.Run("no value opens a key", func(t *testing.T) { w.tryEverything(t, token, p) })
	t.Run("nothing is released again", func(t *testing.T) {
		own, act := w.own(t, w.cert, items(1))
		for _, r := range append(sent, w.release(t, act, own.Items, func(x *told) { x.secret = bytes.Repeat([]byte{1}, hsm.SecretSize) })) {
			r.Factors = []remotesign.Factor{remotesign.NewFactor("password", []byte("right"))}
			if out, err := w.Sign(t.Context(), device(w.phone), w.phone.ID, own, r); err == nil || len(out.Signatures) != 0 {
				t.Error("signed")
			}
		}
	})
}

// tryEverything has the token use every stored key with every value as its secret, and without any.
func (w *ward) tryEverything(t *testing.T, token *p11.Token, p plunder) {
	ctx := t.Context()
	var k hsm.WrappedKey
	if err := w.DB.SQL.QueryRow("SELECT generation, algorithm, blob, spki, mac FROM holder_keys WHERE application_id = ?", string(w.cert.ApplicationID)).
		Scan(&k.Generation, &k.Algorithm, &k.Blob, &k.SPKI, &k.MAC); err != nil {
		t.Fatal(err)
	}
	b := hsm.Binding{Person: string(w.doctor), Device: string(w.phone.ID), Application: string(w.cert.ApplicationID)}
	if err := token.VerifyBinding(ctx, k, b); err != nil {
		t.Fatalf("this is not the key: %v", err)
	}
	for n := range len(k.Blob) {
		cut := k
		cut.Blob = k.Blob[n:]
		if s, err := token.SignerFor(ctx, cut, b); err == nil {
			if sig, err := s.Sign(nil, digest, crypto.SHA256); err == nil && ecdsa.VerifyASN1(w.public, digest, sig) {
				t.Fatalf("unwrapped without a secret, from byte %d", n)
			}
		}
	}
	tried := 0
	for _, v := range p.values {
		for _, guess := range [][]byte{v, decoded(v)} {
			if len(guess) < hsm.SecretSize {
				continue
			}
			tried++
			secret := hsm.NewSecret(guess[:hsm.SecretSize])
			if sigs, err := token.SignSealed(ctx, k, b, secret, crypto.SHA256, [][]byte{digest}); err == nil {
				t.Fatalf("a stored value opens the key: %x, %d signatures", guess, len(sigs))
			}
			if len(guess) != hsm.ActivationSize {
				continue
			}
			if _, err := token.OpenActivation(ctx, nil, guess); err == nil {
				t.Fatal("a stored value is an encrypted secret")
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d values were tried", tried)
	}
	if sigs, err := token.SignSealed(ctx, k, b, hsm.NewSecret(w.secret), crypto.SHA256, [][]byte{digest}); err != nil || len(sigs) != 1 {
		t.Errorf("the phone's own secret does not open the key, so this test proves nothing: %v", err)
	}
}

// decoded is a value out of the forms in which bytes are written as text.
func decoded(v []byte) []byte {
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if raw, err := decode(string(v)); err == nil {
			return raw
		}
	}
	return nil
}
