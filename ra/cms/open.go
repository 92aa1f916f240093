package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"time"

	"go.mozilla.org/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OpenOptions says what a message must be. The zero value wants id-data inside a message of MaxMessage bytes
// at most, whatever the content.
type OpenOptions struct {
	Max                     int                   // bytes; 0 is MaxMessage
	ContentType             asn1.ObjectIdentifier // nil is id-data
	Content                 []byte                // where not nil, the content must be this, byte for byte
	Detached                bool                  // the message must not hold the content, and Content is what was signed
	RequireSigningTime      bool
	AllowUnsignedAttributes bool // nobody signed them; they are never read
}

// Open verifies a SignedData with signed attributes under the certificate it carries. It refuses a message
// without them (see OpenBare): otherwise the signed attributes of one message could be passed off as the
// content of another. The error is an *Error.
func Open(der []byte, o OpenOptions) (*SignedData, error) {
	m, err := read(der, o)
	if err != nil {
		return nil, err
	}
	if !m.hasAttributes {
		return nil, refuse(ReasonNoAttributes, "the signature is over the bare content")
	}
	attrs, err := readAttributes(m.attributes)
	if err != nil {
		return nil, err
	}
	sd := &SignedData{Raw: der, ContentType: m.contentType, Content: m.content, Attributes: attrs}
	if sd.Hash, err = m.hash(); err != nil {
		return nil, err
	}
	if err := sd.checkAttributes(o.RequireSigningTime); err != nil {
		return nil, err
	}
	// RFC 5652 section 5.4: what is signed is the attributes as a SET OF. They are taken as they came, so
	// that the bytes verified are the bytes the card saw.
	return verified(sd, m, asSet(m.attributes))
}

// OpenBare verifies a SignedData without signed attributes, as WrapBare makes it: the signature is over the
// content itself. Such a message proves less (no time, no content type), and its content could be the signed
// attributes of another message; the caller must see to it that the content is text that cannot be read as those.
func OpenBare(der []byte, o OpenOptions) (*SignedData, error) {
	m, err := read(der, o)
	if err != nil {
		return nil, err
	}
	if m.hasAttributes {
		return nil, refuse(ReasonAttributes, "a bare signature has none")
	}
	if o.RequireSigningTime {
		return nil, refuse(ReasonAttrMissing, "a bare signature has no signing time")
	}
	sd := &SignedData{Raw: der, ContentType: m.contentType, Content: m.content}
	if sd.Hash, err = m.hash(); err != nil {
		return nil, err
	}
	return verified(sd, m, m.content)
}

// read checks the bytes, reads them, and compares what can be compared before any signature.
func read(der []byte, o OpenOptions) (*message, error) {
	limit := o.Max
	if limit == 0 {
		limit = MaxMessage
	}
	if err := Check(der, limit); err != nil {
		return nil, err
	}
	m, err := parse(der)
	if err != nil {
		return nil, err
	}
	wanted := o.ContentType
	if wanted == nil {
		wanted = OIDData
	}
	switch {
	case !m.contentType.Equal(wanted):
		return nil, refuse(ReasonContentType, "the content is %s, %s is wanted", m.contentType, wanted)
	case m.hasUnsigned && !o.AllowUnsignedAttributes:
		return nil, refuse(ReasonUnsignedAttrs, "attributes that nobody signed")
	case m.detached && !o.Detached:
		return nil, refuse(ReasonDetached, "the message does not hold what was signed")
	case !m.detached && o.Detached:
		return nil, refuse(ReasonNotDetached, "the message holds its content")
	case m.detached && o.Content == nil:
		return nil, refuse(ReasonDetached, "the content of a detached message was not given")
	case m.detached:
		m.content = o.Content
	case o.Content != nil && !bytes.Equal(m.content, o.Content):
		return nil, refuse(ReasonContent, "what was signed is not what was issued")
	}
	return m, nil
}

// checkAttributes wants content-type and message-digest once each and right (RFC 5652 sections 11.1, 11.2),
// and reads the signing time (section 11.3).
func (s *SignedData) checkAttributes(requireTime bool) error {
	der, ok := s.Attribute(OIDContentType)
	if !ok {
		return refuse(ReasonAttrMissing, "content-type")
	}
	in := cryptobyte.String(der)
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1ObjectIdentifier(&oid) || !in.Empty() {
		return refuse(ReasonAttrMalformed, "content-type")
	}
	if !oid.Equal(s.ContentType) {
		return refuse(ReasonContentType, "the signed attribute says %s and the message holds %s", oid, s.ContentType)
	}

	if der, ok = s.Attribute(OIDMessageDigest); !ok {
		return refuse(ReasonAttrMissing, "message-digest")
	}
	in = cryptobyte.String(der)
	var digest cryptobyte.String
	if !in.ReadASN1(&digest, cbasn1.OCTET_STRING) || !in.Empty() {
		return refuse(ReasonAttrMalformed, "message-digest")
	}
	if subtle.ConstantTimeCompare(digest, sum(s.Hash, s.Content)) != 1 {
		return refuse(ReasonDigest, "the content is not what the signed digest is of")
	}

	if der, ok = s.Attribute(OIDSigningTime); !ok {
		if requireTime {
			return refuse(ReasonAttrMissing, "signing-time")
		}
		return nil
	}
	if s.SigningTime, ok = parseTime(der); !ok {
		s.SigningTime = time.Time{}
		return refuse(ReasonAttrMalformed, "signing-time")
	}
	return nil
}

// verified returns the message only when its signature is good.
func verified(sd *SignedData, m *message, signed []byte) (*SignedData, error) {
	if err := sd.verify(m, signed); err != nil {
		return nil, err
	}
	return sd, nil
}

// verify finds the signer and has the library verify the signature over signed.
func (s *SignedData) verify(m *message, signed []byte) error {
	signer, err := m.signerCertificate()
	if err != nil {
		return err
	}
	p7, err := pkcs7.Parse(s.Raw)
	if err != nil {
		return &Error{Reason: ReasonCertificate, Err: err}
	}
	// Two parsers have read the message. Where they differ, one of them can be fooled.
	cert := p7.GetOnlySigner()
	if cert == nil || !bytes.Equal(cert.Raw, signer) || !bytes.Equal(p7.Signers[0].EncryptedDigest, m.signature) ||
		!m.detached && !bytes.Equal(p7.Content, m.content) {
		return refuse(ReasonParsersDisagree, "the message can be read in two ways")
	}
	if err := m.checkKey(cert); err != nil {
		return err
	}
	// The library would re-encode the attributes, skip those it does not know, and hold the message's own
	// signing time against the certificate. It is given the signed bytes as the content instead.
	p7.Content, p7.Signers[0].AuthenticatedAttributes = signed, nil
	if err := p7.VerifyWithChainAtTime(nil, time.Time{}); err != nil {
		return &Error{Reason: ReasonSignature, Err: err}
	}
	s.Signer = signer
	for _, c := range m.certificates {
		s.Certificates = append(s.Certificates, c.raw)
	}
	return nil
}

// checkKey sees to it that the key is of the kind the signature algorithm says, and of a size whose
// verification is neither worthless nor a way to keep the server busy.
func (m *message) checkKey(cert *x509.Certificate) error {
	wanted := x509.RSA
	if _, ok := ecdsaHashes[m.signatureAlg.oid.String()]; ok {
		wanted = x509.ECDSA
	}
	if cert.PublicKeyAlgorithm != wanted {
		return refuse(ReasonAlgorithms, "a %s signature under a key for %s", wanted, cert.PublicKeyAlgorithm)
	}
	return checkKeySize(cert.PublicKey)
}

func checkKeySize(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return refuse(ReasonKeySize, "RSA with %d bits, %d to %d are supported", bits, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits < 256 {
			return refuse(ReasonKeySize, "ECDSA with %d bits", bits)
		}
	default:
		return refuse(ReasonAlgorithm, "a key of type %T", pub)
	}
	return nil
}

// asSet puts the header of a SET before content.
func asSet(content []byte) []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(content)+6))
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}
