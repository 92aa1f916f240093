package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"certwindow/ra/trustlist"
)

// Condition is what the app finds of the device that it runs on (HCA-6.1, HCA-7.1).
type Condition struct {
	CarrierPresent bool // what the certificates are installed on is in the device
	Rooted         bool
	Debugged       bool
	Emulated       bool
	ScreenLock     bool
}

// Verdict is what the window makes of the app and the device.
type Verdict struct {
	AppState string `json:"app_state"` // approved, proposed, withdrawn or unknown
	Usable   bool   `json:"usable"`    // whether certificates can be used with it
	Clause   string `json:"clause"`
	Code     string `json:"code"`
	Detail   string `json:"detail"`
}

// CheckIn says which app and system run here and in which condition; an app does so at every start and whenever
// something changes (HCA-8.2.1). The window's answer holds what the next check-in brings, so that two copies of one
// phone cannot both go on (HCA-7.3). In the last month of its own certificate the phone fetches the next one first.
func (p *Phone) CheckIn(ctx context.Context, c Condition) (Verdict, error) {
	if err := p.certifyInTime(ctx); err != nil {
		return Verdict{}, err
	}
	type app struct {
		ID      string `json:"id"`
		Version string `json:"version"`
	}
	type integrity struct {
		Rooted     bool `json:"rooted"`
		Debugged   bool `json:"debugged"`
		Emulated   bool `json:"emulated"`
		ScreenLock bool `json:"screen_lock"`
	}
	var answer struct {
		Verdict
		Continuity string `json:"continuity"`
	}
	err := p.call(ctx, http.MethodPut, "/device/check-in", struct {
		OSVersion      string    `json:"os_version"`
		App            app       `json:"app"`
		CarrierPresent bool      `json:"carrier_present"`
		Integrity      integrity `json:"integrity"`
		Continuity     string    `json:"continuity,omitempty"`
	}{p.about.OSVersion, app{p.about.App, p.about.AppVersion}, c.CarrierPresent, integrity{c.Rooted, c.Debugged, c.Emulated, c.ScreenLock}, p.state.Continuity}, &answer)
	if err != nil {
		return Verdict{}, err
	}
	p.state.Continuity = answer.Continuity
	return answer.Verdict, p.save()
}

// Version names one version of an app.
type Version struct {
	Platform string `json:"platform"`
	Package  string `json:"package"`
	Version  string `json:"version"`
}

// App is an approved version, with where it is downloaded (HCA-8.2.2).
type App struct {
	Version
	Name        string   `json:"name"`
	MinOS       string   `json:"min_os"`
	Permissions []string `json:"permissions"`
	Download    string   `json:"download"`
	Digest      string   `json:"digest"`
	Scopes      []string `json:"scopes"`
}

// Catalogue is what the window approved, from which version on, and what it withdrew.
type Catalogue struct {
	Apps      []App     `json:"apps"`
	Minimum   []Version `json:"minimum_versions"`
	Withdrawn []Version `json:"withdrawn"`
}

// Catalogue fetches it.
func (p *Phone) Catalogue(ctx context.Context) (c Catalogue, err error) {
	return c, p.call(ctx, http.MethodGet, "/apps", nil, &c)
}

// Notices are the texts that an app shows, by language ("zh-Hant-TW", "en").
type Notices struct {
	Version   int               `json:"version"`
	Risk      map[string]string `json:"risk"`      // at every start (HCA-8.2.3)
	Antivirus map[string]string `json:"antivirus"` // when installed or first started (HCA-8.2.4)
}

// Notices fetches the texts that hold now.
func (p *Phone) Notices(ctx context.Context) (n Notices, err error) {
	return n, p.call(ctx, http.MethodGet, "/notices", nil, &n)
}

// WakeBy says by what the app is woken when something waits for its holder, in place of what it said before: a token of a
// vendor's push service. A window that wakes no apps refuses it as "no-push".
func (p *Phone) WakeBy(ctx context.Context, service, token string) error {
	body, err := json.Marshal(map[string]string{"service": service, "token": token})
	if err != nil {
		return err
	}
	_, _, err = p.send(ctx, http.MethodPut, "/device/push", body, unique())
	return err
}

// Acknowledge records that the notices were shown and read, and tells at how many starts they have been. person names
// who read them on a shared device; it may be empty.
func (p *Phone) Acknowledge(ctx context.Context, version int, person string) (starts int, err error) {
	body, err := json.Marshal(struct {
		AppVersion string `json:"app_version"`
		Person     string `json:"person,omitempty"`
	}{p.about.AppVersion, person})
	if err != nil {
		return 0, err
	}
	answer, _, err := p.send(ctx, http.MethodPost, "/notices/"+strconv.Itoa(version)+"/acknowledgement", body, unique())
	if err != nil {
		return 0, err
	}
	var out struct{ Starts int }
	return out.Starts, json.Unmarshal(answer, &out)
}

// Trust is what this phone believes of certification authorities: the window's word, and nothing of the system's own
// store (HCA-8.2.5).
type Trust struct {
	roots, issuers *x509.CertPool
	expires        time.Time
}

// TrustList fetches the window's list and verifies it.
func (p *Phone) TrustList(ctx context.Context) (*Trust, error) {
	token, _, err := p.send(ctx, http.MethodGet, "/trust-list", nil, "")
	if err != nil {
		return nil, err
	}
	keys, err := p.windowKeys(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := verifyJWS(string(token), trustlist.Type, keys.JSONWebKeySet)
	if err != nil {
		return nil, err
	}
	var c trustlist.Claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, err
	}
	now := p.now()
	t := &Trust{roots: x509.NewCertPool(), issuers: x509.NewCertPool(), expires: time.Unix(c.Expires, 0)}
	if c.Issuer != p.state.Server || !now.Before(t.expires) || time.Unix(c.IssuedAt, 0).After(now.Add(clockSkew)) {
		return nil, errors.New("the trust list is another window's, or not of now: no certificate is believed")
	}
	for _, e := range c.Certificates {
		x, err := x509.ParseCertificate(e.Certificate)
		if err != nil {
			return nil, fmt.Errorf("the trust list cannot be read: %w", err)
		}
		if e.Anchor {
			t.roots.AddCert(x)
		} else {
			t.issuers.AddCert(x)
		}
	}
	return t, nil
}

// Verify checks a certificate's whole chain, and the validity of every one in it, at a moment for which the list holds.
func (t *Trust) Verify(c *x509.Certificate, at time.Time) error {
	if !at.Before(t.expires) {
		return errors.New("the trust list has ended: fetch it anew")
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: t.issuers, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}
