package hcasim

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"time"
)

// Lifetimes of what Init makes.
const (
	year        = 365 * 24 * time.Hour
	rootLife    = 30 * year
	caLife      = 20 * year
	serviceLife = 5 * year
)

// makePKI makes root, issuing CA, the two responders, and TLS root and certificate, and writes them down.
func makePKI(o *Options, s *settings) error {
	from := o.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	rootKey, err := newRSA(o.RootBits)
	if err != nil {
		return err
	}
	caKey, err := newRSA(o.CABits)
	if err != nil {
		return err
	}
	root, err := sign(o.Rand, caTemplate(rootName(), 1, from, from.Add(rootLife)), rootKey.Public(), nil, rootKey)
	if err != nil {
		return err
	}
	caT := caTemplate(caName(), 0, from, from.Add(caLife))
	if err := s.describe(caT, true); err != nil {
		return err
	}
	ca, err := sign(o.Rand, caT, caKey.Public(), root, rootKey)
	if err != nil {
		return err
	}
	issuer := authority{cert: ca, key: caKey}
	if err := saveAuthority(o.Dir, "root", authority{root, rootKey}); err != nil {
		return err
	}
	if err := saveAuthority(o.Dir, "ca", issuer); err != nil {
		return err
	}
	if err := makeServices(o, s, issuer, from); err != nil {
		return err
	}
	if err := makeTLS(o, from); err != nil {
		return err
	}
	return saveToken(o.Dir)
}

// makeServices makes the responders and records them as certificates of the CA.
func makeServices(o *Options, s *settings, ca authority, from time.Time) error {
	j, err := openJournal(filepath.Join(o.Dir, fileJournal), true)
	if err != nil {
		return err
	}
	defer j.close()
	for name, template := range map[string]*x509.Certificate{
		"ocsp": responderTemplate(from, from.Add(serviceLife)),
		"cmc":  cmcTemplate(from, from.Add(serviceLife)),
	} {
		key, err := newP256()
		if err != nil {
			return err
		}
		if err := s.describe(template, false); err != nil {
			return err
		}
		cert, err := sign(o.Rand, template, key.Public(), ca.cert, ca.key)
		if err != nil {
			return err
		}
		if err := saveAuthority(o.Dir, name, authority{cert, key}); err != nil {
			return err
		}
		e := &entry{Certificate: record(cert, classService, "")}
		if err := j.update(o.Now(), func(*state) (*entry, error) { return e, nil }); err != nil {
			return err
		}
	}
	return nil
}

// makeTLS makes the TLS certificate under a root of its own: who serves the page says nothing of who signs.
func makeTLS(o *Options, from time.Time) error {
	rootKey, err := newP256()
	if err != nil {
		return err
	}
	rootT := caTemplate(pkix.Name{CommonName: "hcasim TLS root"}, 0, from, from.Add(rootLife))
	root, err := sign(o.Rand, rootT, rootKey.Public(), nil, rootKey)
	if err != nil {
		return err
	}
	key, err := newP256()
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: "hcasim"}, NotBefore: from, NotAfter: from.Add(serviceLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "hcasim"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	names := o.TLSNames
	if u, err := url.Parse(o.BaseURL); err == nil {
		names = append(names[:len(names):len(names)], u.Hostname())
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	cert, err := sign(o.Rand, t, key.Public(), root, rootKey)
	if err != nil {
		return err
	}
	if err := saveCertificate(o.Dir, "tls-root", root.Raw); err != nil {
		return err
	}
	return saveAuthority(o.Dir, "tls", authority{cert, key})
}

func saveAuthority(dir, name string, a authority) error {
	if err := saveKey(dir, name, a.key); err != nil {
		return err
	}
	return saveCertificate(dir, name, a.cert.Raw)
}

// describe gives a template its serial-independent pointers: where its status and its issuer are found, and the
// assurance policy. Those of the issuing CA point to the root's.
func (s *settings) describe(t *x509.Certificate, isCA bool) error {
	var err error
	if isCA {
		t.CRLDistributionPoints = []string{s.BaseURL + "/crl/root.crl"}
		t.IssuingCertificateURL = []string{s.BaseURL + "/ca/root.cer"}
		t.Policies, err = policies("2.5.29.32.0")
		return err
	}
	t.IssuingCertificateURL = []string{s.BaseURL + "/ca/ca.cer"}
	t.OCSPServer = []string{s.BaseURL + "/ocsp"}
	t.CRLDistributionPoints = []string{s.BaseURL + "/crl/complete.crl"}
	return nil
}

// sign completes a template with serial number and key identifiers and signs it. A nil parent makes it self-signed.
func sign(random io.Reader, t *x509.Certificate, pub crypto.PublicKey, parent *x509.Certificate, key crypto.Signer) (*x509.Certificate, error) {
	if t.SerialNumber == nil {
		serial, err := newSerial(random)
		if err != nil {
			return nil, err
		}
		t.SerialNumber = serial
	}
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	t.SubjectKeyId = id
	if parent == nil {
		parent = t
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("hcasim: sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// newSerial draws 127 bits with the highest set, so that serial numbers have one length and are never zero.
func newSerial(random io.Reader) (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("hcasim: randomness: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b), nil
}
