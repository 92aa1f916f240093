package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"certwindow/ra/cardmsg"
	"certwindow/ra/cardmsg/cardtest"
	"certwindow/ra/cms"
	"certwindow/ra/evidence"
)

var judged = time.Date(2026, 11, 22, 4, 2, 0, 0, time.UTC)

const judgedNonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// messageBench is a folder with a card's message and everything that judges it.
type messageBench struct {
	dir  string
	pki  *cardtest.PKI
	card *cardtest.Card
	text []byte
}

func newMessageBench(t *testing.T) messageBench {
	t.Helper()
	b := messageBench{dir: t.TempDir(), pki: cardtest.New(t, judged)}
	b.card = b.pki.Card(t, cardtest.CardOptions{})
	b.text = []byte("醫事人員行動憑證廢止 HCA mobile certificate revocation v1\nnonce: " + judgedNonce + "\n")
	b.put(t, "message.p7", b.card.Sign(t, b.text, judged, judgedNonce))
	b.put(t, "content", b.text)
	b.put(t, "root.pem", cardtest.PEM(b.pki.Root.Cert))
	b.put(t, "ca.pem", cardtest.PEM(b.pki.CA.Cert))
	b.put(t, "root.crl", b.pki.CRL(t, b.pki.Root, judged))
	b.put(t, "good.ocsp", b.pki.OCSP(t, b.card.Cert, ocsp.Good, judged))
	b.put(t, "revoked.ocsp", b.pki.OCSP(t, b.card.Cert, ocsp.Revoked, judged))
	b.put(t, "empty", nil)
	return b
}

func (b messageBench) put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(b.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b messageBench) path(name string) string { return filepath.Join(b.dir, name) }

// args are those of a good run; more are put behind, and win.
func (b messageBench) args(more ...string) []string {
	return append([]string{"verify", "message", "--in", b.path("message.p7"), "--content", b.path("content"),
		"--anchors", b.path("root.pem"), "--intermediates", b.path("ca.pem"), "--crl", b.path("root.crl"),
		"--ocsp", b.path("good.ocsp"), "--at", "2026-11-22T04:02:00Z", "--nonce", judgedNonce,
		"--holder", "0000000112345678", "--name", "王小明", "--max-age", "5m", "--json"}, more...)
}

// run gives the exit code and, where there is one, the JSON object.
func run(t *testing.T, args []string) (int, map[string]any) {
	t.Helper()
	var out, errs bytes.Buffer
	code := dispatch(context.Background(), args, streams{strings.NewReader(""), &out, &errs})
	if code == exitUsage {
		if out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("wrong use wrote %q to standard output and %q to standard error", &out, &errs)
		}
		return code, nil
	}
	var answer map[string]any
	d := json.NewDecoder(&out)
	if err := d.Decode(&answer); err != nil || d.More() {
		t.Fatalf("not one JSON object: %v (%s)", err, &errs)
	}
	if answer["valid"] != (code == exitYes) || (answer["reason"] == "") != (code == exitYes) {
		t.Errorf("exit %d with %v", code, answer)
	}
	return code, answer
}

// HCA-5.1.1, HCA-8.1.3, HCA-8.1.4: the command says yes with who signed what, and no with the reason.
func TestVerifyMessage(t *testing.T) {
	b := newMessageBench(t)
	code, answer := run(t, b.args())
	if code != exitYes {
		t.Fatal(answer)
	}
	sum := sha256.Sum256(b.text)
	signer, _ := answer["signer"].(map[string]any)
	if answer["content_sha256"] != hex.EncodeToString(sum[:]) || signer["holder"] != "0000000112345678" ||
		signer["name"] != "王小明" || signer["serial"] != b.card.Cert.SerialNumber.Text(16) || answer["card_number"] != b.card.Number {
		t.Errorf("%v", answer)
	}

	if code, answer := run(t, b.args("--max-age", "0")); code != exitYes {
		t.Errorf("signed at the moment of judging: %v", answer)
	}
	if code, answer := run(t, b.args("--max-age", "0", "--at", "2026-11-22T04:02:01Z")); code != exitNo {
		t.Errorf("no age is allowed: %v", answer)
	}

	institution := b.pki.Card(t, cardtest.CardOptions{Key: b.card.Key, SubjectType: []asn1.ObjectIdentifier{cardtest.Institution}})
	b.put(t, "institution.p7", institution.Sign(t, b.text, judged, ""))
	b.put(t, "trailing.p7", append(b.card.Sign(t, b.text, judged, ""), 0))
	b.put(t, "detached.p7", b.card.SignWith(t, b.text, cms.SignOptions{SigningTime: judged, Detached: true}))
	b.put(t, "large.p7", make([]byte, cms.MaxMessage+1))
	b.put(t, "bomb.p7", bytes.Repeat([]byte{0x30, 0x80}, 1<<20))
	b.put(t, "indefinite.p7", bytes.Repeat([]byte{0x30, 0x80}, 1<<14))
	b.put(t, "foreign.pem", cardtest.PEM(cardtest.New(t, judged).Root.Cert))
	b.put(t, "other", []byte("other"))
	for _, c := range []struct{ flag, value, reason string }{
		{"--in", "institution.p7", "institution-certificate"},
		{"--in", "trailing.p7", "trailing-bytes"},
		{"--in", "detached.p7", "detached"},
		{"--in", "large.p7", "too-large"},
		{"--in", "bomb.p7", "too-large"},
		{"--in", "empty", "empty"},
		{"--in", "indefinite.p7", "not-der"},
		{"--content", "other", "content-differs"},
		{"--content", "empty", "content-differs"},
		{"--anchors", "foreign.pem", ""},
		{"--anchors", "empty", ""},
		{"--anchors", "other", "anchors"},
		{"--intermediates", "empty", "no-path"},
		{"--intermediates", "other", "intermediates"},
		{"--crl", "other", "CRL"},
		{"--ocsp", "revoked.ocsp", "revoked"},
		{"--ocsp", "other", "OCSP"},
		{"--at", "2026-11-22T04:01:59Z", "signing-time-in-future"},
		{"--at", "2026-11-22T04:08:00Z", "signing-time-too-old"},
		{"--nonce", "AAEC", "nonce-differs"},
		{"--holder", "0000000112345679", "holder-differs"},
		{"--name", "王", "name-differs"},
	} {
		t.Run(c.flag+" "+c.value, func(t *testing.T) {
			value := c.value
			if slices.Contains([]string{"--in", "--content", "--anchors", "--intermediates", "--crl", "--ocsp"}, c.flag) {
				value = b.path(value)
			}
			code, answer := run(t, b.args(c.flag, value))
			if reason, _ := answer["reason"].(string); code != exitNo || !strings.Contains(reason, c.reason) || answer["signer"] != nil {
				t.Errorf("exit %d, %v, want %q", code, answer, c.reason)
			}
		})
	}
}

// A revocation answer is always needed, and wrong use is told apart from a no.
func TestVerifyMessageUse(t *testing.T) {
	b := newMessageBench(t)
	few := []string{"verify", "message", "--in", b.path("message.p7"), "--anchors", b.path("root.pem"),
		"--intermediates", b.path("ca.pem"), "--at", "2026-11-22T04:02:00Z", "--json"}
	if code, answer := run(t, few); code != exitNo {
		t.Errorf("without any revocation data: %v", answer)
	}
	if code, answer := run(t, append(few, "--crl", b.path("root.crl"), "--ocsp", b.path("good.ocsp"))); code != exitYes {
		t.Errorf("with nothing to compare: %v", answer)
	}
	for _, args := range [][]string{
		few[:2], few[:len(few)-3], append(few, "more"), append(few, "--unknown"),
		append(few, "--crl", b.path("is not there")), append(few, "--in", b.dir),
		append(few, "--nonce", ""), append(few, "--holder", ""), append(few, "--name", ""),
		append(few, "--at", "now"), append(few, "--max-age", "-1s"), append(few, "--max-age", "old"),
	} {
		if code, _ := run(t, slices.Clone(args)); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if code, _ := run(t, []string{"verify", "signature", "--spki", b.path("empty"), "--hash", "SHA1", "--scheme", "pkcs1",
		"--message", b.path("empty"), "--signature", b.path("empty"), "--json"}); code != exitUsage {
		t.Errorf("verify signature with SHA-1: exit %d", code)
	}
	if code, _ := run(t, []string{"verify", "signature", "--spki", b.path("empty"), "--hash", "SHA256", "--scheme", "pkcs1",
		"--message", b.path("empty"), "--signature", b.path("empty"), "--json"}); code != exitNo {
		t.Errorf("verify signature with an empty key: exit %d", code)
	}
}

// HCA-3.3: evidence is judged from the command line, off line.
func TestVerifyEvidence(t *testing.T) {
	b := newMessageBench(t)
	text, err := cardmsg.Revocation{
		Application: "01JD8Z0000000000000000000B", Nonce: judgedNonce, Issued: judged.Add(-time.Minute), Expires: judged.Add(time.Minute),
		Window: "0101090517", Institution: "0101090517", Holder: "0000000112345678", Certificate: "1a", IssuerKey: "2b", Reason: "superseded",
	}.Text()
	if err != nil {
		t.Fatal(err)
	}
	u, err := cardmsg.Decode(b.card.Sign(t, text, judged, ""))
	if err != nil {
		t.Fatal(err)
	}
	v, err := u.Verify(context.Background(), cardmsg.Options{Path: b.pki.Path(t, judged, b.card)})
	if err != nil {
		t.Fatal(err)
	}
	bundle := evidence.Bundle{
		Purpose: cardmsg.PurposeRevocation, Application: "01JD8Z0000000000000000000B", Nonce: judgedNonce,
		HCARequest: v.Message(), HCAAnswer: []byte("done"), SealedAt: judged,
		Decision: evidence.Decision{DecidedAt: judged, Outcome: "allowed"},
	}
	bundle.Adopt(v)
	window := b.pki.Card(t, cardtest.CardOptions{EC: true})
	var zip bytes.Buffer
	if err := evidence.Write(&zip, bundle, window.Key, window.Cert.Raw); err != nil {
		t.Fatal(err)
	}
	b.put(t, "good.zip", zip.Bytes())
	b.put(t, "cut.zip", zip.Bytes()[:zip.Len()/2])
	b.put(t, "window.pem", cardtest.PEM(window.Cert))
	for _, c := range []struct {
		zip, anchors, window string
		code                 int
	}{
		{"good.zip", "root.pem", "window.pem", exitYes},
		{"cut.zip", "root.pem", "window.pem", exitNo},
		{"empty", "root.pem", "window.pem", exitNo},
		{"good.zip", "ca.pem", "ca.pem", exitNo},
		{"good.zip", "root.pem", "empty", exitNo},
		{"good.zip", "empty", "window.pem", exitNo},
		{"good.zip", "content", "window.pem", exitNo},
		{"missing", "root.pem", "window.pem", exitUsage},
	} {
		code, answer := run(t, []string{"verify", "evidence", "--in", b.path(c.zip), "--anchors", b.path(c.anchors),
			"--window-cert", b.path(c.window), "--json"})
		if code != c.code || code == exitNo && answer["evidence"] != nil {
			t.Errorf("%+v: exit %d, %v", c, code, answer)
		}
	}
}
