package attest

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"
	"time"
)

// slowest is what 64 KiB from a stranger may cost, on a quiet core; the best of a few runs is judged, since
// tests share the machine.
const slowest = 50 * time.Millisecond

// Inputs made to be expensive, as large as the cap allows, are answered quickly and never panic.
func TestHostileInputsAreCheap(t *testing.T) {
	m := newMaker(t, chipMark)
	list, err := chipList(t, m.entry())
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t)
	a.object(t)
	apple := a.want(t)
	factory := fromFactory(t, describe(t, "fresh", nil, signingKey(t)), nil)
	android := factory.want(t, "fresh")
	set := func(inner []byte) []byte {
		value := asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: inner}
		return describe(t, "", nil, []asn1.RawValue{tagged(t, 1, value)})
	}
	fill := func(unit string) []byte { return bytes.Repeat([]byte(unit), (MaxObject-200)/len(unit)) }

	chain := func(data []byte) func() {
		return func() {
			if certs, err := ParseChain(data); err == nil {
				_, _ = VerifyAndroid(certs, android)
			}
		}
	}
	extension := func(data []byte) func() { return func() { _, _ = ParseKeyDescription(data) } }
	object := func(data []byte) func() { return func() { _, _ = VerifyApple(data, apple) } }
	proof := func(data []byte) func() {
		return func() { _, _ = VerifyChip(data, ChipWant{list, []byte("fresh"), m.spki, noon}) }
	}
	wide := certify(t, factory.batch, pkix.Name{OrganizationalUnit: strings.Split(strings.Repeat("u,", 1500), ",")},
		attestation(describe(t, "fresh", nil, signingKey(t))))

	for name, run := range map[string]func(){
		"PEM: beginnings without ends":     chain(fill("-----BEGIN CERTIFICATE-----\n")),
		"PEM: line ends":                   chain(fill("\n")),
		"PEM: a certificate full of names": chain([]byte(pemOf(wide.cert) + pemOf(factory.certs()[1:]...))),
		"DER: nested sequences":            extension(fill("\x30\x80")),
		"DER: a set of equal numbers":      extension(set(fill("\x02\x01\x02"))),
		"DER: a set of sets":               extension(set(fill("\x31\x00"))),
		"DER: a list of empty tags":        extension(fill("\xa1\x00")),
		"CBOR: nested arrays":              object(fill("\x81")),
		"CBOR: nested maps":                object(fill("\xa1\x00")),
		"CBOR: a huge length":              object([]byte("\x9b\xff\xff\xff\xff\xff\xff\xff\xff")),
		"CBOR: a huge byte string":         object([]byte("\xa1\x63fmt\x5b\x7f\xff\xff\xff\xff\xff\xff\xff")),
		"JSON: nested arrays":              proof(fill("[")),
		"JSON: many members":               proof([]byte(`{"chain":[` + strings.Repeat(`"",`, 20000) + `""]}`)),
		"JSON: a long number":              proof([]byte(`{"model":` + string(fill("9")) + `}`)),
		"too large":                        object(make([]byte, MaxObject+1)),
	} {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for range 5 {
				began := time.Now()
				run()
				best = min(best, time.Since(began))
			}
			if best > slowest {
				t.Errorf("it took %v", best)
			}
		})
	}
}

// A status list as long as the vendor's could ever get is read in a moment.
func TestLongStatusList(t *testing.T) {
	var text bytes.Buffer
	text.WriteString(`{"entries":{`)
	for i := range 20_000 {
		fmt.Fprintf(&text, `"%x":{"status":"REVOKED"},`, 1<<40+i)
	}
	text.WriteString(`"1":{"status":"REVOKED"}}}`)
	status, err := ParseAndroidStatus(text.Bytes())
	if err != nil || len(status.bySerial) < 20_001 {
		t.Fatal(len(status.bySerial), err)
	}
}
