// Package hcasim simulates the HCA: a root, an issuing CA with the HCA's name, IC cards, mobile certificates over
// CMC, CRLs and OCSP. Development and tests use it in place of the real one. It checks requests as a real CA would,
// keeps its state through restarts, and can be told to misbehave.
//
// What the HCA does not publish is the simulator's choice, and marked so: the marks of card and mobile certificates
// (Marks), key sizes, and lifetimes. Its keys are plain files; nothing it issues may be trusted by anything real.
package hcasim

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say how a simulator is made. Only Dir is required.
type Options struct {
	Dir     string // its state; made by Init
	BaseURL string // http://host:port under which CRL, OCSP and CA certificates are found; Init writes it into certificates
	Now     func() time.Time
	Rand    io.Reader // for serial numbers and nonces; keys always come from the system
	NoSync  bool      // leave out fsync: quicker, and a power cut may lose what was answered

	// The following are read by Init alone and kept.
	RootBits   int           // RSA modulus of the root; default 2048
	CABits     int           // RSA modulus of the issuing CA; default 2048
	Partitions int           // number of partitioned CRLs; default 4
	Lifetime   time.Duration // of mobile certificates; default 365 days
	Marks      Marks         // zero means DefaultMarks
	TLSNames   []string      // further names and addresses of the TLS certificate
}

// settings is what Init keeps of Options.
type settings struct {
	BaseURL    string        `json:"base_url"`
	Partitions int           `json:"partitions"`
	Lifetime   time.Duration `json:"lifetime_ns"`
	Marks      Marks         `json:"marks"`
}

// Simulator is one simulated HCA. It is safe for concurrent use.
type Simulator struct {
	dir      string
	settings settings
	now      func() time.Time
	rand     io.Reader
	journal  *journal
	root     authority
	ca       authority
	ocsp     authority
	cmc      authority
	token    string

	faults  faultList
	crls    crlCache
	done    chan struct{} // closed by Close: ends delays
	closing sync.Once
}

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (o *Options) defaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.RootBits == 0 {
		o.RootBits = 2048
	}
	if o.CABits == 0 {
		o.CABits = 2048
	}
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	if o.Lifetime == 0 {
		o.Lifetime = 365 * 24 * time.Hour
	}
	if o.Marks == (Marks{}) {
		o.Marks = DefaultMarks()
	}
}

func (o *Options) check() error {
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "":
		return fmt.Errorf("hcasim: base URL %q is not http://host:port", o.BaseURL)
	case o.RootBits < 2048 || o.CABits < 2048 || o.RootBits > 4096 || o.CABits > 4096:
		return errors.New("hcasim: RSA keys have 2048 to 4096 bits")
	case o.Partitions < 1 || o.Partitions > 64:
		return errors.New("hcasim: 1 to 64 partitioned CRLs")
	case o.Lifetime < time.Minute || o.Lifetime > 10*365*24*time.Hour:
		return errors.New("hcasim: lifetime of mobile certificates out of bounds")
	}
	_, err = policies(o.Marks.Policy, o.Marks.Mobile)
	return err
}

// Init makes the keys and certificates of a simulator in o.Dir, which must be empty or missing.
func Init(o Options) error {
	o.defaults()
	if err := o.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("hcasim: %w", err)
	}
	if names, err := os.ReadDir(o.Dir); err != nil || len(names) > 0 {
		return fmt.Errorf("hcasim: %s is not an empty directory", o.Dir)
	}
	s := settings{BaseURL: o.BaseURL, Partitions: o.Partitions, Lifetime: o.Lifetime, Marks: o.Marks}
	if err := makePKI(&o, &s); err != nil {
		return err
	}
	// The settings come last: a directory without them was not finished.
	return writeJSON(filepath.Join(o.Dir, fileSettings), s)
}

// Open opens a simulator that Init made.
func Open(o Options) (*Simulator, error) {
	o.defaults()
	s := &Simulator{dir: o.Dir, now: o.Now, rand: o.Rand, done: make(chan struct{})}
	var err error
	if s.settings, err = readSettings(o.Dir); err != nil {
		return nil, err
	}
	for _, a := range []struct {
		into *authority
		name string
	}{{&s.root, "root"}, {&s.ca, "ca"}, {&s.ocsp, "ocsp"}, {&s.cmc, "cmc"}} {
		if *a.into, err = loadAuthority(o.Dir, a.name); err != nil {
			return nil, err
		}
	}
	if s.token, err = loadToken(o.Dir); err != nil {
		return nil, err
	}
	if s.journal, err = openJournal(filepath.Join(o.Dir, fileJournal), !o.NoSync); err != nil {
		return nil, err
	}
	return s, nil
}

func readSettings(dir string) (settings, error) {
	var s settings
	raw, err := os.ReadFile(filepath.Join(dir, fileSettings))
	if err != nil {
		return s, fmt.Errorf("hcasim: %s was not made by init: %w", dir, err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("hcasim: %s: %w", fileSettings, err)
	}
	return s, nil
}

// New opens the simulator in o.Dir, making it first when the directory is empty or missing.
func New(o Options) (*Simulator, error) {
	if _, err := os.Stat(filepath.Join(o.Dir, fileSettings)); errors.Is(err, os.ErrNotExist) {
		if err := Init(o); err != nil {
			return nil, err
		}
	}
	return Open(o)
}

// Close releases the files. Requests in flight are cut short.
func (s *Simulator) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		err = s.journal.close()
	})
	return err
}

// Root is the anchor of paths. A window pins it, the issuing CA below it (CA), and the signer of CMC answers, which
// the CA issued (CMCSigner).
func (s *Simulator) Root() *x509.Certificate { return s.root.cert }

// CA is the issuing CA's certificate.
func (s *Simulator) CA() *x509.Certificate { return s.ca.cert }

// CMCSigner is the certificate that signs CMC answers.
func (s *Simulator) CMCSigner() *x509.Certificate { return s.cmc.cert }

// BaseURL is where CRLs, OCSP and CA certificates are found.
func (s *Simulator) BaseURL() string { return s.settings.BaseURL }

// ControlToken is the bearer token of the control endpoint.
func (s *Simulator) ControlToken() string { return s.token }
