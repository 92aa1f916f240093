package stage

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
)

// between passes requests on as the phone or the system that sent them. A hospital's balancer hands whole connections
// on, so that their mutual TLS ends at the window (HCA-6.3.6); this one has to see each request, and can be in the middle
// only because the phones and systems of a stage keep their keys in files.
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
	// Shown whatever authorities the server names: a system's certificate is under none.
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return b.pair(shown) }
	return t.RoundTrip(r)
}

// pair is the certificate with its key, from the folder of a phone or of a system.
func (b between) pair(shown []byte) (*tls.Certificate, error) {
	for _, name := range []string{"device", SystemName} {
		found, err := filepath.Glob(b.stage.path("*/" + name + ".crt"))
		if err != nil {
			return nil, err
		}
		for _, certificate := range found {
			pair, err := tls.LoadX509KeyPair(certificate, strings.TrimSuffix(certificate, ".crt")+".key")
			if err == nil && bytes.Equal(pair.Certificate[0], shown) {
				return &pair, nil
			}
		}
	}
	return &tls.Certificate{}, nil
}
