package window

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/oauth"
	"certwindow/ra/store"
	"certwindow/ra/timestamp"
	"certwindow/web/csc"
	"certwindow/web/staffing"
)

// openClients opens the register of the systems that call the window (HCA-5.1.2).
func (w *Window) openClients(context.Context) error {
	w.Clients = apiclient.New(store.ClientStore{Store: w.Store}, w.now)
	return nil
}

// openGrants opens the authorisation server for them.
func (w *Window) openGrants(context.Context) (err error) {
	w.Grants, err = oauth.New(oauth.Config{Store: store.OAuthStore{Store: w.Store}, Clients: w.Clients, Asks: w.Sign, Accounts: w.holderNamed, Now: w.now, Rand: rand.Reader})
	return err
}

// holderNamed is whose account on phones has a name.
func (w *Window) holderNamed(ctx context.Context, name string) (person ra.PersonID, ok bool, err error) {
	err = w.register.ViewAccounts(ctx, func(tx appcred.Tx) error {
		a, found, err := tx.AccountNamed(name)
		person, ok = a.Person, found
		return err
	})
	return person, ok, err
}

// documentSystems is the API of the document systems.
func (w *Window) documentSystems() (*csc.API, error) {
	var issuers [][]byte
	for _, c := range w.trust.intermediates {
		issuers = append(issuers, c.Raw)
	}
	stamper, err := w.stamper()
	if err != nil {
		return nil, err
	}
	return csc.New(csc.Config{Now: w.now, Log: w.Log, Grants: w.Grants, Clients: w.Clients, Signatures: w.Sign, Holder: w.holderNamed, Issuers: issuers,
		Stamper: stamper, PublicURL: w.Config.PublicURL, Name: w.Config.Window.Name})
}

// personnelSystems is the API of the systems that tell of professionals (HCA-3.7).
func (w *Window) personnelSystems() (*staffing.API, error) {
	return staffing.New(staffing.Config{Now: w.now, Log: w.Log, Clients: w.Clients, Register: w.Registry, Requests: w.Store, Hasher: w.sealer})
}

// stamper is the configured time-stamping authority; nil: there is none.
func (w *Window) stamper() (csc.Stamper, error) {
	t := w.Config.Timestamp
	if t.URL == "" {
		return nil, nil
	}
	anchors, err := w.certificates("timestamp.anchors", t.Anchors)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TLSRoots != "" {
		pem, err := os.ReadFile(w.Config.Path(t.TLSRoots))
		if err != nil {
			return nil, fmt.Errorf("timestamp.tls_roots: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("timestamp.tls_roots: the file holds no certificate")
		}
	}
	return timestamp.New(timestamp.Config{URL: t.URL, Anchors: anchors, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}},
		Now: w.now, Rand: rand.Reader})
}
