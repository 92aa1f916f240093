// Package hcatest is the conformance suite of hca.Adapter: what every adapter has to do, shown against the simulator
// of the HCA. A new adapter's test calls Run.
package hcatest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/cardmsg"
	"certwindow/ra/cms"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcasim"
)

// Institution is the code of the window's institution in the suite.
const Institution = "0101090517"

// Window is what an adapter under test works for: a dedicated certificate, and a simulator that acknowledged it.
type Window struct {
	Server *hcasim.Server
	Dir    string // the simulator's
	Signer *Signer
	Card   *hcasim.Card // of one healthcare professional
}

// Signer is a cmc.SignerSource whose credential can be swapped, as by a rollover (HCA-3.1).
type Signer struct {
	mu   sync.Mutex
	cred cmc.Credential
}

// Dedicated implements cmc.SignerSource.
func (s *Signer) Dedicated(context.Context) (cmc.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cred, nil
}

// Set swaps the credential.
func (s *Signer) Set(c cmc.Credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cred = c
}

// NewWindow starts a simulator in a directory of the test and equips a window.
func NewWindow(t testing.TB) *Window {
	t.Helper()
	w := &Window{Dir: t.TempDir() + "/hca", Signer: &Signer{}}
	w.start(t)
	w.Signer.Set(w.NewDedicated(t, Institution))
	var err error
	if w.Card, err = w.Server.IssueCard("陳小華", "1234567890123456", hcasim.Person); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *Window) start(t testing.TB) {
	t.Helper()
	s, err := hcasim.Start(hcasim.Options{Dir: w.Dir, NoSync: true}, hcasim.Listen{})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	t.Cleanup(func() { s.Close() })
}

// NewDedicated makes a key and has the simulator issue and acknowledge a dedicated certificate for it.
func (w *Window) NewDedicated(t testing.TB, institution string) cmc.Credential {
	t.Helper()
	key := NewKey(t)
	cert, err := w.Server.IssueDedicatedFor(key.Public(), institution, "測試醫院")
	if err != nil {
		t.Fatal(err)
	}
	return cmc.Credential{Key: key, Certificate: cert.Raw, Chain: [][]byte{w.Server.CA().Raw}}
}

// NewKey makes a P-256 key.
func NewKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewRequest fills in what every request has.
func NewRequest(t testing.TB, kind hca.Kind) hca.Request {
	t.Helper()
	now := time.Now()
	id, err := ra.NewID(now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 32)
	rand.Read(nonce)
	return hca.Request{Kind: kind, TransactionID: id, SenderNonce: nonce, RequestedAt: now}
}

// Enrolment is a complete enrolment of the window's card holder for key, with a subject or without one.
func (w *Window) Enrolment(t testing.TB, key crypto.Signer, subject pkix.Name) hca.Request {
	t.Helper()
	r := NewRequest(t, hca.Enrol)
	var err error
	if r.CSR, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key); err != nil {
		t.Fatal(err)
	}
	r.Consent = w.SignEnrolment(t, w.Card, r.TransactionID)
	return r
}

// SignEnrolment has a card sign the consent to an enrolment.
func (w *Window) SignEnrolment(t testing.TB, card *hcasim.Card, application string) []byte {
	t.Helper()
	return signText(t, card, w.enrolmentText(t, card, application))
}

// SignEnrolmentBare has a card make a bare signature, as some card components do.
func (w *Window) SignEnrolmentBare(t testing.TB, card *hcasim.Card, application string) []byte {
	t.Helper()
	text := w.enrolmentText(t, card, application)
	digest := sha256.Sum256(text)
	sig, err := rsa.SignPKCS1v15(rand.Reader, card.Key.(*rsa.PrivateKey), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	out, err := cms.WrapBare(text, sig, card.Certificate.Raw, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *Window) enrolmentText(t testing.TB, card *hcasim.Card, application string) []byte {
	now := time.Now().UTC().Truncate(time.Second)
	text, err := cardmsg.Enrolment{
		Application: ra.ApplicationID(application), Nonce: newNonce(), Issued: now, Expires: now.Add(5 * time.Minute),
		Window: Institution, Institution: Institution, Holder: card.Certificate.Subject.SerialNumber, Name: card.Certificate.Subject.CommonName,
		Device: "device-1", DeviceKey: sha256.Sum256([]byte("device key")), Carrier: ra.CarrierDevice, Scope: []string{"EMR-SIGN"}, Key: ra.KeyApp,
	}.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Revocation asks for a certificate to be revoked, without consent (HCA-5.2.2).
func (w *Window) Revocation(t testing.TB, cert *x509.Certificate, reason int) hca.Request {
	t.Helper()
	r := NewRequest(t, hca.Revoke)
	r.Serial, r.Issuer, r.Reason = cert.SerialNumber, cert.RawIssuer, reason
	return r
}

// SignRevocation has a card sign the consent to a revocation.
func (w *Window) SignRevocation(t testing.TB, card *hcasim.Card, application string, cert *x509.Certificate, reason ra.RevocationReason) []byte {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	text, err := cardmsg.Revocation{
		Application: ra.ApplicationID(application), Nonce: newNonce(), Issued: now, Expires: now.Add(5 * time.Minute),
		Window: Institution, Institution: Institution, Holder: card.Certificate.Subject.SerialNumber,
		Certificate: cert.SerialNumber.Text(16), IssuerKey: hex.EncodeToString(cert.AuthorityKeyId), Reason: reason,
	}.Text()
	if err != nil {
		t.Fatal(err)
	}
	return signText(t, card, text)
}

func signText(t testing.TB, card *hcasim.Card, text []byte) []byte {
	t.Helper()
	out, err := cms.Sign(text, card.Key, card.Certificate.Raw, cms.SignOptions{SigningTime: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newNonce() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Facts is what the certificate of an enrolment is held against.
func (w *Window) Facts(t testing.TB, key crypto.Signer) hca.Facts {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return hca.Facts{
		SPKI: spki, Holder: w.Card.Certificate.Subject.SerialNumber, Name: w.Card.Certificate.Subject.CommonName,
		Issuers: [][]byte{w.Server.CA().Raw}, Now: time.Now(),
	}
}
