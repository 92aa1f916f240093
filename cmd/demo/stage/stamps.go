package stage

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// stampsConfig is how OpenSSL is told to be a time-stamping authority (RFC 3161), whose tokens name their certificate by
// SHA-256 (RFC 5816).
const stampsConfig = `[req]
distinguished_name = dn
prompt = no
[dn]
CN = Demonstration TSA
[tsa]
default_tsa = authority
[authority]
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
`

// authority is "openssl ts -reply" behind a web address.
type authority struct {
	dir    string
	server *http.Server
	at     string

	mu sync.Mutex // of the files of one query
}

// errNotWanted is the end of a step that this stage does without.
var errNotWanted = errors.New("not wanted")

func (s *Stage) startStamps(ctx context.Context) error {
	if !s.opt.TimeStamps {
		return errNotWanted
	}
	a := &authority{dir: s.path("tsa")}
	if err := a.prepare(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.at = "http://" + listener.Addr().String()
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	go a.server.Serve(listener)
	s.stamps = a
	return nil
}

func (a *authority) prepare(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(a.dir, 0o700), os.WriteFile(a.path("ts.cnf"), []byte(stampsConfig), 0o600), os.WriteFile(a.path("serial"), []byte("01\n"), 0o600)); err != nil {
		return err
	}
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "ts.cnf"}
	for _, args := range [][]string{
		append([]string{"req", "-x509", "-keyout", "root.key", "-out", "root.pem", "-days", "30", "-extensions", "root", "-subj", "/CN=Demonstration TSA root"}, key...),
		append([]string{"req", "-new", "-keyout", "tsa.key", "-out", "tsa.csr"}, key...),
		{"x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-out", "tsa.pem", "-days", "30", "-extfile", "ts.cnf", "-extensions", "stamps"},
	} {
		if err := a.openssl(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) openssl(ctx context.Context, args ...string) error {
	c := exec.CommandContext(ctx, "openssl", args...)
	c.Dir = a.dir
	if out, err := c.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

// maxQuery is far above any time-stamping request, in bytes.
const maxQuery = 1 << 16

// ServeHTTP answers as RFC 3161 section 3.4 has it.
func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	query, err := io.ReadAll(io.LimitReader(r.Body, maxQuery))
	if err == nil {
		err = os.WriteFile(a.path("query"), query, 0o600)
	}
	if err == nil {
		err = a.openssl(r.Context(), "ts", "-reply", "-queryfile", "query", "-out", "reply", "-config", "ts.cnf")
	}
	reply, rerr := os.ReadFile(a.path("reply"))
	if err = errors.Join(err, rerr); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(reply)
}

func (a *authority) address() string {
	if a == nil {
		return ""
	}
	return a.at
}

func (a *authority) close() {
	if a != nil {
		_ = a.server.Close()
	}
}
