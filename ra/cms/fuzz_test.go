package cms

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"go.mozilla.org/pkcs7"
)

// FuzzOpen: no bytes panic or take the library somewhere its checks were to keep it from; what is opened reads
// the same to the library, and opens again to the same. What a single reading accepts, the second accepts too,
// unless the standard library cannot read one of the certificates.
func FuzzOpen(f *testing.F) {
	for _, id := range []identity{rsaIdentity(), p256Identity()} {
		for _, o := range []SignOptions{{SigningTime: at}, {ContentType: OIDPKIData}, {Detached: true}} {
			der, err := Sign(text, id.key, id.cert, o)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
		f.Add(forge(f, id, text))
	}
	f.Add(definiteBomb()[:4096])
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 64))
	files, _ := filepath.Glob(filepath.Join(findCorpora("cms-rfc4134"), "*.bin"))
	for _, name := range files {
		f.Add(readFile(f, name))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, o := range []OpenOptions{{}, {ContentType: OIDPKIData}, {Detached: true, Content: text}} {
			for _, open := range []func([]byte, OpenOptions) (*SignedData, error){Open, OpenBare} {
				one := o
				one.OneReading = true
				first, firstErr := open(der, one)
				sd, err := open(der, o)
				if err != nil {
					wantSecondReading(t, firstErr, err)
					continue
				}
				if firstErr != nil || !reflect.DeepEqual(first, sd) {
					t.Fatalf("one reading: %v", firstErr)
				}
				p7, err := pkcs7.Parse(der)
				if err != nil || !o.Detached && !bytes.Equal(p7.Content, sd.Content) || !bytes.Equal(p7.GetOnlySigner().Raw, sd.Signer) {
					t.Fatalf("read in two ways: %v", err)
				}
				if again, err := open(sd.Raw, o); err != nil || !bytes.Equal(again.Content, sd.Content) {
					t.Fatalf("opened once only: %v", err)
				}
			}
		}
		if certs, err := OpenCertsOnly(der, MaxMessage); err == nil && len(certs) > maxCertificates {
			t.Fatal("too many certificates")
		}
	})
}

func wantSecondReading(t *testing.T, one, both error) {
	t.Helper()
	var e *Error
	if one == nil && (!errors.As(both, &e) || e.Reason != ReasonCertificate) {
		t.Fatalf("one reading accepts what two refuse: %v", both)
	}
}
