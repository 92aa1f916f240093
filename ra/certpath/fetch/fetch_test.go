package fetch

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"certwindow/ra/certpath"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return start }
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func makeCRL(t *testing.T, next time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: start, NextUpdate: next,
	}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestOCSPGetThenPost(t *testing.T) {
	var methods []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		if r.Method == http.MethodGet {
			got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.URL.Path, "/ocsp/"))
			if err != nil || string(got) != "a\xff\xfe?request" {
				t.Errorf("GET %s", r.URL.Path)
			}
			http.Error(w, "no", http.StatusMethodNotAllowed)
			return
		}
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Type") != "application/ocsp-request" {
			t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
		w.Write(append([]byte("re:"), body...))
	}))
	defer srv.Close()
	c := client(t, Config{})
	got, err := c.OCSP(context.Background(), srv.URL+"/ocsp", []byte("a\xff\xfe?request"))
	if err != nil || string(got) != "re:a\xff\xfe?request" || strings.Join(methods, " ") != "GET POST" {
		t.Fatalf("%q, %v, %v", got, err, methods)
	}
	methods = nil
	if _, err := c.OCSP(context.Background(), srv.URL+"/ocsp", bytes.Repeat([]byte{1}, 300)); err != nil || strings.Join(methods, " ") != "POST" {
		t.Fatalf("long request: %v, %v", err, methods)
	}
}

func TestBounds(t *testing.T) {
	big := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush() // chunked: no length is announced
		w.Write(make([]byte, certpath.MaxOCSP+1))
	}))
	defer big.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "ftp://example.test/crl", http.StatusFound)
	}))
	defer elsewhere.Close()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}))
	defer endless.Close()
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }))
	defer page.Close()

	c := client(t, Config{Timeout: 300 * time.Millisecond})
	ctx := context.Background()
	for name, err := range map[string]error{
		"too large":        second(c.OCSP(ctx, big.URL, bytes.Repeat([]byte{1}, 300))),
		"other scheme":     second(c.CRL(ctx, elsewhere.URL)),
		"endless redirect": second(c.CRL(ctx, endless.URL)),
		"slow":             second(c.CRL(ctx, slow.URL)),
		"no CRL":           second(c.CRL(ctx, page.URL)),
		"file":             second(c.CRL(ctx, "file:///etc/passwd")),
		"ldap":             second(c.CRL(ctx, "ldap://example.test/cn=crl")),
		"credentials":      second(c.CRL(ctx, "http://user:secret@127.0.0.1/")),
		"nonsense":         second(c.OCSP(ctx, "http://[::1", []byte{1})),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	picky := client(t, Config{AllowHost: func(h string) bool { return h == "crl.example.test" }})
	if _, err := picky.CRL(ctx, page.URL); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("host: %v", err)
	}
}

func second(_ []byte, err error) error { return err }

// A CRL is downloaded once for all who ask at the same time, and again only when it is no longer fresh.
func TestCRLOnce(t *testing.T) {
	der := makeCRL(t, start.Add(30*time.Minute))
	var calls atomic.Int32
	gate := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		<-gate
		w.Write(der)
	}))
	defer srv.Close()
	var mu sync.Mutex
	now := start
	c := client(t, Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})

	// One that gives up does not spoil it for the others.
	short, cancel := context.WithCancel(context.Background())
	gaveUp := make(chan error)
	go func() { gaveUp <- second(c.CRL(short, srv.URL)) }()
	for calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-gaveUp; err == nil {
		t.Error("a cancelled call succeeded")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, err := c.CRL(context.Background(), srv.URL); err != nil || !bytes.Equal(got, der) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	close(gate)
	all.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d downloads", calls.Load())
	}
	mu.Lock()
	now = start.Add(time.Hour)
	mu.Unlock()
	if _, err := c.CRL(context.Background(), srv.URL); err != nil || calls.Load() != 2 {
		t.Errorf("after nextUpdate: %v, %d downloads", err, calls.Load())
	}
}
