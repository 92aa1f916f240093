package timestamp

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/certpath"
)

// tsaConfig is how OpenSSL plays the authority.
const tsaConfig = `[req]
distinguished_name = dn
prompt = no
[dn]
CN = Test TSA
[tsa]
default_tsa = t
[t]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = root.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamps]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
authorityKeyIdentifier = keyid
[web]
extendedKeyUsage = critical,serverAuth
keyUsage = critical,digitalSignature
`

// authority is "openssl ts" behind a web address.
type authority struct {
	t    *testing.T
	dir  string
	url  string
	mu   sync.Mutex
	last []byte // its last answer
	turn func(answer []byte) []byte
}

func newAuthority(t *testing.T, usage string) *authority {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl")
	}
	a := &authority{t: t, dir: t.TempDir()}
	a.write("ts.cnf", tsaConfig)
	a.write("serial", "01\n")
	a.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Test root", "-days", "30", "-config", "ts.cnf", "-extensions", "root")
	a.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-config", "ts.cnf")
	a.run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-out", "tsa.pem", "-days", "30", "-extfile", "ts.cnf", "-extensions", usage)
	s := httptest.NewServer(http.HandlerFunc(a.answer))
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

func (a *authority) write(name, text string) {
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) run(args ...string) {
	a.t.Helper()
	c := exec.CommandContext(a.t.Context(), "openssl", args...)
	c.Dir = a.dir
	if out, err := c.CombinedOutput(); err != nil {
		a.t.Fatalf("openssl %v: %v %s", args, err, out)
	}
}

func (a *authority) answer(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	a.write("query", string(body))
	c := exec.CommandContext(a.t.Context(), "openssl", "ts", "-reply", "-queryfile", "query", "-out", "reply", "-config", "ts.cnf")
	c.Dir = a.dir
	_ = c.Run()
	out, _ := os.ReadFile(filepath.Join(a.dir, "reply"))
	if a.turn != nil {
		out = a.turn(out)
	}
	a.last = out
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(out)
}

func (a *authority) client(now func() time.Time) *Client {
	a.t.Helper()
	pem, err := os.ReadFile(filepath.Join(a.dir, "root.pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	anchors, err := certpath.ParseCertificates(pem)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := New(Config{URL: a.url, Anchors: anchors, HTTP: http.DefaultClient, Now: now, Rand: rand.Reader})
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// A token of OpenSSL's authority is taken, and OpenSSL verifies it in turn (RFC 3161).
func TestStampByOpenSSL(t *testing.T) {
	a := newAuthority(t, "stamps")
	sum := sha256.Sum256([]byte("a record"))
	token, err := a.client(time.Now).Stamp(t.Context(), "SHA-256", sum[:], []byte{0x80, 1, 2, 3})
	if err != nil {
		t.Fatal(err, ra.AsError(err).Err)
	}
	a.write("token", string(token))
	a.write("data", "a record")
	a.run("ts", "-verify", "-token_in", "-in", "token", "-data", "data", "-CAfile", "root.pem")
	if _, err := a.client(time.Now).Stamp(t.Context(), "SHA-256", sum[:], nil); err != nil {
		t.Error("without a nonce of the asker's:", err)
	}
}

// What is not an answer to this question, of now, by an authority for time stamps, is no time stamp.
func TestStampIsRefused(t *testing.T) {
	sum := sha256.Sum256([]byte("a record"))
	refused := func(what string, a *authority, now func() time.Time) {
		t.Helper()
		if _, err := a.client(now).Stamp(t.Context(), "SHA-256", sum[:], nil); ra.KindOf(err) != ra.KindUnavailable || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	a := newAuthority(t, "stamps")
	if _, err := a.client(time.Now).Stamp(t.Context(), "SHA-256", sum[:], nil); err != nil {
		t.Fatal(err)
	}
	old := bytes.Clone(a.last)
	a.turn = func([]byte) []byte { return old }
	refused("an older answer", a, time.Now)
	a.turn = func(b []byte) []byte { b[len(b)-20] ^= 1; return b }
	refused("another signature", a, time.Now)
	a.turn = func(b []byte) []byte { return append(b, 0) }
	refused("bytes after the end", a, time.Now)
	a.turn = func([]byte) []byte { return nil }
	refused("nothing", a, time.Now)
	a.turn = nil
	refused("an hour ago", a, func() time.Time { return time.Now().Add(time.Hour) })
	if other := newAuthority(t, "stamps"); true {
		c := a.client(time.Now)
		c.Anchors = other.client(time.Now).Anchors
		if _, err := c.Stamp(t.Context(), "SHA-256", sum[:], nil); err == nil {
			t.Error("under another anchor")
		}
	}
	refused("a certificate for web servers", newAuthority(t, "web"), time.Now)
}

// FuzzOpen: no answer makes the reader panic, and none that is made up is believed.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x02})
	f.Add([]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00})
	c := &Client{Config{Now: time.Now}}
	want := request{Version: 1, Imprint: imprint{algorithmID{Algorithm: oidSHA256}, make([]byte, 32)}, Nonce: big.NewInt(1)}
	if _, err := asn1.Marshal(want); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if _, err := c.open(t.Context(), answer, want); err == nil {
			t.Errorf("%x was believed", answer)
		}
	})
}
