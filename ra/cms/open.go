package cms

import (
	"bytes"
	"crypto/subtle"
	"encoding/asn1"
	"time"

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

	// OneReading leaves out the second reading of the message by the library's own, lenient parser. It is for
	// the judgement that somebody waits for, of a message that is read twice before it is handed on.
	OneReading bool
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
	return sd.verified(m, asSet(m.attributes), o.OneReading)
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
	return sd.verified(m, m.content, o.OneReading)
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

// asSet puts the header of a SET before content.
func asSet(content []byte) []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(content)+6))
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}
