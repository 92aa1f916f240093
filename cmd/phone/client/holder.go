package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"certwindow/devices/appcred"
	"certwindow/policy"
)

const (
	certificateFile = "device.crt"
	// loginFile holds the token of the holder's login between two runs of this program. An app keeps it in memory.
	loginFile = "login"
)

// certificate is the phone's own, or nil before there is one.
func (p *Phone) certificate() *tls.Certificate { return p.cert }

// Connection talks to the window and to nobody else, under the phone's certificate: for requests that this client does
// not make.
func (p *Phone) Connection() *http.Client { return p.http }

// certifyTime is how long before its end a phone fetches the next certificate of its device key.
const certifyTime = 30 * 24 * time.Hour

// Certify fetches the certificate of the device key, under which every later request comes (HCA-6.3.6). It is good for
// a year. Like a check-in it brings what the window gave last, and gets what is brought next (HCA-7.3).
func (p *Phone) Certify(ctx context.Context) error {
	var got struct {
		PEM        string `json:"pem"`
		Continuity string `json:"continuity"`
	}
	body := struct {
		Continuity string `json:"continuity,omitempty"`
	}{p.state.Continuity}
	if err := p.call(ctx, http.MethodPost, "/device/certificate", body, &got); err != nil {
		return err
	}
	p.state.Continuity = got.Continuity
	if err := p.save(); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(p.dir, certificateFile), []byte(got.PEM)); err != nil {
		return err
	}
	p.http.CloseIdleConnections() // they were made without it
	return p.readCertificate()
}

// certifyInTime fetches the next certificate where the present one ends soon.
func (p *Phone) certifyInTime(ctx context.Context) error {
	if p.cert == nil || p.now().Before(p.cert.Leaf.NotAfter.Add(-certifyTime)) {
		return nil
	}
	return p.Certify(ctx)
}

func (p *Phone) readCertificate() error {
	raw, err := os.ReadFile(filepath.Join(p.dir, certificateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return errors.New(certificateFile + " holds no certificate")
	}
	key, err := p.deviceKey()
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", certificateFile, err)
	}
	p.cert = &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key, Leaf: leaf}
	return nil
}

func (p *Phone) readLogin() error {
	raw, err := os.ReadFile(filepath.Join(p.dir, loginFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p.token = string(raw)
	return err
}

// Login is who is signed in on this phone.
type Login struct {
	Account    string   `json:"account"`
	Kinds      []string `json:"kinds"`
	MustChange bool     `json:"must_change"` // the initial password opens nothing but its own change
	Remind     bool     `json:"remind"`      // the password is older than a year
}

// Login signs a holder in with his password (HCA-7.4). Ten minutes without use end it.
func (p *Phone) Login(ctx context.Context, account string, password appcred.Secret) (Login, error) {
	return p.LoginBy(ctx, account, Factor{Kind: policy.FactorPassword, Value: password.Reveal()})
}

// LoginBy signs a holder in with a password or a one-time code, or with both (HCA-7.4, HCA-8.2.7).
func (p *Phone) LoginBy(ctx context.Context, account string, proofs ...Factor) (l Login, err error) {
	body := struct {
		Account string   `json:"account"`
		Proofs  []Factor `json:"proofs"`
	}{account, proofs}
	var got struct {
		Token string `json:"token"`
		Login
	}
	if err := p.call(ctx, http.MethodPost, "/holder/login", body, &got); err != nil {
		return l, err
	}
	p.token = got.Token
	return got.Login, writeFile(filepath.Join(p.dir, loginFile), []byte(got.Token))
}

// ChangePassword sets the holder's own password, which the initial one has to be changed to (HCA-8.2.6(5)).
func (p *Phone) ChangePassword(ctx context.Context, current, next appcred.Secret) error {
	return p.call(ctx, http.MethodPost, "/holder/password", map[string]string{"current": current.Reveal(), "next": next.Reveal()}, &struct{}{})
}

// Logout ends the login.
func (p *Phone) Logout(ctx context.Context) error {
	err := p.call(ctx, http.MethodPost, "/holder/logout", struct{}{}, &struct{}{})
	p.token = ""
	return errors.Join(err, os.Remove(filepath.Join(p.dir, loginFile)))
}

// ProveBy has the holder prove who he is by his account's password at each release of a signature.
func (p *Phone) ProveBy(password appcred.Secret) {
	p.SetFactor(policy.FactorPassword, func(string) (Factor, error) {
		return Factor{Kind: policy.FactorPassword, Value: password.Reveal()}, nil
	})
}
