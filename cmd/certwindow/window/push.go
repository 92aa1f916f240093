package window

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"certwindow/ra/jobs"
	"certwindow/ra/notify"
)

// openPush opens what wakes apps, where something is configured: otherwise nothing is asked of apps, kept or sent, and they hear
// of what waits by the question that they let stand. A vendor's adapter takes the gateway's place here.
func (w *Window) openPush() error {
	if w.Config.Push.URL == "" {
		return nil
	}
	secret, err := w.Config.Secret(w.Config.Push.SecretFile)
	if err != nil {
		return fmt.Errorf("push.secret_file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f := w.Config.Push.TLSRoots; f != "" {
		pem, err := os.ReadFile(w.Config.Path(f))
		if err != nil {
			return fmt.Errorf("push.tls_roots: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("push.tls_roots: the file holds no certificate")
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	w.waker = notify.NewWaker(w.Registry, notify.NewGatewayPush(w.Config.Push.URL, secret.Bytes(), client, w.now))
	w.Store.CallPhones()
	return nil
}

// wake is the job's. Without a waker there is none to do: it was inserted by a replica with another configuration.
func (w *Window) wake(ctx context.Context, j jobs.Wake) error {
	if w.waker == nil {
		return nil
	}
	return w.waker.Wake(ctx, j.Device, j.Person)
}
