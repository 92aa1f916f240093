// Package client is the reference mobile client of the service window's device API: what an app developer reads
// next to openapi.yaml, and what tests and the demonstration drive.
//
// A phone's life with the window is four steps. Bind scans the counter's QR, makes the device key and shows a
// short code that the clerk compares; from then on every request is signed by that key. Enrol makes the holder's
// key for one application and hands in its request. Certificate fetches what the HCA issued. SignDocumentHash
// and SignWithHSM use the key, each only while the window says that it may be used.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"certwindow/devices"
	"certwindow/ra"
)

// About is what the app says of itself and of the phone it runs on.
type About struct {
	Platform   string `json:"platform"` // "ios" or "android"
	Model      string `json:"model"`
	OSVersion  string `json:"os_version"`
	App        string `json:"app"` // bundle or package id
	AppVersion string `json:"app_version"`
}

// Phone is one phone: a folder that stands for its storage, and the window it is bound to.
type Phone struct {
	dir      string
	about    About
	now      func() time.Time
	state    state
	http     *http.Client
	password string                                  // see SetPassword
	factor   string                                  // see SetFactor
	proof    func(activation string) (Factor, error) // see SetFactor
	cert     *tls.Certificate                        // for mutual TLS, once the window has issued it
	token    string                                  // of the holder who is signed in
}

// state is what a phone remembers beside its keys. It holds no secret.
type state struct {
	Server  string          `json:"server"`
	Pin     string          `json:"pin"`
	Binding string          `json:"binding"`
	Holds   map[string]held `json:"holds"` // by certificate id
	// Renewing are the applications that this phone handed in a request for, by the certificate that they renew.
	Renewing map[string]string `json:"renewing,omitempty"`
	// Status names the key of the window's statements, as the QR did or a succession since (windowKeys).
	Status string `json:"status"`
	// Continuity is what the next check-in brings: with the device key it is what a copy of this phone cannot go on from.
	Continuity string `json:"continuity,omitempty"`
}

// held is one certificate on this phone.
type held struct {
	Application string `json:"application"` // whose key it is
	Serial      string `json:"serial"`
}

const stateFile = "phone.json"

// Open opens a phone's folder, which is made when it is not there. Nothing is sent.
func Open(dir string, about About, now func() time.Time) (*Phone, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &Phone{dir: dir, about: about, now: now}
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &p.state); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	if err := p.readLogin(); err != nil {
		return nil, err
	}
	if err := p.readCertificate(); err != nil {
		return nil, err
	}
	p.http, err = pinnedClient(p.state.Server, p.state.Pin, now, p.certificate)
	return p, err
}

func (p *Phone) save() error {
	raw, err := json.MarshalIndent(p.state, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(p.dir, stateFile), raw)
}

// Server is the window's address, from the QR. An app shows it beside the short code.
func (p *Phone) Server() string { return p.state.Server }

type binding struct {
	Binding   string    `json:"binding"`
	State     string    `json:"state"`
	ShortCode string    `json:"short_code"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Bind follows the counter's QR: it makes the device key, presents it with the QR's one-time code, and returns the
// six digits that the clerk's screen has to show as well. It works them out by itself: a server that only passes
// messages on, or another phone with a photograph of the QR, cannot make both screens show the same.
// Whatever was bound in this folder before is forgotten.
func (p *Phone) Bind(ctx context.Context, qr string) (shortCode string, err error) {
	t, err := devices.ParseBindText(qr)
	if err != nil {
		return "", err
	}
	p.cert, p.token = nil, ""
	if p.http, err = pinnedClient(t.Server, t.Pin, p.now, p.certificate); err != nil {
		return "", err
	}
	key, err := makeKey("P-256", filepath.Join(p.dir, deviceKeyFile))
	if err != nil {
		return "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	p.state = state{Server: t.Server, Pin: t.Pin, Status: t.Status, Holds: map[string]held{}}
	body := struct {
		Code string `json:"code"`
		Key  string `json:"key"`
		About
	}{t.Code, base64.StdEncoding.EncodeToString(spki), p.about}
	var b binding
	if err := p.call(ctx, http.MethodPost, "/bindings", body, &b); err != nil {
		return "", err
	}
	shortCode = devices.ShortCode(t.Code, t.WindowKeys, spki)
	if b.ShortCode != shortCode {
		return "", errors.New("the server shows another short code: this is not the counter's window, do not go on")
	}
	p.state.Binding = b.Binding
	return shortCode, p.save()
}

// WaitBound waits until the clerk has decided, fetches the phone's certificate, and says under it which app runs here
// (CheckIn). It returns nil when the phone is bound, whatever the window thinks of the app.
func (p *Phone) WaitBound(ctx context.Context) error {
	for {
		var b binding
		if err := p.call(ctx, http.MethodGet, "/bindings/"+p.state.Binding, nil, &b); err != nil {
			return err
		}
		switch {
		case b.State == "confirmed":
			if err := p.Certify(ctx); err != nil {
				return err
			}
			_, err := p.CheckIn(ctx, Condition{CarrierPresent: true, ScreenLock: true})
			return err
		case b.State == "rejected":
			return errors.New("the clerk rejected the binding: ask the counter for a new QR")
		case !p.now().Before(b.ExpiresAt):
			return errors.New("the binding was not confirmed in time: ask the counter for a new QR")
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// Device is what the window knows of this phone.
type Device struct {
	Device string `json:"device"`
	Code   string `json:"code"`
	State  string `json:"state"`
	Shared bool   `json:"shared"`
}

// Device asks what this phone is registered as.
func (p *Phone) Device(ctx context.Context) (d Device, err error) {
	return d, p.call(ctx, http.MethodGet, "/device", nil, &d)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func keyID(spki []byte) string { return ra.KeyHash(spki) }
