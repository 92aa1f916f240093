// Package csr makes and reads PKCS#10 certification requests (RFC 2986) that hold the window's challenge as
// the challengePassword attribute (RFC 2985 section 5.4.1), which ties a key to its application (HCA-6.0).
package csr

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxSize is the largest request that is looked at, in bytes.
const MaxSize = 16 << 10

var (
	oidChallenge  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	oidRSASHA256  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidECSHA256   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	tagAttributes = cbasn1.Tag(0).ContextSpecific().Constructed()
)

// Challenge writes a challenge as it stands in a request: base64url without padding.
func Challenge(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// Make builds a request for the signer's key and signs it with SHA-256. The challenge may be nil: a key that
// the window's own HSM makes needs none.
func Make(signer crypto.Signer, subject pkix.Name, challenge []byte) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	name, err := asn1.Marshal(subject.ToRDNSequence())
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	algorithm := func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidECSHA256) }
	switch signer.Public().(type) {
	case *ecdsa.PublicKey:
	case *rsa.PublicKey:
		algorithm = func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidRSASHA256); b.AddASN1NULL() }
	default:
		return nil, fmt.Errorf("csr: unsupported key %T", signer.Public())
	}
	var info cryptobyte.Builder
	info.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(name)
		b.AddBytes(spki)
		b.AddASN1(tagAttributes, func(b *cryptobyte.Builder) {
			if challenge != nil {
				addChallenge(b, Challenge(challenge))
			}
		})
	})
	tbs, err := info.Bytes()
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	digest := sha256.Sum256(tbs)
	sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(cbasn1.SEQUENCE, algorithm)
		b.AddASN1BitString(sig)
	})
	return out.Bytes()
}

func addChallenge(b *cryptobyte.Builder, value string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidChallenge)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
		})
	})
}

// Request is what a certification request says, its signature verified (proof of possession).
type Request struct {
	Raw       []byte
	SPKI      []byte // DER SubjectPublicKeyInfo
	PublicKey crypto.PublicKey
	Challenge string // as Challenge writes it; empty when there is none
}

// Parse reads a request in DER and verifies its signature. Bytes after the end, SHA-1, keys other than P-256,
// P-384 and RSA from 2048 to 4096 bits, and a second challenge are refused.
func Parse(der []byte) (*Request, error) {
	if len(der) == 0 || len(der) > MaxSize {
		return nil, errors.New("csr: empty or too large")
	}
	x, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	if len(x.Raw) != len(der) {
		return nil, errors.New("csr: bytes after the end")
	}
	switch k := x.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits != 256 && bits != 384 {
			return nil, errors.New("csr: unsupported curve")
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 4096 {
			return nil, errors.New("csr: unsupported RSA key size")
		}
	default:
		return nil, errors.New("csr: unsupported key type")
	}
	switch x.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
	default:
		return nil, errors.New("csr: unsupported signature algorithm")
	}
	if err := x.CheckSignature(); err != nil {
		return nil, fmt.Errorf("csr: proof of possession: %w", err)
	}
	challenge, err := readChallenge(x.RawTBSCertificateRequest)
	if err != nil {
		return nil, err
	}
	return &Request{Raw: der, SPKI: x.RawSubjectPublicKeyInfo, PublicKey: x.PublicKey, Challenge: challenge}, nil
}

// readChallenge walks the attributes, which Go's parser does not expose as they are.
func readChallenge(tbs []byte) (string, error) {
	in, body := cryptobyte.String(tbs), cryptobyte.String(nil)
	var attrs cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.INTEGER) || !body.SkipASN1(cbasn1.SEQUENCE) ||
		!body.SkipASN1(cbasn1.SEQUENCE) || !body.ReadASN1(&attrs, tagAttributes) || !body.Empty() {
		return "", errors.New("csr: malformed")
	}
	found, value := false, ""
	for !attrs.Empty() {
		var attr, set cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !attrs.ReadASN1(&attr, cbasn1.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&oid) || !attr.ReadASN1(&set, cbasn1.SET) || !attr.Empty() {
			return "", errors.New("csr: malformed attribute")
		}
		if !oid.Equal(oidChallenge) {
			continue
		}
		var s cryptobyte.String
		var tag cbasn1.Tag
		if found || !set.ReadAnyASN1(&s, &tag) || !set.Empty() || (tag != cbasn1.UTF8String && tag != cbasn1.PrintableString) {
			return "", errors.New("csr: malformed challenge")
		}
		found, value = true, string(s)
	}
	return value, nil
}
