package hcasim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Names of the files in a simulator's directory that others read: PEM certificates that a window is configured with,
// and the bearer token of the control endpoint.
const (
	RootFile         = "root.pem"     // anchor of certificate paths
	CAFile           = "ca.pem"       // the issuing CA
	CMCFile          = "cmc.pem"      // the signer of CMC answers
	TLSRootFile      = "tls-root.pem" // root of the TLS certificate
	ControlTokenFile = "control.token"
)

const (
	fileSettings = "settings.json"
	fileJournal  = "journal.jsonl"
	fileServing  = "serving.lock"
)

func newRSA(bits int) (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
func newP256() (crypto.Signer, error)        { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func saveCertificate(dir, name string, der ...[]byte) error {
	var out []byte
	for _, d := range der {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
	}
	return writeFile(filepath.Join(dir, name+".pem"), out)
}

func saveKey(dir, name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func loadAuthority(dir, name string) (authority, error) {
	cert, err := readPEM(filepath.Join(dir, name+".pem"), "CERTIFICATE")
	if err != nil {
		return authority{}, err
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		return authority{}, fmt.Errorf("hcasim: %s.pem: %w", name, err)
	}
	der, err := readPEM(filepath.Join(dir, name+".key"), "PRIVATE KEY")
	if err != nil {
		return authority{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return authority{}, fmt.Errorf("hcasim: %s.key: %w", name, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return authority{}, fmt.Errorf("hcasim: %s.key cannot sign", name)
	}
	return authority{cert: parsed, key: signer}, nil
}

// readPEM returns the first block of a file, which must be of the given type.
func readPEM(path, typ string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("hcasim: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != typ {
		return nil, fmt.Errorf("hcasim: %s holds no %s", path, typ)
	}
	return block.Bytes, nil
}

func saveToken(dir string) error {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, ControlTokenFile), []byte(hex.EncodeToString(b)+"\n"))
}

func loadToken(dir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, ControlTokenFile))
	if err != nil {
		return "", fmt.Errorf("hcasim: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < 16 {
		return "", errors.New("hcasim: the control token is too short")
	}
	return token, nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'))
}

// writeFile makes a file that is there whole or not at all, and never replaces one.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("hcasim: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("hcasim: %w", err)
	}
	return nil
}
