// Package cms is the one way in which this project makes and opens CMS SignedData (RFC 5652): the message a
// card signs, the requests to the HCA and its answers, and the manifests of evidence.
//
// It is strict on purpose. What it opens is DER with definite lengths, within a size and a depth that the
// caller can afford, has one signer named by issuer and serial number, SHA-2, and signed attributes that are
// there once each. One strict parser, here, reads a message; go.mozilla.org/pkcs7 verifies the signature from the
// parts that were read. Unless the caller says otherwise (OpenOptions.OneReading), the library's parser reads
// the message as well, and a message that the two read differently is refused: so it is with everything
// that this project signs, before it leaves, with what goes to the HCA or comes from it, and with evidence. Only
// the judgement of a card's message while somebody waits at the counter does without; the library's parser turns
// BER into DER first and costs nearly as much as the arithmetic of two signatures, and what it would be asked there
// is asked before the message is handed on.
//
// A chain is never judged here: whom the signer's certificate belongs to, and whether it was valid, is for
// package certpath and for the caller.
package cms

import (
	"crypto"
	_ "crypto/sha256" // SHA-256
	_ "crypto/sha512" // SHA-384, SHA-512
	"encoding/asn1"
	"fmt"
	"time"

	"certwindow/ra/certpath"
)

// Content types that this project signs (RFC 5652 section 4, RFC 5272 section 2.2).
var (
	OIDData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	OIDPKIData     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 12, 2}
	OIDPKIResponse = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 12, 3}

	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// Signed attributes (RFC 5652 section 11; PKCS #9 randomNonce; the card number of the government PKI).
var (
	OIDContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	OIDMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	OIDSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	OIDRandomNonce   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 25, 3}
	OIDCardNumber    = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 204}
)

// Limits that hold for every message.
const (
	// MaxMessage is the largest card-signed message that is looked at, in bytes.
	MaxMessage = 64 << 10
	// MaxDepth is how deeply values may be nested. A SignedData with certificates needs about fourteen.
	MaxDepth = 32

	maxCertificates = 16
	maxAttributes   = 32
)

// Attribute is one signed attribute with its one value.
type Attribute struct {
	OID   asn1.ObjectIdentifier
	Value []byte // the value's DER
}

// SignedData is a message whose one signature was found good under the certificate it carries. Nothing is
// said here about who that certificate belongs to.
type SignedData struct {
	Raw          []byte
	ContentType  asn1.ObjectIdentifier
	Content      []byte
	Signer       []byte   // DER of the certificate the signature verified under
	Certificates [][]byte // DER of every certificate in the message, the signer's among them
	SigningTime  time.Time
	Attributes   []Attribute // every signed attribute, in the order of the message; none in a bare one
	Hash         crypto.Hash

	SignerCertificate *certpath.Certificate // Signer, parsed
}

// Attribute returns the value of a signed attribute, as DER.
func (s *SignedData) Attribute(oid asn1.ObjectIdentifier) (der []byte, ok bool) {
	for _, a := range s.Attributes {
		if a.OID.Equal(oid) {
			return a.Value, true
		}
	}
	return nil, false
}

// Reasons for which a message is refused. They are stable: people's tools and translations depend on them.
const (
	ReasonEmpty            = "empty"
	ReasonTooLarge         = "too-large"
	ReasonTooDeep          = "nested-too-deep"
	ReasonTrailing         = "trailing-bytes"
	ReasonNotDER           = "not-der"
	ReasonNotSignedData    = "not-signed-data"
	ReasonContentType      = "content-type-wrong"
	ReasonDetached         = "detached"
	ReasonNotDetached      = "not-detached"
	ReasonContent          = "content-differs"
	ReasonSignerCount      = "signer-count"
	ReasonSignerKeyID      = "unsupported-signer-identifier"
	ReasonSignerMissing    = "signer-certificate-missing"
	ReasonSignerAmbiguous  = "signer-certificate-ambiguous"
	ReasonCertificate      = "certificate-unreadable"
	ReasonAlgorithm        = "unsupported-algorithm"
	ReasonSHA1             = "unsupported-algorithm-sha1"
	ReasonAlgorithms       = "algorithms-inconsistent"
	ReasonKeySize          = "unsupported-key-size"
	ReasonNoAttributes     = "signed-attributes-missing"
	ReasonAttributes       = "signed-attributes-present"
	ReasonAttrMissing      = "attribute-missing"
	ReasonAttrDuplicate    = "attribute-duplicate"
	ReasonAttrMalformed    = "attribute-malformed"
	ReasonUnsignedAttrs    = "unsigned-attributes-present"
	ReasonDigest           = "message-digest-wrong"
	ReasonSignature        = "signature-invalid"
	ReasonParsersDisagree  = "parsers-disagree"
	ReasonTooManyCerts     = "too-many-certificates"
	ReasonTooManyAttribute = "too-many-attributes"
)

// Error says why a message was refused.
type Error struct {
	Reason string // one of the Reason constants
	Detail string // for a person; holds nothing secret
	Err    error  // the cause, where there is one
}

func (e *Error) Error() string {
	s := e.Reason
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func refuse(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
