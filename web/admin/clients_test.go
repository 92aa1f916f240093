package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/web/session"
)

// systemCertificate is what a document system proves itself by.
func systemCertificate(t *testing.T, now time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "his"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// HCA-5.1.2, HCA-8.1.6: a system calls the window once two persons have said so, is changed by two, and is stopped by
// one at once.
func TestRegisterASystem(t *testing.T) {
	h := build(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	form := url.Values{"id": {"his-emr"}, "name": {"病歷系統"}, "institution": {string(ownCode)}, "scopes": {"EMR-SIGN"}, "redirects": {"https://his.example/back"},
		"certificate": {systemCertificate(t, h.now())}}
	for field, bad := range map[string]string{"id": "HIS", "name": "", "scopes": "OTHER", "redirects": "http://his.example/", "certificate": "-----BEGIN"} {
		wrong := url.Values{}
		for k, v := range form {
			wrong[k] = v
		}
		wrong.Set(field, bad)
		if res := admin.post("/clients/new", wrong); res.Code/100 != 4 || !strings.Contains(res.Body.String(), `id="f-`+field) {
			t.Errorf("%s %q: %d", field, bad, res.Code)
		}
	}
	approve := func() {
		t.Helper()
		res := admin.post("/clients/new", form)
		if res.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
		at, _, _ := strings.Cut(res.Header().Get("Location"), "?")
		if _, err := h.clients.Active(t.Context(), "his-emr"); ra.KindOf(err) != ra.KindNotFound {
			t.Errorf("it may call before anybody has approved it: %v", err)
		}
		x, err := h.approve.Proposal(t.Context(), operator, strings.TrimPrefix(at, "/approvals/"))
		if err != nil {
			t.Fatal(err)
		}
		if res := approver.post(at+"/approve", url.Values{"hash": {x.Hash}}); res.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
	}
	approve()
	if c, err := h.clients.Active(t.Context(), "his-emr"); err != nil || c.Name != "病歷系統" {
		t.Fatalf("%+v %v", c, err)
	}
	if res := admin.get("/clients/his-emr"); res.Code != http.StatusOK || !strings.Contains(res.Body.String(), "病歷系統") {
		t.Errorf("%d", res.Code)
	}
	if res := admin.post("/clients/his-emr/stop", nil); res.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if _, err := h.clients.Active(t.Context(), "his-emr"); ra.KindOf(err) != ra.KindNotFound {
		t.Errorf("it calls after it was stopped: %v", err)
	}
	approve() // it calls again when two persons have said so
}
