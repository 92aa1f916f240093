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
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// digits draws a PIN.
func digits(n int) string {
	var b strings.Builder
	for range n {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic(err) // the system has no randomness
		}
		b.WriteString(d.String())
	}
	return b.String()
}

// writeTLS makes the server's certificate, which browsers here do not know and phones pin.
func writeTLS(certPath, keyPath string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "certwindow demonstration"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(0, 3, 0), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
}

// pinned is a client that trusts one certificate file alone.
func pinned(path string) (*http.Client, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}, nil
}

// Client is an HTTP client that trusts the server's certificate.
func (s *Stage) Client() (*http.Client, error) { return pinned(s.path("tls.pem")) }

var configTemplate = template.Must(template.New("config").Parse(`# Written for a demonstration. Every value has its meaning in deploy/certwindow.example.yaml.
mode: development
listen: "{{.Listen}}"
ready_file: {{.Ready}}
public_url: {{.URL}}
tls: {certificate: tls.pem, key: tls.key}
database: "{{.Database}}"
window: {institution: "{{.Window}}", name: {{.Name}}}
hsm: {module: {{.Module}}, token: {{.Token}}, pin_file: user.pin}
hca:
  adapter: {{if .Carried}}file{{else}}cmc{{end}}
  url: {{.CMC}}
  tls_roots: hca/tls-root.pem
  anchors: hca/root.pem
  intermediates: hca/ca.pem
  crl: {{.HCABase}}/crl/complete.crl
  dedicated: dedicated.pem
  acknowledgement: "simulated"
card:
  component: {{.Agent}}
  servisign: ["{{.ServiSign}}"]
  pin_on_page: true
  policies: ["2.16.886.101.0.3.3"]
  attributes: [{oid: "2.16.886.1.100.2.2", value: primary}]
smtp: {host: {{.MailHost}}, port: {{.MailPort}}, from: window@hospital.example}
limits: {message_life: 5m0s}
sweep: {cap_percent: 100} # three certificates are all there are here
network: {closed: ["127.0.0.0/16"], vpn: ["127.1.0.0/16"]} # what else this machine has as its own is the internet
{{with .Stamps}}timestamp: {url: {{.}}, anchors: tsa/root.pem}
{{end}}{{with .Pushes}}push: {url: {{.}}, secret_file: push.secret, tls_roots: tls.pem}
{{end}}`))

// writeConfigs writes one configuration for each server; they differ in where the server listens.
func (s *Stage) writeConfigs() error {
	s.servers = nil
	for i := range max(s.opt.Replicas, 1) {
		r := &replica{name: "certwindow", listen: s.opt.Listen}
		if s.fronted() {
			var err error
			if r.listen, err = freeAddress(); err != nil {
				return err
			}
		}
		if i > 0 {
			r.name += "-" + strconv.Itoa(i+1)
		}
		r.config, r.ready = s.path(r.name+".yaml"), s.path(r.name+".ready")
		if err := s.writeConfig(r); err != nil {
			return err
		}
		s.servers = append(s.servers, r)
	}
	s.config = s.servers[0].config
	return nil
}

func (s *Stage) writeConfig(r *replica) error {
	host, port, err := net.SplitHostPort(s.Mail.Addr())
	if err != nil {
		return err
	}
	database := s.opt.Database
	if database == "" {
		database = "sqlite:certwindow.db"
	}
	f, err := os.Create(r.config)
	if err != nil {
		return err
	}
	err = configTemplate.Execute(f, map[string]any{"Listen": r.listen, "Ready": r.ready, "URL": s.URL, "Database": database, "Window": Window, "Name": windowName,
		"Module": Module, "Token": tokenLabel, "CMC": s.cmc(), "HCABase": s.HCABase, "Agent": s.Agent, "ServiSign": s.ServiSign, "MailHost": host, "MailPort": port, "Stamps": s.stamps.address(),
		"Pushes": s.pushes.address(), "Carried": s.carried})
	return errors.Join(err, f.Close())
}
