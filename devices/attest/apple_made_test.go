package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// app is a made App Attest key: everything that an object is built from, open to change before it is built.
type app struct {
	root, intermediate made
	leaf               made
	appID              string
	aaguid             string
	counter            uint32
	flags              byte
	tail               []byte // after the COSE key
	credentialID       []byte // nil: the key's id
	cosePoint          []byte // nil: the key's point
	clientData         [32]byte
}

func newApp(t testing.TB) *app {
	root := certify(t, made{}, pkix.Name{CommonName: "made root"}, func(c *x509.Certificate) {
		authority(c)
		c.KeyUsage = x509.KeyUsageCertSign
	})
	return &app{root: root, appID: "TEAM.tw.app", aaguid: "appattest\x00\x00\x00\x00\x00\x00\x00", flags: 0x40,
		intermediate: certify(t, root, pkix.Name{CommonName: "made CA"}, authority),
		clientData:   sha256.Sum256([]byte("fresh"))}
}

func point(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	p, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// head is the common part of authenticator data.
func (a *app) head() []byte {
	id := sha256.Sum256([]byte(a.appID))
	return binary.BigEndian.AppendUint32(append(id[:], a.flags), a.counter)
}

// object makes the leaf, whose nonce covers the authenticator data, which holds the leaf's own key: so the
// certificate is made for a key that exists before.
func (a *app) object(t testing.TB) []byte {
	t.Helper()
	key := certify(t, made{}, pkix.Name{CommonName: "key"}, nil).key
	p := point(t, key)
	if a.credentialID == nil {
		id := sha256.Sum256(p)
		a.credentialID = id[:]
	}
	if a.cosePoint != nil {
		p = a.cosePoint
	}
	cose := marshal(t, map[int]any{1: 2, 3: -7, -1: 1, -2: p[1:33], -3: p[33:]})
	auth := slices.Concat(a.head(), []byte(a.aaguid), binary.BigEndian.AppendUint16(nil, uint16(len(a.credentialID))),
		a.credentialID, cose, a.tail)
	nonce := sha256.Sum256(append(slices.Clone(auth), a.clientData[:]...))
	template := &x509.Certificate{SerialNumber: a.root.cert.SerialNumber, Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: a.root.cert.NotBefore, NotAfter: a.root.cert.NotAfter, ExtraExtensions: []pkix.Extension{
			{Id: oidAppleNonce, Value: append([]byte{0x30, 0x24, 0xa1, 0x22, 4, 0x20}, nonce[:]...)}}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.intermediate.cert, key.Public(), a.intermediate.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.leaf = made{cert, key}
	return marshal(t, map[string]any{"fmt": "apple-appattest", "authData": auth, "attStmt": map[string]any{
		"x5c": [][]byte{der, a.intermediate.cert.Raw}, "receipt": []byte("receipt")}})
}

func (a *app) want(t testing.TB) AppleWant {
	id := sha256.Sum256(point(t, a.leaf.key))
	return AppleWant{Roots: []*x509.Certificate{a.root.cert}, AppID: "TEAM.tw.app", KeyID: id[:],
		ClientDataHash: sha256.Sum256([]byte("fresh")), Environment: AppleProduction, At: noon}
}

// assertion signs client data as the Secure Enclave does.
func (a *app) assertion(t testing.TB, clientData [32]byte) []byte {
	t.Helper()
	head := append(a.head(), a.tail...)
	nonce := appleNonce(head, clientData)
	digest := sha256.Sum256(nonce[:])
	signature, err := ecdsa.SignASN1(rand.Reader, a.leaf.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return marshal(t, map[string][]byte{"signature": signature, "authenticatorData": head})
}

// launched is what a system from iOS 27 on says of the app.
func launched(t testing.TB, version, category any) []byte {
	return marshal(t, map[string]any{"apple_bundle_version_01": version, "apple_validation_category_01": category})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// HCA-6.0 HCA-6.1: an object that is well signed and says the wrong thing is refused for that thing.
func TestAppleMadeRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   string
		change func(*app)
	}{
		{"as it should be", "", func(*app) {}},
		{"counter not zero", CodeCounter, func(a *app) { a.counter = 1 }},
		{"another app", CodeApp, func(a *app) { a.appID = "TEAM.tw.apq" }},
		{"development", CodeEnvironment, func(a *app) { a.aaguid = "appattestdevelop" }},
		{"another credential id", CodeKey, func(a *app) { a.credentialID = make([]byte, 32) }},
		{"another point", CodeKey, func(a *app) { a.cosePoint = point(t, a.root.key) }},
		{"an invented key id", CodeKey, func(a *app) { a.credentialID = make([]byte, 32) }},
		{"another challenge", CodeChallenge, func(a *app) { a.clientData[0]++ }},
		{"no attested data", CodeMalformed, func(a *app) { a.flags = 0 }},
		{"bytes after the key", CodeMalformed, func(a *app) { a.tail = []byte{0} }},
		{"extension data announced and missing", CodeMalformed, func(a *app) { a.flags = 0xc0 }},
		{"extension data that is no map", CodeMalformed, func(a *app) { a.flags, a.tail = 0xc0, []byte{0x80} }},
		{"bytes after the extension data", CodeMalformed, func(a *app) { a.flags, a.tail = 0xc0, []byte{0xa0, 0} }},
		{"names twice", CodeMalformed, func(a *app) { a.tail = []byte{0xa2, 0x61, 'x', 0, 0x61, 'x', 0} }},
		{"a category of no number", CodeMalformed, func(a *app) { a.tail = launched(t, "1", []byte{4}) }},
		{"category 0", CodeMalformed, func(a *app) { a.tail = launched(t, "1", []byte{0, 0, 0, 0}) }},
		{"a version of no text", CodeMalformed, func(a *app) { a.tail = launched(t, 1, []byte{4, 0, 0, 0}) }},
		{"an endless version", CodeMalformed, func(a *app) { a.tail = launched(t, strings.Repeat("1", 65), []byte{4, 0, 0, 0}) }},
		{"signed by a developer", CodeEnvironment, func(a *app) { a.tail = launched(t, "1", []byte{3, 0, 0, 0}) }},
		{"part of the system", CodeEnvironment, func(a *app) { a.tail = launched(t, "1", []byte{1, 0, 0, 0}) }},
		{"of another platform", CodeEnvironment, func(a *app) { a.tail = launched(t, "1", []byte{6, 0, 0, 0}) }},
		{"a category to come", CodeEnvironment, func(a *app) { a.tail = launched(t, "1", []byte{4, 1, 0, 0}) }},
		{"as iOS 27 has it", "", func(a *app) { a.flags, a.tail = 0xc0, launched(t, "42", []byte{4, 0, 0, 0}) }},
		{"as Apple's sample has it, without the flag", "", func(a *app) { a.tail = launched(t, "42", []byte{5, 0, 0, 0}) }},
		{"a category in CBOR's own number", "", func(a *app) { a.tail = launched(t, "42", 4) }},
		{"names to come", "", func(a *app) { a.tail = []byte{0xa1, 0x61, 'x', 0} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t)
			c.change(a)
			object := a.object(t)
			want := a.want(t)
			if c.name == "an invented key id" {
				want.KeyID = a.credentialID // the app names what it sent, but it is not the certified key's
			}
			_, err := VerifyApple(object, want)
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			mustRefuse(t, err, c.code)
		})
	}
}

// The real object, asked for anything but what it is.
func TestAppleRefused(t *testing.T) {
	phone, _ := phones(t)
	object := unbase64(t, phone.RawAtt)
	for _, c := range []struct {
		name   string
		code   string
		change func(*AppleWant)
	}{
		{"production", CodeEnvironment, func(w *AppleWant) { w.Environment = AppleProduction }},
		{"no environment", CodeMalformed, func(w *AppleWant) { w.Environment = "" }},
		{"another app", CodeApp, func(w *AppleWant) { w.AppID += "x" }},
		{"another key id", CodeKey, func(w *AppleWant) { w.KeyID = make([]byte, 32) }},
		{"a short key id", CodeKey, func(w *AppleWant) { w.KeyID = w.KeyID[:16] }},
		{"another challenge", CodeChallenge, func(w *AppleWant) { w.ClientDataHash[31] ^= 1 }},
		{"after its three days", CodeDates, func(w *AppleWant) { w.At = w.At.AddDate(0, 0, 3) }},
		{"before it began", CodeDates, func(w *AppleWant) { w.At = w.At.AddDate(0, 0, -3) }},
		{"another root", CodeRoot, func(w *AppleWant) { w.Roots = []*x509.Certificate{newApp(t).root.cert} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := appleWant(t, phone)
			want.KeyID = bytes.Clone(want.KeyID)
			c.change(&want)
			_, err := VerifyApple(object, want)
			mustRefuse(t, err, c.code)
		})
	}
}

// One bit changed anywhere in the object's signed parts is noticed. The receipt is not ours to judge.
func TestAppleTampered(t *testing.T) {
	phone, assertion := phones(t)
	object, want := unbase64(t, phone.RawAtt), appleWant(t, phone)
	key, err := VerifyApple(object, want)
	if err != nil {
		t.Fatal(err)
	}
	receipt := bytes.Index(object, key.Receipt)
	for offset := range object {
		if offset >= receipt && offset < receipt+len(key.Receipt) || offset%3 != 0 && offset < receipt {
			continue
		}
		changed := bytes.Clone(object)
		changed[offset] ^= 1 << (offset % 8)
		if _, err := VerifyApple(changed, want); err == nil {
			t.Errorf("byte %d changed was accepted", offset)
		}
	}
	signed := unbase64(t, assertion.RawAss)
	for offset := range signed {
		changed := bytes.Clone(signed)
		changed[offset] ^= 1 << (offset % 8)
		if _, err := VerifyAppleAssertion(changed, *key, want.ClientDataHash); err == nil {
			t.Errorf("assertion with byte %d changed was accepted", offset)
		}
	}
}

// HCA-8.1.4: an assertion counts once, in order, for what it was made for, by its own key and app.
func TestAppleAssertionRefused(t *testing.T) {
	a := newApp(t)
	key, err := VerifyApple(a.object(t), a.want(t))
	if err != nil {
		t.Fatal(err)
	}
	a.flags = 0
	data := sha256.Sum256([]byte("request"))
	for _, counter := range []uint32{1, 2, 7} {
		a.counter = counter
		assertion := a.assertion(t, data)
		got, err := VerifyAppleAssertion(assertion, *key, data)
		if err != nil || got != counter {
			t.Fatalf("counter %d: %d, %v", counter, got, err)
		}
		key.Counter = got
		_, err = VerifyAppleAssertion(assertion, *key, data)
		mustRefuse(t, err, CodeCounter)
	}
	a.counter = 6
	_, err = VerifyAppleAssertion(a.assertion(t, data), *key, data)
	mustRefuse(t, err, CodeCounter)
	a.counter = 8
	_, err = VerifyAppleAssertion(a.assertion(t, data), *key, sha256.Sum256([]byte("another")))
	mustRefuse(t, err, CodeSignature)
	a.tail = launched(t, "43", []byte{3, 0, 0, 0})
	_, err = VerifyAppleAssertion(a.assertion(t, data), *key, data)
	mustRefuse(t, err, CodeEnvironment)
	a.tail = []byte{0}
	_, err = VerifyAppleAssertion(a.assertion(t, data), *key, data)
	mustRefuse(t, err, CodeMalformed)
	a.flags, a.tail = 0x80, launched(t, "43", []byte{4, 0, 0, 0})
	if _, err = VerifyAppleAssertion(a.assertion(t, data), *key, data); err != nil {
		t.Errorf("as iOS 27 asserts: %v", err)
	}
	a.appID = "TEAM.tw.apq"
	_, err = VerifyAppleAssertion(a.assertion(t, data), *key, data)
	mustRefuse(t, err, CodeApp)
	other := newApp(t)
	other.object(t)
	other.counter = 9
	_, err = VerifyAppleAssertion(other.assertion(t, data), *key, data)
	mustRefuse(t, err, CodeSignature)
}
