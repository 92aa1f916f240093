package csc_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"certwindow/cmd/phone/phonetest"
)

// The guide's ten lines sign a record: they are run as they stand, while the doctor looks at the phone.
func TestGuideSignsARecord(t *testing.T) {
	for _, tool := range []string{"curl", "jq", "openssl", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no " + tool)
		}
	}
	x := newWard(t, phonetest.Options{})
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(x.his.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	record := []byte("a discharge summary")
	for name, content := range map[string][]byte{"record": record,
		"ca.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.w.Server.Certificate().Raw}),
		"his.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.his.Certificate.Leaf.Raw}),
		"his.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("../../docs/csc-sign.sh")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "sh", script)
	c.Dir = dir
	c.Env = append(os.Environ(), "WINDOW="+x.w.Server.URL, "CA=ca.pem", "CERT=his.pem", "KEY=his.key", "CLIENT=his", "HOLDER=doctor", "RECORD=record", "TITLE=出院病歷")
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		list, err := x.phone.Pending(t.Context(), string(x.cert.ID))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 {
			if _, err := x.phone.Release(t.Context(), list[0]); err != nil {
				t.Fatal(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the phone was not asked: ", said.String())
		}
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err, said.String())
	}
	cert, err := x509.ParseCertificate(x.cert.DER)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(record)
	if !ecdsa.VerifyASN1(cert.PublicKey.(*ecdsa.PublicKey), sum[:], out.Bytes()) {
		t.Errorf("no signature of the record: %x", out.Bytes())
	}
}
