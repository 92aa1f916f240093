package api_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"certwindow/cmd/phone/phonetest"
	"certwindow/devices"
	"certwindow/ra"
	"certwindow/ra/enrol"
	"certwindow/web/api/httpsig"
)

// phone is a device key and nothing else: what it sends is what the test says. The window behind it holds every
// exchange against openapi.yaml.
type phone struct {
	t     *testing.T
	w     *phonetest.Window
	key   *ecdsa.PrivateKey
	der   []byte // SubjectPublicKeyInfo
	http  *http.Client
	cert  []byte // of the device, DER, once it has one
	token string // of the holder who is signed in
}

func newPhone(t *testing.T, w *phonetest.Window) *phone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{t: t, w: w, key: key, der: der}
	p.connect()
	return p
}

// connect begins new connections, under the device's certificate where there is one.
func (p *phone) connect() {
	roots := x509.NewCertPool()
	roots.AddCert(p.w.Server.Certificate())
	config := &tls.Config{RootCAs: roots}
	if p.cert != nil {
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{p.cert}, PrivateKey: p.key}}
	}
	p.http = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	p.t.Cleanup(p.http.CloseIdleConnections)
}

// certify fetches the device's certificate and comes under it from then on.
func (p *phone) certify() {
	p.t.Helper()
	var got struct{ PEM string }
	a := p.post("/device/certificate", "{}", "")
	if a.status != http.StatusCreated {
		p.t.Fatalf("%d %s", a.status, a.body)
	}
	a.into(p.t, &got)
	block, _ := pem.Decode([]byte(got.PEM))
	p.cert = block.Bytes
	p.connect()
}

// signIn signs a holder in, with his password.
func (p *phone) signIn(account string) {
	p.t.Helper()
	var got struct{ Token string }
	p.tryLogin(account, map[string]any{"kind": "password", "value": phonetest.Password.Reveal()}).into(p.t, &got)
	p.token = got.Token
}

func (p *phone) tryLogin(account string, proofs ...map[string]any) answer {
	p.t.Helper()
	return p.post("/holder/login", text(p.t, map[string]any{"account": account, "proofs": proofs}), "")
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the answer as a problem document.
func (a answer) problem() (p struct{ Code, Clause, Type string }) {
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		_ = json.Unmarshal(a.body, &p)
	}
	return p
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// request is a request as a phone sends it, without its signature.
func (p *phone) request(method, path, body string) *http.Request {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.w.Server.URL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" && forHolders.MatchString(path) {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	return r
}

// forHolders are the addresses that want the token of a login.
var forHolders = regexp.MustCompile(`^/(certificates|authorisations|access-requests|events|statuses$|holder$|holder/(logout|password|totp|biometrics)$)`)

func nonce() string { return rand.Text() }

func (p *phone) sign(r *http.Request, body string) *http.Request {
	err := httpsig.Sign(r, []byte(body), p.key, httpsig.Params{Created: p.w.Now(), Nonce: nonce(), KeyID: ra.KeyHash(p.der)})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *phone) do(r *http.Request) answer {
	p.t.Helper()
	res, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, body}
}

func (p *phone) get(path string) answer {
	p.t.Helper()
	return p.do(p.sign(p.request(http.MethodGet, path, ""), ""))
}

// post sends a body, under an idempotency key where one is given.
func (p *phone) post(path, body, idempotencyKey string) answer {
	p.t.Helper()
	r := p.sign(p.request(http.MethodPost, path, body), body)
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return p.do(r)
}

// want checks a refusal.
func want(t *testing.T, what string, a answer, status int, code, clause string) {
	t.Helper()
	if p := a.problem(); a.status != status || p.Code != code || p.Clause != clause {
		t.Errorf("%s: %d %s, want %d %s %s", what, a.status, a.body, status, code, clause)
	}
}

// presentation is the body of POST /bindings.
func (p *phone) presentation(qr string) map[string]any {
	text, err := devices.ParseBindText(qr)
	if err != nil {
		p.t.Fatal(err)
	}
	return map[string]any{"code": text.Code, "key": base64.StdEncoding.EncodeToString(p.der), "platform": "android", "model": "Pixel 10",
		"os_version": "16", "app": "tw.example.app", "app_version": "1.0.0"}
}

type bindingDoc struct {
	Binding   string
	State     string
	ShortCode string `json:"short_code"`
}

// bind ties the phone to a device.
func (p *phone) bind(device ra.DeviceID) bindingDoc {
	p.t.Helper()
	var b bindingDoc
	p.post("/bindings", text(p.t, p.presentation(p.w.Offer(p.t, device))), "").into(p.t, &b)
	p.w.Confirm(p.t, device, b.ShortCode)
	p.certify()
	return b
}

// bound is a window with one doctor and the doctor's bound phone.
func bound(t *testing.T, o phonetest.Options) (w *phonetest.Window, p *phone, person ra.PersonID, device ra.DeviceID) {
	t.Helper()
	w = phonetest.New(t, o)
	person = w.Person(t, 1)
	device = w.Device(t, "ER-01", person)
	p = newPhone(t, w)
	p.bind(device)
	w.Account(t, person, "doctor")
	p.signIn("doctor")
	return w, p, person, device
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// countersign is the device key's signature over consent and request (HCA-6.0).
func (p *phone) countersign(consent, der []byte) []byte {
	sum := sha256.Sum256(enrol.ChainMessage(consent, der))
	sig, err := p.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		p.t.Fatal(err)
	}
	return sig
}
