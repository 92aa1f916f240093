package admin

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"certwindow/ra"
	"certwindow/ra/certpath"
	"certwindow/ra/cms"
	"certwindow/ra/csr"
	"certwindow/ra/enrol"
	"certwindow/ra/exchange"
	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/file"
	"certwindow/ra/hca/hcatest"
	"certwindow/ra/store"
	"certwindow/web/session"
)

// unsigned is a window without a dedicated certificate.
type unsigned struct{}

func (unsigned) Dedicated(context.Context) (cmc.Credential, error) {
	return cmc.Credential{}, ra.Errorf(ra.KindUnavailable, "none", nil, "There is none.")
}

// byHand is an exchange whose requests are carried; issuer is the HCA's root.
func (h *house) byHand(root []byte, sim *hcatest.Window) *exchange.Service {
	h.t.Helper()
	anchor, err := certpath.ParseCertificate(root)
	h.ok(err)
	trust, profile := cmc.Trust{Anchors: []*certpath.Certificate{anchor}, Signer: unsigned{}, Now: h.now}, exchange.Profile{}
	if sim != nil {
		trust.Signer, profile.Issuers = sim.Signer, [][]byte{sim.Server.CA().Raw}
	}
	a, err := file.New(trust)
	h.ok(err)
	return exchange.New(store.ExchangeStore{Store: h.store}, a, h.standing, profile, h.now, rand.Reader)
}

// upload posts a form with a file, as a page of this site does.
func (b *browser) upload(path, field, name string, content []byte, form url.Values) *httptest.ResponseRecorder {
	b.h.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	b.h.ok(w.WriteField("csrf", b.csrf))
	for k, vs := range form {
		for _, v := range vs {
			b.h.ok(w.WriteField(k, v))
		}
	}
	f, err := w.CreateFormFile(field, name)
	b.h.ok(err)
	_, err = f.Write(content)
	b.h.ok(err)
	b.h.ok(w.Close())
	return b.do(post, path, &body, map[string]string{"Content-Type": w.FormDataContentType(), "Sec-Fetch-Site": "same-origin"})
}

// bySimulator makes the house's HCA a simulator to which requests are carried, at the real time, with an enrolment of the
// simulator's card holder that is ready to leave.
func bySimulator(t *testing.T) (*house, *hcatest.Window, ra.ApplicationID) {
	t.Helper()
	h, sim := build(t), hcatest.NewWindow(t)
	h.at = time.Now()
	h.exchange = h.byHand(sim.Server.Root().Raw, sim)
	h.site.Exchange = h.exchange
	subject := sim.Card.Certificate.Subject
	p := h.person(subject.CommonName, "A123456789", subject.SerialNumber, ownCode)
	d := h.boundDevice("IPH-0001", p, ownCode)
	a, err := h.enrol.Begin(t.Context(), operator, enrol.New{Person: p, Device: d, Institution: ownCode, Scope: []string{"EMR-SIGN"}, KeyDesign: ra.KeyApp, Carrier: ra.CarrierDevice})
	h.ok(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.ok(err)
	a.CSR, err = csr.Make(key, pkix.Name{}, []byte("challenge"))
	h.ok(err)
	a.Consent, err = cms.Sign(a.Text, sim.Card.Key, sim.Card.Certificate.Raw, cms.SignOptions{SigningTime: time.Now()})
	h.ok(err)
	slot := 1
	a.State, a.Slot = ra.AppRequested, &slot
	h.ok(h.store.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateApplication(a, ra.AppAwaitingSignature) }))
	_, err = h.exchange.Run(t.Context(), a.ID)
	h.ok(err)
	return h, sim, a.ID
}

// HCA-3.3: the window's administrator fetches what waits as one ZIP, carries it to the HCA and reads the answers back in;
// what is wrong with one file keeps no other from being taken.
func TestExchangeByHandThroughThePages(t *testing.T) {
	h, sim, id := bySimulator(t)
	admin := h.signIn(session.WindowAdmin)
	if body := admin.get("/exchange").Body.String(); !strings.Contains(body, string(id)) || len(codeIn(t, body)) > 0 {
		t.Fatalf("what waits is not shown:\n%s", body)
	}
	rec := admin.post("/exchange/fetch", url.Values{"which": {"new"}})
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/zip" || !strings.Contains(rec.Header().Get("Content-Disposition"), ".zip") {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	z, err := zip.NewReader(bytes.NewReader(rec.Body.Bytes()), int64(rec.Body.Len()))
	h.ok(err)
	var answers bytes.Buffer
	back := zip.NewWriter(&answers)
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, file.RequestExtension) {
			continue
		}
		r, err := f.Open()
		h.ok(err)
		request, err := io.ReadAll(r)
		h.ok(err)
		answer, err := sim.Server.Answer(request)
		h.ok(err)
		w, err := back.Create(strings.TrimSuffix(f.Name, file.RequestExtension) + file.AnswerExtension)
		h.ok(err)
		_, err = w.Write(answer)
		h.ok(err)
	}
	w, err := back.Create("<script>alert(1)</script>.crp")
	h.ok(err)
	_, err = w.Write([]byte("nonsense"))
	h.ok(err)
	h.ok(back.Close())
	if rec := admin.post("/exchange/fetch", url.Values{"which": {"new"}}); rec.Code != http.StatusConflict {
		t.Errorf("nothing waits and %d", rec.Code)
	}
	if rec := admin.post("/exchange/fetch", url.Values{"which": {"again"}}); rec.Code != http.StatusOK {
		t.Errorf("once more: %d", rec.Code)
	}
	body := admin.upload("/exchange/answers", "answers", "answers.zip", answers.Bytes(), nil).Body.String()
	if !strings.Contains(body, "採用 1 件，未採用 1 件") || len(codeIn(t, body)) > 0 {
		t.Errorf("read in:\n%s", body)
	}
	if body := admin.get("/applications/" + string(id)).Body.String(); !strings.Contains(body, "已完成") {
		t.Error("the application is not done")
	}
	admin.lang = english
	body = admin.upload("/exchange/answers", "answers", "answers.zip", answers.Bytes(), nil).Body.String()
	if !strings.Contains(body, "0 taken, 2 not taken") || !strings.Contains(body, "has its answer already") {
		t.Error("the same answers twice")
	}
}

// HCA-8.1.6: files are taken from nobody else, in no other size, and not without the form's token.
func TestUploadsAreBounded(t *testing.T) {
	h := build(t)
	admin := h.signIn(session.WindowAdmin)
	if rec := admin.upload("/exchange/answers", "answers", "a.crp", make([]byte, maxUpload), nil); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", rec.Code)
	}
	if rec := admin.upload("/lang", "x", "a", make([]byte, 2<<20), nil); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a file where none is taken: %d", rec.Code)
	}
	if rec := admin.upload("/exchange/answers", "answers", "a.crp", nil, nil); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `href="#f-answers"`) {
		t.Errorf("an empty file: %d", rec.Code)
	}
	if rec := admin.upload("/exchange/answers", "answers", "a.zip", []byte("PK\x03\x04 no zip"), nil); rec.Code != http.StatusBadRequest {
		t.Errorf("no ZIP: %d", rec.Code)
	}
	stranger := &browser{h: h, cookie: admin.cookie, csrf: "wrong"}
	if rec := stranger.upload("/exchange/answers", "answers", "a.crp", []byte("x"), nil); rec.Code != http.StatusForbidden {
		t.Errorf("without the token: %d", rec.Code)
	}
	if err := h.serverFault(); err != nil {
		t.Error(err)
	}
}

func (h *house) serverFault() error {
	var n int64
	err := h.db.Gorm.Raw("SELECT count(*) FROM audit_events WHERE outcome = 'failed'").Scan(&n).Error
	if err == nil && n > 0 {
		err = ra.Errorf(ra.KindInternal, "failed", nil, "%d acts failed for a reason of ours", n)
	}
	return err
}
