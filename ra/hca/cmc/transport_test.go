package cmc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/hcatest"
)

// at makes an adapter for another address than the simulator's, under TLS roots of its own.
func at(t *testing.T, w *hcatest.Window, url string, roots *x509.CertPool) *cmc.Adapter {
	t.Helper()
	root, err := certpath.ParseCertificate(w.Server.Root().Raw)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cmc.New(cmc.Config{
		URL: url, TLSRoots: roots, Anchors: []*certpath.Certificate{root}, Signer: w.Signer, Now: time.Now, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newTLS(roots *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: roots} }

// between starts a TLS server between window and simulator that answers as h says, given the simulator's own answer.
func between(t *testing.T, w *hcatest.Window, h func(w http.ResponseWriter, answer []byte)) *httptest.Server {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: newTLS(w.Server.TLSRoots())}}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		resp, err := client.Post(w.Server.CMCURL, r.Header.Get("Content-Type"), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		h(rw, answer)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// What comes over HTTP is believed only as CMC of a sane size from the pinned address (RFC 5273).
func TestTransport(t *testing.T) {
	w := hcatest.NewWindow(t)
	elsewhere := false
	other := between(t, w, func(http.ResponseWriter, []byte) { elsewhere = true })
	for name, c := range map[string]struct {
		kind   hca.ErrorKind
		answer func(w http.ResponseWriter, answer []byte)
	}{
		"web page": {hca.Undecodable, func(w http.ResponseWriter, answer []byte) {
			w.Header().Set("Content-Type", "text/html")
			w.Write(answer)
		}},
		"redirect": {hca.Unavailable, func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		"error status": {hca.Unavailable, func(w http.ResponseWriter, answer []byte) {
			w.Header().Set("Content-Type", cmc.ResponseType)
			w.Header().Set("Retry-After", "999999999")
			w.WriteHeader(http.StatusBadGateway)
			w.Write(answer)
		}},
		"endless": {hca.Undecodable, func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Type", cmc.ResponseType)
			w.Write(bytes.Repeat([]byte{0x30}, cmc.MaxResponse+1))
		}},
		"cut short": {hca.Network, func(w http.ResponseWriter, answer []byte) {
			w.Header().Set("Content-Type", cmc.ResponseType)
			w.Header().Set("Content-Length", "100000")
			w.Write(answer)
		}},
		"empty": {hca.Undecodable, func(w http.ResponseWriter, _ []byte) { w.Header().Set("Content-Type", cmc.ResponseType) }},
	} {
		t.Run(name, func(t *testing.T) {
			srv := between(t, w, c.answer)
			roots := x509.NewCertPool()
			roots.AddCert(srv.Certificate())
			a := at(t, w, srv.URL, roots)
			p, err := a.Prepare(context.Background(), w.Enrolment(t, hcatest.NewKey(t), pkix.Name{}))
			if err != nil {
				t.Fatal(err)
			}
			out, err := a.Send(context.Background(), p)
			if hca.KindOf(err) != c.kind || out.State != hca.Unknown {
				t.Errorf("%s, %v; want %s", out.State, err, c.kind)
			}
			if out.RetryAfter > 24*time.Hour {
				t.Errorf("told to come back after %s", out.RetryAfter)
			}
		})
	}
	if elsewhere {
		t.Error("a redirect was followed")
	}
}

// A server that is not certified under the pinned roots gets nothing.
func TestTLSRootsArePinned(t *testing.T) {
	w := hcatest.NewWindow(t)
	a := at(t, w, w.Server.CMCURL, x509.NewCertPool())
	if err := a.Healthy(context.Background()); hca.KindOf(err) != hca.Network {
		t.Errorf("%v", err)
	}
	p, err := a.Prepare(context.Background(), w.Enrolment(t, hcatest.NewKey(t), pkix.Name{}))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := a.Send(context.Background(), p); hca.KindOf(err) != hca.Network || out.State != hca.Unknown {
		t.Errorf("%s, %v", out.State, err)
	}
}

func TestNewRefuses(t *testing.T) {
	w := hcatest.NewWindow(t)
	root, err := certpath.ParseCertificate(w.Server.Root().Raw)
	if err != nil {
		t.Fatal(err)
	}
	good := cmc.Config{
		URL: "https://hca.example/cmc", TLSRoots: x509.NewCertPool(), Anchors: []*certpath.Certificate{root},
		Signer: w.Signer, Now: time.Now, Rand: rand.Reader,
	}
	for name, change := range map[string]func(*cmc.Config){
		"plain HTTP":    func(c *cmc.Config) { c.URL = "http://hca.example/cmc" },
		"no host":       func(c *cmc.Config) { c.URL = "https:///cmc" },
		"no TLS roots":  func(c *cmc.Config) { c.TLSRoots = nil },
		"no anchor":     func(c *cmc.Config) { c.Anchors = nil },
		"no signer":     func(c *cmc.Config) { c.Signer = nil },
		"no clock":      func(c *cmc.Config) { c.Now = nil },
		"negative time": func(c *cmc.Config) { c.Timeout = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := cmc.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := cmc.New(good); err != nil {
		t.Error(err)
	}
}
