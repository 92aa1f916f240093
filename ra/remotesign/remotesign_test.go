package remotesign_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// ward is a hospital whose doctors' keys are in an HSM.
type ward struct {
	*storetest.World
	*remotesign.Service
	token     *p11.Token
	statement *ecdsa.PrivateKey
	doctor    ra.PersonID
	phone     *storetest.Phone
	cert      ra.Certificate
	public    *ecdsa.PublicKey
}

// newWard makes a doctor with a phone, and a certificate for a key in the HSM.
func newWard(t *testing.T, token *p11.Token) *ward {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{World: storetest.NewWorld(t, storetest.SQLite(t)), token: token, statement: key}
	w.Service = remotesign.New(store.SignStore{Store: w.Store}, token, key, "status", "https://window.example.org", w.Clock.Now)
	w.doctor = w.Doctor(t, "陳小華", "1001")
	w.phone = w.Phone(t, storetest.Window, w.doctor)
	w.cert, w.public = w.hsmCertificate(t, w.doctor, w.phone)
	return w
}

// hsmCertificate makes a key in the HSM as an enrolment does, and a certificate for it.
func (w *ward) hsmCertificate(t testing.TB, person ra.PersonID, phone *storetest.Phone) (ra.Certificate, *ecdsa.PublicKey) {
	t.Helper()
	c := w.Issue(t, person, phone, 1, func(c *ra.Certificate) { c.KeyDesign = ra.KeyHSM })
	k, err := w.token.GenerateWrapped(context.Background(), hsm.P256, hsm.Binding{Person: string(person), Device: string(phone.ID), Application: string(c.ApplicationID)})
	if err != nil {
		t.Fatal(err)
	}
	w.Update(t, func(tx *store.Tx) error {
		a, err := tx.Application("", c.ApplicationID)
		if err != nil {
			return err
		}
		return tx.SaveHolderKey(a, k, w.Clock.Now())
	})
	pub, err := x509.ParsePKIXPublicKey(k.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	return c, pub.(*ecdsa.PublicKey)
}

func (w *ward) signHash(c ra.Certificate, digest []byte) ([]byte, error) {
	return w.SignHash(context.Background(), ra.Actor{Kind: ra.ActorDevice, ID: string(w.phone.ID)}, w.phone.ID, c.ID, crypto.SHA256, digest)
}

func (w *ward) status(c ra.Certificate) (string, error) {
	return w.Status(context.Background(), ra.Actor{Kind: ra.ActorDevice, ID: string(w.phone.ID)}, w.phone.ID, c.ID)
}

var digest = func() []byte { d := sha256.Sum256([]byte("record")); return d[:] }()

// HCA-6.3.5, HCA-8.1.6: a signature verifies under the certificate's key, and its row in the log names the hash.
func TestSignHash(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	sig, err := w.signHash(w.cert, digest)
	if err != nil || !ecdsa.VerifyASN1(w.public, digest, sig) {
		t.Fatalf("%x, %v", sig, err)
	}
	rows := w.Audit(t)
	if r := rows[len(rows)-1]; r.Act != "sign.hash" || r.Outcome != "done" || r.Object != "certificate/"+string(w.cert.ID) || r.Institution != string(storetest.Window) {
		t.Errorf("%+v", r)
	}
	for name, c := range map[string]struct {
		hash   crypto.Hash
		digest []byte
	}{"SHA-1": {crypto.SHA1, digest[:20]}, "too short": {crypto.SHA256, digest[:31]}, "too long": {crypto.SHA256, append(digest, 0)},
		"none": {0, digest}, "another": {crypto.SHA512, digest}} {
		sig, err := w.SignHash(context.Background(), ra.Actor{}, w.phone.ID, w.cert.ID, c.hash, c.digest)
		if sig != nil || ra.KindOf(err) != ra.KindMalformed {
			t.Errorf("%s: %x, %v", name, sig, err)
		}
	}
	app := w.Issue(t, w.doctor, w.phone, 2, nil)
	if sig, err := w.signHash(app, digest); sig != nil || ra.AsError(err).Code != "key-not-in-hsm" {
		t.Errorf("a key on the phone: %x, %v", sig, err)
	}
	// No row, no signature.
	if err := w.DB.Gorm.Exec("DROP TABLE audit_events").Error; err != nil {
		t.Fatal(err)
	}
	if sig, err := w.signHash(w.cert, digest); sig != nil || err == nil {
		t.Errorf("signed without a row in the log: %x", sig)
	}
}

// HCA-7.2, HCA-7.3: in every state but one neither a signature nor a statement is given, by any of the ways.
func TestUsable(t *testing.T) {
	token := p11test.Token(t)
	state := func(s ra.CertificateState) func(*ward) {
		return func(w *ward) {
			if err := w.DB.Gorm.Exec("UPDATE certificates SET state = ?", string(s)).Error; err != nil {
				panic(err)
			}
		}
	}
	dev := func(change func(*ra.DeviceFacts)) func(*ward) {
		return func(w *ward) { w.Register.Device(w.phone.ID, change) }
	}
	for name, c := range map[string]struct {
		clause string
		change func(w *ward)
	}{
		"suspended":        {"HCA-7.2", state(ra.CertSuspended)},
		"revoking":         {"HCA-7.2", state(ra.CertRevoking)},
		"revoked":          {"HCA-7.2", state(ra.CertRevoked)},
		"expired":          {"HCA-7.2", state(ra.CertExpired)},
		"unknown state":    {"HCA-7.2", state("fine")},
		"past its end":     {"HCA-7.2", func(w *ward) { w.Clock.Advance(366 * 24 * time.Hour) }},
		"before its start": {"HCA-7.2", func(w *ward) { w.Clock.Advance(-2 * time.Hour) }},
		"person inactive":  {"HCA-7.3", func(w *ward) { w.Register.Person(w.doctor, func(p *ra.PersonFacts) { p.Active = false }) }},
		"person left":      {"HCA-7.3", func(w *ward) { w.Register.Person(w.doctor, func(p *ra.PersonFacts) { p.Institutions = nil }) }},
		"user removed":     {"HCA-7.3", func(w *ward) { w.Register.SetUsers(w.phone.ID) }},
		"bound anew":       {"HCA-7.3", dev(func(d *ra.DeviceFacts) { d.Generation++ })},
		"device lost":      {"HCA-7.3", dev(func(d *ra.DeviceFacts) { d.State = ra.DeviceLost })},
		"device broken":    {"HCA-7.3", dev(func(d *ra.DeviceFacts) { d.State = ra.DeviceBroken })},
		"device retired":   {"HCA-7.3", dev(func(d *ra.DeviceFacts) { d.State = ra.DeviceRetired })},
		"device unbound":   {"HCA-7.3", dev(func(d *ra.DeviceFacts) { d.State = ra.DeviceRegistered })},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, token)
			c.change(w)
			sig, err := w.signHash(w.cert, digest)
			if e := ra.AsError(err); sig != nil || err == nil || string(e.Clause) != c.clause {
				t.Errorf("a signature: %x, %v; want a refusal under %s", sig, err, c.clause)
			}
			jws, err := w.status(w.cert)
			if e := ra.AsError(err); jws != "" || err == nil || string(e.Clause) != c.clause {
				t.Errorf("a statement: %q, %v", jws, err)
			}
			if n := w.Count(t, "audit_events WHERE outcome = 'refused' AND clause = ?", c.clause); n != 2 {
				t.Errorf("%d refusals in the log", n)
			}
		})
	}
	w := newWard(t, token)
	other := w.Phone(t, storetest.Window, w.doctor)
	if _, err := w.SignHash(context.Background(), ra.Actor{}, other.ID, w.cert.ID, crypto.SHA256, digest); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("from another device: %v", err)
	}
}

// HCA-6.3.5: rows of wrapped keys that were swapped, moved or edited in the database sign nothing.
func TestSwappedKeys(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	other := w.Doctor(t, "王美麗", "1002")
	second, _ := w.hsmCertificate(t, other, w.Phone(t, storetest.Window, other))
	exec := func(q string, args ...any) {
		t.Helper()
		if err := w.DB.Gorm.Exec(q, args...).Error; err != nil {
			t.Fatal(err)
		}
	}
	own, strange := string(w.cert.ApplicationID), string(second.ApplicationID)
	exec("CREATE TABLE kept AS SELECT * FROM holder_keys")
	for name, edit := range map[string]func(){
		"the other's key, whole": func() {
			exec("UPDATE holder_keys SET (blob, spki, mac) = (SELECT blob, spki, mac FROM kept WHERE application_id = ?) WHERE application_id = ?", strange, own)
		},
		"the other's blob": func() {
			exec("UPDATE holder_keys SET blob = (SELECT blob FROM kept WHERE application_id = ?) WHERE application_id = ?", strange, own)
		},
		"another public key": func() {
			exec("UPDATE holder_keys SET spki = (SELECT spki FROM kept WHERE application_id = ?) WHERE application_id = ?", strange, own)
		},
		"another generation": func() { exec("UPDATE holder_keys SET generation = 2 WHERE application_id = ?", own) },
		"another algorithm":  func() { exec("UPDATE holder_keys SET algorithm = 'RSA-2048' WHERE application_id = ?", own) },
		"no MAC":             func() { exec("UPDATE holder_keys SET mac = x'' WHERE application_id = ?", own) },
		"no key":             func() { exec("DELETE FROM holder_keys WHERE application_id = ?", own) },
		"certificate of the other's application": func() {
			exec("UPDATE holder_keys SET application_id = 'aside' WHERE application_id = ?", own)
			exec("UPDATE holder_keys SET application_id = ? WHERE application_id = ?", own, strange)
		},
	} {
		t.Run(name, func(t *testing.T) {
			exec("PRAGMA foreign_keys = off")
			edit()
			if sig, err := w.signHash(w.cert, digest); sig != nil || err == nil {
				t.Errorf("signed: %x, %v", sig, err)
			}
			exec("DELETE FROM holder_keys")
			exec("INSERT INTO holder_keys SELECT * FROM kept")
		})
	}
	if sig, err := w.signHash(w.cert, digest); err != nil || !ecdsa.VerifyASN1(w.public, digest, sig) {
		t.Errorf("as it was: %v", err)
	}
}

// HCA-7.2: a statement is a JWS that others verify too, good for ten minutes and never beyond the certificate.
func TestStatement(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	read := func() (s remotesign.Statement) {
		t.Helper()
		compact, err := w.status(w.cert)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := jws.Verify(&w.statement.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		h := jws.Signatures[0].Protected
		if h.KeyID != "status" || h.Algorithm != "ES256" || h.ExtraHeaders["typ"] != remotesign.StatementType {
			t.Errorf("header %+v", h)
		}
		if err := json.Unmarshal(payload, &s); err != nil {
			t.Fatal(err)
		}
		stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.Verify(&stranger.PublicKey); err == nil {
			t.Error("it verifies under another key")
		}
		return s
	}
	s, now := read(), w.Clock.Now()
	if s.Issuer != "https://window.example.org" || s.Certificate != string(w.cert.ID) || s.Serial != w.cert.Serial || s.IssuerKey != w.cert.IssuerKey ||
		s.Device != string(w.phone.ID) || s.Status != "good" || len(s.Scope) != 1 || s.IssuedAt != now.Unix() || s.Expires != now.Add(10*time.Minute).Unix() {
		t.Errorf("%+v", s)
	}
	w.Clock.Set(w.cert.NotAfter.Add(-time.Minute))
	if s := read(); s.Expires != w.cert.NotAfter.Unix() {
		t.Errorf("good until %d, the certificate until %d", s.Expires, w.cert.NotAfter.Unix())
	}
}
