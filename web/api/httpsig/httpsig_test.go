package httpsig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func newKey(t testing.TB) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return key, "sha256:" + hex.EncodeToString(sum[:])
}

func signed(t testing.TB, key *ecdsa.PrivateKey, id, method, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if err := Sign(r, []byte(body), key, Params{Created: noon, Nonce: "nonce-0123456789", KeyID: id}); err != nil {
		t.Fatal(err)
	}
	return r
}

func check(r *http.Request, body string, key *ecdsa.PublicKey, now time.Time) error {
	u, err := Read(r, []byte(body))
	if err != nil {
		return err
	}
	_, err = u.Verify(key, now)
	return err
}

func TestSignVerify(t *testing.T) {
	key, id := newKey(t)
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/api/v1/device", ""},
		{"POST", "/api/v1/bindings", `{"code":"x"}`},
		{"GET", "/a?b=c&d=%20", ""},
		{"GET", "/a%2Fb/%E9%86%AB", ""},
	} {
		r := signed(t, key, id, c.method, c.target, c.body)
		u, err := Read(r, []byte(c.body))
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.target, err)
		}
		v, err := u.Verify(&key.PublicKey, noon.Add(Skew))
		if err != nil || v.Params() != (Params{Created: time.Unix(noon.Unix(), 0), Nonce: "nonce-0123456789", KeyID: id}) {
			t.Errorf("%s %s: %+v, %v", c.method, c.target, v.Params(), err)
		}
	}
}

// RFC 9421 section B.2.4: what its ecdsa-p256-sha256 key signed verifies here, and nothing near it does.
func TestStandardVector(t *testing.T) {
	block, _ := pem.Decode([]byte(`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----`))
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join([]string{
		`"@status": 200`,
		`"content-type": application/json`,
		`"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:`,
		`"content-length": 23`,
		`"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"`,
	}, "\n")
	signature, err := base64.StdEncoding.DecodeString("wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==")
	if err != nil {
		t.Fatal(err)
	}
	if !verifyRaw(k.(*ecdsa.PublicKey), []byte(text), signature) {
		t.Error("the standard's own signature does not verify")
	}
	if verifyRaw(k.(*ecdsa.PublicKey), []byte(strings.Replace(text, "200", "201", 1)), signature) {
		t.Error("a signature verifies over another text")
	}
}

// RFC 9421 appendix B.2: the digest of its test request's body.
func TestStandardDigest(t *testing.T) {
	got, err := contentDigest([]byte(`{"hello": "world"}`))
	if want := "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

// The text that is signed, to the letter (RFC 9421 section 2.5): other implementations have to write the same.
func TestBase(t *testing.T) {
	id := "sha256:" + strings.Repeat("ab", 32)
	r := httptest.NewRequest("POST", "/api/v1/bindings", nil)
	got, err := base(r, "sha-256=:AA==:", Params{Created: noon, Nonce: "nonce-0123456789", KeyID: id}.input(true))
	want := `"@method": POST
"@path": /api/v1/bindings
"@query": ?
"content-digest": sha-256=:AA==:
"@signature-params": ("@method" "@path" "@query" "content-digest");created=1795320000;nonce="nonce-0123456789";keyid="` + id + `";alg="ecdsa-p256-sha256"`
	if err != nil || string(got) != want {
		t.Errorf("%s\n%v", got, err)
	}
}

// HCA-8.1.3: every component is covered; a change of any is noticed.
func TestMutations(t *testing.T) {
	key, id := newKey(t)
	other, _ := newKey(t)
	body := `{"code":"x"}`
	for name, mutate := range map[string]func(*http.Request) (string, *ecdsa.PublicKey){
		"method":      func(r *http.Request) (string, *ecdsa.PublicKey) { r.Method = "PUT"; return body, nil },
		"path":        func(r *http.Request) (string, *ecdsa.PublicKey) { r.URL.Path = "/api/v1/binding"; return body, nil },
		"query":       func(r *http.Request) (string, *ecdsa.PublicKey) { r.URL.RawQuery = "a=b"; return body, nil },
		"body":        func(*http.Request) (string, *ecdsa.PublicKey) { return `{"code":"y"}`, nil },
		"no body":     func(*http.Request) (string, *ecdsa.PublicKey) { return "", nil },
		"another key": func(*http.Request) (string, *ecdsa.PublicKey) { return body, &other.PublicKey },
		"P-384 key": func(*http.Request) (string, *ecdsa.PublicKey) {
			k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
			return body, &k.PublicKey
		},
		"body and digest": func(r *http.Request) (string, *ecdsa.PublicKey) {
			d, _ := contentDigest([]byte("{}"))
			r.Header.Set(HeaderDigest, d)
			return "{}", nil
		},
		"created":   swap(HeaderInput, "created=1795320000", "created=1795320001", body),
		"nonce":     swap(HeaderInput, "nonce-0", "nonce-1", body),
		"keyid":     swap(HeaderInput, `keyid="sha256:`+id[7:9], `keyid="sha256:zz`, body),
		"other key": swap(HeaderInput, id, "sha256:"+strings.Repeat("0", 64), body),
		"signature": func(r *http.Request) (string, *ecdsa.PublicKey) {
			r.Header.Set(HeaderSignature, "device=:"+base64.StdEncoding.EncodeToString(make([]byte, 64))+":")
			return body, nil
		},
	} {
		r := signed(t, key, id, "POST", "/api/v1/bindings", body)
		b, k := mutate(r)
		if k == nil {
			k = &key.PublicKey
		}
		if err := check(r, b, k, noon); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func swap(field, from, to, body string) func(*http.Request) (string, *ecdsa.PublicKey) {
	return func(r *http.Request) (string, *ecdsa.PublicKey) {
		r.Header.Set(field, strings.Replace(r.Header.Get(field), from, to, 1))
		return body, nil
	}
}

// Whatever is not the one way to sign is refused, though its signature might verify.
func TestForms(t *testing.T) {
	key, id := newKey(t)
	body := `{"code":"x"}`
	for name, mutate := range map[string]func(http.Header){
		"no input":         func(h http.Header) { h.Del(HeaderInput) },
		"no signature":     func(h http.Header) { h.Del(HeaderSignature) },
		"no digest":        func(h http.Header) { h.Del(HeaderDigest) },
		"double input":     func(h http.Header) { h.Add(HeaderInput, h.Get(HeaderInput)) },
		"double signature": func(h http.Header) { h.Add(HeaderSignature, h.Get(HeaderSignature)) },
		"double digest":    func(h http.Header) { h.Add(HeaderDigest, h.Get(HeaderDigest)) },
		"two labels":       func(h http.Header) { h.Set(HeaderInput, h.Get(HeaderInput)+", b=()") },
		"another label":    func(h http.Header) { h.Set(HeaderInput, "sig1"+strings.TrimPrefix(h.Get(HeaderInput), "device")) },
		"label twice":      func(h http.Header) { h.Set(HeaderInput, h.Get(HeaderInput)+", "+h.Get(HeaderInput)) },
		"two digests":      func(h http.Header) { h.Set(HeaderDigest, h.Get(HeaderDigest)+", sha-512=:AA==:") },
		"sha-512 digest":   func(h http.Header) { h.Set(HeaderDigest, "sha-512=:AA==:") },
		"digest text":      func(h http.Header) { h.Set(HeaderDigest, `sha-256="AA=="`) },
		"short signature":  func(h http.Header) { h.Set(HeaderSignature, "device=:AAAA:") },
		"too long":         func(h http.Header) { h.Set(HeaderInput, h.Get(HeaderInput)+strings.Repeat(" ", 1024)) },
		"spaces":           func(h http.Header) { h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), `" "`, `"  "`, 1)) },
		"unknown param":    func(h http.Header) { h.Set(HeaderInput, h.Get(HeaderInput)+`;tag="x"`) },
		"param twice":      func(h http.Header) { h.Set(HeaderInput, h.Get(HeaderInput)+`;created=1`) },
		"another alg":      func(h http.Header) { h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), "ecdsa-p256", "hmac", 1)) },
		"no alg": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), `;alg="ecdsa-p256-sha256"`, "", 1))
		},
		"created text": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), "1795320000", `"1795320000"`, 1))
		},
		"created decimal": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), "1795320000", "1795320000.0", 1))
		},
		"created negative": func(h http.Header) { h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), "1795320000", "-1", 1)) },
		"fewer components": func(h http.Header) { h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), ` "@query"`, "", 1)) },
		"more components": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), `"@query"`, `"@query" "date"`, 1))
		},
		"another order": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), `"@path" "@query"`, `"@query" "@path"`, 1))
		},
		"component param": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), `"@query"`, `"@query";req`, 1))
		},
		"not a list":  func(h http.Header) { h.Set(HeaderInput, "device=1") },
		"not a field": func(h http.Header) { h.Set(HeaderInput, "\x00(((") },
		"short nonce": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), "nonce-0123456789", "nonce", 1))
		},
		"long nonce": func(h http.Header) {
			h.Set(HeaderInput, strings.Replace(h.Get(HeaderInput), "nonce-0123456789", strings.Repeat("a", 65), 1))
		},
	} {
		r := signed(t, key, id, "POST", "/api/v1/bindings", body)
		mutate(r.Header)
		if _, err := Read(r, []byte(body)); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := signed(t, key, id, "GET", "/api/v1/device", "")
	r.Header.Set(HeaderDigest, "sha-256=:AA==:")
	if _, err := Read(r, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("a digest without a body: %v", err)
	}
}

// HCA-8.1.4: a signature is of now.
func TestClock(t *testing.T) {
	key, id := newKey(t)
	for off, want := range map[time.Duration]error{0: nil, Skew: nil, -Skew: nil, Skew + time.Second: ErrClock, -Skew - time.Second: ErrClock, 1000 * time.Hour: ErrClock} {
		r := signed(t, key, id, "GET", "/", "")
		if err := check(r, "", &key.PublicKey, noon.Add(off)); !errors.Is(err, want) {
			t.Errorf("%v off: %v, want %v", off, err, want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	key, id := newKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	if err := Sign(r, nil, p384, Params{Created: noon, Nonce: "nonce-0123456789", KeyID: id}); err == nil {
		t.Error("a P-384 key signed")
	}
	if err := Sign(r, nil, key, Params{Created: noon, Nonce: "short", KeyID: id}); err == nil {
		t.Error("a short nonce was signed")
	}
}

// FuzzRead: no header field makes the reader panic, and what it reads is written back the same.
func FuzzRead(f *testing.F) {
	key, id := newKey(f)
	r := signed(f, key, id, "POST", "/api/v1/bindings", "{}")
	f.Add(r.Header.Get(HeaderInput), r.Header.Get(HeaderSignature), r.Header.Get(HeaderDigest), "/api/v1/bindings", []byte("{}"))
	r = signed(f, key, id, "GET", "/", "")
	f.Add(r.Header.Get(HeaderInput), r.Header.Get(HeaderSignature), "", "/", []byte{})
	f.Fuzz(func(t *testing.T, input, signature, digest, path string, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.URL.Path = path
		r.Header[HeaderInput], r.Header[HeaderSignature] = []string{input}, []string{signature}
		if digest != "" {
			r.Header[HeaderDigest] = []string{digest}
		}
		u, err := Read(r, body)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(u.base, []byte("\"@signature-params\": "+strings.TrimPrefix(input, "device="))) {
			t.Errorf("%q was read as %q", input, u.base)
		}
		if _, err := u.Verify(&key.PublicKey, u.params.Created); err == nil && !bytes.Equal(body, []byte("{}")) && len(body) > 0 {
			t.Error("a forgery")
		}
	})
}
