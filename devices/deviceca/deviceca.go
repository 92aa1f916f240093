// Package deviceca is the window's own authority for devices: it issues the certificate by which a bound device comes
// to the window over mutual TLS (HCA-6.3.6). A certificate is worth something only together with the binding that it
// was issued for, so there is no revocation list: a new binding, or a device that is lost, ends it.
package deviceca

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"sync"
	"time"

	"certwindow/ra"
)

const (
	// Life is how long a device's certificate is good.
	Life = 365 * 24 * time.Hour
	// rootLife outlasts every device; the root ends with the window's token.
	rootLife = 30 * 365 * 24 * time.Hour
	// backdate lets a phone whose clock is a little behind use its certificate at once.
	backdate = 5 * time.Minute
)

// Authority issues and knows device certificates. Its key stays in the HSM.
type Authority struct {
	root *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
	rand io.Reader

	mu    sync.Mutex
	known map[[sha256.Size]byte]struct{} // certificates whose signature was found good
}

// maxKnown bounds what is remembered, at 32 bytes each: the phones of a country's hospitals in an hour.
const maxKnown = 1 << 16

// MakeRoot makes the authority's own certificate, DER, under a key of the HSM.
func MakeRoot(name string, key crypto.Signer, now time.Time, rand io.Reader) ([]byte, error) {
	serial, err := newSerial(rand)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name + " devices"}, NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign}
	return x509.CreateCertificate(rand, t, t, key.Public(), key)
}

// New opens the authority, when the root is of this key.
func New(root []byte, key crypto.Signer, now func() time.Time, rand io.Reader) (*Authority, error) {
	c, err := x509.ParseCertificate(root)
	if err != nil {
		return nil, fmt.Errorf("deviceca: root: %w", err)
	}
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(c.PublicKey) {
		return nil, errors.New("deviceca: the root is not of the key in the token")
	}
	return &Authority{root: c, key: key, now: now, rand: rand, known: map[[sha256.Size]byte]struct{}{}}, nil
}

// Open opens the authority of the root that was kept, or makes a new root where that is not of this key: the token was
// restored, and its key pairs are new. Phones then fetch new certificates with their device keys. It returns the root to
// be kept.
func Open(kept []byte, name string, key crypto.Signer, now func() time.Time, rand io.Reader) (*Authority, []byte, error) {
	if a, err := New(kept, key, now, rand); err == nil {
		return a, kept, nil
	}
	root, err := MakeRoot(name, key, now(), rand)
	if err != nil {
		return nil, nil, err
	}
	a, err := New(root, key, now, rand)
	return a, root, err
}

// Root is the authority's own certificate: what the server asks its clients for.
func (a *Authority) Root() *x509.Certificate { return a.root }

// Issue makes the certificate of one binding of a device, DER, for the device's key.
func (a *Authority) Issue(device ra.DeviceID, generation int, spki []byte) ([]byte, error) {
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("deviceca: device key: %w", err)
	}
	serial, err := newSerial(a.rand)
	if err != nil {
		return nil, err
	}
	now := a.now()
	t := &x509.Certificate{SerialNumber: serial, Subject: subject(device, generation), NotBefore: now.Add(-backdate), NotAfter: now.Add(Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	return x509.CreateCertificate(a.rand, t, a.root, pub, a.key)
}

// Verify refuses a certificate that this authority did not issue for this very binding and key, or whose time is not
// now. That the other side has the key is for TLS to prove.
func (a *Authority) Verify(c *x509.Certificate, device ra.DeviceID, generation int, spki []byte) error {
	now, want := a.now(), subject(device, generation)
	switch {
	case !a.issued(c):
		return errors.New("deviceca: not of this authority")
	case c.Subject.SerialNumber != want.SerialNumber || c.Subject.CommonName != want.CommonName || !bytes.Equal(c.RawSubjectPublicKeyInfo, spki):
		return errors.New("deviceca: not of this device's present binding")
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return errors.New("deviceca: not within its time")
	}
	return nil
}

// issued tells whether the root signed a certificate. That never changes, and a phone shows the same one at every
// request, so it is worked out once; whose certificate it is, and its time, are judged each time.
func (a *Authority) issued(c *x509.Certificate) bool {
	name := sha256.Sum256(c.Raw)
	a.mu.Lock()
	_, known := a.known[name]
	a.mu.Unlock()
	if known {
		return true
	}
	if c.CheckSignatureFrom(a.root) != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[name] = struct{}{}
	return true
}

func subject(device ra.DeviceID, generation int) pkix.Name {
	return pkix.Name{CommonName: string(device), SerialNumber: strconv.Itoa(generation)}
}

// Thumbprint names a certificate as tokens are bound to it: x5t#S256 (RFC 8705 section 3.1).
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// newSerial is 127 random bits (RFC 5280 section 4.1.2.2: positive, at most twenty octets).
func newSerial(rand io.Reader) (*big.Int, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return nil, err
	}
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw), nil
}
