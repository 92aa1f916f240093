package hcatest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/hca"
	"certwindow/ra/hca/hcasim"
)

// Open makes the adapter under test for a window. It is called again after the simulator was restarted.
type Open func(t testing.TB, w *Window) hca.Adapter

// Run puts an adapter through everything that a use case relies on (HCA-3.3).
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"Enrol", testEnrol},
		{"EnrolWithBareConsent", testBare},
		{"SameTransactionSameCertificate", testSame},
		{"LostAnswer", testLost},
		{"NeverArrived", testNeverArrived},
		{"Pending", testPending},
		{"Refused", testRefused},
		{"BusyIsNotRefused", testBusy},
		{"Revoke", testRevoke},
		{"RevokeWithConsent", testRevokeConsent},
		{"WrongAnswers", testWrongAnswers},
		{"WrongCertificates", testWrongCertificates},
		{"WhatTheHCARefuses", testHCARefuses},
		{"DedicatedCertificate", testDedicated},
		{"Concurrency", testConcurrency},
		{"MalformedRequests", testMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewWindow(t)
			c.test(t, &bench{Window: w, open: open, adapter: open(t, w)})
		})
	}
}

// bench is a window with the adapter under test.
type bench struct {
	*Window
	open    Open
	adapter hca.Adapter
}

// restart ends the simulator and starts it on the same directory.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	if err := b.Server.Close(); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.adapter = b.open(t, b.Window)
}

func (b *bench) fault(t *testing.T, kind hcasim.FaultKind, count int) {
	t.Helper()
	f := hcasim.Fault{Kind: kind, Count: count}
	if kind == hcasim.FaultSlow {
		f.Delay = time.Minute
	}
	if err := b.Server.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) prepare(t *testing.T, r hca.Request) hca.Prepared {
	t.Helper()
	p, err := b.adapter.Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if p.Adapter != b.adapter.Name() || p.Kind != r.Kind || p.TransactionID != r.TransactionID || len(p.Bytes) == 0 {
		t.Fatalf("prepared request does not say what it is: %+v", p)
	}
	return p
}

// want sends or settles and wants a state without an error.
func want(t *testing.T, state hca.State, out hca.Outcome, err error) hca.Outcome {
	t.Helper()
	if err != nil {
		t.Fatalf("%v, want %s", err, state)
	}
	if out.State != state {
		t.Fatalf("state %s (%s: %s), want %s", out.State, out.FailCode, out.FailText, state)
	}
	return out
}

// wantError wants an error of a kind, and a state that does not pretend to know.
func wantError(t *testing.T, kind hca.ErrorKind, out hca.Outcome, err error) {
	t.Helper()
	if hca.KindOf(err) != kind {
		t.Fatalf("error %v, want kind %s", err, kind)
	}
	if out.State != hca.Unknown {
		t.Fatalf("state %s with an error, want unknown", out.State)
	}
}

func (b *bench) enrol(t *testing.T) (crypto.Signer, hca.Prepared, *x509.Certificate) {
	t.Helper()
	key := NewKey(t)
	p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
	out, err := hca.Settle(context.Background(), b.adapter, p, false)
	return key, p, b.issued(t, key, want(t, hca.Issued, out, err))
}

// issued wants a certificate that stands up to its request, with the answer kept as evidence.
func (b *bench) issued(t *testing.T, key crypto.Signer, out hca.Outcome) *x509.Certificate {
	t.Helper()
	if err := hca.CheckCertificate(out.Certificates[0], b.Facts(t, key)); err != nil {
		t.Fatal(err)
	}
	if len(out.Answer) == 0 {
		t.Fatal("the answer is not kept")
	}
	cert, err := x509.ParseCertificate(out.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func testEnrol(t *testing.T, b *bench) {
	if err := b.adapter.Healthy(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []pkix.Name{{}, {CommonName: "陳小華", SerialNumber: "1234567890123456"}} {
		key := NewKey(t)
		out, err := b.adapter.Send(context.Background(), b.prepare(t, b.Enrolment(t, key, subject)))
		b.issued(t, key, want(t, hca.Issued, out, err))
	}
}

func testBare(t *testing.T, b *bench) {
	key := NewKey(t)
	r := b.Enrolment(t, key, pkix.Name{})
	r.Consent, r.ConsentBare = b.SignEnrolmentBare(t, b.Card, r.TransactionID), true
	out, err := b.adapter.Send(context.Background(), b.prepare(t, r))
	b.issued(t, key, want(t, hca.Issued, out, err))
}

func testSame(t *testing.T, b *bench) {
	key, p, first := b.enrol(t)
	again := func() {
		t.Helper()
		for _, ask := range []func(context.Context, hca.Prepared) (hca.Outcome, error){b.adapter.Send, b.adapter.Query} {
			out, err := ask(context.Background(), p)
			if !b.issued(t, key, want(t, hca.Issued, out, err)).Equal(first) {
				t.Fatal("the same transaction brought another certificate")
			}
		}
	}
	again()
	b.restart(t)
	again()
}

// testLost: the HCA acted and its answer was lost. Settle learns it, and nothing is issued twice.
func testLost(t *testing.T, b *bench) {
	key := NewKey(t)
	p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
	b.fault(t, hcasim.FaultLoseAnswer, 1)
	out, err := hca.Settle(context.Background(), b.adapter, p, false)
	wantError(t, hca.Network, out, err)
	b.restart(t)
	out, err = b.adapter.Query(context.Background(), p)
	first := b.issued(t, key, want(t, hca.Issued, out, err))
	out, err = hca.Settle(context.Background(), b.adapter, p, true)
	if !b.issued(t, key, want(t, hca.Issued, out, err)).Equal(first) {
		t.Fatal("a second certificate was issued")
	}
}

// testNeverArrived: the request may have been sent, and was not. Query says so, and the same bytes are good.
func testNeverArrived(t *testing.T, b *bench) {
	for kind, wantKind := range map[hcasim.FaultKind]hca.ErrorKind{
		hcasim.FaultClosed: hca.Network, hcasim.FaultDown: hca.Unavailable, hcasim.FaultSlow: hca.Network,
	} {
		key := NewKey(t)
		p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
		b.fault(t, kind, 1)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		out, err := b.adapter.Send(ctx, p)
		cancel()
		wantError(t, wantKind, out, err)
		if kind == hcasim.FaultDown && out.RetryAfter == 0 {
			t.Fatal("the HCA said when to come back, and nobody listened")
		}
		b.fault(t, hcasim.FaultClosed, 1) // a query that fails is no leave to send
		out, err = hca.Settle(context.Background(), b.adapter, p, true)
		wantError(t, hca.Network, out, err)
		out, err = b.adapter.Query(context.Background(), p)
		want(t, hca.NotReceived, out, err)
		out, err = hca.Settle(context.Background(), b.adapter, p, true)
		b.issued(t, key, want(t, hca.Issued, out, err))
	}
}

func testPending(t *testing.T, b *bench) {
	key := NewKey(t)
	p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
	b.fault(t, hcasim.FaultPending, 2)
	out, err := b.adapter.Send(context.Background(), p)
	want(t, hca.Pending, out, err)
	if out.RetryAfter <= 0 || out.RetryAfter > time.Minute {
		t.Fatalf("retry after %s", out.RetryAfter)
	}
	p.Token = out.Token
	out, err = hca.Settle(context.Background(), b.adapter, p, true)
	want(t, hca.Pending, out, err)
	p.Token = nil // a window that lost the token with the answer asks by the transaction
	out, err = hca.Settle(context.Background(), b.adapter, p, true)
	b.issued(t, key, want(t, hca.Issued, out, err))
}

func testRefused(t *testing.T, b *bench) {
	p := b.prepare(t, b.Enrolment(t, NewKey(t), pkix.Name{}))
	b.fault(t, hcasim.FaultRefuse, 1)
	for _, ask := range []func(context.Context, hca.Prepared) (hca.Outcome, error){b.adapter.Send, b.adapter.Query, b.adapter.Send} {
		out, err := ask(context.Background(), p)
		want(t, hca.Refused, out, err)
		if out.FailCode == "" || out.FailText == "" || len(out.Answer) == 0 {
			t.Fatalf("a refusal without reason or evidence: %+v", out)
		}
	}
}

// testBusy: tryLater is no decision; a slot must not be freed by it.
func testBusy(t *testing.T, b *bench) {
	key := NewKey(t)
	p := b.prepare(t, b.Enrolment(t, key, pkix.Name{}))
	b.fault(t, hcasim.FaultBusy, 2)
	for _, ask := range []func(context.Context, hca.Prepared) (hca.Outcome, error){b.adapter.Send, b.adapter.Query} {
		out, err := ask(context.Background(), p)
		wantError(t, hca.Unavailable, out, err)
	}
	out, err := hca.Settle(context.Background(), b.adapter, p, true)
	b.issued(t, key, want(t, hca.Issued, out, err))
}

// testRevoke: HCA-5.2.2. The answer may be lost, and revoking twice is no error.
func testRevoke(t *testing.T, b *bench) {
	_, _, cert := b.enrol(t)
	p := b.prepare(t, b.Revocation(t, cert, 1))
	b.fault(t, hcasim.FaultLoseAnswer, 1)
	out, err := hca.Settle(context.Background(), b.adapter, p, false)
	wantError(t, hca.Network, out, err)
	out, err = hca.Settle(context.Background(), b.adapter, p, true)
	want(t, hca.Revoked, out, err)
	b.wantListed(t, cert, true)
	out, err = b.adapter.Send(context.Background(), b.prepare(t, b.Revocation(t, cert, 1)))
	want(t, hca.Revoked, out, err)

	out, err = b.adapter.Send(context.Background(), b.prepare(t, b.Revocation(t, b.Card.Certificate, 1)))
	want(t, hca.Refused, out, err) // a card is not the window's to revoke
	b.wantListed(t, b.Card.Certificate, false)
}

// testRevokeConsent: HCA-5.2.1. A consent serves its own purpose, certificate, holder and reason alone.
func testRevokeConsent(t *testing.T, b *bench) {
	_, _, cert := b.enrol(t)
	other, err := b.Server.IssueCard("林大同", "6543210987654321", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	for name, sign := range map[string]func(r *hca.Request) []byte{
		"enrolment consent": func(r *hca.Request) []byte { return b.SignEnrolment(t, b.Card, r.TransactionID) },
		"other holder": func(r *hca.Request) []byte {
			return b.SignRevocation(t, other, r.TransactionID, cert, ra.ReasonKeyCompromise)
		},
		"other reason": func(r *hca.Request) []byte {
			return b.SignRevocation(t, b.Card, r.TransactionID, cert, ra.ReasonSuperseded)
		},
		"other certificate": func(r *hca.Request) []byte {
			return b.SignRevocation(t, b.Card, r.TransactionID, other.Certificate, ra.ReasonKeyCompromise)
		},
		"other application": func(*hca.Request) []byte {
			return b.SignRevocation(t, b.Card, "01ARZ3NDEKTSV4RRFFQ69G5FAV", cert, ra.ReasonKeyCompromise)
		},
	} {
		r := b.Revocation(t, cert, 1)
		r.Consent = sign(&r)
		out, err := b.adapter.Send(context.Background(), b.prepare(t, r))
		if err != nil || out.State != hca.Refused {
			t.Errorf("%s: %s, %v", name, out.State, err)
		}
	}
	b.wantListed(t, cert, false)
	r := b.Revocation(t, cert, 1)
	r.Consent = b.SignRevocation(t, b.Card, r.TransactionID, cert, ra.ReasonKeyCompromise)
	out, err := b.adapter.Send(context.Background(), b.prepare(t, r))
	want(t, hca.Revoked, out, err)
	b.wantListed(t, cert, true)
}

// wantListed looks a certificate up in the simulator's CRL.
func (b *bench) wantListed(t *testing.T, cert *x509.Certificate, listed bool) {
	t.Helper()
	der, err := b.Server.CRL(-1)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range list.RevokedCertificateEntries {
		found = found || e.SerialNumber.Cmp(cert.SerialNumber) == 0
	}
	if found != listed {
		t.Fatalf("on the CRL: %v, want %v", found, listed)
	}
}

// testConcurrency: copies of one request bring one certificate, different ones different certificates.
func testConcurrency(t *testing.T, b *bench) {
	const copies, requests = 4, 6
	// Held up together, the copies are looked at together.
	if err := b.Server.SetFault(hcasim.Fault{Kind: hcasim.FaultSlow, Count: -1, Delay: 100 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[string][][]byte{}
	var wg sync.WaitGroup
	for range requests {
		p := b.prepare(t, b.Enrolment(t, NewKey(t), pkix.Name{}))
		for range copies {
			wg.Add(1)
			go func() {
				defer wg.Done()
				out, err := b.adapter.Send(context.Background(), p)
				if err != nil || out.State != hca.Issued {
					t.Errorf("%s, %v", out.State, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				got[p.TransactionID] = append(got[p.TransactionID], out.Certificates[0])
			}()
		}
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, certs := range got {
		for _, c := range certs {
			if !bytes.Equal(c, certs[0]) {
				t.Error("one transaction, two certificates")
			}
		}
		if seen[string(certs[0])] {
			t.Error("two transactions, one certificate")
		}
		seen[string(certs[0])] = true
	}
	if len(seen) != requests {
		t.Errorf("%d certificates for %d requests", len(seen), requests)
	}
}

// mismatchReason is the reason of a *hca.Mismatch, or "".
func mismatchReason(err error) hca.MismatchReason {
	var m *hca.Mismatch
	if errors.As(err, &m) {
		return m.Reason
	}
	return ""
}
