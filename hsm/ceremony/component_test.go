package ceremony_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"certwindow/hsm"
	"certwindow/hsm/ceremony"
	"certwindow/hsm/p11"
)

func TestComponentBackup(t *testing.T) {
	c, err := ceremony.NewComponent(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pass := hsm.NewSecret([]byte("correct horse battery"))
	if _, err := ceremony.SealComponent(c, hsm.NewSecret([]byte("short")), "Lin", 1, rand.Reader); err == nil {
		t.Error("a short passphrase was taken")
	}
	file, err := ceremony.SealComponent(c, pass, "Lin", 1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got, info, err := ceremony.OpenComponent(file, pass)
	if err != nil || !bytes.Equal(got.Bytes(), c.Bytes()) || info.Custodian != "Lin" || info.Generation != 1 {
		t.Fatalf("%+v %v", info, err)
	}
	if _, _, err := ceremony.OpenComponent(file, hsm.NewSecret([]byte("correct horse staple!"))); err == nil {
		t.Error("opened with a wrong passphrase")
	}
	if _, _, err := ceremony.OpenComponent(bytes.Replace(file, []byte("Lin"), []byte("Lim"), 1), pass); err == nil {
		t.Error("opened under another custodian's name")
	}
}

func TestComponentSlips(t *testing.T) {
	c, err := ceremony.NewComponent(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := string(c.Bytes())
	for name, s := range map[string]string{"upper case": strings.ToUpper(text), "blanks": " " + strings.ReplaceAll(text, "-", " ") + "\n", "none": strings.ReplaceAll(text, "-", "")} {
		if _, err := ceremony.ParseComponent(hsm.NewSecret([]byte(s))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	slip := []byte(text)
	if slip[7]++; slip[7] > '9' {
		slip[7] = '0'
	}
	for name, s := range map[string]string{"a slip": string(slip), "cut": text[:len(text)-1], "longer": text + "0", "empty": "", "other": strings.Replace(text, "cwk1", "cwk2", 1)} {
		if _, err := ceremony.ParseComponent(hsm.NewSecret([]byte(s))); err == nil {
			t.Errorf("%s was taken", name)
		} else if len(s) > 40 && strings.Contains(err.Error(), s[5:20]) {
			t.Errorf("the error quotes the component: %v", err)
		}
	}
}

func FuzzParseComponent(f *testing.F) {
	f.Add([]byte("cwk1-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-dc95c0"))
	f.Add([]byte("cwk1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := ceremony.ParseComponent(hsm.NewSecret(b))
		if err == nil && raw.Len() != p11.ComponentSize {
			t.Fatalf("%d bytes", raw.Len())
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	seed, err := json.Marshal(map[string]any{"transcript": map[string]any{"format": "certwindow key ceremony v1"}, "key": []byte{0x30}, "signature": []byte{0x30}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tr, key, err := ceremony.ParseRecord(b, nil); err == nil && (tr == nil || key == nil) {
			t.Fatal("accepted nothing")
		}
	})
}

func FuzzComponentBackup(f *testing.F) {
	f.Add([]byte(`{"format":"certwindow component backup v1","custodian":"Lin","generation":1,"check_value":"dc95c0",` +
		`"salt":"AAAAAAAAAAAAAAAAAAAAAA==","nonce":"AAAAAAAAAAAAAAAA","sealed":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if salt, nonce, sealed, err := ceremony.ParseBackup(b); err == nil && (salt != 16 || nonce != 12 || sealed != 48) {
			t.Fatalf("accepted %d, %d, %d bytes", salt, nonce, sealed)
		}
	})
}
