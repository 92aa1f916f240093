package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"certwindow/ra/csr"
)

// Application is one application of the counter's, as the phone sees it.
type Application struct {
	Application string    `json:"application"`
	State       string    `json:"state"`
	KeyDesign   string    `json:"key_design"`
	Algorithm   string    `json:"algorithm"`
	Deadline    time.Time `json:"deadline"`
	Renews      string    `json:"renews"` // the certificate that it renews; empty: none
}

// Applications lists those that wait for a key.
func (p *Phone) Applications(ctx context.Context) ([]Application, error) {
	var out struct{ Applications []Application }
	err := p.call(ctx, http.MethodGet, "/applications", nil, &out)
	return out.Applications, err
}

type keyTask struct {
	Application
	Challenge     string `json:"challenge"`
	ConsentSHA256 string `json:"consent_sha256"`
	Subject       struct {
		Country      string `json:"country"`
		CommonName   string `json:"common_name"`
		SerialNumber string `json:"serial_number"`
	} `json:"subject"`
}

// submission is what was handed in, kept so that after a lost answer the very same is handed in again.
type submission struct {
	IdempotencyKey string          `json:"idempotency_key"`
	Body           json.RawMessage `json:"body"`
}

// Enrol makes the holder's key for an application, now and not before (HCA-6.0), and hands in its request. It may
// be called again after a crash or a lost connection. Where the window's HSM makes the key, the phone sends the secret
// that the key obeys.
func (p *Phone) Enrol(ctx context.Context, application string) error {
	path := "/applications/" + application
	var t keyTask
	if err := p.call(ctx, http.MethodGet, path, nil, &t); err != nil {
		return err
	}
	switch t.KeyDesign {
	case "app":
	case "hsm":
		return p.enrolHSM(ctx, t)
	default:
		return fmt.Errorf("this phone has no carrier for key design %q", t.KeyDesign)
	}
	s, err := p.submission(t)
	if err != nil {
		return err
	}
	_, _, err = p.send(ctx, http.MethodPost, path+"/request", s.Body, s.IdempotencyKey)
	return err
}

// submission is the one that was written before, or a new one.
func (p *Phone) submission(t keyTask) (s submission, err error) {
	file := filepath.Join(p.dir, t.Application.Application+".request")
	raw, err := os.ReadFile(file)
	if err == nil {
		return s, json.Unmarshal(raw, &s)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	key, err := p.holderKey(t.Application.Application, t.Algorithm)
	if err != nil {
		return s, err
	}
	if s.Body, err = p.request(t, key); err != nil {
		return s, err
	}
	s.IdempotencyKey = unique()
	if raw, err = json.Marshal(s); err != nil {
		return s, err
	}
	return s, writeFile(file, raw)
}

// request writes the certification request with the application's challenge in it, and has the device key sign
// SHA-256(card-signed message) and SHA-256(request) together: consent, phone and key are one chain.
func (p *Phone) request(t keyTask, key crypto.Signer) ([]byte, error) {
	challenge, err := base64.RawURLEncoding.DecodeString(t.Challenge)
	if err != nil {
		return nil, fmt.Errorf("challenge: %w", err)
	}
	consent, err := hex.DecodeString(t.ConsentSHA256)
	if err != nil {
		return nil, fmt.Errorf("consent_sha256: %w", err)
	}
	name := pkix.Name{Country: []string{t.Subject.Country}, CommonName: t.Subject.CommonName, SerialNumber: t.Subject.SerialNumber}
	der, err := csr.Make(key, name, challenge)
	if err != nil {
		return nil, err
	}
	signature, err := p.countersign(consent, der)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string][]byte{"csr": der, "signature": signature})
}

// countersign is the device key's signature over SHA-256(card-signed message), which is given, and SHA-256(what the
// phone hands in) together.
func (p *Phone) countersign(consent, handedIn []byte) ([]byte, error) {
	device, err := p.deviceKey()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(handedIn)
	chain := sha256.Sum256(append(consent, sum[:]...))
	return device.Sign(rand.Reader, chain[:], crypto.SHA256)
}

// Issued is a certificate that the HCA issued.
type Issued struct {
	Certificate string    `json:"certificate"`
	Serial      string    `json:"serial"`
	NotAfter    time.Time `json:"not_after"`
	PEM         string    `json:"pem"` // the certificate first, then its issuers without the anchor
}

// Certificate waits for the certificate of an application, holds it against the key that was made for it, and
// keeps it.
func (p *Phone) Certificate(ctx context.Context, application string) (c Issued, err error) {
	for {
		answer, status, err := p.send(ctx, http.MethodGet, "/applications/"+application+"/certificate", nil, "")
		if err != nil {
			return c, err
		}
		if status == http.StatusOK {
			if err := json.Unmarshal(answer, &c); err != nil {
				return c, err
			}
			return c, p.keep(application, c)
		}
		if err := pause(ctx, time.Second); err != nil {
			return c, err
		}
	}
}

// keep stores a certificate. One over another key than ours is refused: it would be somebody else's.
func (p *Phone) keep(application string, c Issued) error {
	block, _ := pem.Decode([]byte(c.PEM))
	if block == nil {
		return errors.New("the window sent no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	key, err := loadKey(filepath.Join(p.dir, application+keySuffix))
	if err == nil {
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return err
		}
		if !bytes.Equal(spki, cert.RawSubjectPublicKeyInfo) {
			return errors.New("the certificate is not for the key of this phone")
		}
	} else if !errors.Is(err, os.ErrNotExist) { // no file: the key is in the window's HSM
		return err
	}
	if err := writeFile(filepath.Join(p.dir, c.Certificate+".pem"), []byte(c.PEM)); err != nil {
		return err
	}
	p.state.Holds[c.Certificate] = held{Application: application, Serial: cert.SerialNumber.Text(16)}
	return p.save()
}
