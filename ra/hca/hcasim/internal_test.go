package hcasim

import (
	"bytes"
	"errors"
	"math/big"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/hca/cmc"
)

// newOCSPRequest asks about serial number 5 of nobody's, with a nonce.
func newOCSPRequest() []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSHA256) })
						b.AddASN1OctetString(make([]byte, 32))
						b.AddASN1OctetString(make([]byte, 32))
						b.AddASN1Int64(5)
					})
				})
			})
			b.AddASN1(cbasn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { addNonce(b, []byte{4, 1, 7}) })
		})
	})
	return b.BytesOrPanic()
}

func FuzzParseOCSPRequest(f *testing.F) {
	f.Add(newOCSPRequest())
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := parseOCSPRequest(der)
		if err == nil && (len(r.certs) == 0 || len(r.certs) > maxOCSPCerts) {
			t.Fatalf("%d certificates", len(r.certs))
		}
	})
}

func TestOCSPErrors(t *testing.T) {
	s := newSimulator(t)
	for name, c := range map[string]struct{ request, want []byte }{
		"malformed":    {[]byte("hello"), []byte{0x30, 3, 0x0a, 1, ocspMalformed}},
		"too large":    {make([]byte, maxOCSPRequest+1), []byte{0x30, 3, 0x0a, 1, ocspMalformed}},
		"other issuer": {newOCSPRequest(), []byte{0x30, 3, 0x0a, 1, ocspUnauthorized}},
	} {
		if got := s.OCSP(c.request); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x", name, got)
		}
	}
}

func newSimulator(t testing.TB) *Simulator {
	t.Helper()
	s, err := New(Options{Dir: t.TempDir() + "/hca", BaseURL: "http://127.0.0.1:1", NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Whatever is posted, the endpoint has an answer or a reason, and records nothing.
func FuzzExchange(f *testing.F) {
	s := newSimulator(f)
	before, err := os.ReadFile(s.dir + "/" + fileJournal)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(must(unsigned([]byte{0x30, 0}, [][]byte{s.ca.cert.Raw})))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		if _, err := s.exchange(der, nil); !errors.Is(err, errGarbage) {
			t.Fatalf("nobody signed it, and it was answered: %v", err)
		}
		if after, err := os.ReadFile(s.dir + "/" + fileJournal); err != nil || !bytes.Equal(before, after) {
			t.Fatal("something was recorded")
		}
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func FuzzReadText(f *testing.F) {
	f.Add(enrolTitle + "\napplication: 1\nnonce: x\n")
	f.Add(enrolTitle + "\na: 1\na: 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		if fields, err := readText(text, enrolTitle); err == nil && len(fields) > len(text) {
			t.Fatal("more lines than bytes")
		}
	})
}

// A journal that was cut off in the middle of a line goes on after it; one that was changed is refused.
func TestJournalRefusesNonsense(t *testing.T) {
	path := t.TempDir() + "/journal"
	if err := os.WriteFile(path, []byte("{\"at\":\"2026-11-22T04:00:00Z\"}\n{\"at\""), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	write := &entry{Dedicated: &dedicated{Fingerprint: "f", Institution: "i"}}
	if err := j.update(time.Unix(1, 0), func(*state) (*entry, error) { return write, nil }); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if again.state.dedicated["f"] != "i" {
		t.Error("the entry after a torn line is lost")
	}
	if err := os.WriteFile(path, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(path, true); err == nil {
		t.Error("nonsense was read as a journal")
	}
}

// A decision that was begun before a copy of the request was decided is not written over it.
func TestDecisionsDoNotOverwrite(t *testing.T) {
	s := newSimulator(t)
	c, err := (&cmc.RevokeRequest{Issuer: s.ca.cert.RawSubject, Serial: big.NewInt(5), Reason: 1}).Control(cmc.BodyRevoke)
	if err != nil {
		t.Fatal(err)
	}
	r := &request{transaction: "01JD8ZK3N4T5V6W7X8Y9Z0A1B2", institution: "i", body: []byte("b"), data: &cmc.PKIData{Controls: []cmc.Control{c}}}
	if _, err := s.decide(r, nil); err != nil {
		t.Fatal(err)
	}
	for _, faults := range []faultSet{nil, {FaultRefuse: Fault{}}, {FaultPending: Fault{}}} {
		if _, err := s.decide(r, faults); !errors.Is(err, errMoved) {
			t.Errorf("%v: %v", faults, err)
		}
	}
	if v, err := s.process(r, nil); err != nil || v.status.Fail != cmc.BadCertID {
		t.Errorf("%v, %v", v, err)
	}
}
