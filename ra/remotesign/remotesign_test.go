package remotesign_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/hsm/p11/p11test"
	"certwindow/ra"
	"certwindow/ra/remotesign"
	"certwindow/ra/store/storetest"
)

var digest = func() []byte { d := sha256.Sum256([]byte("record 0")); return d[:] }()

// HCA-6.3.5, HCA-8.1.6: a signature verifies under the certificate's key, and its row in the log names the hash.
func TestSign(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	sig, err := w.sign(t, nil)
	if err != nil || !ecdsa.VerifyASN1(w.public, digest, sig) {
		t.Fatalf("%x, %v", sig, err)
	}
	rows := w.Audit(t)
	if r := rows[len(rows)-1]; r.Act != "sign.hash" || r.Outcome != "done" || r.Object != "certificate/"+string(w.cert.ID) || r.Institution != string(storetest.Window) {
		t.Errorf("%+v", r)
	}
	app := w.Issue(t, w.doctor, w.phone, 2, nil)
	own, a := w.own(t, app, items(1))
	if _, err := w.Sign(t.Context(), device(w.phone), w.phone.ID, own, w.release(t, a, own.Items, nil)); ra.AsError(err).Code != "key-not-in-hsm" {
		t.Errorf("a key on the phone: %v", err)
	}
	// No row, no signature.
	if err := w.DB.Gorm.Exec("DROP TABLE audit_events").Error; err != nil {
		t.Fatal(err)
	}
	if sig, err := w.sign(t, nil); sig != nil || err == nil {
		t.Errorf("signed without a row in the log: %x", sig)
	}
}

// What is not a list of hashes that a holder can be shown is refused before anything else.
func TestItems(t *testing.T) {
	w := newWard(t, p11test.Token(t))
	for name, change := range map[string]func(*remotesign.Own){
		"none":              func(o *remotesign.Own) { o.Items = nil },
		"too many":          func(o *remotesign.Own) { o.Items = items(501) },
		"too short":         func(o *remotesign.Own) { o.Items[0].Hash = digest[:31] },
		"twice":             func(o *remotesign.Own) { o.Items = append(o.Items, o.Items[0]) },
		"SHA-1":             func(o *remotesign.Own) { o.HashAlgorithm = "SHA-1" },
		"another algorithm": func(o *remotesign.Own) { o.HashAlgorithm = "SHA-512" },
		"no title":          func(o *remotesign.Own) { o.Items[0].Title = "" },
		"a forged line":     func(o *remotesign.Own) { o.Items[0].Title = "record\n500 patients" },
		"turned around":     func(o *remotesign.Own) { o.Items[0].Source = "HIS\u202e" },
		"patients":          func(o *remotesign.Own) { o.Items[0].Patients = -1 },
	} {
		own, a := w.own(t, w.cert, items(1))
		change(&own)
		if _, err := w.Sign(t.Context(), device(w.phone), w.phone.ID, own, w.release(t, a, own.Items, nil)); err == nil || ra.KindOf(err) != ra.KindMalformed {
			t.Errorf("%s: %v", name, err)
		}
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
			asked, _ := w.request(t, 1)
			c.change(w)
			sig, err := w.sign(t, nil)
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
			if _, _, err := w.Request(t.Context(), system, w.ask(1)); err == nil || string(ra.AsError(err).Clause) != c.clause {
				t.Errorf("a system's request: %v", err)
			}
			w.Clock.Set(asked.CreatedAt) // the authorisation itself is in time
			if out, err := w.accept(t, asked, nil); c.clause == "HCA-7.3" && (err == nil || len(out.Signatures) != 0) {
				t.Errorf("released all the same: %v", err)
			}
		})
	}
	w := newWard(t, token)
	other := w.Phone(t, storetest.Window, w.doctor)
	own, a := w.own(t, w.cert, items(1))
	if _, err := w.Sign(t.Context(), device(other), other.ID, own, w.release(t, a, own.Items, nil)); ra.KindOf(err) != ra.KindNotFound {
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
			if sig, err := w.sign(t, nil); sig != nil || err == nil {
				t.Errorf("signed: %x, %v", sig, err)
			}
			exec("DELETE FROM holder_keys")
			exec("INSERT INTO holder_keys SELECT * FROM kept")
		})
	}
	if sig, err := w.sign(t, nil); err != nil || !ecdsa.VerifyASN1(w.public, digest, sig) {
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
