package p11_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"testing"

	"certwindow/hsm/p11"
)

// FuzzECPublicKey: what a card says of its key is a stranger's word.
func FuzzECPublicKey(f *testing.F) {
	params, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	if err != nil {
		f.Fatal(err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	wrapped, err := asn1.Marshal(point)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range [][]byte{point, wrapped} {
		if got, err := p11.ECPublicKey(params, p); err != nil || !got.Equal(&k.PublicKey) {
			f.Fatalf("a good key: %v", err)
		}
	}
	f.Add(params, point)
	f.Add(params, wrapped)
	f.Add(params, append([]byte{4}, make([]byte, 64)...)) // not on the curve
	f.Fuzz(func(t *testing.T, params, point []byte) {
		k, err := p11.ECPublicKey(params, point)
		if err != nil {
			return
		}
		if b, err := k.Bytes(); err != nil || !bytes.HasSuffix(point, b) {
			t.Fatalf("accepted another point: %v", err)
		}
	})
}

func FuzzRSAPublicKey(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0xc1}, 256), []byte{1, 0, 1})
	f.Add([]byte{}, []byte{})
	f.Add(make([]byte, 1<<12), []byte{1})
	f.Fuzz(func(t *testing.T, n, e []byte) {
		k, err := p11.RSAPublicKey(n, e)
		if err == nil && (k.N.BitLen() < 1017 || k.N.BitLen() > 8192 || k.E < 3 || k.E&1 == 0) {
			t.Fatalf("accepted %d bits, exponent %d", k.N.BitLen(), k.E)
		}
	})
}

// FuzzECDSADER: a module's signature becomes DER that holds the same two numbers, or an error.
func FuzzECDSADER(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x80}, 64))
	f.Add(make([]byte, 64))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		der, err := p11.ECDSADER(raw, 32)
		if err != nil {
			return
		}
		r, s, ok := split(der)
		if !ok || !bytes.Equal(append(r, s...), raw) {
			t.Fatalf("%x became %x", raw, der)
		}
	})
}

func split(der []byte) (r, s []byte, ok bool) {
	var rest asn1.RawValue
	if trailing, err := asn1.Unmarshal(der, &rest); err != nil || len(trailing) != 0 {
		return nil, nil, false
	}
	next := rest.Bytes
	var out [2][]byte
	for i := range out {
		var n asn1.RawValue
		var err error
		if next, err = asn1.Unmarshal(next, &n); err != nil {
			return nil, nil, false
		}
		out[i] = append(make([]byte, 32), n.Bytes...)
		out[i] = out[i][len(out[i])-32:]
	}
	return out[0], out[1], len(next) == 0
}
