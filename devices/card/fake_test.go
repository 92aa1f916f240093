package card

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testPIN  = "246813"
	testSite = "https://window.example"
)

var testTime = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// softModule is a library whose failures a test can order. What it signs is real.
type softModule struct {
	mu     sync.Mutex
	slots  []Slot
	certs  []Certificate
	key    *rsa.PrivateKey
	tries  int           // wrong PINs so far
	hang   chan struct{} // when not nil, Signer waits for it
	logins int
	onSign func() error
	fail   map[string]error // by operation
}

func (m *softModule) failing(op string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fail[op]
}

func (m *softModule) set(f func(*softModule)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *softModule) Info() (ModuleInfo, error) {
	return ModuleInfo{Version{2, 4}, Version{1, 0}, "soft", "測試"}, m.failing("info")
}

func (m *softModule) Slots() ([]Slot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.slots), m.fail["slots"]
}

func (m *softModule) Open(uint) (Session, error) { return softSession{m}, m.failing("open") }

type softSession struct{ m *softModule }

func (s softSession) Certificates() ([]Certificate, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.m.certs, s.m.fail["certs"]
}

func (s softSession) PublicKeys() ([]PublicKey, error) {
	return []PublicKey{{ID: []byte("SIGN"), Label: "cert1", Key: s.m.key.Public()}}, s.m.failing("keys")
}

func (s softSession) Login(pin PIN) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.logins++
	flags := &s.m.slots[0].Token.Flags
	switch {
	case s.m.fail["login"] != nil:
		return s.m.fail["login"]
	case s.m.tries >= 3:
		return &ModuleError{"C_Login", rvPINLocked}
	case string(pin.Bytes()) == testPIN:
		s.m.tries = 0
		*flags &^= flagPINCountLow | flagPINFinalTry
		return nil
	}
	s.m.tries++
	*flags |= []uint{0, flagPINCountLow, flagPINFinalTry, flagPINLocked}[s.m.tries]
	return &ModuleError{"C_Login", rvPINIncorrect}
}

func (s softSession) Signer([]byte) (crypto.Signer, error) {
	s.m.mu.Lock()
	hang, key := s.m.hang, s.m.key
	s.m.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return softSigner{key, s.m}, s.m.failing("signer")
}

func (s softSession) Close() error { return nil }

type softSigner struct {
	*rsa.PrivateKey
	m *softModule
}

func (s softSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if s.m.onSign != nil {
		if err := s.m.onSign(); err != nil {
			return nil, err
		}
	}
	return s.PrivateKey.Sign(r, digest, o)
}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// directoryValue is a subjectDirectoryAttributes with the end of a national ID, as MOICA writes it.
func directoryValue(t testing.TB) []byte {
	t.Helper()
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	value := func(s string) []asn1.RawValue { return []asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte(s)}} }
	der, err := asn1.Marshal([]attribute{{oidIDTail, value("6789")}, {oidCardRank, value("primary")}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue makes a self-signed certificate with the usage.
func issue(t testing.TB, usage x509.KeyUsage, ca bool, from, to time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xABC), NotBefore: from, NotAfter: to, KeyUsage: usage, IsCA: ca, BasicConstraintsValid: true,
		Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "TW"},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "王小明"},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 5}, Value: "0000000112345678"},
		}},
		ExtraExtensions: []pkix.Extension{{Id: oidDirectoryAttributes, Value: directoryValue(t)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, testKey().Public(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// newSoftModule is one reader with a card of two certificates: encryption first, then signing.
func newSoftModule(t testing.TB) *softModule {
	t.Helper()
	from, to := testTime.AddDate(-1, 0, 0), testTime.AddDate(1, 0, 0)
	return &softModule{
		key: testKey(), fail: map[string]error{},
		slots: []Slot{{ID: 7, Description: "Reader 0", Present: true, Flags: 7, Token: &Token{
			Label: "HiCOS PKI Smart Card", Serial: "TP12345678901234", Flags: 0x40D, MinPIN: 6, MaxPIN: 8, Model: "M",
		}}},
		certs: []Certificate{
			{[]byte("KEYX"), "cert2", issue(t, x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment, false, from, to)},
			{[]byte("CACert"), "CA Cert", issue(t, x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign, true, from, to)},
			{[]byte("SIGN"), "cert1", issue(t, x509.KeyUsageDigitalSignature, false, from, to)},
		},
	}
}

// fixedPrompt answers with a PIN and keeps what it was to show.
type fixedPrompt struct {
	pin   string
	err   error
	wait  bool // until ctx ends
	mu    sync.Mutex
	shown []Prompt
	asked []string
	seen  chan struct{} // signalled at each question
}

func (f *fixedPrompt) PIN(ctx context.Context, p Prompt) (PIN, error) {
	f.mu.Lock()
	f.shown = append(f.shown, p)
	wait := f.wait
	f.mu.Unlock()
	if f.seen != nil {
		f.seen <- struct{}{}
	}
	if wait {
		<-ctx.Done()
		return PIN{}, context.Cause(ctx)
	}
	return NewPIN([]byte(f.pin)), f.err
}

// setWait says whether the person leaves the next questions unanswered.
func (f *fixedPrompt) setWait(wait bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wait = wait
}

func (f *fixedPrompt) Confirm(_ context.Context, text string) error {
	f.asked = append(f.asked, text)
	return f.err
}

// rig is a server over real HTTP, and what it logged.
type rig struct {
	*Server
	http   *httptest.Server
	mod    *softModule
	prompt *fixedPrompt
	log    *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newRig starts a server; change may alter its configuration.
func newRig(t *testing.T, change func(*Config, *softModule)) *rig {
	t.Helper()
	r := &rig{mod: newSoftModule(t), prompt: &fixedPrompt{pin: testPIN}, log: &syncBuffer{}}
	cfg := Config{
		Module: r.mod, Prompter: r.prompt, Origins: []string{testSite}, PINTries: 3,
		SignCMS: func(in CMSInput) ([]byte, error) {
			sig, err := in.Signer.Sign(rand.Reader, hashSHA256.sum(in.Content), crypto.SHA256)
			return append([]byte("CMS:"), sig...), err
		},
		PollInterval: 5 * time.Millisecond, Now: time.Now, Rand: rand.Reader,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg, r.mod)
	}
	var err error
	if r.Server, err = NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	r.http = httptest.NewServer(r.Server)
	t.Cleanup(func() {
		r.stop()
		r.http.Close()
		if err := r.Server.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// call is one request; header pairs follow the body.
func (r *rig) call(t *testing.T, method, path, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

// answer is what a page looks at.
type answer struct {
	Func      string          `json:"func"`
	RetCode   Code            `json:"ret_code"`
	LastError int64           `json:"last_error"`
	Signature []byte          `json:"signature"`
	CertB64   []byte          `json:"certb64"`
	CardSN    string          `json:"cardSN"`
	Insertion string          `json:"insertion"`
	Message   string          `json:"message"`
	Message2  string          `json:"message2"`
	Slots     []answerSlot    `json:"slots"`
	Crypto    json.RawMessage `json:"cryptokiVersion"`
}

type answerSlot struct {
	SlotDescription string          `json:"slotDescription"`
	Token           json.RawMessage `json:"token"`
}

// ask calls and reads the answer, which must be status 200.
func (r *rig) ask(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	resp, b := r.call(t, method, path, body, header...)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", method, path, resp.StatusCode, b)
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, b)
	}
	return a
}

// form encodes members as a proper form does. Pairs of name and value; tbs is "text" unless given.
func form(pairs ...string) string {
	m := map[string]string{"tbs": "text", "tbsEncoding": "NONE", "hashAlgorithm": "SHA256", "signatureType": "PKCS7"}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return url.Values{"tbsPackage": {string(b)}}.Encode()
}
