package cms

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readPEM(t testing.TB, name string) []byte {
	t.Helper()
	block, _ := pem.Decode(readFile(t, name))
	if block == nil {
		t.Fatalf("%s holds no PEM", name)
	}
	return block.Bytes
}

// TestRFC4134 opens every example of RFC 4134: all are SHA-1, DSA, BER, enveloped or detached, so that each
// is refused, with a reason and without a panic.
func TestRFC4134(t *testing.T) {
	dir := corpora(t, "cms-rfc4134")
	files, err := filepath.Glob(filepath.Join(dir, "*.bin"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	eml, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int{}
	for _, f := range append(files, eml...) {
		der := readFile(t, f)
		for _, open := range []func([]byte, OpenOptions) (*SignedData, error){Open, OpenBare} {
			for _, detached := range []bool{false, true} {
				_, err := open(der, OpenOptions{Content: nil, Detached: detached})
				var e *Error
				if !errors.As(err, &e) || e.Reason == "" {
					t.Errorf("%s: %v", filepath.Base(f), err)
					continue
				}
				reasons[e.Reason]++
			}
		}
	}
	if reasons[ReasonSHA1] == 0 {
		t.Error("no example was refused for SHA-1, so that nothing reached the algorithms")
	}
	t.Log(reasons)
}

// TestFixtures opens SignedData of the real world. Only the ECDSA signature of the APK is within the policy,
// bare and detached; with another content it is refused.
func TestFixtures(t *testing.T) {
	dir := corpora(t, "cms-fixtures")
	content := readFile(t, filepath.Join(dir, "ApkEcdsaContent.der"))
	apk := readPEM(t, filepath.Join(dir, "ApkEcdsaFixture.pem"))
	sd, err := OpenBare(apk, OpenOptions{Content: content, Detached: true})
	if err != nil {
		t.Fatalf("APK: %v", err)
	}
	if len(sd.Signer) == 0 {
		t.Error("APK without its signer")
	}
	_, err = OpenBare(apk, OpenOptions{Content: append([]byte("x"), content...), Detached: true})
	wantReason(t, err, ReasonSignature)
	_, err = Open(apk, OpenOptions{Content: content, Detached: true})
	wantReason(t, err, ReasonNoAttributes)
	_, err = OpenBare(apk, OpenOptions{Content: content})
	wantReason(t, err, ReasonDetached)

	for name, reason := range map[string]string{
		"AppStoreReceiptFixture.pem":     ReasonSHA1,
		"EC2IdentityDocumentFixture.pem": ReasonNotDER,
		"FirefoxAddonFixture.pem":        ReasonSHA1,
	} {
		o, open := OpenOptions{}, Open
		switch name {
		case "AppStoreReceiptFixture.pem":
			open = OpenBare
		case "FirefoxAddonFixture.pem":
			o = OpenOptions{Detached: true, Content: []byte("its content is not here")}
		}
		_, err := open(readPEM(t, filepath.Join(dir, name)), o)
		wantReason(t, err, reason)
	}
}
