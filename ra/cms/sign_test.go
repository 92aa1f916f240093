package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"io"
	"path/filepath"
	"testing"
)

var text = []byte("醫事人員行動憑證申辦 HCA mobile certificate enrolment v1\nnonce: x\n")

// TestRoundTrip makes and opens messages of every kind that the project uses, and asks OpenSSL as well.
// HCA-3.3: the evidence can be verified with openssl cms alone.
func TestRoundTrip(t *testing.T) {
	more := newIdentity(t, p256Identity().key, 4711).cert
	for name, c := range map[string]struct {
		id identity
		o  SignOptions
	}{
		"card":            {rsaIdentity(), SignOptions{SigningTime: at, Attributes: []Attribute{{OIDRandomNonce, UTF8String("n")}, {OIDCardNumber, UTF8String("HC00000000000001")}}}},
		"RSA SHA-512":     {rsaIdentity(), SignOptions{SigningTime: at, Hash: crypto.SHA512}},
		"P-256":           {p256Identity(), SignOptions{SigningTime: at}},
		"P-384 SHA-384":   {p384Identity(), SignOptions{SigningTime: at, Hash: crypto.SHA384, Certificates: [][]byte{more}}},
		"PKIData":         {p256Identity(), SignOptions{ContentType: OIDPKIData}},
		"PKIResponse RSA": {rsaIdentity(), SignOptions{ContentType: OIDPKIResponse, Certificates: [][]byte{more, more}}},
		"detached":        {rsaIdentity(), SignOptions{SigningTime: at, Detached: true}},
		"after 2049":      {p256Identity(), SignOptions{SigningTime: at.AddDate(30, 0, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := Sign(text, c.id.key, c.id.cert, c.o)
			if err != nil {
				t.Fatal(err)
			}
			open := OpenOptions{ContentType: c.o.ContentType, Content: text, Detached: c.o.Detached}
			sd, err := Open(der, open)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sd.Content, text) || !bytes.Equal(sd.Signer, c.id.cert) || !sd.SigningTime.Equal(c.o.SigningTime) {
				t.Errorf("opened to something else: %+v", sd)
			}
			for _, a := range c.o.Attributes {
				if v, ok := sd.Attribute(a.OID); !ok || !bytes.Equal(v, a.Value) {
					t.Errorf("attribute %s is %x", a.OID, v)
				}
			}
			file := filepath.Join(t.TempDir(), "message.p7")
			content := filepath.Join(t.TempDir(), "content")
			write(t, file, der)
			write(t, content, text)
			args := []string{"cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", file, "-out", file + ".out"}
			if c.o.Detached {
				args = append(args, "-content", content)
			}
			if out, err := openssl(t, args...); err != nil {
				t.Errorf("openssl: %v\n%s", err, out)
			}
		})
	}
}

// TestLayout holds what Sign makes against the capture of the card component's messages: SignedData and
// SignerInfo version 1, rsaEncryption with NULL, attributes in DER order, and the leaf alone.
func TestLayout(t *testing.T) {
	id := rsaIdentity()
	der, err := Sign(text, id.key, id.cert, SignOptions{SigningTime: at, Attributes: []Attribute{{OIDCardNumber, UTF8String("HC1")}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if !m.signatureAlg.oid.Equal(oidRSA) || len(m.certificates) != 1 {
		t.Errorf("signature algorithm %s, %d certificates", m.signatureAlg.oid, len(m.certificates))
	}
	attrs, err := readAttributes(m.attributes)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, a := range attrs {
		order = append(order, a.OID.String())
	}
	want := []string{OIDCardNumber.String(), OIDContentType.String(), OIDSigningTime.String(), OIDMessageDigest.String()}
	if len(order) != 4 || order[0] != want[0] || order[1] != want[1] || order[2] != want[2] || order[3] != want[3] {
		t.Errorf("attributes in order %v, want %v", order, want)
	}
	if v := attrs[2].Value; v[0] != asn1.TagUTCTime || string(v[2:]) != "261122040000Z" {
		t.Errorf("signing time %x", v)
	}
}

type brokenSigner struct {
	crypto.Signer
	err error
}

func (b brokenSigner) Sign(r io.Reader, d []byte, o crypto.SignerOpts) ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	sig, err := b.Signer.Sign(r, d, o)
	if err == nil {
		sig[len(sig)-1] ^= 1
	}
	return sig, err
}

// untouched fails the test when it is asked to sign.
type untouched struct {
	crypto.Signer
	t *testing.T
}

func (u untouched) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	u.t.Error("a key that is not the certificate's was asked to sign")
	return nil, errors.New("asked to sign")
}

// TestSignRefuses: a key that is not the certificate's, a module that fails or signs wrongly, SHA-1, and
// attributes given twice never become a message.
func TestSignRefuses(t *testing.T) {
	id, other := rsaIdentity(), p256Identity()
	failed := errors.New("module is gone")
	for name, f := range map[string]func() ([]byte, error){
		"other key":    func() ([]byte, error) { return Sign(text, untouched{other.key, t}, id.cert, SignOptions{}) },
		"fault RSA":    func() ([]byte, error) { return Sign(text, brokenSigner{id.key, nil}, id.cert, SignOptions{}) },
		"fault ECDSA":  func() ([]byte, error) { return Sign(text, brokenSigner{other.key, nil}, other.cert, SignOptions{}) },
		"module error": func() ([]byte, error) { return Sign(text, brokenSigner{id.key, failed}, id.cert, SignOptions{}) },
		"SHA-1":        func() ([]byte, error) { return Sign(text, id.key, id.cert, SignOptions{Hash: crypto.SHA1}) },
		"no cert":      func() ([]byte, error) { return Sign(text, id.key, nil, SignOptions{}) },
		"bad attribute": func() ([]byte, error) {
			return Sign(text, id.key, id.cert, SignOptions{Attributes: []Attribute{{OIDRandomNonce, []byte{4, 9, 1}}}})
		},
		"bad OID": func() ([]byte, error) {
			return Sign(text, id.key, id.cert, SignOptions{Attributes: []Attribute{{nil, UTF8String("x")}}})
		},
		"doubled": func() ([]byte, error) {
			return Sign(text, id.key, id.cert, SignOptions{Attributes: []Attribute{{OIDMessageDigest, UTF8String("x")}}})
		},
		"wrap SHA-1": func() ([]byte, error) { return WrapBare(text, []byte{1}, id.cert, crypto.SHA1) },
	} {
		t.Run(name, func(t *testing.T) {
			if der, err := f(); err == nil || der != nil {
				t.Errorf("made %x, %v", der, err)
			}
		})
	}
}

func TestCertsOnly(t *testing.T) {
	a, b := rsaIdentity().cert, p256Identity().cert
	der, err := CertsOnly([][]byte{a, b})
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenCertsOnly(der, MaxMessage)
	if err != nil || len(got) != 2 || !bytes.Equal(got[0], a) || !bytes.Equal(got[1], b) {
		t.Fatalf("got %d certificates, %v", len(got), err)
	}
	if _, err := Open(der, OpenOptions{}); err == nil {
		t.Error("a message without a signer was opened as a signed one")
	}
	signed, err := Sign(text, rsaIdentity().key, a, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenCertsOnly(signed, MaxMessage)
	wantReason(t, err, ReasonSignerCount)
}
