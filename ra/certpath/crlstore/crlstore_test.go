package crlstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/certpath"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// ca is an issuing CA made for a test.
type ca struct {
	key  *ecdsa.PrivateKey
	x509 *x509.Certificate
	cert *certpath.Certificate
}

func newCA(t testing.TB, name string) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: start.AddDate(-1, 0, 0),
		NotAfter: start.AddDate(9, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	out := &ca{key: key}
	if out.x509, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if out.cert, err = certpath.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *ca) issue(t testing.TB, serial *big.Int) *certpath.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "holder"},
		NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.x509, &c.key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certpath.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// serialOf makes the nth of many 16-octet serial numbers.
func serialOf(n int) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	sum := sha256.Sum256(b[:])
	sum[0] = sum[0]&0x3f | 0x40
	return sum[:16]
}

// crl signs a list of count entries.
func (c *ca) crl(t testing.TB, number int64, issued time.Time, count int) []byte {
	t.Helper()
	one := []byte("\x30\x2f\x02\x10________________\x17\x0d261101000000Z\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01")
	entries := make([]byte, 0, count*len(one))
	for i := range count {
		entries = append(entries, one...)
		copy(entries[len(entries)-len(one)+4:], serialOf(i))
	}
	var b cryptobyte.Builder
	alg := []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddBytes(alg)
		b.AddBytes(c.cert.RawSubject)
		b.AddASN1UTCTime(issued)
		b.AddASN1UTCTime(issued.Add(24 * time.Hour))
		if count > 0 {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(entries) })
		}
		b.AddASN1(casn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes([]byte("\x06\x03\x55\x1d\x14"))
					b.AddASN1(casn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1Int64(number) })
				})
			})
		})
	})
	tbs := b.BytesOrPanic()
	digest := sha256.Sum256(tbs)
	sig, err := ecdsa.SignASN1(rand.Reader, c.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var out cryptobyte.Builder
	out.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(alg)
		b.AddASN1BitString(sig)
	})
	return out.BytesOrPanic()
}

// upstream is the CA's download, and the clock.
type upstream struct {
	mu    sync.Mutex
	raw   []byte
	err   error
	calls int
	now   time.Time
}

func (u *upstream) fetch(context.Context) ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls++
	return bytes.Clone(u.raw), u.err
}

func open(t testing.TB, dir, owner string, issuer *ca, u *upstream) *Store {
	t.Helper()
	shared, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(context.Background(), Config{
		Issuers: []*certpath.Certificate{issuer.cert}, Shared: shared, Fetch: u.fetch, Owner: owner,
		Now: func() time.Time { u.mu.Lock(); defer u.mu.Unlock(); return u.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRefresh(t testing.TB, s *Store, want bool) {
	t.Helper()
	if changed, err := s.Refresh(context.Background()); err != nil || changed != want {
		t.Fatalf("Refresh: %v, %v; want %v", changed, err, want)
	}
}

// HCA-5.1.1: the CRL is the fall-back for OCSP; without a fresh one there is no answer.
func TestLifeOfAStore(t *testing.T) {
	issuer, dir := newCA(t, "HCA"), t.TempDir()
	u := &upstream{now: start, raw: issuer.crl(t, 5, start, 3)}
	s := open(t, dir, "a", issuer, u)
	revoked := issuer.issue(t, new(big.Int).SetBytes(serialOf(2)))
	good := issuer.issue(t, big.NewInt(99))
	if _, _, err := s.Lookup(good); !errors.Is(err, ErrNone) {
		t.Fatalf("without a CRL: %v", err)
	}
	mustRefresh(t, s, true)
	if e, found, err := s.Lookup(revoked); err != nil || !found || e.Reason != 1 || e.RevokedAt.Month() != 11 {
		t.Fatalf("revoked: %+v, %v, %v", e, found, err)
	}
	if _, found, err := s.Lookup(good); err != nil || found {
		t.Fatalf("good: %v, %v", found, err)
	}
	if _, _, err := s.Lookup(newCA(t, "other").cert); err == nil {
		t.Fatal("a certificate of another issuer got an answer")
	}

	// A restart needs no network.
	u.err = errors.New("unreachable")
	s = open(t, dir, "a", issuer, u)
	if _, found, err := s.Lookup(revoked); err != nil || !found {
		t.Fatalf("after a restart: %v, %v", found, err)
	}
	if _, err := s.Refresh(context.Background()); err == nil {
		t.Fatal("a failed fetch went unnoticed")
	}

	u.now = start.Add(25 * time.Hour)
	if _, _, err := s.Lookup(good); !errors.Is(err, ErrStale) {
		t.Fatalf("stale: %v", err)
	}
}

func TestNumberNeverGoesBack(t *testing.T) {
	issuer, dir := newCA(t, "HCA"), t.TempDir()
	u := &upstream{now: start, raw: issuer.crl(t, 5, start, 3)}
	s := open(t, dir, "a", issuer, u)
	mustRefresh(t, s, true)
	mustRefresh(t, s, false)
	for _, number := range []int64{4, 5} {
		u.raw = issuer.crl(t, number, start, 0)
		if _, err := s.Refresh(context.Background()); !errors.Is(err, ErrRolledBack) {
			t.Fatalf("number %d after 5: %v", number, err)
		}
	}
	// Neither in a process that starts while the kept one is stale.
	u.now = start.Add(48 * time.Hour)
	u.raw = issuer.crl(t, 4, u.now, 0)
	s = open(t, dir, "a", issuer, u)
	if _, err := s.Refresh(context.Background()); !errors.Is(err, ErrRolledBack) {
		t.Fatalf("after a restart: %v", err)
	}
	u.raw = issuer.crl(t, 6, u.now, 0)
	mustRefresh(t, s, true)
}

func TestForgedCRLIsNotTaken(t *testing.T) {
	issuer, dir := newCA(t, "HCA"), t.TempDir()
	u := &upstream{now: start, raw: newCA(t, "HCA").crl(t, 5, start, 0)}
	s := open(t, dir, "a", issuer, u)
	if _, err := s.Refresh(context.Background()); err == nil || s.Current() != nil {
		t.Fatalf("took a CRL signed with another key: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.crl")); len(files) != 0 {
		t.Fatalf("kept %v", files)
	}
}

func TestSpoilt(t *testing.T) {
	issuer, dir := newCA(t, "HCA"), t.TempDir()
	u := &upstream{now: start, raw: issuer.crl(t, 5, start, 3)}
	mustRefresh(t, open(t, dir, "a", issuer, u), true)
	if err := os.WriteFile(filepath.Join(dir, "5.crl"), []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "a", issuer, u)
	if s.Current() != nil {
		t.Fatal("took a spoilt file")
	}
	mustRefresh(t, s, true)
}

// Replicas fetch once: who does not hold the lease waits for the other's CRL.
func TestReplicasFetchOnce(t *testing.T) {
	issuer, dir := newCA(t, "HCA"), t.TempDir()
	u := &upstream{now: start, raw: issuer.crl(t, 5, start, 3)}
	a, b := open(t, dir, "a", issuer, u), open(t, dir, "b", issuer, u)
	mustRefresh(t, a, true)
	mustRefresh(t, b, true)
	if u.calls != 1 {
		t.Fatalf("%d fetches", u.calls)
	}
	mustRefresh(t, b, false) // a holds the lease
	if u.calls != 1 {
		t.Fatalf("%d fetches while another held the lease", u.calls)
	}
	u.now = start.Add(time.Hour) // the lease ran out
	u.raw = issuer.crl(t, 6, u.now, 0)
	mustRefresh(t, b, true)
	mustRefresh(t, a, true)
	if u.calls != 2 || a.Current().Number.Int64() != 6 {
		t.Fatalf("%d fetches, number %s", u.calls, a.Current().Number)
	}
}

// Readers are never blocked, and see the old list or the new one.
func TestLookupDuringRefresh(t *testing.T) {
	issuer := newCA(t, "HCA")
	u := &upstream{now: start, raw: issuer.crl(t, 1, start, 3)}
	s := open(t, t.TempDir(), "a", issuer, u)
	mustRefresh(t, s, true)
	revoked := issuer.issue(t, new(big.Int).SetBytes(serialOf(2)))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, found, err := s.Lookup(revoked); err != nil || !found {
					t.Errorf("lookup: %v, %v", found, err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	for n := int64(2); n < 20; n++ {
		raw := issuer.crl(t, n, start, 100)
		u.mu.Lock()
		u.raw = raw
		u.mu.Unlock()
		mustRefresh(t, s, true)
	}
	close(done)
	readers.Wait()
}

const half = 500_000

// Half a million entries: the bounds are 300 ms, 50 MB and a microsecond on an idle machine; the test leaves
// room for a busy one. The benchmarks below give the numbers.
func TestHalfAMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a CRL of 24.5 MB")
	}
	issuer := newCA(t, "HCA")
	u := &upstream{now: start, raw: issuer.crl(t, 1, start, half)}
	s := open(t, t.TempDir(), "a", issuer, u)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun := time.Now()
	mustRefresh(t, s, true)
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	grown := after.TotalAlloc - before.TotalAlloc
	lookup := testing.Benchmark(func(b *testing.B) { benchLookup(b, s) })
	t.Logf("%d entries, %.1f MB: refreshed in %v, %.1f MB allocated with the download, lookup %v ns",
		half, float64(len(u.raw))/1e6, took, float64(grown)/1e6, lookup.NsPerOp())
	if took > 3*time.Second {
		t.Errorf("refresh took %v", took)
	}
	if grown > 50e6 {
		t.Errorf("refresh allocated %d bytes", grown)
	}
	if lookup.NsPerOp() > 10_000 || lookup.AllocsPerOp() > 0 {
		t.Errorf("lookup takes %d ns and %d allocations", lookup.NsPerOp(), lookup.AllocsPerOp())
	}
}

func benchLookup(b *testing.B, s *Store) {
	serials := make([][]byte, 1000)
	for i := range serials {
		serials[i] = serialOf(i * 997) // half of them are in the list
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s.Current().Lookup(serials[i%len(serials)])
	}
}

func BenchmarkLookup(b *testing.B) {
	issuer := newCA(b, "HCA")
	u := &upstream{now: start, raw: issuer.crl(b, 1, start, half)}
	s := open(b, b.TempDir(), "a", issuer, u)
	mustRefresh(b, s, true)
	benchLookup(b, s)
}

func BenchmarkRefresh(b *testing.B) {
	issuer := newCA(b, "HCA")
	u := &upstream{now: start, raw: issuer.crl(b, 1, start, half)}
	b.ReportAllocs()
	for b.Loop() {
		s := open(b, b.TempDir(), "a", issuer, u)
		mustRefresh(b, s, true)
	}
}
