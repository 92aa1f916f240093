package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"certwindow/hsm/p11/p11test"
)

// firstDay is what docker-compose.yml puts around deploy/first-day.sh, in a folder of this machine.
type firstDay struct {
	dir, state, config string
	env                []string
	http, tls          string // the simulator's addresses
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

// newFirstDay builds the programs, makes the secrets and writes the compose file's configuration with the paths
// and addresses of this machine.
func newFirstDay(t *testing.T) *firstDay {
	t.Helper()
	module := p11test.Module()
	_, err := exec.LookPath("openssl")
	if module == "" || err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("SoftHSM or openssl is not installed")
		}
		t.Skip("SoftHSM or openssl is not installed")
	}
	dir := t.TempDir()
	f := &firstDay{dir: dir, state: filepath.Join(dir, "state"), config: filepath.Join(dir, "certwindow.yaml"), http: freeAddress(t), tls: freeAddress(t)}
	if err := os.Mkdir(f.state, 0o700); err != nil {
		t.Fatal(err)
	}
	bin, secrets := filepath.Join(dir, "bin"), filepath.Join(dir, "deploy", "secrets")
	f.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CERTWINDOW_CONFIG="+f.config, "CERTWINDOW_STATE="+f.state,
		"SIMULATOR_STATE="+dir, "SIMULATOR_URL=http://"+f.http, "SIMULATOR_NAME=simulator", "HSM_MODULE="+module,
		"HSM_PIN_FILE="+filepath.Join(secrets, "hsm_pin"), "HSM_SO_PIN_FILE="+filepath.Join(secrets, "hsm_so_pin"),
		p11test.EnvName+"="+filepath.Join(f.state, "softhsm2.conf"))
	f.run(t, "go", "build", "-buildvcs=false", "-o", bin+"/", modulePath+"/cmd/certwindow", modulePath+"/cmd/hcasim")
	f.makeSecrets(t, secrets)
	text := strings.NewReplacer("/var/lib/certwindow", f.state, "/run/secrets", secrets, "file:/run/secrets/database_address", "sqlite:window.db",
		"listen: 0.0.0.0:8443", "listen: 127.0.0.1:0\nready_file: ready", "/usr/lib/softhsm/libsofthsm2.so", module,
		"https://simulator:8444", "https://"+f.tls, "http://simulator:8081", "http://"+f.http).Replace(readFile(t, "deploy/certwindow.compose.yaml"))
	if err := os.WriteFile(f.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// makeSecrets runs a copy of deploy/secrets.sh, twice: the second time may change nothing.
func (f *firstDay) makeSecrets(t *testing.T, folder string) {
	t.Helper()
	script := filepath.Join(f.dir, "deploy", "secrets.sh")
	if err := os.Mkdir(filepath.Dir(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(readFile(t, "deploy/secrets.sh")), 0o700); err != nil {
		t.Fatal(err)
	}
	f.run(t, script)
	before, err := os.ReadFile(filepath.Join(folder, "database_address"))
	if err != nil {
		t.Fatal(err)
	}
	if out := f.run(t, script); strings.Contains(out, "made") {
		t.Errorf("secrets were made again:\n%s", out)
	}
	after, err := os.ReadFile(filepath.Join(folder, "database_address"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the address of the database changed (%v)", err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of secrets: %v, %v; only its owner may look in", info.Mode(), err)
	}
}

// run runs a program to its end and gives what it printed.
func (f *firstDay) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = f.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts a server, waits for its ready file and gives that file's content. It is told to stop after the
// test, and has to end in good order.
func (f *firstDay) start(t *testing.T, ready, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(f.dir, "bin", name), args...)
	var log bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s did not end in good order: %v\n%s", name, err, &log)
			}
		case <-time.After(40 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			t.Errorf("%s did not end\n%s", name, &log)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(ready); err == nil && bytes.HasSuffix(b, []byte("\n")) {
			return strings.TrimSpace(string(b))
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, &log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready", name)
		}
	}
}

// ready asks the window as the compose file's health check does.
func (f *firstDay) ready(t *testing.T, address string) (status int, body string) {
	t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(f.state, "tls.pem"))
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("tls.pem: %v", err)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+address+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// The first day as docker-compose.yml plays it, on this machine: the script makes everything with an operator's own
// commands, changes nothing the second time, and what it made is a window that is ready.
func TestFirstDay(t *testing.T) {
	f := newFirstDay(t)
	script := filepath.Join(repoRoot(t), "deploy", "first-day.sh")
	f.run(t, script)
	var admin struct{ Account, Password, TOTP string }
	file := filepath.Join(f.state, "first-administrator.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &admin); err != nil || admin.Account != "administrator" || admin.Password == "" || admin.TOTP == "" {
		t.Errorf("the first administrator's file holds no account that can sign in (%v)", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the first administrator's file: %v, %v", info.Mode(), err)
	}
	for line := range strings.Lines(f.run(t, script)) {
		if strings.HasPrefix(line, "made") || strings.HasPrefix(line, "applied") {
			t.Errorf("the second time: %s", line)
		}
	}

	// The window comes up before the HCA does, and says what is missing.
	address := f.start(t, filepath.Join(f.dir, "ready"), "certwindow", "serve", "--config", f.config)
	if status, body := f.ready(t, address); status != http.StatusServiceUnavailable || !strings.Contains(body, `"hca"`) {
		t.Errorf("without the HCA: %d %s", status, body)
	}
	f.start(t, filepath.Join(f.dir, "simulator.ready"), "hcasim", "serve", "--dir", filepath.Join(f.dir, "hca"), "--listen", f.tls,
		"--http-listen", f.http, "--ready-file", filepath.Join(f.dir, "simulator.ready"))
	var last string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		status, body := f.ready(t, address)
		if status == http.StatusOK {
			return
		}
		last = fmt.Sprint(status, " ", body)
	}
	t.Errorf("the window did not become ready: %s", last)
}

// A command line in a guide is one that the program takes: nobody looks for the right flag at three in the morning.
func TestGuidesNameRealCommands(t *testing.T) {
	flag := regexp.MustCompile(` --([a-z][a-z0-9-]*)`)
	checked := 0
	for _, file := range []string{"docs/operating.md", "deploy/first-day.sh"} {
		text := strings.ReplaceAll(readFile(t, file), "\\\n", " ")
		for _, line := range regexp.MustCompile("(?m)(?:^\\s*|`)certwindow ([a-z][^\n`#]*)").FindAllStringSubmatch(text, -1) {
			args := strings.Fields(line[1])
			words := slices.IndexFunc(args, func(s string) bool {
				return strings.HasPrefix(s, "-") || !regexp.MustCompile(`^[a-z]+$`).MatchString(s)
			})
			if words >= 0 {
				args = args[:words]
			}
			var help bytes.Buffer
			if code := dispatch(context.Background(), append(args, "--help"), streams{strings.NewReader(""), io.Discard, &help}); code != exitYes {
				t.Errorf("%s: there is no command %q", file, strings.Join(args, " "))
				continue
			}
			for _, f := range flag.FindAllStringSubmatch(line[1], -1) {
				if !regexp.MustCompile(`(?m)^  -` + f[1] + `\b`).Match(help.Bytes()) {
					t.Errorf("%s: certwindow %s has no flag --%s", file, strings.Join(args, " "), f[1])
				}
			}
			checked++
		}
	}
	if checked < 15 {
		t.Errorf("only %d command lines were found", checked)
	}
}
