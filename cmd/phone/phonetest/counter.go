package phonetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"certwindow/devices"
	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/store"
)

// Person registers a doctor; n tells them apart.
func (w *Window) Person(t testing.TB, n int) ra.PersonID {
	t.Helper()
	name, holder := fmt.Sprintf("王小明%d", n), fmt.Sprintf("000000A1%08d", n)
	id, err := w.Registry.RegisterPerson(t.Context(), Clerk, devices.Person{NationalID: fmt.Sprintf("A1%08d", n), Name: name, Holder: holder}, Code)
	must(t, err)
	card, err := w.Registry.ReadCard(t.Context(), Clerk, devices.CardReading{Name: name, Holder: holder})
	must(t, err)
	must(t, w.Registry.ConfirmCard(t.Context(), Clerk, id, card, "passport"))
	return id
}

// Device registers a phone and its users.
func (w *Window) Device(t testing.TB, code string, users ...ra.PersonID) ra.DeviceID {
	t.Helper()
	id, err := w.Registry.RegisterDevice(t.Context(), Clerk, devices.NewDevice{Code: code, Institution: Code, Platform: ra.PlatformAndroid,
		Model: "reference phone", Shared: len(users) > 1, Users: users})
	must(t, err)
	return id
}

// Offer is the text of the QR on the counter's screen.
func (w *Window) Offer(t testing.TB, id ra.DeviceID) string {
	t.Helper()
	o, err := w.Registry.OfferBinding(t.Context(), Clerk, id)
	must(t, err)
	return devices.BindText{Server: w.Server.URL, Code: o.Code, WindowKeys: w.Keys(t)}.String()
}

// Confirm is the clerk's click, after comparing the short codes.
func (w *Window) Confirm(t testing.TB, id ra.DeviceID, shortCode string) {
	t.Helper()
	b, found, err := w.Registry.Binding(t.Context(), Clerk, id)
	must(t, err)
	if !found {
		t.Fatal("no phone has presented itself")
	}
	must(t, w.Registry.ConfirmBinding(t.Context(), Clerk, id, b.ID, shortCode))
}

// Apply is an application that the holder's card has signed.
func (w *Window) Apply(t testing.TB, person ra.PersonID, device ra.DeviceID, design ra.KeyDesign, algorithm string) ra.Application {
	t.Helper()
	carrier := ra.CarrierDevice
	if design == ra.KeyChip {
		carrier = ra.CarrierSecureChip
	}
	return w.ApplyFor(t, enrol.New{Person: person, Device: device, Institution: Code, Scope: []string{"EMR-SIGN"}, KeyDesign: design, Carrier: carrier, Algorithm: algorithm})
}

// ApplyFor is any application that the holder's card has signed.
func (w *Window) ApplyFor(t testing.TB, n enrol.New) ra.Application {
	t.Helper()
	a, err := w.Enrol.Begin(t.Context(), Clerk, n)
	must(t, err)
	a, err = w.Enrol.Sign(t.Context(), Clerk, a.ID, enrol.Signature{CMS: []byte("signed by a card: " + a.Nonce), Insertion: "of " + string(n.Person)})
	must(t, err)
	return a
}

// Report says what became of a device, by its code.
func (w *Window) Report(t testing.TB, code string, e ra.DeviceEvent) {
	t.Helper()
	list, err := w.Registry.Devices(t.Context(), Clerk, devices.DeviceQuery{CodeIs: code, Limit: 1})
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("no device %s", code)
	}
	must(t, w.Registry.Report(t.Context(), Clerk, list[0].ID, e))
}

// Password is what every holder of the tests chose.
const Password appcred.Secret = "correct horse battery"

// Account opens the account of a person and gives it Password.
func (w *Window) Account(t testing.TB, person ra.PersonID, name string) {
	t.Helper()
	_, err := w.Holders.Open(t.Context(), Clerk, person, name)
	must(t, err)
	p, err := w.Registry.Person(t.Context(), Clerk, person)
	must(t, err)
	_, err = w.Holders.ResetByCard(t.Context(), Clerk, appcred.Card{Holder: p.Holder}, Password)
	must(t, err)
}

// SendCode keeps a one-time code in the place of a sender.
func (w *Window) SendCode(_ context.Context, _ appcred.Channel, _ appcred.Contact, code appcred.Secret) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, code)
	return nil
}

// LastCode is the one-time code that was sent last.
func (w *Window) LastCode(t testing.TB) appcred.Secret {
	t.Helper()
	w.Holders.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sent) == 0 {
		t.Fatal("no code was sent")
	}
	return w.sent[len(w.sent)-1]
}

// issuer issues in the HCA's place.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newIssuer(t testing.TB, now time.Time) issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1, 2, 3}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return issuer{c, key}
}

// Issue answers an application's request as the HCA would, with a certificate of one year.
func (w *Window) Issue(t testing.TB, id ra.ApplicationID) ra.Certificate {
	t.Helper()
	var c ra.Certificate
	must(t, w.Store.Update(t.Context(), func(tx *store.Tx) error {
		a, err := tx.Application("", id)
		if err != nil {
			return err
		}
		if c, err = w.issue(a); err != nil {
			return err
		}
		from := a.State
		for _, e := range []ra.ApplicationEvent{ra.AppSend, ra.AppAnswered} {
			if a.State, err = ra.NextApplication(a.Kind, a.State, e, a.Deadline, w.Now()); err != nil {
				return err
			}
		}
		if err := tx.InsertCertificate(c); err != nil {
			return err
		}
		a.CertificateID = &c.ID
		return tx.UpdateApplication(a, from)
	}))
	return c
}

func (w *Window) issue(a ra.Application) (ra.Certificate, error) {
	r, err := csr.Parse(a.CSR)
	if err != nil {
		return ra.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return ra.Certificate{}, err
	}
	now := w.Now()
	tmpl := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "holder"}, NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, w.issuer.certificate, r.PublicKey, w.issuer.key)
	if err != nil {
		return ra.Certificate{}, err
	}
	id, err := ra.NewID(now, rand.Reader)
	return ra.Certificate{ID: ra.CertificateID(id), ApplicationID: a.ID, PersonID: a.PersonID, DeviceID: a.DeviceID, Generation: a.Generation,
		Institution: a.Institution, Scope: a.Scope, KeyDesign: a.KeyDesign, Serial: serial.Text(16), IssuerKey: hex.EncodeToString(w.issuer.certificate.SubjectKeyId),
		DER: der, Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), NotBefore: tmpl.NotBefore, NotAfter: tmpl.NotAfter,
		State: ra.CertLive, CreatedAt: now, UpdatedAt: now}, err
}

// SetState moves a certificate to a state, as a revocation or the sweep would.
func (w *Window) SetState(t testing.TB, id ra.CertificateID, s ra.CertificateState) {
	t.Helper()
	must(t, w.Store.Update(t.Context(), func(tx *store.Tx) error {
		c, err := tx.Certificate("", id)
		if err != nil {
			return err
		}
		from := c.State
		c.State = s
		return tx.UpdateCertificate(c, from)
	}))
}

// root is the authority's certificate as the window's own code reads it.
func (a issuer) root(t testing.TB) *certpath.Certificate {
	c, err := certpath.ParseCertificate(a.certificate.Raw)
	must(t, err)
	return c
}

// App is the version that the tests' phones run.
var App = devices.App{Platform: ra.PlatformAndroid, Package: "tw.example.app", Version: "1.0.0"}

// Approve puts an app version on file and approves it, as two members of staff do.
func (w *Window) Approve(t testing.TB, a devices.App) string {
	t.Helper()
	if a.Download == "" {
		a.Download, a.MinOS, a.Evidence, a.EvidenceSum, a.Reviewer = "https://apps.example.tw/"+a.Package, "1", "review", hex.EncodeToString(make([]byte, 32)), "IT"
		a.Name, a.ReviewedOn = a.Package, w.Now().Add(-time.Hour)
		if a.Digest = a.EvidenceSum; a.Platform == ra.PlatformIOS {
			a.Digest = "ABCDE12345." + a.Package
		}
	}
	id, err := w.Registry.AddApp(t.Context(), ra.Actor{Kind: ra.ActorCommand}, a)
	must(t, err)
	must(t, w.Register.Update(t.Context(), func(tx devices.Tx) error { return devices.ApproveApp(tx, id, w.Now()) }))
	return id
}
