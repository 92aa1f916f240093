package cmc_test

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"testing"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcatest"
)

// open makes an adapter that pins the simulator's root and TLS root.
func open(t testing.TB, w *hcatest.Window) hca.Adapter {
	t.Helper()
	root, err := certpath.ParseCertificate(w.Server.Root().Raw)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cmc.New(cmc.Config{
		URL: w.Server.CMCURL, TLSRoots: w.Server.TLSRoots(), Anchors: []*certpath.Certificate{root},
		Signer: w.Signer, Now: time.Now, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// HCA-3.3
func TestConformance(t *testing.T) { hcatest.Run(t, open) }

// BenchmarkEnrol is one enrolment against the simulator in the same process: sign, send, issue, verify.
func BenchmarkEnrol(b *testing.B) {
	w := hcatest.NewWindow(b)
	a := open(b, w)
	requests := make([]hca.Request, 0, b.N)
	for range b.N {
		requests = append(requests, w.Enrolment(b, hcatest.NewKey(b), pkix.Name{}))
	}
	b.ResetTimer()
	for _, r := range requests {
		p, err := a.Prepare(context.Background(), r)
		if err != nil {
			b.Fatal(err)
		}
		if out, err := a.Send(context.Background(), p); err != nil || out.State != hca.Issued {
			b.Fatal(out.State, err)
		}
	}
}
