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
	form := url.Values{"id": {"his-emr"}, "kind": {"signing"}, "name": {"病歷系統"}, "institution": {string(ownCode)}, "scopes": {"EMR-SIGN"}, "redirects": {"https://his.example/back"},
		"certificate": {systemCertificate(t, h.now())}}
	for field, bad := range map[string]string{"id": "HIS", "kind": "other", "name": "", "scopes": "OTHER", "redirects": "http://his.example/", "certificate": "-----BEGIN"} {
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

// HCA-3.7, HCA-8.1.6: a personnel system is put on the register by two persons too, who are told what it may do. It has
// no scopes and no addresses, a certificate of its own, and keeps its kind.
func TestRegisterAPersonnelSystem(t *testing.T) {
	h := build(t)
	admin, approver := h.signIn(session.WindowAdmin), h.signIn(session.Approver)
	form := func(change ...string) url.Values {
		f := url.Values{"id": {"his-hr"}, "kind": {"staffing"}, "name": {"人事系統"}, "institution": {string(ownCode)}}
		for i := 0; i < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	certificate := systemCertificate(t, h.now())
	propose := func(f url.Values) string {
		t.Helper()
		res := admin.post("/clients/new", f)
		if res.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
		at, _, _ := strings.Cut(res.Header().Get("Location"), "?")
		return at
	}
	for _, bad := range []url.Values{form("certificate", certificate, "scopes", "EMR-SIGN"), form("certificate", certificate, "redirects", "https://his.example/back")} {
		if res := admin.post("/clients/new", bad); res.Code/100 != 4 || !strings.Contains(res.Body.String(), `id="f-scopes"`) {
			t.Errorf("%v: %d", bad, res.Code)
		}
	}
	at := propose(form("certificate", certificate))
	if page := approver.get(at).Body.String(); !strings.Contains(page, "每次通報均立即停止") {
		t.Error("the approver is not told what the system may do")
	}
	x, err := h.approve.Proposal(t.Context(), operator, strings.TrimPrefix(at, "/approvals/"))
	if err != nil {
		t.Fatal(err)
	}
	if res := approver.post(at+"/approve", url.Values{"hash": {x.Hash}}); res.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if res := admin.get("/clients/his-hr"); res.Code != http.StatusOK || !strings.Contains(res.Body.String(), "通報人員異動") {
		t.Errorf("%d", res.Code)
	}
	for field, f := range map[string]url.Values{"kind": form("kind", "signing", "scopes", "EMR-SIGN", "certificate", systemCertificate(t, h.now())),
		"certificate": form("id", "his", "kind", "signing", "scopes", "EMR-SIGN", "certificate", certificate)} {
		if res := admin.post("/clients/new", f); res.Code/100 != 4 || !strings.Contains(res.Body.String(), `id="e-`+field) {
			t.Errorf("%s: %d", field, res.Code)
		}
	}
}
