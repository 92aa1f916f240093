package cmc_test

import (
	"crypto/rand"
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
