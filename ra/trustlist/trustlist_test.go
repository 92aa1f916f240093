package trustlist_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"certwindow/ra/certpath"
	"certwindow/ra/trustlist"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func authority(t *testing.T, from, to time.Time) *certpath.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(from.Unix()), Subject: pkix.Name{CommonName: "A"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := certpath.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// HCA-8.2.5: what is not valid now is not on the list, the list ends with the first that ends, and without any root there
// is none.
func TestOnlyWhatIsValid(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := start
	soon := start.Add(time.Hour)
	l, err := trustlist.New(trustlist.Config{Issuer: "https://window.example", Key: key, KeyID: "k", Now: func() time.Time { return now },
		Anchors:       []*certpath.Certificate{authority(t, start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0)), authority(t, start.AddDate(-2, 0, 0), start.AddDate(-1, 0, 0))},
		Intermediates: []*certpath.Certificate{authority(t, start.AddDate(0, 0, -1), soon), authority(t, start.AddDate(0, 0, 1), start.AddDate(1, 0, 0))}})
	if err != nil {
		t.Fatal(err)
	}
	read := func() (c trustlist.Claims) {
		t.Helper()
		s, err := l.Statement()
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(s, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := jws.Verify(key.Public())
		if err != nil || json.Unmarshal(payload, &c) != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := read(); len(c.Certificates) != 2 || !c.Certificates[0].Anchor || c.Certificates[1].Anchor || c.Expires != soon.Unix() {
		t.Errorf("%+v", c)
	}
	now = start.Add(2 * time.Hour)
	if c := read(); len(c.Certificates) != 1 || c.Expires != now.Add(trustlist.Life).Unix() {
		t.Errorf("after the issuer's end: %+v", c)
	}
	now = start.AddDate(2, 0, 0)
	if s, err := l.Statement(); err == nil {
		t.Errorf("after the root's end: %s", s)
	}
	if _, err := trustlist.New(trustlist.Config{Key: key, KeyID: "k", Issuer: "x", Now: time.Now}); err == nil {
		t.Error("a list without roots")
	}
}
