package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/hca/cmc"
)

var now = time.Date(2026, 11, 22, 4, 2, 0, 0, time.UTC)

const nonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// scene is one enrolment that went well, with the window's key.
type scene struct {
	pki    *cardtest.PKI
	card   *cardtest.Card
	window *cardtest.Card
	key    crypto.Signer // of the mobile certificate
	bundle Bundle
	zip    []byte
}

var once sync.Once
var good scene

func theScene(tb testing.TB) scene {
	tb.Helper()
	once.Do(func() { good = newScene(tb) })
	return good
}

func newScene(tb testing.TB) scene {
	tb.Helper()
	pki := cardtest.New(tb, now)
	s := scene{pki: pki, card: pki.Card(tb, cardtest.CardOptions{}), key: pki.NewKey(tb, false)}
	s.window = pki.Card(tb, cardtest.CardOptions{EC: true, Name: "服務窗口", Holder: "0101090517"})
	text, err := cardmsg.Enrolment{
		Application: "01JD8Z0000000000000000000A", Nonce: nonce, Issued: now.Add(-time.Minute), Expires: now.Add(time.Minute),
		Window: "0101090517", Institution: "0101090517", Holder: "0000000112345678", Name: "王小明", Device: "TABLET-7",
		DeviceKey: [32]byte{1}, Carrier: ra.CarrierDevice, Scope: []string{"EMR-SIGN"}, Key: ra.KeyApp,
	}.Text()
	if err != nil {
		tb.Fatal(err)
	}
	s.bundle = s.enrolment(tb, text, s.card.Sign(tb, text, now, nonce))
	s.zip = s.write(tb, s.bundle)
	return s
}

// enrolment verifies the message and carries the application out, as the window and the HCA would.
func (s scene) enrolment(tb testing.TB, text, message []byte) Bundle {
	tb.Helper()
	u, err := cardmsg.Decode(message)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := u.Verify(context.Background(), cardmsg.Options{Path: s.pki.Path(tb, now, s.card), Content: text, Nonce: nonce})
	if err != nil {
		tb.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "王小明"}}, s.key)
	if err != nil {
		tb.Fatal(err)
	}
	mobile := s.pki.Card(tb, cardtest.CardOptions{Key: s.key}).Cert.Raw
	answer, err := cms.CertsOnly([][]byte{mobile, s.pki.CA.Cert.Raw})
	if err != nil {
		tb.Fatal(err)
	}
	b := Bundle{
		Purpose: cardmsg.PurposeEnrolment, Application: "01JD8Z0000000000000000000A", Nonce: nonce,
		CSR: csr, HCARequest: s.request(tb, message, csr), HCAAnswer: answer, Issued: mobile,
		Decision: Decision{DecidedAt: now, Outcome: "allowed", Clauses: []ClauseNote{{"HCA-5.1.1", "allowed", ""}, {"HCA-5.1.3", "allowed", "user of TABLET-7"}}},
		Extra:    []File{{"attestation.bin", []byte("what the phone attested")}},
		SealedAt: now.Add(time.Minute),
	}
	b.Adopt(v)
	return b
}

// request is a CMC request with the consent and, where there is one, the key request.
func (s scene) request(tb testing.TB, message, csr []byte) []byte {
	tb.Helper()
	body := cmc.PKIData{Messages: []cmc.Part{{ID: 2, DER: message}}}
	if csr != nil {
		body.CSRs = []cmc.Part{{ID: 1, DER: csr}}
	}
	der, err := body.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return s.window.SignWith(tb, der, cms.SignOptions{ContentType: cms.OIDPKIData, SigningTime: now})
}

func (s scene) write(tb testing.TB, b Bundle) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := Write(&out, b, s.window.Key, s.window.Cert.Raw); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func (s scene) options(tb testing.TB) Options {
	tb.Helper()
	window, err := certpath.ParseCertificate(s.window.Cert.Raw)
	if err != nil {
		tb.Fatal(err)
	}
	return Options{Anchors: s.pki.Path(tb, now).Anchors, Window: []*certpath.Certificate{window}}
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("got %v, want a refusal for %q", err, reason)
	}
}

// HCA-3.3: the evidence of an enrolment verifies off line, from the pinned root and the window's certificate.
func TestVerify(t *testing.T) {
	s := theScene(t)
	r, err := Verify(context.Background(), s.zip, s.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Application != "01JD8Z0000000000000000000A" || r.Holder != "0000000112345678" || r.Name != "王小明" || !r.DecidedAt.Equal(now) ||
		!r.SealedAt.Equal(now.Add(time.Minute)) || len(r.Decision.Clauses) != 2 || !slices.Contains(r.Files, "attestation.bin") {
		t.Errorf("%+v", r)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// HCA-3.3, HCA-5.2.1: so does that of a revocation, and of a message with a bare signature.
func TestVerifyRevocation(t *testing.T) {
	s := theScene(t)
	text, err := cardmsg.Revocation{
		Application: "01JD8Z0000000000000000000B", Nonce: nonce, Issued: now.Add(-time.Minute), Expires: now.Add(time.Minute),
		Window: "0101090517", Institution: "0101090517", Holder: "0000000112345678", Certificate: "1a", IssuerKey: "2b",
		Reason: ra.ReasonKeyCompromise,
	}.Text()
	if err != nil {
		t.Fatal(err)
	}
	digest := crypto.SHA256.New()
	digest.Write(text)
	sig, err := s.card.Key.Sign(rand.Reader, digest.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	v, err := cardmsg.VerifyBare(context.Background(), text, sig, s.card.Cert.Raw,
		cardmsg.Options{Path: s.pki.Path(t, now, s.card), Content: text, Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	b := s.bundle
	b.Purpose, b.Application, b.CSR, b.Issued, b.Extra = cardmsg.PurposeRevocation, "01JD8Z0000000000000000000B", nil, nil, nil
	b.Adopt(v)
	b.HCARequest = s.request(t, b.Message, nil)
	r, err := Verify(context.Background(), s.write(t, b), s.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if !r.SignedAt.IsZero() || r.Certificate != "" || r.Purpose != cardmsg.PurposeRevocation {
		t.Errorf("%+v", r)
	}
	b.Bare = false
	_, err = Verify(context.Background(), s.write(t, b), s.options(t))
	wantReason(t, err, ReasonMessage)
}

// What a window that seals the wrong thing cannot get past: the seal is good in every one of these.
func TestSealedWrongly(t *testing.T) {
	s := theScene(t)
	other := s.pki.Card(t, cardtest.CardOptions{Holder: "0000000199999999", EC: true})
	for name, c := range map[string]struct {
		edit   func(*Bundle)
		reason string
	}{
		"text changed":           {func(b *Bundle) { b.Text = bytes.Replace(b.Text, []byte("EMR-SIGN"), []byte("EMR-READ"), 1) }, ReasonMessage},
		"another application":    {func(b *Bundle) { b.Application = "01JD8Z0000000000000000000C" }, ReasonText},
		"another nonce":          {func(b *Bundle) { b.Nonce = strings.Repeat("A", 43) }, ReasonMessage},
		"as a revocation":        {func(b *Bundle) { b.Purpose = cardmsg.PurposeRevocation }, ReasonText},
		"another card signed":    {func(b *Bundle) { b.Message = other.Sign(t, b.Text, now, "") }, ReasonMessage},
		"no OCSP":                {func(b *Bundle) { b.OCSP = nil }, ReasonMessage},
		"no CRL":                 {func(b *Bundle) { b.CRLs = nil }, ReasonMessage},
		"decided too late":       {func(b *Bundle) { b.Decision.DecidedAt = now.AddDate(0, 0, 3) }, ReasonMessage},
		"decided before":         {func(b *Bundle) { b.Decision.DecidedAt = now.Add(-time.Hour) }, ReasonMessage},
		"other consent sent":     {func(b *Bundle) { b.HCARequest = s.request(t, s.card.Sign(t, b.Text, now, ""), b.CSR) }, ReasonConsent},
		"other key request sent": {func(b *Bundle) { b.HCARequest = s.request(t, b.Message, b.Issued) }, ReasonConsent},
		"no consent sent":        {func(b *Bundle) { b.HCARequest = []byte("nothing of the kind") }, ReasonConsent},
		"issued for another key": {func(b *Bundle) { b.Issued, b.HCAAnswer = other.Cert.Raw, other.Cert.Raw }, ReasonCertificate},
		"issued not answered":    {func(b *Bundle) { b.HCAAnswer = []byte("later") }, ReasonCertificate},
		"issued by others": {func(b *Bundle) {
			b.Issued = cardtest.New(t, now).Card(t, cardtest.CardOptions{Key: s.key}).Cert.Raw
			b.HCAAnswer = b.Issued
		}, ReasonCertificate},
		"request no CSR":        {func(b *Bundle) { b.CSR = []byte("key"); b.HCARequest = s.request(t, b.Message, b.CSR) }, ReasonConsent},
		"holder's attribute":    {func(b *Bundle) { b.HolderOID = "2.5.4.3" }, ReasonText},
		"holder's no attribute": {func(b *Bundle) { b.HolderOID = "holder" }, ReasonManifest},
		"certificates no PEM":   {func(b *Bundle) { b.Certificates = nil; b.Certificates = [][]byte{[]byte("x")} }, ReasonMessage},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.bundle
			c.edit(&b)
			_, err := Verify(context.Background(), s.write(t, b), s.options(t))
			wantReason(t, err, c.reason)
		})
	}
}

// A manifest that Write would not make, under a good seal.
func TestManifest(t *testing.T) {
	s := theScene(t)
	for name, c := range map[string]struct {
		edit   func(*manifest)
		reason string
	}{
		"as written":      {func(*manifest) {}, ""},
		"another version": {func(m *manifest) { m.Version++ }, ReasonManifest},
		"listed twice":    {func(m *manifest) { m.Files = append(m.Files, m.Files[0]) }, ReasonDuplicate},
		"not listed":      {func(m *manifest) { m.Files = m.Files[:len(m.Files)-1] }, ReasonExtra},
		"another size":    {func(m *manifest) { m.Files[0].Size++ }, ReasonHash},
		"another moment":  {func(m *manifest) { m.DecidedAt = m.DecidedAt.Add(time.Second) }, ReasonDecision},
		"another purpose": {func(m *manifest) { m.Purpose = cardmsg.PurposeLogin }, ReasonManifest},
		"no files":        {func(m *manifest) { m.Files = nil }, ReasonExtra},
	} {
		t.Run(name, func(t *testing.T) {
			files := contents(t, s.zip)
			sd, err := openManifest(files[FileManifest])
			if err != nil {
				t.Fatal(err)
			}
			var m manifest
			if err := json.Unmarshal(sd.Content, &m); err != nil {
				t.Fatal(err)
			}
			c.edit(&m)
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			files[FileManifest] = s.window.SignWith(t, text, cms.SignOptions{SigningTime: now})
			if _, err = Verify(context.Background(), rezip(t, files), s.options(t)); c.reason != "" {
				wantReason(t, err, c.reason)
			} else if err != nil {
				t.Fatal(err)
			}
			files[FileManifest] = s.window.SignWith(t, append(text, "{}"...), cms.SignOptions{SigningTime: now})
			_, err = Verify(context.Background(), rezip(t, files), s.options(t))
			wantReason(t, err, ReasonManifest)
		})
	}
}

// An HCA format that is not CMC has to hold consent and key request as they are.
func TestOtherFormat(t *testing.T) {
	s := theScene(t)
	b := s.bundle
	b.HCARequest = slices.Concat([]byte("some envelope"), b.Message, b.CSR)
	if _, err := Verify(context.Background(), s.write(t, b), s.options(t)); err != nil {
		t.Error(err)
	}
}
