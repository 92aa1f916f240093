package cmc_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"certwindow/ra/hca"
	"certwindow/ra/hca/hcasim"
	"certwindow/ra/hca/hcatest"
)

// openssl runs OpenSSL and returns what it wrote. Where there is none the test is skipped, and fails under CI.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("openssl", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// HCA-3.3: request, consent and answer can be verified and read years later with OpenSSL alone.
func TestOpenSSLReadsEvidence(t *testing.T) {
	w := hcatest.NewWindow(t)
	a := open(t, w)
	r := w.Enrolment(t, hcatest.NewKey(t), pkix.Name{})
	p, err := a.Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.Send(context.Background(), p)
	if err != nil || out.State != hca.Issued {
		t.Fatal(out.State, err)
	}
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// A consent holds the card's certificate alone, so the issuing CA's is given beside the root.
	chain := file("chain.pem", hcasim.PEM(w.Server.CA(), w.Server.Root()))
	for _, m := range []struct {
		name string
		der  []byte
		has  string // what asn1parse shows of the content
	}{
		{"request", p.Bytes, "id-cmc-senderNonce"},
		{"answer", out.Answer, "id-cmc-recipientNonce"},
		{"consent", r.Consent, ""},
	} {
		path := file(m.name, m.der)
		content := openssl(t, "cms", "-verify", "-inform", "DER", "-in", path, "-CAfile", chain, "-purpose", "any", "-binary")
		if m.has != "" {
			shown := openssl(t, "asn1parse", "-inform", "DER", "-in", file(m.name+".content", content))
			if !bytes.Contains(shown, []byte(m.has)) {
				t.Errorf("openssl asn1parse does not show %s in the %s:\n%s", m.has, m.name, shown)
			}
		} else if !bytes.Contains(content, []byte("application: "+p.TransactionID)) {
			t.Errorf("the consent's text is not what openssl shows: %s", content)
		}
	}
	text := openssl(t, "x509", "-noout", "-text", "-inform", "DER", "-in", file("leaf", out.Certificates[0]))
	for _, want := range []string{"Digital Signature", "2.16.886.101.0.3.3", "/crl/complete.crl", "OCSP - URI"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("openssl x509 does not show %s:\n%s", want, text)
		}
	}
}
