package hcasim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Listen says where a server listens. Empty means a free port on 127.0.0.1, and for HTTP the address of the base URL
// when the simulator was made already.
type Listen struct {
	TLS  string // CMC and control
	HTTP string // CRL, OCSP, CA certificates
	Log  *log.Logger
}

// Server is a simulator with its two listeners.
type Server struct {
	*Simulator
	CMCURL string // https://…/cmc

	tlsRoot *x509.Certificate
	lock    *os.File
	servers []*http.Server
	failed  chan error
}

// Start makes the simulator in o.Dir if there is none, opens it and serves it. Without o.BaseURL a new simulator gets
// the address of the HTTP listener. One directory is served by one process at a time.
func Start(o Options, at Listen) (*Server, error) {
	var saved string
	if made, err := readSettings(o.Dir); err == nil {
		saved = made.BaseURL
		o.BaseURL = saved
	}
	if at.HTTP == "" {
		at.HTTP = "127.0.0.1:0"
		if u, err := url.Parse(saved); err == nil && u.Port() != "" {
			at.HTTP = u.Host
		}
	}
	if at.TLS == "" {
		at.TLS = "127.0.0.1:0"
	}
	plain, err := net.Listen("tcp", at.HTTP)
	if err != nil {
		return nil, fmt.Errorf("hcasim: %w", err)
	}
	if o.BaseURL == "" {
		o.BaseURL = "http://" + plain.Addr().String()
	}
	secure, err := net.Listen("tcp", at.TLS)
	if err != nil {
		plain.Close()
		return nil, fmt.Errorf("hcasim: %w", err)
	}
	s, err := serve(o, at.Log, plain, secure)
	if err != nil {
		plain.Close()
		secure.Close()
	}
	return s, err
}

func serve(o Options, logger *log.Logger, plain, secure net.Listener) (*Server, error) {
	sim, err := New(o)
	if err != nil {
		return nil, err
	}
	s := &Server{Simulator: sim, CMCURL: "https://" + secure.Addr().String() + PathCMC, failed: make(chan error, 2)}
	if err := s.prepare(); err != nil {
		sim.Close()
		return nil, err
	}
	cert, err := loadAuthority(o.Dir, "tls")
	if err != nil {
		s.Close()
		return nil, err
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.cert.Raw}, PrivateKey: cert.key}},
		MinVersion:   tls.VersionTLS12,
	}
	s.run(s.CMCHandler(), tls.NewListener(secure, cfg), logger)
	s.run(s.PublicHandler(), plain, logger)
	return s, nil
}

// prepare takes the directory's lock, held until the process ends, and reads the TLS root.
func (s *Server) prepare() error {
	der, err := readPEM(filepath.Join(s.dir, TLSRootFile), "CERTIFICATE")
	if err != nil {
		return err
	}
	if s.tlsRoot, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("hcasim: %s: %w", TLSRootFile, err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, fileServing), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("hcasim: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("hcasim: %s is being served by another process", s.dir)
	}
	s.lock = f
	return nil
}

func (s *Server) run(h http.Handler, l net.Listener, logger *log.Logger) {
	if logger == nil {
		logger = log.New(io.Discard, "", 0)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: logger}
	s.servers = append(s.servers, srv)
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
}

// Failed receives the error of a listener that stopped by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// TLSRoot is the root of the server's TLS certificate.
func (s *Server) TLSRoot() *x509.Certificate { return s.tlsRoot }

// TLSRoots is a pool of that root.
func (s *Server) TLSRoots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.tlsRoot)
	return p
}

// Shutdown stops taking connections, waits for requests in flight, and closes the simulator.
func (s *Server) Shutdown(ctx context.Context) error {
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Shutdown(ctx))
	}
	return errors.Join(append(errs, s.Close())...)
}

// Close ends everything at once.
func (s *Server) Close() error {
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Close())
	}
	errs = append(errs, s.Simulator.Close())
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}
