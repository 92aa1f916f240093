package certpath

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OCSPResponse is a parsed OCSP response (RFC 6960 section 4.2). It must not be changed.
type OCSPResponse struct {
	Raw        []byte
	Status     int // OCSPResponseStatus; 0 is successful, and all other fields are set then only
	ProducedAt time.Time
	Nonce      []byte // value of the nonce extension, nil where absent

	signed    signedObject
	byName    *Name  // responder
	byKey     []byte // responder, SHA-1 of the key
	singles   []singleResponse
	certs     []*Certificate
	criticals bool // an unknown critical extension
}

type certStatus uint8

const (
	statusGood certStatus = iota + 1
	statusRevoked
	statusUnknown
)

// singleResponse is the answer for one certificate.
type singleResponse struct {
	hash                     OID
	nameHash, keyHash        []byte
	serial                   []byte
	status                   certStatus
	thisUpdate, nextUpdate   time.Time
	revokedAt                time.Time
	reason                   int
	unknownCriticalExtension bool
}

const (
	maxSingles       = 1000
	maxResponseCerts = 8
)

// ParseOCSP parses one DER OCSP response of at most 1 MiB. A response with another status than successful
// parses, and answers nothing. Errors are *Error.
func ParseOCSP(der []byte) (*OCSPResponse, error) {
	r, err := parseOCSP(der)
	if err != nil {
		err.Detail = "OCSP response: " + err.Detail
		return nil, err
	}
	return r, nil
}

func parseOCSP(der []byte) (*OCSPResponse, *Error) {
	if len(der) == 0 || len(der) > MaxOCSP {
		return nil, malformed("empty or larger than %d bytes", MaxOCSP)
	}
	outer, ok := readSequence(der)
	if !ok {
		return nil, malformed("not one DER SEQUENCE")
	}
	r := &OCSPResponse{Raw: der}
	if r.Status, ok = readSmallInt(&outer, casn1.ENUM); !ok {
		return nil, malformed("status")
	}
	if r.Status != 0 {
		if !outer.Empty() {
			return nil, malformed("bytes after an unsuccessful status")
		}
		return r, nil
	}
	var explicit, bytesSeq, basic, body cryptobyte.String
	var kind OID
	if !outer.ReadASN1(&explicit, tagConstructed(0)) || !outer.Empty() ||
		!explicit.ReadASN1(&bytesSeq, casn1.SEQUENCE) || !explicit.Empty() || !readOID(&bytesSeq, &kind) ||
		!bytesSeq.ReadASN1(&basic, casn1.OCTET_STRING) || !bytesSeq.Empty() {
		return nil, malformed("response bytes")
	}
	if kind != oidOCSPBasic {
		return nil, refuse(ReasonUnsupported, "unsupported response type %s", kind)
	}
	if body, ok = readSequence(basic); !ok {
		return nil, malformed("basic response")
	}
	var err *Error
	if r.signed, err = readSignedBody(body); err != nil {
		return nil, err
	}
	if err := r.parseCerts(r.signed.rest); err != nil {
		return nil, err
	}
	return r, r.parseData()
}

func (r *OCSPResponse) parseCerts(rest cryptobyte.String) *Error {
	var explicit, list cryptobyte.String
	var has bool
	if !rest.ReadOptionalASN1(&explicit, &has, tagConstructed(0)) || !rest.Empty() {
		return malformed("certificates")
	}
	if !has {
		return nil
	}
	if !explicit.ReadASN1(&list, casn1.SEQUENCE) || !explicit.Empty() {
		return malformed("certificates")
	}
	for n := 0; !list.Empty(); {
		var der cryptobyte.String
		if n++; !list.ReadASN1Element(&der, casn1.SEQUENCE) || n > maxResponseCerts {
			return malformed("certificates")
		}
		// One that cannot be read is not the signer's; the others may be.
		if c, err := parseCertificate(der); err == nil {
			r.certs = append(r.certs, c)
		}
	}
	return nil
}

// parseData reads ResponseData.
func (r *OCSPResponse) parseData() *Error {
	data, ok := readSequence(r.signed.tbs)
	var version, list, exts cryptobyte.String
	var has bool
	if !ok || !data.ReadOptionalASN1(&version, &has, tagConstructed(0)) {
		return malformed("response data")
	}
	if has {
		if n, ok := readSmallInt(&version, casn1.INTEGER); !ok || n != 0 {
			return malformed("version")
		}
	}
	if !r.parseResponder(&data) {
		return malformed("responder")
	}
	generalized := false
	if r.ProducedAt, generalized, ok = readTime(&data); !ok || !generalized {
		return malformed("producedAt")
	}
	if !data.ReadASN1(&list, casn1.SEQUENCE) {
		return malformed("responses")
	}
	for !list.Empty() {
		s, ok := readSingle(&list)
		if !ok || len(r.singles) >= maxSingles {
			return malformed("response %d", len(r.singles))
		}
		r.singles = append(r.singles, s)
	}
	if !data.ReadOptionalASN1(&exts, &has, tagConstructed(1)) || !data.Empty() {
		return malformed("end of response data")
	}
	if has {
		ok = readExtensionList(exts, func(h extensionHeader, v cryptobyte.String) {
			if h.id != oidOCSPNonce {
				r.criticals = r.criticals || h.critical
				return
			}
			// RFC 8954 wraps the nonce in an OCTET STRING; some responders do not.
			var inner cryptobyte.String
			if w := v; w.ReadASN1(&inner, casn1.OCTET_STRING) && w.Empty() {
				v = inner
			}
			r.Nonce = v
		})
		if !ok {
			return malformed("extensions")
		}
	}
	return nil
}

func (r *OCSPResponse) parseResponder(data *cryptobyte.String) bool {
	var id cryptobyte.String
	var tag casn1.Tag
	if !data.ReadAnyASN1(&id, &tag) {
		return false
	}
	switch tag {
	case tagConstructed(1):
		n, ok := parseName(id)
		r.byName = &n
		return ok
	case tagConstructed(2):
		var key cryptobyte.String
		ok := id.ReadASN1(&key, casn1.OCTET_STRING) && id.Empty() && len(key) == sha1.Size
		r.byKey = key
		return ok
	}
	return false
}

// readExtensionList reads Extensions inside an explicit tag; no extension may occur twice.
func readExtensionList(exts cryptobyte.String, each func(extensionHeader, cryptobyte.String)) bool {
	var list cryptobyte.String
	if !exts.ReadASN1(&list, casn1.SEQUENCE) || !exts.Empty() {
		return false
	}
	seen := map[OID]bool{}
	for !list.Empty() {
		h, v, ok := readExtension(&list)
		if !ok || seen[h.id] {
			return false
		}
		seen[h.id] = true
		each(h, v)
	}
	return true
}

func readSingle(list *cryptobyte.String) (s singleResponse, ok bool) {
	var seq, id, alg, nameHash, keyHash, serial, status, next, exts cryptobyte.String
	var tag casn1.Tag
	var hasNext, hasExts bool
	if !list.ReadASN1(&seq, casn1.SEQUENCE) || !seq.ReadASN1(&id, casn1.SEQUENCE) ||
		!id.ReadASN1(&alg, casn1.SEQUENCE) || !readOID(&alg, &s.hash) || !(alg.Empty() || isNull(alg)) ||
		!id.ReadASN1(&nameHash, casn1.OCTET_STRING) || !id.ReadASN1(&keyHash, casn1.OCTET_STRING) ||
		!id.ReadASN1(&serial, casn1.INTEGER) || !id.Empty() || !minimalInteger(serial) ||
		!seq.ReadAnyASN1(&status, &tag) {
		return s, false
	}
	s.nameHash, s.keyHash, s.serial = nameHash, keyHash, serial
	switch tag {
	case tagPrimitive(0):
		s.status, ok = statusGood, len(status) == 0
	case tagConstructed(1):
		s.status, ok = statusRevoked, s.readRevoked(status)
	case tagPrimitive(2):
		s.status, ok = statusUnknown, len(status) == 0
	}
	if !ok {
		return s, false
	}
	var g bool
	if s.thisUpdate, g, ok = readTime(&seq); !ok || !g || !seq.ReadOptionalASN1(&next, &hasNext, tagConstructed(0)) {
		return s, false
	}
	if hasNext {
		if s.nextUpdate, g, ok = readTime(&next); !ok || !g || !next.Empty() {
			return s, false
		}
	}
	if !seq.ReadOptionalASN1(&exts, &hasExts, tagConstructed(1)) || !seq.Empty() {
		return s, false
	}
	return s, !hasExts || readExtensionList(exts, func(h extensionHeader, _ cryptobyte.String) {
		s.unknownCriticalExtension = s.unknownCriticalExtension || h.critical
	})
}

func (s *singleResponse) readRevoked(info cryptobyte.String) bool {
	var reason cryptobyte.String
	var has, ok, g bool
	if s.revokedAt, g, ok = readTime(&info); !ok || !g || !info.ReadOptionalASN1(&reason, &has, tagConstructed(0)) || !info.Empty() {
		return false
	}
	if has {
		s.reason, ok = readSmallInt(&reason, casn1.ENUM)
		return ok && reason.Empty()
	}
	return true
}

// about tells whether the answer is for a certificate of an issuer: name, key and serial number must agree.
// The hash only names the issuer, so SHA-1 is as good as any.
func (s *singleResponse) about(cert, issuer *Certificate) bool {
	if !bytes.Equal(s.serial, cert.x.serial) {
		return false
	}
	sum := hashByOID(s.hash)
	if sum == nil || !bytes.Equal(s.keyHash, sum(keyBits(issuer.RawSPKI))) {
		return false
	}
	return bytes.Equal(s.nameHash, sum(cert.RawIssuer)) || bytes.Equal(s.nameHash, sum(issuer.RawSubject))
}

func hashByOID(id OID) func([]byte) []byte {
	switch id {
	case oidSHA1:
		return func(b []byte) []byte { h := sha1.Sum(b); return h[:] }
	case oidSHA256:
		return func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
	case oidSHA384:
		return func(b []byte) []byte { h := sha512.Sum384(b); return h[:] }
	case oidSHA512:
		return func(b []byte) []byte { h := sha512.Sum512(b); return h[:] }
	}
	return nil
}

// keyBits gives the content of the BIT STRING of a SubjectPublicKeyInfo, without the count of unused bits.
func keyBits(spki []byte) []byte {
	info, _ := readSequence(spki)
	var alg, bits cryptobyte.String
	if !info.ReadASN1(&alg, casn1.SEQUENCE) || !info.ReadASN1(&bits, casn1.BIT_STRING) || len(bits) == 0 {
		return nil
	}
	return bits[1:]
}

// NewOCSPRequest builds a DER OCSPRequest for one certificate, with SHA-1 in the CertID as RFC 5019 has it.
// nonce is sent where it is not empty; RFC 8954 allows up to 32 octets.
func NewOCSPRequest(cert, issuer *Certificate, nonce []byte) ([]byte, error) {
	if len(nonce) > 32 {
		return nil, refuse(ReasonMisuse, "nonce longer than 32 octets")
	}
	nameHash, keyHash := sha1.Sum(cert.RawIssuer), sha1.Sum(keyBits(issuer.RawSPKI))
	var b cryptobyte.Builder
	addOID := func(b *cryptobyte.Builder, id OID) {
		b.AddASN1(casn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
	}
	seq := func(b *cryptobyte.Builder, f func(*cryptobyte.Builder)) { b.AddASN1(casn1.SEQUENCE, f) }
	certID := func(b *cryptobyte.Builder) {
		seq(b, func(b *cryptobyte.Builder) {
			addOID(b, oidSHA1)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(nameHash[:])
		b.AddASN1OctetString(keyHash[:])
		b.AddASN1(casn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(cert.x.serial) })
	}
	exts := func(b *cryptobyte.Builder) {
		seq(b, func(b *cryptobyte.Builder) {
			seq(b, func(b *cryptobyte.Builder) {
				addOID(b, oidOCSPNonce)
				b.AddASN1(casn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
			})
		})
	}
	seq(&b, func(b *cryptobyte.Builder) {
		seq(b, func(b *cryptobyte.Builder) {
			seq(b, func(b *cryptobyte.Builder) { // requestList
				seq(b, func(b *cryptobyte.Builder) { seq(b, certID) })
			})
			if len(nonce) > 0 {
				b.AddASN1(tagConstructed(2), exts)
			}
		})
	})
	return b.Bytes()
}
