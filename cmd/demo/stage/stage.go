package stage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"certwindow/ra/notify/smtpcatch"
)

// Options say where and how the stage is built.
type Options struct {
	Bin        string            // folder of the programs
	Dir        string            // empty folder for everything that is made
	Database   string            // as in the configuration; empty: SQLite in Dir
	Lifetime   time.Duration     // of mobile certificates; zero: the simulator's year
	CardAgent  string            // address of the card component; empty: any free port
	Listen     string            // address of the server; empty: any free port
	Progress   func(what string) // is told of each step that was done
	Replicas   int               // servers on the one database and token; zero: one
	Watch      func(Exchange)    // is told of everything that browsers, phones and systems say to the window
	TimeStamps bool              // a time-stamping authority stands beside the window
	Pushes     bool              // the hospital has a gateway that wakes apps
}

// Institution codes of the stage.
const (
	Window = "0101090517" // 示範醫院, which runs the window
	Module = "/usr/lib/softhsm/libsofthsm2.so"

	tokenLabel = "certwindow"
	windowName = "示範醫院"
)

// CardPIN is the PIN of every IC card on the stage.
const CardPIN = "246813"

// Stage is a running window with everything around it.
type Stage struct {
	opt   Options
	URL   string // of the server
	Agent string // origin of the card component
	// ServiSign is the origin at which the component answers in place of Agent where SetCounter says so.
	ServiSign string
	Mail      *smtpcatch.Catcher
	Admin     Account
	HCABase   string // plain address of CRL and OCSP
	control   string
	config    string
	hca       *process
	servers   []*replica
	beside    []*process // servers at other addresses
	front     *front     // nil: the one server is asked directly
	stamps    *authority // nil: there is none
	pushes    *pushGateway
	agent     *process
	counter   Counter
	carried   bool // a person carries requests to the HCA and its answers back
	hcaReady  string
	tokens    map[string]string // folder of each IC card, by its label
}

// Account is a login of the staff.
type Account struct {
	Account  string `json:"account"`
	Password string `json:"password"`
	TOTP     string `json:"totp"`
}

// New builds the stage up to a running server; Cards and StartAgent come after it, since they are a story's own.
func New(ctx context.Context, opt Options) (*Stage, error) {
	s := &Stage{opt: opt, tokens: map[string]string{}}
	if s.opt.Progress == nil {
		s.opt.Progress = func(string) {}
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"token folders, PINs, TLS certificate", s.prepare},
		{"HCA simulator: hcasim init, hcasim serve", s.startHCA},
		{"the window's token and keys: certwindow ceremony setup, component, master", s.ceremony},
		{"dedicated certificate: certwindow ceremony request, hcasim dedicated", s.dedicated},
		{"mail catcher", s.startMail},
		{"time-stamping authority: openssl ts", s.startStamps},
		{"push gateway", s.startPushes},
		{"database and first administrator: certwindow migrate up, staff create", s.database},
		{"server: certwindow serve", s.open},
	} {
		if err := step.do(ctx); errors.Is(err, errNotWanted) {
			continue
		} else if err != nil {
			s.Close()
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		s.opt.Progress(step.what)
	}
	return s, nil
}

// Close ends every process that the stage started.
func (s *Stage) Close() {
	s.agent.stop()
	s.front.close()
	s.StopServer()
	for _, p := range s.beside {
		p.stop()
	}
	s.stamps.close()
	s.pushes.close()
	s.hca.stop()
	if s.Mail != nil {
		s.Mail.Close()
	}
}

// Path is the place of a file on the stage.
func (s *Stage) Path(name string) string { return s.path(name) }

func (s *Stage) path(name string) string { return filepath.Join(s.opt.Dir, name) }

// Config is the path of the window's configuration.
func (s *Stage) Config() string { return s.config }

func (s *Stage) windowEnv() string { return "SOFTHSM2_CONF=" + s.path("window-softhsm.conf") }

func (s *Stage) prepare(context.Context) error {
	for _, who := range []string{"window", allCards, oneCard} {
		if err := os.MkdirAll(s.path(who+"-tokens"), 0o700); err != nil {
			return err
		}
		conf := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", s.path(who+"-tokens"))
		if err := os.WriteFile(s.path(who+"-softhsm.conf"), []byte(conf), 0o600); err != nil {
			return err
		}
	}
	for name, pin := range map[string]string{"so.pin": "8" + digits(7), "user.pin": digits(8), "card-so.pin": digits(8), "card.pin": CardPIN} {
		if err := os.WriteFile(s.path(name), []byte(pin+"\n"), 0o600); err != nil {
			return err
		}
	}
	return writeTLS(s.path("tls.pem"), s.path("tls.key"))
}

func (s *Stage) startHCA(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s.HCABase = "http://" + address
	if _, err := s.Run(ctx, "hcasim", "init", "--dir", s.path("hca"), "--base-url", s.HCABase, "--root-bits", "2048", "--mobile-lifetime", cmp.Or(s.opt.Lifetime, 365*24*time.Hour).String()); err != nil {
		return err
	}
	s.hcaReady = s.path("hca.ready")
	return s.StartHCA(ctx)
}

// StartHCA starts the simulator, or starts it again after StopHCA.
func (s *Stage) StartHCA(ctx context.Context) (err error) {
	listen := strings.TrimSuffix(strings.TrimPrefix(s.control, "https://"), "/control/faults")
	if s.control == "" {
		if listen, err = freeAddress(); err != nil {
			return err
		}
	}
	if s.hca, err = s.start(ctx, "hcasim", s.hcaReady, nil, "hcasim", "serve", "--dir", s.path("hca"), "--listen", listen, "--ready-file", s.hcaReady); err != nil {
		return err
	}
	var ready struct{ CMC, Control string }
	if err := readJSON(s.hcaReady, &ready); err != nil {
		return err
	}
	s.control = ready.Control
	return nil
}

// StopHCA takes the simulator down.
func (s *Stage) StopHCA() {
	s.hca.stop()
	s.hca = nil
}

func (s *Stage) cmc() string { return strings.TrimSuffix(s.control, "/control/faults") + "/cmc" }

func (s *Stage) ceremony(ctx context.Context) error {
	token := []string{"--module", Module, "--token", tokenLabel, "--so-pin-file", s.path("so.pin"), "--pin-file", s.path("user.pin")}
	if _, err := s.Run(ctx, append([]string{"certwindow", "ceremony", "setup"}, token...)...); err != nil {
		return err
	}
	master := append([]string{"certwindow", "ceremony", "master"}, token...)
	master = append(master, "--generation", "1", "--out", s.path("master-1.record"))
	// Two units that neither develop nor maintain the system hold a component each (HCA-6.3.2).
	for _, custodian := range []string{"audit-office", "legal-office"} {
		file := s.path("component-" + custodian)
		if _, err := s.Run(ctx, "certwindow", "ceremony", "component", "--out", file); err != nil {
			return err
		}
		master = append(master, "--custodian", custodian+"="+file)
	}
	_, err := s.Run(ctx, master...)
	return err
}

func (s *Stage) dedicated(ctx context.Context) error {
	request := s.path("dedicated.csr")
	if _, err := s.Run(ctx, "certwindow", "ceremony", "request", "--module", Module, "--token", tokenLabel, "--pin-file", s.path("user.pin"),
		"--institution", Window, "--name", windowName, "--out", request); err != nil {
		return err
	}
	_, err := s.Run(ctx, "hcasim", "dedicated", "--dir", s.path("hca"), "--csr", request, "--institution", Window, "--name", windowName,
		"--out", s.path("dedicated.pem"))
	return err
}

func (s *Stage) startMail(context.Context) (err error) {
	s.Mail, err = smtpcatch.Start()
	return err
}

func (s *Stage) database(ctx context.Context) error {
	if s.opt.Listen == "" {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		s.opt.Listen = address
	}
	if s.opt.CardAgent == "" {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		s.opt.CardAgent = address
	}
	_, port, err := net.SplitHostPort(s.opt.CardAgent)
	if err != nil {
		return err
	}
	s.Agent = "http://localhost:" + port
	second, err := freeAddress()
	if err != nil {
		return err
	}
	s.ServiSign = "http://localhost" + second[strings.LastIndexByte(second, ':'):]
	if _, port, err = net.SplitHostPort(s.opt.Listen); err != nil {
		return err
	}
	s.URL = "https://localhost:" + port
	if err := s.writeConfigs(); err != nil {
		return err
	}
	if _, err := s.Run(ctx, "certwindow", "migrate", "up", "--config", s.config); err != nil {
		return err
	}
	out, err := s.Run(ctx, "certwindow", "staff", "create", "--config", s.config, "--account", "admin", "--name", "林主任", "--json")
	if err != nil {
		return err
	}
	return json.Unmarshal(out, &s.Admin)
}

// Fault tells the simulator how to misbehave; the body is its control document.
func (s *Stage) Fault(ctx context.Context, fault any) error {
	body, err := json.Marshal(fault)
	if err != nil {
		return err
	}
	return s.tell(ctx, http.MethodPost, body)
}

// Mend makes the simulator behave.
func (s *Stage) Mend(ctx context.Context) error { return s.tell(ctx, http.MethodDelete, nil) }

// tell sends the simulator's control endpoint one request.
func (s *Stage) tell(ctx context.Context, method string, body []byte) error {
	token, err := os.ReadFile(s.path("hca/control.token"))
	if err != nil {
		return err
	}
	client, err := pinned(s.path("hca/tls-root.pem"))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.control, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	client.CloseIdleConnections()
	if res.StatusCode/100 != 2 {
		return errors.New("the simulator refused the fault: " + res.Status)
	}
	return nil
}

// freeAddress is one on which nobody listens. The port is below those that the system gives away by itself, to outgoing
// connections too, so that it is still free a while later, when a server begins with it or comes back to it.
func freeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 16000+rand.IntN(16000))
		if Free(address) {
			return address, nil
		}
	}
	return "", errors.New("no free port was found")
}

// Free tells whether nobody listens on an address.
func Free(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	l.Close()
	return true
}
