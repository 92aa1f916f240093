package attest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var chipMark = asn1.ObjectIdentifier{2, 999, 7}

// maker is a chip maker of our own: a root, a CA, and one chip of the model "Chip 7".
type maker struct {
	root, ca, chip made
	spki           []byte // the key that the chip made for the application
}

func newMaker(t testing.TB, mark asn1.ObjectIdentifier) *maker {
	t.Helper()
	m := &maker{root: certify(t, made{}, pkix.Name{CommonName: "maker"}, authority)}
	m.ca = certify(t, m.root, pkix.Name{CommonName: "maker CA"}, authority)
	m.chip = certify(t, m.ca, pkix.Name{CommonName: "chip"}, func(c *x509.Certificate) {
		if mark != nil {
			oid, err := x509.OIDFromInts([]uint64{2, 999, uint64(mark[2])})
			if err != nil {
				t.Fatal(err)
			}
			c.Policies = []x509.OID{oid}
		}
	})
	m.spki = certify(t, made{}, pkix.Name{CommonName: "key"}, nil).cert.RawSubjectPublicKeyInfo
	return m
}

// entry is the maker's line in the list.
func (m *maker) entry() map[string]any {
	return map[string]any{"model": "Chip 7", "maker": "Maker", "scheme": "FIPS 140-2", "level": 3,
		"number": "4711", "expires": "2026-11-22", "form": "statement", "root": pemOf(m.root.cert), "mark": "2.999.7"}
}

func chipList(t testing.TB, entries ...map[string]any) (*ChipList, error) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"version": 1, "chips": entries})
	if err != nil {
		t.Fatal(err)
	}
	return ParseChipList(data)
}

// proof is what the phone sends, signed over the statement of these facts.
func (m *maker) proof(t testing.TB, model, signedModel, challenge string, spki []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(ChipStatement(signedModel, []byte(challenge), spki))
	signature, err := ecdsa.SignASN1(rand.Reader, m.chip.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(chipProof{model, [][]byte{m.chip.cert.Raw, m.ca.cert.Raw}, signature})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// HCA-6.2: a listed chip's proof counts for this challenge, key and model, and for nothing else.
func TestChipStatement(t *testing.T) {
	m, unmarked := newMaker(t, chipMark), newMaker(t, nil)
	for _, c := range []struct {
		name   string
		code   string
		maker  *maker
		listed *maker
		at     time.Time
		proof  func() []byte
	}{
		{"as it should be", "", m, m, noon, func() []byte { return m.proof(t, "Chip 7", "Chip 7", "fresh", m.spki) }},
		{"another challenge", CodeSignature, m, m, noon, func() []byte { return m.proof(t, "Chip 7", "Chip 7", "stale", m.spki) }},
		{"another key", CodeSignature, m, m, noon, func() []byte { return m.proof(t, "Chip 7", "Chip 7", "fresh", []byte("x")) }},
		{"signed as another model", CodeSignature, m, m, noon, func() []byte { return m.proof(t, "Chip 7", "Chip 6", "fresh", m.spki) }},
		{"a model that is not listed", CodeChip, m, m, noon, func() []byte { return m.proof(t, "Chip 6", "Chip 6", "fresh", m.spki) }},
		{"another maker", CodeChain, m, unmarked, noon, func() []byte { return m.proof(t, "Chip 7", "Chip 7", "fresh", m.spki) }},
		{"without the mark", CodeChip, unmarked, unmarked, noon, func() []byte { return unmarked.proof(t, "Chip 7", "Chip 7", "fresh", unmarked.spki) }},
		{"certification expired", CodeCertification, m, m, noon.Add(12 * time.Hour), func() []byte { return m.proof(t, "Chip 7", "Chip 7", "fresh", m.spki) }},
		{"certificates expired", CodeDates, m, m, noon.Add(2 * time.Hour), func() []byte { return m.proof(t, "Chip 7", "Chip 7", "fresh", m.spki) }},
		{"bytes after the end", CodeMalformed, m, m, noon, func() []byte { return append(m.proof(t, "Chip 7", "Chip 7", "fresh", m.spki), '1') }},
		{"unknown member", CodeMalformed, m, m, noon, func() []byte { return []byte(`{"model":"Chip 7","chain":[],"x":1}`) }},
		{"no chain", CodeMalformed, m, m, noon, func() []byte { return []byte(`{"model":"Chip 7","chain":[]}`) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := chipList(t, c.listed.entry())
			if err != nil {
				t.Fatal(err)
			}
			key, err := VerifyChip(c.proof(), ChipWant{list, []byte("fresh"), c.maker.spki, c.at})
			if c.code != "" {
				mustRefuse(t, err, c.code)
				return
			}
			if err != nil || !key.ChallengeHeld || key.Chip.Certification.Number != "4711" {
				t.Errorf("%+v, %v", key, err)
			}
		})
	}
}

// HCA-6.0: a chain that ends in the key itself proves the chip, and not when the key was made.
func TestChipLeaf(t *testing.T) {
	m := newMaker(t, chipMark)
	entry := m.entry()
	entry["form"] = FormLeaf
	list, err := chipList(t, entry)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(chipProof{Model: "Chip 7", Chain: [][]byte{m.chip.cert.Raw, m.ca.cert.Raw}})
	want := ChipWant{list, []byte("fresh"), m.chip.cert.RawSubjectPublicKeyInfo, noon}
	key, err := VerifyChip(data, want)
	if err != nil || key.ChallengeHeld {
		t.Errorf("%+v, %v", key, err)
	}
	want.SPKI = m.spki
	_, err = VerifyChip(data, want)
	mustRefuse(t, err, CodeKey)
	_, err = VerifyChip(m.proof(t, "Chip 7", "Chip 7", "fresh", m.spki), want)
	mustRefuse(t, err, CodeMalformed)
	forged, _ := json.Marshal(chipProof{Model: "Chip 7", Chain: [][]byte{m.ca.cert.Raw}})
	want.SPKI = m.ca.cert.RawSubjectPublicKeyInfo
	_, err = VerifyChip(forged, want)
	mustRefuse(t, err, CodeChain)
}

// HCA-6.2: a list with a slip in it is refused as a whole.
func TestChipListRefused(t *testing.T) {
	m := newMaker(t, chipMark)
	for field, value := range map[string]any{"model": "", "maker": "a\nb", "scheme": "Common Criteria", "level": 0,
		"number": "", "expires": "2026-13-01", "form": "word", "root": "x", "mark": "2..7", "unknown": 1} {
		entry := m.entry()
		entry[field] = value
		if _, err := chipList(t, entry); err == nil {
			t.Errorf("%s %q was accepted", field, fmt.Sprint(value))
		}
	}
	twin := m.entry()
	if _, err := chipList(t, m.entry(), twin); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a model listed twice: %v", err)
	}
	twin["model"] = "Chip 8"
	if _, err := chipList(t, m.entry(), twin); err == nil || !strings.Contains(err.Error(), "marks") {
		t.Errorf("two models that nothing tells apart: %v", err)
	}
	twin["mark"] = "2.999.8"
	if _, err := chipList(t, m.entry(), twin); err != nil {
		t.Error(err)
	}
	if _, err := ParseChipList([]byte(`{"version":2,"chips":[]}`)); err == nil {
		t.Error("another version was accepted")
	}
}
