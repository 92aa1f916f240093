package stage

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
)

// between passes requests on as the phone that sent them. A hospital's balancer hands whole connections on, so that
// the phone's mutual TLS ends at the window (HCA-6.3.6); this one has to see each request, and can be in the middle only
// because the phones of a stage keep their keys in files.
type between struct {
	stage *Stage
	plain *http.Transport // for who shows no certificate
}

type shownKey struct{}

// as notes whose certificate a request came under.
func as(r *http.Request) *http.Request {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), shownKey{}, r.TLS.PeerCertificates[0].Raw))
}

// RoundTrip implements http.RoundTripper.
func (b between) RoundTrip(r *http.Request) (*http.Response, error) {
	shown, ok := r.Context().Value(shownKey{}).([]byte)
	if !ok {
		return b.plain.RoundTrip(r)
	}
	t := b.plain.Clone()
	defer t.CloseIdleConnections()
	t.TLSClientConfig.Certificates = b.pairs(shown)
	return t.RoundTrip(r)
}

// pairs is the certificate with its key, from the phone's folder.
func (b between) pairs(shown []byte) (out []tls.Certificate) {
	folders, err := filepath.Glob(b.stage.path("*/device.crt"))
	if err != nil {
		return nil
	}
	for _, f := range folders {
		certificate, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		key, err := os.ReadFile(filepath.Join(filepath.Dir(f), "device.key"))
		if err != nil {
			continue
		}
		if pair, err := tls.X509KeyPair(certificate, key); err == nil && bytes.Equal(pair.Certificate[0], shown) {
			out = append(out, pair)
		}
	}
	return out
}
