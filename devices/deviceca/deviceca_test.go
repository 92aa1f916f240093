package deviceca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"
)

func authority(t *testing.T, now func() time.Time) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err := MakeRoot("測試醫院", key, now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(root, key, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func deviceKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

// HCA-6.3.6: a certificate is of one authority, device, binding, key and time.
func TestVerify(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	now := func() time.Time { return at }
	a, spki := authority(t, now), deviceKey(t)
	der, err := a.Issue("01DEVICE", 3, spki)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(c, "01DEVICE", 3, spki); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"another authority": authority(t, now).Verify(c, "01DEVICE", 3, spki),
		"another device":    a.Verify(c, "01DEVICF", 3, spki),
		"another binding":   a.Verify(c, "01DEVICE", 4, spki),
		"another key":       a.Verify(c, "01DEVICE", 3, deviceKey(t)),
		"the root itself":   a.Verify(a.Root(), "01DEVICE", 3, spki),
	} {
		if err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	for _, d := range []time.Duration{-time.Hour, Life + time.Minute} {
		at = at.Add(d)
		if a.Verify(c, "01DEVICE", 3, spki) == nil {
			t.Errorf("taken at %v", at)
		}
		at = at.Add(-d)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.Root())
	if _, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("as TLS servers judge it: %v", err)
	}
	if _, err := New(a.Root().Raw, authority(t, now).key, now, rand.Reader); err == nil {
		t.Error("a root of another key is opened")
	}
}

// After a token was restored, its key pairs are new: there is a new authority, which knows none of the old certificates.
func TestOpen(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	now := func() time.Time { return at }
	old, spki := authority(t, now), deviceKey(t)
	same, kept, err := Open(old.Root().Raw, "x", old.key, now, rand.Reader)
	if err != nil || !same.Root().Equal(old.Root()) || len(kept) != len(old.Root().Raw) {
		t.Errorf("of the same key: %v", err)
	}
	fresh, kept, err := Open(old.Root().Raw, "測試醫院", authority(t, now).key, now, rand.Reader)
	if err != nil || fresh.Root().Equal(old.Root()) || string(kept) != string(fresh.Root().Raw) {
		t.Fatalf("of another key: %v", err)
	}
	der, err := old.Issue("01DEVICE", 1, spki)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil || fresh.Verify(c, "01DEVICE", 1, spki) == nil {
		t.Errorf("a certificate of the old one is taken: %v", err)
	}
	if _, _, err := Open(nil, "x", old.key, now, rand.Reader); err != nil {
		t.Errorf("none was kept: %v", err)
	}
}
