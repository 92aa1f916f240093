package hcasim

import (
	"bytes"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // CertID is allowed to use it: it is no signature (RFC 6960 section 4.3)
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSHA1        = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidBasicOCSP   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidOCSPNonce   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
)

// Limits and lifetimes of OCSP.
const (
	maxOCSPRequest = 4 << 10
	maxOCSPCerts   = 8
	ocspLife       = time.Hour
)

// OCSPResponseStatus values that are not success (RFC 6960 section 4.2.1).
const (
	ocspMalformed    = 1
	ocspInternal     = 2
	ocspUnauthorized = 6
)

// certID is one certificate that is asked about.
type certID struct {
	der    []byte // to be echoed
	hash   crypto.Hash
	name   []byte
	key    []byte
	serial *big.Int
}

// ocspRequest is what the responder reads of an OCSPRequest. A signature of the requestor is not looked at.
type ocspRequest struct {
	certs []certID
	nonce []byte // DER of the nonce extension's value, nil without one
}

var errOCSP = errors.New("hcasim: malformed OCSP request")

// parseOCSPRequest reads an OCSPRequest (RFC 6960 section 4.1.1) of at most eight certificates.
func parseOCSPRequest(der []byte) (*ocspRequest, error) {
	in := cryptobyte.String(der)
	var body, tbs, list, exts cryptobyte.String
	var hasExts bool
	explicit := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	if len(der) > maxOCSPRequest || !in.ReadASN1(&body, cbasn1.SEQUENCE) || !in.Empty() ||
		!body.ReadASN1(&tbs, cbasn1.SEQUENCE) || !body.SkipOptionalASN1(explicit(0)) || !body.Empty() ||
		!tbs.SkipOptionalASN1(explicit(0)) || !tbs.SkipOptionalASN1(explicit(1)) || !tbs.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&exts, &hasExts, explicit(2)) || !tbs.Empty() {
		return nil, errOCSP
	}
	var r ocspRequest
	for !list.Empty() {
		id, ok := readCertID(&list)
		if !ok || len(r.certs) == maxOCSPCerts {
			return nil, errOCSP
		}
		r.certs = append(r.certs, id)
	}
	if len(r.certs) == 0 || hasExts && !r.readExtensions(exts) {
		return nil, errOCSP
	}
	return &r, nil
}

func readCertID(list *cryptobyte.String) (certID, bool) {
	id := certID{serial: new(big.Int)}
	var entry, der, body, alg, params, name, key cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !list.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1Element(&der, cbasn1.SEQUENCE) {
		return id, false
	}
	id.der = der
	if !der.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) ||
		!alg.ReadOptionalASN1(&params, nil, cbasn1.NULL) || !alg.Empty() ||
		!body.ReadASN1(&name, cbasn1.OCTET_STRING) || !body.ReadASN1(&key, cbasn1.OCTET_STRING) ||
		!body.ReadASN1Integer(id.serial) || !body.Empty() {
		return id, false
	}
	switch {
	case oid.Equal(oidSHA1):
		id.hash = crypto.SHA1
	case oid.Equal(oidSHA256):
		id.hash = crypto.SHA256
	}
	id.name, id.key = name, key
	return id, true
}

func (r *ocspRequest) readExtensions(exts cryptobyte.String) bool {
	var list cryptobyte.String
	if !exts.ReadASN1(&list, cbasn1.SEQUENCE) || !exts.Empty() {
		return false
	}
	for !list.Empty() {
		var ext, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&ext, cbasn1.SEQUENCE) || !ext.ReadASN1ObjectIdentifier(&oid) ||
			!ext.ReadOptionalASN1Boolean(&critical, cbasn1.BOOLEAN, false) ||
			!ext.ReadASN1(&value, cbasn1.OCTET_STRING) || !ext.Empty() {
			return false
		}
		if oid.Equal(oidOCSPNonce) {
			if r.nonce != nil || len(value) == 0 || len(value) > 130 { // RFC 9654: 128 octets and their header
				return false
			}
			r.nonce = value
		} else if critical {
			return false
		}
	}
	return true
}

// OCSP answers an OCSPRequest. The answer is always an OCSPResponse, if only one that says malformedRequest.
func (s *Simulator) OCSP(der []byte) []byte {
	r, err := parseOCSPRequest(der)
	if err != nil {
		return ocspError(ocspMalformed)
	}
	for _, c := range r.certs {
		if !s.isIssuer(c) {
			return ocspError(ocspUnauthorized)
		}
	}
	out, err := s.signOCSP(r)
	if err != nil {
		return ocspError(ocspInternal)
	}
	return out
}

func ocspError(status int64) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Enum(status) })
	return b.BytesOrPanic()
}

// isIssuer reports whether the certificate asked about says that the issuing CA made it.
func (s *Simulator) isIssuer(c certID) bool {
	if c.hash == 0 {
		return false
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(s.ca.cert.RawSubjectPublicKeyInfo, &spki); err != nil {
		return false
	}
	digest := func(b []byte) []byte {
		h := c.hash.New()
		h.Write(b)
		return h.Sum(nil)
	}
	return bytes.Equal(c.name, digest(s.ca.cert.RawSubject)) && bytes.Equal(c.key, digest(spki.Key.Bytes))
}

func (s *Simulator) signOCSP(r *ocspRequest) ([]byte, error) {
	now := s.now().UTC().Truncate(time.Second)
	var tbs cryptobyte.Builder
	explicit := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	err := s.journal.view(func(st *state) {
		tbs.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(s.ocsp.cert.RawSubject) })
			b.AddASN1GeneralizedTime(now)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, c := range r.certs {
					addSingle(b, c, st, now)
				}
			})
			if r.nonce != nil {
				b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addNonce(b, r.nonce) })
			}
		})
	})
	if err != nil {
		return nil, err
	}
	signed, err := tbs.Bytes()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signed)
	sig, err := s.ocsp.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return s.encodeOCSP(signed, sig)
}

func (s *Simulator) encodeOCSP(signed, sig []byte) ([]byte, error) {
	var basic, out cryptobyte.Builder
	explicit := cbasn1.Tag(0).ContextSpecific().Constructed()
	basic.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(signed)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidECDSASHA256) })
		b.AddASN1BitString(sig)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(s.ocsp.cert.Raw) })
		})
	})
	inner, err := basic.Bytes()
	if err != nil {
		return nil, err
	}
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasicOCSP)
				b.AddASN1OctetString(inner)
			})
		})
	})
	return out.Bytes()
}

// addSingle writes a SingleResponse. A serial number that was never issued is "unknown", not "good".
func addSingle(b *cryptobyte.Builder, c certID, st *state, now time.Time) {
	key := c.serial.Text(16)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(c.der)
		switch rev := st.revocations[key]; {
		case rev != nil:
			b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1GeneralizedTime(rev.At.UTC())
				b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(rev.Reason)) })
			})
		case st.certificates[key] != nil:
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		default:
			b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
		}
		b.AddASN1GeneralizedTime(now)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(now.Add(ocspLife)) })
	})
}

func addNonce(b *cryptobyte.Builder, nonce []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidOCSPNonce)
			b.AddASN1OctetString(nonce)
		})
	})
}
