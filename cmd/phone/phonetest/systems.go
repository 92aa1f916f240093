package phonetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"testing"
	"time"

	"certwindow/devices/appcred"
	"certwindow/ra"
	"certwindow/ra/apiclient"
	"certwindow/ra/oauth"
	"certwindow/ra/remotesign"
	"certwindow/ra/store"
	"certwindow/web/csc"
)

// Systems are the systems that may ask for signatures: those that a test names here, and those on the register.
type Systems map[remotesign.ClientID]remotesign.Client

// clients finds a system in either.
type clients struct {
	named    Systems
	register *apiclient.Service
}

// Client is one of them.
func (c clients) Client(ctx context.Context, id remotesign.ClientID) (remotesign.Client, error) {
	if x, ok := c.named[id]; ok {
		return x, nil
	}
	return c.register.Client(ctx, id)
}

// HolderNamed is whose account has a name.
func (w *Window) HolderNamed(ctx context.Context, name string) (person ra.PersonID, ok bool, err error) {
	err = w.Register.ViewAccounts(ctx, func(tx appcred.Tx) error {
		a, found, err := tx.AccountNamed(name)
		person, ok = a.Person, found
		return err
	})
	return person, ok, err
}

// documentSystems is their API, with the authorisation server under it.
func (w *Window) documentSystems(t testing.TB, stamper csc.Stamper) *csc.API {
	var err error
	w.Grants, err = oauth.New(oauth.Config{Store: store.OAuthStore{Store: w.Store}, Clients: w.Systems, Asks: w.Sign, Accounts: w.HolderNamed, Now: w.Now, Rand: rand.Reader})
	must(t, err)
	a, err := csc.New(csc.Config{Now: w.Now, Log: w.Config.Log, Grants: w.Grants, Clients: w.Systems, Signatures: w.Sign, Holder: w.HolderNamed,
		Issuers: [][]byte{w.issuer.certificate.Raw}, Stamper: stamper, PublicURL: w.Server.URL, Name: "Test Hospital"})
	must(t, err)
	return a
}

// System is a document system: its certificate, and a client that shows it.
type System struct {
	Certificate tls.Certificate
	HTTP        *http.Client
}

// NewSystem makes one that nobody has registered.
func (w *Window) NewSystem(t testing.TB) System {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "document system"}, NotBefore: w.Now().Add(-time.Hour), NotAfter: w.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	s := System{Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
	roots := x509.NewCertPool()
	roots.AddCert(w.Server.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots,
		// The server asks for certificates of its device authority; a system shows its own whatever it asks for.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &s.Certificate, nil }}}
	t.Cleanup(transport.CloseIdleConnections)
	s.HTTP = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

// RegisterSystem puts a system on the register, as two persons would.
func (w *Window) RegisterSystem(t testing.TB, id string, s System, redirects ...string) {
	t.Helper()
	must(t, w.Store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SaveAPIClient(apiclient.Client{ID: id, Kind: apiclient.Signing, Name: "病歷系統", Institution: Code, Scopes: []string{"EMR-SIGN"}, Redirects: redirects,
			Thumbprint: apiclient.Thumbprint(s.Certificate.Leaf.Raw), NotAfter: s.Certificate.Leaf.NotAfter, Active: true, CreatedAt: w.Now(), UpdatedAt: w.Now()})
	}))
}

// RegisterPersonnel puts a system on the register that tells of an institution's professionals.
func (w *Window) RegisterPersonnel(t testing.TB, id string, s System, at ra.InstitutionCode) {
	t.Helper()
	must(t, w.Store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SaveAPIClient(apiclient.Client{ID: id, Kind: apiclient.Staffing, Name: "人事系統", Institution: at,
			Thumbprint: apiclient.Thumbprint(s.Certificate.Leaf.Raw), NotAfter: s.Certificate.Leaf.NotAfter, Active: true, CreatedAt: w.Now(), UpdatedAt: w.Now()})
	}))
}
