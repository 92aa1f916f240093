package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"certwindow/hsm"
	"certwindow/hsm/p11"
	"certwindow/hsm/p11/p11test"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcasim"
)

// call runs a command, wants an exit code, and returns its JSON.
func call(t *testing.T, code int, args ...string) map[string]string {
	t.Helper()
	var out, notes bytes.Buffer
	if got := run(context.Background(), args, output{&out, &notes}); got != code {
		t.Fatalf("hcasim %v: exit %d, want %d\n%s", args, got, code, notes.String())
	}
	if code != 0 {
		if out.Len() != 0 || notes.Len() == 0 {
			t.Fatalf("hcasim %v: failed with %q on standard output and %q beside it", args, out.String(), notes.String())
		}
		return nil
	}
	said := map[string]string{}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	return said
}

// freeAddress is an address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newCA(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/hca"
	call(t, 0, "init", "--dir", dir, "--base-url", "http://"+freeAddress(t), "--root-bits", "2048")
	return dir
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve runs the server until the test ends and returns what it announced.
func serve(t *testing.T, dir string) map[string]any {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--dir", dir, "--ready-file", ready, "--no-sync"}, output{io.Discard, os.Stderr})
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("serve ended with %d", code)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if raw, err := os.ReadFile(ready); err == nil {
			where := map[string]any{}
			if err := json.Unmarshal(raw, &where); err != nil {
				t.Fatal(err)
			}
			return where
		}
	}
	t.Fatal("the server did not get ready")
	return nil
}

type fixedSigner cmc.Credential

func (f fixedSigner) Dedicated(context.Context) (cmc.Credential, error) {
	return cmc.Credential(f), nil
}

// A window's whole first day: CA, dedicated certificate, a card in a token, an enrolment, and a revocation beside
// the running server (HCA-3.1, HCA-3.3, HCA-5.1.1).
func TestFirstDay(t *testing.T) {
	dir := newCA(t)
	where := serve(t, dir)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "window"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csrFile := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})))
	out := filepath.Join(t.TempDir(), "dedicated.pem")
	args := []string{"dedicated", "--dir", dir, "--csr", csrFile, "--institution", "0101090517", "--name", "測試醫院", "--out", out}
	said := call(t, 0, args...)
	call(t, 2, args...) // the file is there already
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	root := readCertificate(t, filepath.Join(dir, hcasim.RootFile))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(readFile(t, filepath.Join(dir, hcasim.TLSRootFile)))
	adapter, err := cmc.New(cmc.Config{
		URL: where["cmc"].(string), TLSRoots: pool, Anchors: []*certpath.Certificate{root},
		Signer: fixedSigner{Key: key, Certificate: block.Bytes}, Now: time.Now, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := adapter.Healthy(context.Background()); err != nil {
		t.Fatal(err)
	}
	revoke := hca.Request{
		Kind: hca.Revoke, TransactionID: "01JD8ZK3N4T5V6W7X8Y9Z0A1B2", SenderNonce: make([]byte, 16), Serial: big.NewInt(5), Issuer: root.RawSubject, RequestedAt: time.Now(),
	}
	p, err := adapter.Prepare(context.Background(), revoke)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := adapter.Send(context.Background(), p); err != nil || got.FailCode != "badCertId" {
		t.Errorf("acknowledged certificate: %s %s, %v", got.State, got.FailCode, err)
	}
	call(t, 0, "revoke", "--dir", dir, "--serial", said["serial"], "--reason", "keyCompromise")
	call(t, 1, "revoke", "--dir", dir, "--serial", said["serial"], "--reason", "keyCompromise")
	wantListed(t, where["base_url"].(string), said["serial"])
	if got, err := adapter.Query(context.Background(), p); hca.KindOf(err) != hca.QueryRefused {
		t.Errorf("revoked beside the server: %s, %v", got.State, err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func readCertificate(t *testing.T, path string) *certpath.Certificate {
	t.Helper()
	certs, err := certpath.ParseCertificates(readFile(t, path))
	if err != nil || len(certs) != 1 {
		t.Fatal(len(certs), err)
	}
	return certs[0]
}

func wantListed(t *testing.T, base, serial string) {
	t.Helper()
	resp, err := http.Get(base + "/crl/complete.crl")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	der, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Text(16) == serial && e.ReasonCode == 1 {
			return
		}
	}
	t.Errorf("%s is not on the CRL of the running server", serial)
}

// A card as cards are: two key pairs, four certificates, and a PIN.
func TestCard(t *testing.T) {
	module := p11test.Module()
	if module == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("SoftHSM is not installed")
		}
		t.Skip("SoftHSM is not installed")
	}
	conf, err := p11test.Env(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(p11test.EnvName, conf)
	dir := newCA(t)
	pin := write(t, "1234567\n")
	args := []string{
		"card", "--dir", dir, "--module", module, "--token", "HCA card 1", "--pin-file", pin, "--so-pin-file", write(t, "87654321\n"),
		"--name", "陳小華", "--serial", "1234567890123456", "--kind", "person",
	}
	said := call(t, 0, args...)
	call(t, 1, args...) // the token is there already

	secret, err := hsm.ReadSecretFile(pin)
	if err != nil {
		t.Fatal(err)
	}
	token, err := p11.Open(context.Background(), p11.Config{Module: module, TokenLabel: "HCA card 1", PIN: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	certs, err := token.Certificates(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	byLabel := map[string][]byte{}
	for _, c := range certs {
		byLabel[c.Label] = c.DER
	}
	if len(byLabel) != 4 || byLabel["CA Cert"] == nil || byLabel["ROOT CA Cert"] == nil || byLabel["cert2"] == nil {
		t.Fatalf("the card holds %d certificates", len(byLabel))
	}
	x, err := x509.ParseCertificate(byLabel["cert1"])
	if err != nil {
		t.Fatal(err)
	}
	if x.SerialNumber.Text(16) != said["certificate_serial"] || x.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("serial %s, key usage %v", x.SerialNumber.Text(16), x.KeyUsage)
	}
	signer, err := token.Signer(context.Background(), "cert1")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := cms.Sign([]byte("text"), signer, x.Raw, cms.SignOptions{SigningTime: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cms.Open(signed, cms.OpenOptions{Content: []byte("text")}); err != nil {
		t.Errorf("%v (%x)", err, sha256.Sum256(signed))
	}
}

func TestWrongUse(t *testing.T) {
	dir := newCA(t)
	for _, args := range [][]string{
		{}, {"fly"}, {"init"}, {"init", "--dir", t.TempDir() + "/x"}, {"serve"}, {"serve", "--dir", t.TempDir()}, {"serve", "--dir", dir, "more"},
		{"revoke", "--dir", dir, "--serial", "xyz", "--reason", "keyCompromise"}, {"revoke", "--dir", dir, "--serial", "1", "--reason", "whim"},
		{"init", "--unknown"},
		{"dedicated", "--dir", dir, "--csr", "/nowhere", "--institution", "1", "--name", "n", "--out", t.TempDir() + "/o"},
		{"card", "--dir", dir, "--module", "m", "--token", "t", "--pin-file", "/nowhere", "--so-pin-file", "/nowhere", "--name", "n", "--serial", "1", "--kind", "robot"},
	} {
		call(t, 2, args...)
	}
	call(t, 1, "init", "--dir", dir, "--base-url", "http://127.0.0.1:1")
	call(t, 1, "revoke", "--dir", dir, "--serial", "1", "--reason", "keyCompromise")
	call(t, 1, "dedicated", "--dir", dir, "--csr", write(t, "no request"), "--institution", "1", "--name", "n", "--out", t.TempDir()+"/o")
}
