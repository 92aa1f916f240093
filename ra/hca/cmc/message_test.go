package cmc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"reflect"
	"testing"
	"time"
)

const transaction = "01JD8ZK3N4T5V6W7X8Y9Z0A1B2"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func sampleData() *PKIData {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	csr := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))
	return &PKIData{
		Controls: []Control{
			must(TransactionControl(BodyTransactionID, transaction)),
			must(OctetControl(BodySenderNonce, OIDSenderNonce, bytes.Repeat([]byte{7}, 32))),
			must((&RevokeRequest{Issuer: []byte{0x30, 0}, Serial: big.NewInt(4711), Reason: 4}).Control(BodyRevoke)),
		},
		CSRs:     []Part{{ID: BodyCSR, DER: csr}},
		Messages: []Part{{ID: BodyConsent, DER: []byte{0x30, 0x03, 0x02, 0x01, 0x05}}},
	}
}

func sampleStatuses() []StatusInfo {
	return []StatusInfo{
		{Status: StatusSuccess, BodyList: []uint32{BodyCSR}, Fail: NoFailInfo},
		{Status: StatusFailed, BodyList: []uint32{0, 4294967295}, Fail: BadIdentity, Text: "不符 mismatch"},
		{Status: StatusFailed, BodyList: []uint32{1}, Fail: BadAlg},
		{Status: StatusPending, BodyList: []uint32{1}, Fail: NoFailInfo, Token: []byte{1, 2}, PendTime: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)},
	}
}

func sampleResponse(s StatusInfo) *PKIResponse {
	return &PKIResponse{Controls: []Control{
		must(TransactionControl(1, transaction)), must(OctetControl(2, OIDRecipientNonce, []byte{9, 9})), must(s.Control(4)),
	}}
}

func TestRoundTrip(t *testing.T) {
	d := sampleData()
	der := must(d.Marshal())
	if got := must(ParsePKIData(der)); !reflect.DeepEqual(got, d) {
		t.Errorf("PKIData came back as %+v", got)
	}
	for _, s := range sampleStatuses() {
		r := must(ParsePKIResponse(must(sampleResponse(s).Marshal())))
		if id := must(Transaction(r.Controls)); id != transaction {
			t.Errorf("transaction came back as %s", id)
		}
		c, ok, err := Find(r.Controls, OIDStatusInfoV2)
		if !ok || err != nil {
			t.Fatal("no status")
		}
		if got := must(ParseStatusInfo(c.Value)); !reflect.DeepEqual(*got, s) {
			t.Errorf("status came back as %+v, was %+v", *got, s)
		}
	}
}

// The strictness that the adapter's judgement rests on: one meaning for every byte.
func TestParsersRefuse(t *testing.T) {
	good := must(sampleData().Marshal())
	for name, change := range map[string]func(d *PKIData){
		"body part zero":       func(d *PKIData) { d.Controls[0].ID = 0 },
		"body part twice":      func(d *PKIData) { d.CSRs[0].ID = BodyTransactionID },
		"two values":           func(d *PKIData) { d.Controls[0].Value = append(d.Controls[0].Value, 5, 0) },
		"no value":             func(d *PKIData) { d.Controls[0].Value = nil },
		"CSR not a SEQUENCE":   func(d *PKIData) { d.CSRs[0].DER = []byte{0x04, 0} },
		"too many parts":       func(d *PKIData) { d.Messages = manyParts(maxParts + 1) },
		"larger than a budget": func(d *PKIData) { d.Messages[0].DER = bytes.Repeat([]byte{0x30, 0}, MaxRequest/2) },
	} {
		d := sampleData()
		change(d)
		if der, err := d.Marshal(); err == nil {
			if _, err := ParsePKIData(der); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
	for name, der := range map[string][]byte{
		"empty": nil, "trailing": append(bytes.Clone(good), 0), "short": good[:len(good)-1],
		"nested": append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80}, 1000)...),
	} {
		if _, err := ParsePKIData(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	two := sampleResponse(sampleStatuses()[0])
	two.Controls = append(two.Controls, two.Controls[0])
	two.Controls[3].ID = 77
	r := must(ParsePKIResponse(must(two.Marshal())))
	if _, err := Transaction(r.Controls); err == nil {
		t.Error("two transaction ids: accepted")
	}
}

func manyParts(n int) []Part {
	var out []Part
	for i := range n {
		out = append(out, Part{ID: uint32(100 + i), DER: []byte{0x30, 0}})
	}
	return out
}

func FuzzParsePKIData(f *testing.F) {
	f.Add(must(sampleData().Marshal()))
	f.Add(must((&PKIData{}).Marshal()))
	f.Fuzz(func(t *testing.T, der []byte) {
		d, err := ParsePKIData(der)
		if err != nil {
			return
		}
		if again := must(d.Marshal()); !bytes.Equal(again, der) {
			t.Fatalf("%x was read and written as %x", der, again)
		}
		for _, c := range d.Controls {
			if r, err := ParseRevokeRequest(c.Value); err == nil {
				if again := must(r.Control(c.ID)); !bytes.Equal(again.Value, c.Value) {
					t.Fatalf("revokeRequest %x was read and written as %x", c.Value, again.Value)
				}
			}
		}
	})
}

func FuzzParsePKIResponse(f *testing.F) {
	for _, s := range sampleStatuses() {
		f.Add(must(sampleResponse(s).Marshal()))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParsePKIResponse(der)
		if err != nil {
			return
		}
		if again := must(r.Marshal()); !bytes.Equal(again, der) {
			t.Fatalf("%x was read and written as %x", der, again)
		}
		if id, err := Transaction(r.Controls); err == nil {
			must(TransactionControl(1, id))
		}
		for _, c := range r.Controls {
			if s, err := ParseStatusInfo(c.Value); err == nil && s.Fail.String() == "" {
				t.Fatal("a failure without a name")
			}
		}
	})
}
