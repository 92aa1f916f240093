package cardmsg

import (
	"errors"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
)

var now = time.Date(2026, 11, 22, 4, 2, 0, 0, time.UTC)

const testNonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func enrolment() Enrolment {
	return Enrolment{
		Application: "01JD8Z0000000000000000000A", Nonce: testNonce,
		Issued: now.Add(-2 * time.Minute), Expires: now.Add(3 * time.Minute),
		Window: "0101090517", Institution: "0101090517",
		Holder: "0000000112345678", Name: "王小明", Device: "TABLET-7", DeviceKey: [32]byte{0xab, 31: 0x01},
		Carrier: ra.CarrierDevice, Scope: []string{"EMR-SIGN", "E-PRESCRIPTION"}, Key: ra.KeyApp,
	}
}

func revocation() Revocation {
	return Revocation{
		Application: "01JD8Z0000000000000000000B", Nonce: testNonce,
		Issued: now.Add(-2 * time.Minute), Expires: now.Add(3 * time.Minute),
		Window: "0101090517", Institution: "0101090517", Holder: "0000000112345678",
		Certificate: "1a2b", IssuerKey: "00ff", Reason: ra.ReasonKeyCompromise,
	}
}

// The text is fixed: people and programs outside know it byte for byte.
func TestEnrolmentText(t *testing.T) {
	want := `醫事人員行動憑證申辦 HCA mobile certificate enrolment v1
本人同意服務窗口以此訊息代為向醫事憑證管理中心申辦下列行動憑證。
I consent to the service window applying to the HCA for this mobile certificate on my behalf.
application: 01JD8Z0000000000000000000A
nonce: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8
issued: 2026-11-22T04:00:00Z
expires: 2026-11-22T04:05:00Z
window: 0101090517
institution: 0101090517
holder: 0000000112345678
name: 王小明
device: TABLET-7
device-key: sha256:ab00000000000000000000000000000000000000000000000000000000000001
carrier: device
scope: EMR-SIGN, E-PRESCRIPTION
key: app
`
	got, err := enrolment().Text()
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	local := enrolment()
	local.Issued = local.Issued.In(time.FixedZone("Taipei", 8*3600))
	if got, err = local.Text(); err != nil || string(got) != want {
		t.Errorf("in another zone: %v\n%s", err, got)
	}
}

func TestRevocationText(t *testing.T) {
	want := `醫事人員行動憑證廢止 HCA mobile certificate revocation v1
本人同意服務窗口以此訊息代為向醫事憑證管理中心廢止下列行動憑證。
I consent to the service window applying to the HCA for the revocation of this mobile certificate on my behalf.
application: 01JD8Z0000000000000000000B
nonce: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8
issued: 2026-11-22T04:00:00Z
expires: 2026-11-22T04:05:00Z
window: 0101090517
institution: 0101090517
holder: 0000000112345678
certificate: 1a2b
issuer-key: 00ff
reason: keyCompromise
`
	if got, err := revocation().Text(); err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

// HCA-5.2.1, HCA-8.1.4: every use of a card has a first line of its own, and each is recognised as itself.
func TestPurposes(t *testing.T) {
	texts := map[Purpose]interface{ Text() ([]byte, error) }{
		PurposeEnrolment:     enrolment(),
		PurposeRevocation:    revocation(),
		PurposeLogin:         Login{testNonce, now, now.Add(time.Minute), "0101090517", "https://window.example"},
		PurposeLink:          Link{testNonce, now, now.Add(time.Minute), "0101090517", "https://window.example", "lin.mei"},
		PurposePasswordReset: PasswordReset{testNonce, now, now.Add(time.Minute), "0101090517", "https://window.example"},
	}
	if len(texts) != len(preambles) {
		t.Errorf("%d purposes are tested, there are %d", len(texts), len(preambles))
	}
	for purpose, b := range texts {
		text, err := b.Text()
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := PurposeOf(text); !ok || got != purpose {
			t.Errorf("%s reads as %q", purpose, got)
		}
		if !strings.Contains(string(text), "\nnonce: "+testNonce+"\n") {
			t.Errorf("%s has no nonce line", purpose)
		}
	}
	for _, other := range []string{"", "hello", "1\x82", preambles[PurposeEnrolment][0]} {
		if p, ok := PurposeOf([]byte(other)); ok {
			t.Errorf("%q reads as %q", other, p)
		}
	}
}

// HCA-8.1.3: no value can forge a line, hide one or reorder what is read; names of every people pass.
func TestValues(t *testing.T) {
	for _, good := range []string{
		"王小明", "谷縱‧喀勒芳安", "Lamlo·Tjaljimaraw", "瓦歷斯．諾幹", "Nguyễn Thị Ánh", "O’Brien-Müller", "D'Angelo", "Ō Sadaharu",
		"عبد الله", "שרה", "𠮷田", "\ue000", "नरेश", "Жанна", "สมชาย", "a b",
	} {
		e := enrolment()
		e.Name = good
		if _, err := e.Text(); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", " ", "a ", " a", "a\nkey: hsm", "a\rb", "a\u0085b", "a\u2028b", "a\u2029b", "a\x00b", "a\tb", "a\x7fb", "a\u202eb",
		"a\u200bb", "a\u200db", "\ufeffa", "a\u00adb", "a\u2066b", "\xff", "a\xed\xa0\x80", strings.Repeat("a", maxValue+1), "\u3000a",
		"a\U000e0041",
	} {
		for field, set := range map[string]func(*Enrolment){
			"name":        func(e *Enrolment) { e.Name = bad },
			"holder":      func(e *Enrolment) { e.Holder = bad },
			"device":      func(e *Enrolment) { e.Device = bad },
			"window":      func(e *Enrolment) { e.Window = ra.InstitutionCode(bad) },
			"institution": func(e *Enrolment) { e.Institution = ra.InstitutionCode(bad) },
			"scope":       func(e *Enrolment) { e.Scope = []string{"EMR-SIGN", bad} },
			"application": func(e *Enrolment) { e.Application = ra.ApplicationID(bad) },
			"nonce":       func(e *Enrolment) { e.Nonce = bad },
		} {
			e := enrolment()
			set(&e)
			text, err := e.Text()
			var refusal *Error
			if !errors.As(err, &refusal) || refusal.Reason != ReasonValue || text != nil {
				t.Errorf("%s %q: %v", field, bad, err)
			}
		}
	}
}

func TestTextRefuses(t *testing.T) {
	for name, set := range map[string]func(*Enrolment){
		"no device key":       func(e *Enrolment) { e.DeviceKey = [32]byte{} },
		"carrier":             func(e *Enrolment) { e.Carrier = "cloud" },
		"key":                 func(e *Enrolment) { e.Key = "paper" },
		"no scope":            func(e *Enrolment) { e.Scope = nil },
		"comma in scope":      func(e *Enrolment) { e.Scope = []string{"EMR-SIGN, ALL"} },
		"scope twice":         func(e *Enrolment) { e.Scope = []string{"A", "A"} },
		"too many scopes":     func(e *Enrolment) { e.Scope = make([]string, maxEntries+1) },
		"expires before":      func(e *Enrolment) { e.Expires = e.Issued },
		"no issued":           func(e *Enrolment) { e.Issued = time.Time{} },
		"short nonce":         func(e *Enrolment) { e.Nonce = "AAEC" },
		"nonce with padding":  func(e *Enrolment) { e.Nonce += "=" },
		"nonce not canonical": func(e *Enrolment) { e.Nonce = e.Nonce[:42] + "9" },
		"nonce on two lines":  func(e *Enrolment) { e.Nonce = e.Nonce[:20] + "\n" + e.Nonce[20:] },
		"lower ULID":          func(e *Enrolment) { e.Application = "01jd8z0000000000000000000a" },
	} {
		e := enrolment()
		set(&e)
		if text, err := e.Text(); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
	if ValidNonce(testNonce[:20]+"\n"+testNonce[20:]) || !ValidNonce(testNonce) {
		t.Error("a nonce has another encoding")
	}
	for name, set := range map[string]func(*Revocation){
		"upper hex":   func(r *Revocation) { r.Certificate = "1A" },
		"no issuer":   func(r *Revocation) { r.IssuerKey = "" },
		"reason":      func(r *Revocation) { r.Reason = "because" },
		"certificate": func(r *Revocation) { r.Certificate = "1a\nreason: unspecified" },
	} {
		r := revocation()
		set(&r)
		if text, err := r.Text(); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}
