package attest

import (
	"bytes"
	"encoding/asn1"
	"encoding/json"
	"path/filepath"
	"testing"
)

// seedDevices adds what pick takes from each chain of the corpora, where they are there.
func seedDevices(f *testing.F, pick func(d device) []byte) {
	paths, _ := filepath.Glob(filepath.Join(corporaOrEmpty(), "android-key-attestation", "*", "*", "*.pem"))
	for _, path := range paths {
		f.Add(pick(device{name: path, pem: read(f, path)}))
	}
}

func FuzzParseChain(f *testing.F) {
	chain := fromFactory(f, describe(f, "fresh", nil, signingKey(f)), nil)
	f.Add([]byte(pemOf(chain.certs()...)))
	seedDevices(f, func(d device) []byte { return d.pem })
	want := chain.want(f, "fresh")
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseChain(data)
		if err != nil {
			return
		}
		if len(certs) == 0 || len(certs) > maxChain {
			t.Fatalf("%d certificates", len(certs))
		}
		key, err := VerifyAndroid(certs, want)
		if (key == nil) == (err == nil) {
			t.Fatalf("key %v with error %v", key, err)
		}
		if err == nil && !bytes.Equal(certs[len(certs)-1].RawSubjectPublicKeyInfo, chain.root.cert.RawSubjectPublicKeyInfo) {
			t.Fatal("a chain to another root was accepted")
		}
	})
}

func FuzzKeyDescription(f *testing.F) {
	f.Add(describe(f, "fresh", nil, signingKey(f, tagged(f, 503, asn1.NullRawValue), tagged(f, 706, 202611))))
	f.Add(describe(f, "", signingKey(f), nil))
	seedDevices(f, func(d device) []byte {
		chain, err := ParseChain(d.pem)
		if err != nil {
			f.Fatal(err)
		}
		return extension(chain[0], oidKeyDescription)
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		description, err := ParseKeyDescription(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(description)
		if err != nil || bytes.Contains(text, []byte("UNKNOWN")) && !bytes.Contains(data, []byte("UNKNOWN")) {
			t.Fatalf("%s, %v", text, err)
		}
		// Nothing of the input is lost to leniency: one byte more or less is no longer the same extension.
		if _, err := ParseKeyDescription(append(bytes.Clone(data), 0)); err == nil {
			t.Fatal("a byte after the end was accepted")
		}
	})
}

func FuzzProvisioningInfo(f *testing.F) {
	f.Add([]byte{0xa1, 1, 0x18, 40})
	f.Add([]byte{0xa2, 1, 0, 3, 0x63, 'a', 'b', 'c'})
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseProvisioningInfo(data) })
}

func FuzzAndroidStatus(f *testing.F) {
	f.Add([]byte(`{"entries":{"2c8cdd":{"status":"REVOKED","reason":"KEY_COMPROMISE"},"123":{"status":"SUSPENDED"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if status, err := ParseAndroidStatus(data); (status == nil) == (err == nil) {
			t.Fatalf("%v with %v", status, err)
		}
	})
}

func FuzzAndroidRoots(f *testing.F) {
	list, _ := json.Marshal([]string{pemOf(newMaker(f, nil).root.cert)})
	f.Add(list)
	f.Fuzz(func(t *testing.T, data []byte) {
		if roots, err := ParseAndroidRoots(data); err == nil && len(roots.bySPKI) == 0 {
			t.Fatal("no roots and no error")
		}
	})
}

func FuzzAppleObject(f *testing.F) {
	a := newApp(f)
	f.Add(a.object(f))
	f.Add([]byte{0xa1, 0x63, 'f', 'm', 't', 0x60})
	if corporaOrEmpty() != "" {
		phone, _ := phones(f)
		f.Add(unbase64(f, phone.RawAtt))
	}
	want := a.want(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := VerifyApple(data, want)
		if (key == nil) == (err == nil) {
			t.Fatalf("key %v with error %v", key, err)
		}
		if err == nil && !bytes.Equal(key.SPKI, a.leaf.cert.RawSubjectPublicKeyInfo) {
			t.Fatal("another key was accepted")
		}
	})
}

func FuzzAppleAssertion(f *testing.F) {
	a := newApp(f)
	key, err := VerifyApple(a.object(f), a.want(f))
	if err != nil {
		f.Fatal(err)
	}
	a.counter = 1
	f.Add(a.assertion(f, a.clientData))
	if corporaOrEmpty() != "" {
		_, assertion := phones(f)
		f.Add(unbase64(f, assertion.RawAss))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if counter, err := VerifyAppleAssertion(data, *key, a.clientData); err == nil && counter != 1 {
			t.Fatalf("counter %d was accepted", counter)
		}
	})
}

func FuzzAppleNonce(f *testing.F) {
	f.Add(append([]byte{0x30, 0x24, 0xa1, 0x22, 4, 0x20}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if nonce, ok := readAppleNonce(data); ok && len(nonce) > len(data)-6 {
			t.Fatal("the nonce is longer than its frame")
		}
	})
}

func FuzzChipProof(f *testing.F) {
	m := newMaker(f, chipMark)
	f.Add(m.proof(f, "Chip 7", "Chip 7", "fresh", m.spki))
	list, err := chipList(f, m.entry())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := VerifyChip(data, ChipWant{list, []byte("fresh"), m.spki, noon})
		if (key == nil) == (err == nil) {
			t.Fatalf("key %v with error %v", key, err)
		}
	})
}

func FuzzChipList(f *testing.F) {
	m := newMaker(f, chipMark)
	data, _ := json.Marshal(map[string]any{"version": 1, "chips": []any{m.entry()}})
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseChipList(data)
		if err != nil {
			return
		}
		for model, chip := range list.byModel {
			if !plainName(model) || chip.root == nil || chip.Certification.Expires.IsZero() {
				t.Fatalf("%+v was accepted", chip)
			}
		}
	})
}
