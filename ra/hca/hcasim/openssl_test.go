package hcasim_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zlintx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
)

func tlsConfig(s *hcasim.Server) *tls.Config { return &tls.Config{RootCAs: s.TLSRoots()} }

// openssl runs OpenSSL and returns all that it said. Where there is none the test is skipped, and fails under CI.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// A second implementation asks the responder, with a nonce, by POST and by GET, and checks certificates against the
// CRLs.
func TestOpenSSLAgrees(t *testing.T) {
	s := start(t, t.TempDir()+"/hca")
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, err := s.IssueCard("陳小華", "1234567890123456", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := s.IssueCard("林大同", "6543210987654321", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(bad.Certificate.SerialNumber, 1); err != nil {
		t.Fatal(err)
	}
	root, ca := file("root.pem", hcasim.PEM(s.Root())), file("ca.pem", hcasim.PEM(s.CA()))
	for status, card := range map[string]*hcasim.Card{"good": good, "revoked": bad} {
		leaf := file(status+".pem", hcasim.PEM(card.Certificate))
		for _, hash := range []string{"-sha1", "-sha256"} {
			req := filepath.Join(dir, "req")
			said := openssl(t, "ocsp", "-issuer", ca, hash, "-cert", leaf, "-url", s.BaseURL()+"/ocsp", "-CAfile", root, "-verify_other", ca, "-nonce", "-reqout", req)
			if !bytes.Contains(said, []byte("Response verify OK")) || !bytes.Contains(said, []byte(": "+status)) || bytes.Contains(said, []byte("WARNING")) {
				t.Errorf("%s %s: %s", status, hash, said)
			}
			raw, err := os.ReadFile(req)
			if err != nil {
				t.Fatal(err)
			}
			answer := file("answer", get(t, s.BaseURL()+"/ocsp/"+base64.StdEncoding.EncodeToString(raw)))
			said = openssl(t, "ocsp", "-issuer", ca, "-reqin", req, "-respin", answer, "-CAfile", root, "-verify_other", ca)
			if !bytes.Contains(said, []byte("Response verify OK")) {
				t.Errorf("GET: %s", said)
			}
		}
	}
	crls := []byte{}
	for _, name := range []string{"root", "complete"} {
		crls = append(crls, openssl(t, "crl", "-inform", "DER", "-in", file(name, get(t, s.BaseURL()+"/crl/"+name+".crl")))...)
	}
	args := []string{"verify", "-CAfile", root, "-untrusted", ca, "-CRLfile", file("crls.pem", crls), "-crl_check_all", "-x509_strict"}
	openssl(t, append(args, filepath.Join(dir, "good.pem"))...)
	if out, err := exec.Command("openssl", append(args, filepath.Join(dir, "revoked.pem"))...).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("certificate revoked")) {
		t.Errorf("revoked: %s", out)
	}
}

// The certificates keep to RFC 5280 by the judgement of a linter of the public CAs. Rules of the CA/Browser Forum are
// left out: these are no web server certificates. Nothing is found, so nothing is excused.
func TestLint(t *testing.T) {
	w := hcatest.NewWindow(t)
	s, person := w.Server, w.Card
	mobile := enrolMobile(t, w)
	dedicated, err := s.IssueDedicatedFor(person.Key.Public(), "0101090517", "測試醫院")
	if err != nil {
		t.Fatal(err)
	}
	keyx, err := s.IssueEncryptionCertificate(person.Key.Public(), "陳小華", "1234567890123456", hcasim.Person, "1")
	if err != nil {
		t.Fatal(err)
	}
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC3279, lint.RFC5480, lint.RFC5891, lint.RFC8813, lint.Community}})
	if err != nil {
		t.Fatal(err)
	}
	ocsp, err := os.ReadFile(filepath.Join(w.Dir, "ocsp.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(ocsp)
	responder, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string]*x509.Certificate{
		"root": s.Root(), "issuing CA": s.CA(), "CMC signer": s.CMCSigner(), "TLS root": s.TLSRoot(), "mobile": mobile, "card": person.Certificate,
		"dedicated": dedicated, "card encryption": keyx, "OCSP responder": responder,
	} {
		parsed, err := zlintx509.ParseCertificate(cert.Raw)
		if err != nil {
			t.Fatal(err)
		}
		results := zlint.LintCertificateEx(parsed, registry).Results
		if len(results) < 100 {
			t.Fatalf("only %d rules were looked at", len(results))
		}
		for rule, result := range results {
			if result.Status >= lint.Warn {
				t.Errorf("%s: %s: %s %s", name, rule, result.Status, result.Details)
			}
		}
	}
}

// enrolMobile has the simulator issue a mobile certificate over CMC.
func enrolMobile(t *testing.T, w *hcatest.Window) *x509.Certificate {
	t.Helper()
	adapter, err := cmc.New(cmc.Config{
		URL: w.Server.CMCURL, TLSRoots: w.Server.TLSRoots(), Anchors: []*certpath.Certificate{parse(t, w.Server.Root().Raw)},
		Signer: w.Signer, Now: time.Now, Rand: rand.Reader, Fetcher: fetcher{},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := adapter.Prepare(context.Background(), w.Enrolment(t, hcatest.NewKey(t), pkix.Name{}))
	if err != nil {
		t.Fatal(err)
	}
	out, err := adapter.Send(context.Background(), p)
	if err != nil || out.State != hca.Issued {
		t.Fatal(out.State, err)
	}
	cert, err := x509.ParseCertificate(out.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A mobile certificate bears its mark and none of a card's, and can be looked up like any other; answers of the HCA
// stop being believed when their signer is revoked.
func TestMobileCertificate(t *testing.T) {
	w := hcatest.NewWindow(t)
	c := parse(t, enrolMobile(t, w).Raw)
	if !c.HasPolicy(hcasim.OIDPolicy) || !c.HasPolicy(hcasim.OIDMobilePolicy) || len(c.SubjectDirectoryAttributes) != 1 {
		t.Errorf("policies %v, %d directory attributes", c.Policies, len(c.SubjectDirectoryAttributes))
	}
	o := certpath.Options{
		Anchors: []*certpath.Certificate{parse(t, w.Server.Root().Raw)}, Intermediates: []*certpath.Certificate{parse(t, w.Server.CA().Raw)},
		At: time.Now(), RequireRevocation: true, Fetcher: fetcher{},
	}
	if _, err := certpath.Validate(context.Background(), c, o); err != nil {
		t.Error(err)
	}
	if err := w.Server.Revoke(w.Server.CMCSigner().SerialNumber, 1); err != nil {
		t.Fatal(err)
	}
	adapter, err := cmc.New(cmc.Config{
		URL: w.Server.CMCURL, TLSRoots: w.Server.TLSRoots(), Anchors: o.Anchors, Signer: w.Signer, Now: time.Now, Rand: rand.Reader, Fetcher: fetcher{},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := adapter.Prepare(context.Background(), w.Enrolment(t, hcatest.NewKey(t), pkix.Name{}))
	if err != nil {
		t.Fatal(err)
	}
	out, err := adapter.Send(context.Background(), p)
	if hca.KindOf(err) != hca.UntrustedSigner || out.State != hca.Unknown {
		t.Errorf("%s, %v: an answer by a revoked signer", out.State, err)
	}
}
