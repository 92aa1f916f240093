package hcasim_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"certwindow/ra/certpath"
	"certwindow/ra/hca"
	"certwindow/ra/hca/hcasim"
)

func start(t *testing.T, dir string) *hcasim.Server {
	t.Helper()
	s, err := hcasim.Start(hcasim.Options{Dir: dir, NoSync: true}, hcasim.Listen{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return body
}

func parse(t *testing.T, der []byte) *certpath.Certificate {
	t.Helper()
	c, err := certpath.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fetcher fetches what certificates name, as a window does.
type fetcher struct{}

func (fetcher) OCSP(_ context.Context, url string, request []byte) ([]byte, error) {
	resp, err := http.Post(url, "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (fetcher) CRL(_ context.Context, url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// noOCSP answers no OCSP, so that CRLs have to do.
type noOCSP struct{ fetcher }

func (noOCSP) OCSP(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("down") }

// HCA-5.1.1: a card's path, with a revocation answer for every certificate in it, by OCSP with a nonce and by CRL.
func TestCardsValidateUntilRevoked(t *testing.T) {
	s := start(t, t.TempDir()+"/hca")
	card, err := s.IssueCard("陳小華", "1234567890123456", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	validate := func(f certpath.Fetcher) error {
		_, err := certpath.Validate(context.Background(), parse(t, card.Certificate.Raw), certpath.Options{
			Anchors: []*certpath.Certificate{parse(t, s.Root().Raw)}, Intermediates: []*certpath.Certificate{parse(t, s.CA().Raw)},
			At: time.Now(), RequireRevocation: true, Fetcher: f, Nonce: bytes.Repeat([]byte{3}, 32),
			Policies: []asn1.ObjectIdentifier{hcasim.OIDPolicy}, ExplicitPolicy: true, KeyUsage: certpath.KeyUsageDigitalSignature,
		})
		return err
	}
	for _, f := range []certpath.Fetcher{fetcher{}, noOCSP{}} {
		if err := validate(f); err != nil {
			t.Errorf("%T: %v", f, err)
		}
	}
	if err := s.Revoke(card.Certificate.SerialNumber, 1); err != nil {
		t.Fatal(err)
	}
	for _, f := range []certpath.Fetcher{fetcher{}, noOCSP{}} {
		var e *certpath.Error
		if err := validate(f); !errors.As(err, &e) || e.Reason != certpath.ReasonRevoked {
			t.Errorf("%T: %v, want revoked", f, err)
		}
	}
	if err := s.Revoke(card.Certificate.SerialNumber, 1); !errors.Is(err, hcasim.ErrAlreadyRevoked) {
		t.Errorf("revoked twice: %v", err)
	}
}

// HCA-5.1.1: the marks by which cards, institutions and kinds of certificate are told apart.
func TestMarks(t *testing.T) {
	s := start(t, t.TempDir()+"/hca")
	for kind, want := range map[hcasim.Kind]asn1.ObjectIdentifier{hcasim.Person: hca.OIDPersonnel, hcasim.Institution: hca.OIDInstitution} {
		card, err := s.IssueCard("名字", "0101090517", kind)
		if err != nil {
			t.Fatal(err)
		}
		c := parse(t, card.Certificate.Raw)
		if c.SubjectType() != want.String() {
			t.Errorf("%s has subject type %s", kind, c.SubjectType())
		}
		if !c.HasPolicy(hcasim.OIDPolicy) || c.HasPolicy(hcasim.OIDMobilePolicy) {
			t.Errorf("%s has policies %v", kind, c.Policies)
		}
		if len(c.SubjectDirectoryAttributes) != 3 {
			t.Errorf("%s has %d directory attributes: subject type, rank and card number are wanted", kind, len(c.SubjectDirectoryAttributes))
		}
	}
	if _, err := s.IssueCard("", "1", hcasim.Person); err == nil {
		t.Error("a card without a name was issued")
	}
	if _, err := s.IssueCard("名字", "1", "robot"); err == nil {
		t.Error("a card of no kind was issued")
	}
}

// A command beside the server, and a line that a kill cut short.
func TestJournalIsSharedAndSurvives(t *testing.T) {
	dir := t.TempDir() + "/hca"
	s := start(t, dir)
	card, err := s.IssueCard("陳小華", "1234567890123456", hcasim.Person)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := hcasim.Open(hcasim.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	if _, err := hcasim.Start(hcasim.Options{Dir: dir}, hcasim.Listen{HTTP: "127.0.0.1:0"}); err == nil {
		t.Error("one directory is served twice")
	}
	f, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"at":"2026-11-22T04:00:00Z","revocation":{"ser`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := beside.Revoke(card.Certificate.SerialNumber, 4); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s, card.Certificate, 4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantReason(t, start(t, dir), card.Certificate, 4)
}

func wantReason(t *testing.T, s *hcasim.Server, cert *x509.Certificate, reason int) {
	t.Helper()
	list, err := x509.ParseRevocationList(get(t, cert.CRLDistributionPoints[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(s.CA()); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 && e.ReasonCode == reason {
			return
		}
	}
	t.Errorf("%s is not on its partitioned CRL", cert.SerialNumber.Text(16))
}

// CRL numbers never fall or repeat among different lists, and every partition is there.
func TestCRLNumbers(t *testing.T) {
	s := start(t, t.TempDir()+"/hca")
	last := int64(0)
	for range 3 {
		card, err := s.IssueCardCertificate(s.CA().PublicKey, "陳小華", "1234567890123456", hcasim.Person, "1")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Revoke(card.SerialNumber, 0); err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(get(t, s.BaseURL()+"/crl/complete.crl"))
		if err != nil {
			t.Fatal(err)
		}
		if n := list.Number.Int64(); n <= last {
			t.Errorf("number %d after %d", n, last)
		} else {
			last = n
		}
	}
	for _, name := range []string{"0", "1", "2", "3", "root"} {
		if _, err := x509.ParseRevocationList(get(t, s.BaseURL()+"/crl/"+name+".crl")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{"/crl/4.crl", "/crl/-1.crl", "/crl/00.crl", "/crl/complete", "/ca/x"} {
		resp, err := http.Get(s.BaseURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if !bytes.Equal(get(t, s.BaseURL()+"/ca/ca.cer"), s.CA().Raw) {
		t.Error("caIssuers is another certificate")
	}
}

// The control endpoint is shut to whoever does not know the token.
func TestControl(t *testing.T) {
	s := start(t, t.TempDir()+"/hca")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig(s)}}
	url := strings.TrimSuffix(s.CMCURL, hcasim.PathCMC) + hcasim.PathFaults
	call := func(method, token, body string) int {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		method, token, body string
		want                int
	}{
		{"POST", "", `{"kind":"down","count":1}`, 401},
		{"POST", s.ControlToken() + "x", `{"kind":"down","count":1}`, 401},
		{"GET", "", "", 401},
		{"POST", s.ControlToken(), `{"kind":"down","count":1}`, 200},
		{"POST", s.ControlToken(), `{"kind":"meteor","count":1}`, 400},
		{"POST", s.ControlToken(), `{"kind":"slow","count":1}`, 400},
		{"POST", s.ControlToken(), `{"kind":"down","count":0}`, 400},
		{"POST", s.ControlToken(), `{"kind":"down","count":1,"more":1}`, 400},
		{"GET", s.ControlToken(), "", 200},
	} {
		if got := call(c.method, c.token, c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.body, got, c.want)
		}
	}
	if f := s.Faults(); len(f) != 1 || f[0].Kind != hcasim.FaultDown {
		t.Errorf("faults %v", f)
	}
	call("DELETE", s.ControlToken(), "")
	if f := s.Faults(); len(f) != 0 {
		t.Errorf("faults %v after they were cleared", f)
	}
	for _, body := range [][]byte{nil, []byte("hello"), bytes.Repeat([]byte{0x30, 0x80}, 1<<20)} {
		resp, err := client.Post(s.CMCURL, "application/pkcs7-mime", bytes.NewReader(body))
		if err != nil {
			continue // cut off while it was still sending
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%d bytes of nonsense: %s", len(body), resp.Status)
		}
	}
}

// Several issue and revoke at once, each through a simulator of its own, as processes do.
func TestJournalConcurrently(t *testing.T) {
	dir := t.TempDir() + "/hca"
	if err := hcasim.Init(hcasim.Options{Dir: dir, BaseURL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			s, err := hcasim.Open(hcasim.Options{Dir: dir, NoSync: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range 20 {
				c, err := s.IssueCardCertificate(s.CA().PublicKey, "陳小華", "1234567890123456", hcasim.Person, "1")
				if err == nil {
					err = s.Revoke(c.SerialNumber, 0)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := hcasim.Open(hcasim.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	der, err := s.CRL(-1)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || len(list.RevokedCertificateEntries) != 60 {
		t.Errorf("%d on the list, %v", len(list.RevokedCertificateEntries), err)
	}
}

func TestInitRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, o := range map[string]hcasim.Options{
		"base URL https": {Dir: dir + "/a", BaseURL: "https://127.0.0.1:1"},
		"weak key":       {Dir: dir + "/b", BaseURL: "http://127.0.0.1:1", CABits: 1024},
		"not empty":      {Dir: dir, BaseURL: "http://127.0.0.1:1"},
		"no policy":      {Dir: dir + "/c", BaseURL: "http://127.0.0.1:1", Marks: hcasim.Marks{Policy: "many"}},
	} {
		if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := hcasim.Init(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
