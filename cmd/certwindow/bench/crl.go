package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/certpath"
	"certwindow/ra/certpath/crlstore"
)

// entries is how long the list is: half a million revoked certificates.
const entries = 500_000

// serialOf makes the nth of many 16-octet serial numbers.
func serialOf(n int) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	sum[0] = sum[0]&0x3f | 0x40
	return sum[:16]
}

// longCRL signs a list of entries with serial numbers, dates and reasons, and gives its signature as well.
func longCRL(by entity) ([]byte, signature, error) {
	one := []byte("\x30\x2f\x02\x10________________\x17\x0d261101000000Z\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01")
	list := make([]byte, 0, entries*len(one))
	for i := range entries {
		list = append(list, one...)
		copy(list[len(list)-len(one)+4:], serialOf(i))
	}
	ecdsaWithSHA256 := []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
	var b, out cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddBytes(ecdsaWithSHA256)
		b.AddBytes(by.cert.RawSubject)
		b.AddASN1UTCTime(moment.Add(-time.Hour))
		b.AddASN1UTCTime(moment.Add(24 * time.Hour))
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(list) })
		b.AddASN1(casn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddBytes([]byte("\x30\x0c\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x01")) // cRLNumber 1
		})
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, signature{}, err
	}
	digest := sha256.Sum256(tbs)
	sig, err := by.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, signature{}, err
	}
	out.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(ecdsaWithSHA256)
		b.AddASN1BitString(sig)
	})
	der, err := out.Bytes()
	return der, signature{by.key.Public(), tbs, sig}, err
}

// crl measures the store: a refresh, what it allocates, and look-ups.
func crl(ctx context.Context, o Options) ([]Figure, error) {
	fmt.Fprintf(o.Log, "a CRL of %d entries\n", entries)
	a, err := newAuthority(false)
	if err != nil {
		return nil, err
	}
	raw, signed, err := longCRL(a.ca)
	if err != nil {
		return nil, err
	}
	ca, err := certpath.ParseCertificate(a.ca.cert.Raw)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "certwindow-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	refresh, bare, grown := math.Inf(1), math.Inf(1), 0.0
	var store *crlstore.Store
	begun := time.Now()
	for n := 0; n < 3 || time.Since(begun) < o.For; n++ {
		start := time.Now()
		if err := signed.check(); err != nil {
			return nil, err
		}
		bare = min(bare, float64(time.Since(start)))
		var took time.Duration
		if store, took, grown, err = refreshOnce(ctx, filepath.Join(dir, strconv.Itoa(n)), ca, raw); err != nil {
			return nil, err
		}
		refresh = min(refresh, float64(took))
	}
	lookup, err := lookups(store.Current(), o.For)
	if err != nil {
		return nil, err
	}
	return []Figure{
		{Name: "CRL refresh, 500,000 entries", Unit: "ms", Ours: refresh / 1e6, Raw: bare / 1e6, Bound: 300,
			Note: "the quickest of several, by the clock: download from memory, signature, index, file on disk; raw is hash and signature"},
		{Name: "CRL refresh, memory allocated", Unit: "MB", Ours: grown / 1e6, Bound: 50,
			Note: fmt.Sprintf("the list itself is %.1f MB, downloaded within it", float64(len(raw))/1e6)},
		{Name: "CRL look-up", Unit: "µs", Ours: lookup / 1e3, Bound: 1},
	}, nil
}

// refreshOnce fills a new store and gives what that took and allocated, in bytes.
func refreshOnce(ctx context.Context, dir string, ca *certpath.Certificate, raw []byte) (*crlstore.Store, time.Duration, float64, error) {
	shared, err := crlstore.OpenDir(dir)
	if err != nil {
		return nil, 0, 0, err
	}
	s, err := crlstore.New(ctx, crlstore.Config{
		Issuers: []*certpath.Certificate{ca}, Shared: shared, Owner: "bench", Now: func() time.Time { return moment },
		Fetch: func(context.Context) ([]byte, error) { return bytes.Clone(raw), nil },
	})
	if err != nil {
		return nil, 0, 0, err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	if changed, err := s.Refresh(ctx); err != nil || !changed {
		return nil, 0, 0, fmt.Errorf("refresh: changed is %v, %w", changed, err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return s, took, float64(after.TotalAlloc - before.TotalAlloc), nil
}

// lookups gives the ns of processor time of one look-up; half of the serial numbers are on the list.
func lookups(list *certpath.CRL, span time.Duration) (float64, error) {
	serials := make([][]byte, 1000)
	for i := range serials {
		serials[i] = serialOf(i * 997)
	}
	quickest := math.Inf(1)
	for begun := time.Now(); time.Since(begun) < span || math.IsInf(quickest, 1); {
		all, err := processorTime(func() error {
			found := 0
			for _, s := range serials {
				if _, ok := list.Lookup(s); ok {
					found++
				}
			}
			if found == 0 || found == len(serials) {
				return fmt.Errorf("%d of %d serial numbers are on the list", found, len(serials))
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		quickest = min(quickest, all/float64(len(serials)))
	}
	return quickest, nil
}
