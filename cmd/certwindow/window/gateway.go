package window

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/file"
)

// gateway is the adapter that the configuration names. With file nothing here reaches the HCA's service, and whether
// the window is ready does not depend on it.
func (w *Window) gateway() (hca.Adapter, error) {
	if w.Config.HCA.Adapter == file.Name {
		return file.New(cmc.Trust{Anchors: w.trust.anchors.Certificates(), Intermediates: w.trust.intermediates, Fetcher: w.trust.fetcher,
			Signer: w.Dedicated, Now: w.now})
	}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(w.Config.Path(w.Config.HCA.TLSRoots))
	if err != nil {
		return nil, fmt.Errorf("hca.tls_roots: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("hca.tls_roots: the file holds no certificate")
	}
	return cmc.New(cmc.Config{URL: w.Config.HCA.URL, TLSRoots: roots, Anchors: w.trust.anchors.Certificates(),
		Intermediates: w.trust.intermediates, Fetcher: w.trust.fetcher, Signer: w.Dedicated, Now: w.now, Rand: rand.Reader})
}
