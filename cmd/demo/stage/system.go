package stage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SystemName is what the certificate and the key of a hospital's system are called in its folder, with .crt and .key.
const SystemName = "system"

// System is another system of the hospital's: a certificate of its own making, which two persons put on the window's
// register, and a client that shows it at every connection.
type System struct {
	Certificate string // PEM
	HTTP        *http.Client
}

// NewSystem makes one, in a folder of its own. Nothing is registered.
func (s *Stage) NewSystem(name string) (System, error) {
	dir := s.path("system-" + name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return System{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return System{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return System{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return System{}, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(filepath.Join(dir, SystemName+".crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, SystemName+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)); err != nil {
		return System{}, err
	}
	client, err := s.Client()
	if err != nil {
		return System{}, err
	}
	pair := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	// The server names the authority of its devices; a system shows its own certificate whatever is asked for.
	client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return System{string(certificate), client}, nil
}
