package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/file"
	"certwindow/ra/hca/hcasim"
)

// HCA-3.3: requests that were brought as files are answered as files that the window's adapter takes; what is no request is
// told of, answers nothing, and keeps the others from nothing.
func TestAnswersRequestsThatWereBroughtAsFiles(t *testing.T) {
	dir, in, to := newCA(t), t.TempDir(), filepath.Join(t.TempDir(), "answers")
	adapter, issuer := carrier(t, dir)
	const transaction = "01JD8ZK3N4T5V6W7X8Y9Z0A1B2"
	p, err := adapter.Prepare(context.Background(), hca.Request{Kind: hca.Revoke, TransactionID: transaction, SenderNonce: make([]byte, 16), Serial: big.NewInt(5),
		Issuer: issuer.RawSubject, RequestedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	call(t, 2, "answer", "--dir", dir, "--in", in, "--out", to)
	for name, content := range map[string][]byte{transaction: p.Bytes, "01JD8ZK3N4T5V6W7X8Y9Z0A1B3": []byte("no request")} {
		if err := os.WriteFile(filepath.Join(in, name+file.RequestExtension), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, notes bytes.Buffer
	if code := run(context.Background(), []string{"answer", "--dir", dir, "--in", in, "--out", to}, output{&out, &notes}); code != 1 {
		t.Fatalf("exit %d\n%s", code, notes.String())
	}
	var said struct {
		Requests int
		Answers  []string
	}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil || said.Requests != 2 || len(said.Answers) != 1 || said.Answers[0] != transaction+file.AnswerExtension {
		t.Fatalf("%s: %v", out.String(), err)
	}
	got, err := adapter.Read(context.Background(), p, readFile(t, filepath.Join(to, said.Answers[0])))
	if err != nil || got.State != hca.Refused || got.FailCode != "badCertId" {
		t.Errorf("%s %s, %v", got.State, got.FailCode, err)
	}
	if left, _ := filepath.Glob(filepath.Join(to, "*")); len(left) != 1 {
		t.Errorf("%d files were written", len(left))
	}
}

// carrier is a window's adapter for requests that a person carries, acknowledged by the simulator.
func carrier(t *testing.T, dir string) (*file.Adapter, *certpath.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "window"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "dedicated.pem")
	call(t, 0, "dedicated", "--dir", dir, "--csr", write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))),
		"--institution", "0101090517", "--name", "測試醫院", "--out", out)
	block, _ := pem.Decode(readFile(t, out))
	root := readCertificate(t, filepath.Join(dir, hcasim.RootFile))
	adapter, err := file.New(cmc.Trust{Anchors: []*certpath.Certificate{root}, Signer: fixedSigner{Key: key, Certificate: block.Bytes}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return adapter, root
}
