package audit_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/audit"
	"certwindow/ra/certpath"
	"certwindow/ra/store"
	"certwindow/ra/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// credential is a window's dedicated certificate with its key.
type credential struct {
	key  crypto.Signer
	cert *certpath.Certificate
}

func newCredential(t testing.TB) credential {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "window", SerialNumber: string(storetest.Window)},
		NotBefore: storetest.Noon.AddDate(-1, 0, 0), NotAfter: storetest.Noon.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certpath.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return credential{key, cert}
}

func (c credential) signer(window string) audit.Signer {
	return audit.Signer{Key: c.key, Certificate: c.cert.Raw, Window: window}
}

// desk is a window's log over a database, with its notary.
type desk struct {
	*storetest.World
	*audit.Notary
	credential
}

func newDesk(t testing.TB, db *store.DB) *desk {
	t.Helper()
	d := &desk{World: storetest.NewWorld(t, db), credential: newCredential(t)}
	d.Notary = d.notary(d.credential, d.cert)
	return d
}

func (d *desk) notary(c credential, known ...*certpath.Certificate) *audit.Notary {
	return audit.NewNotary(store.AuditLog{Store: d.Store}, c.signer(string(storetest.Window)), known, d.Clock.Now)
}

// log writes rows, a minute apart.
func (d *desk) log(t testing.TB, rows int) {
	t.Helper()
	for i := range rows {
		d.Clock.Advance(time.Minute)
		d.Update(t, func(tx *store.Tx) error {
			return tx.Audit(ra.Event{At: d.Clock.Now(), Actor: ra.Actor{Kind: ra.ActorStaff, ID: "clerk", Address: "10.1.2.3"}, Act: "test.act",
				Object: fmt.Sprintf("thing/%d", i), Institution: storetest.Window, Outcome: ra.OutcomeDone, Details: map[string]string{"名": "<值>&"}})
		})
	}
}

// sign makes a checkpoint that must succeed.
func (d *desk) sign(t testing.TB) audit.Saved {
	t.Helper()
	s, err := d.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// export exports the log, which must succeed.
func (d *desk) export(t testing.TB, from int64) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := d.Export(context.Background(), &out, from); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (d *desk) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := d.DB.Gorm.Exec(s).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// rewrite makes a chain again over what the rows say now, as whoever has the database can.
func (d *desk) rewrite(t testing.TB) {
	t.Helper()
	var rows []audit.Record
	d.View(t, func(tx *store.Tx) (err error) {
		rows, err = tx.AuditFrom(0, 1000)
		return err
	})
	var hash audit.Hash = audit.Genesis
	for _, r := range rows {
		hash = audit.Chain(hash, r)
		if err := d.DB.Gorm.Exec("UPDATE audit_events SET hash = ? WHERE seq = ?", []byte(hash), r.Seq).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := d.DB.Gorm.Exec("UPDATE audit_head SET seq = ?, hash = ?", len(rows), []byte(hash)).Error; err != nil {
		t.Fatal(err)
	}
}
