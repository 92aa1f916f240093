// Package cmc speaks Certificate Management over CMS (RFC 5272, updated by RFC 6402) with the HCA: full PKI requests
// over HTTPS (RFC 5273), signed with the window's dedicated certificate, and answers that are believed only when the
// HCA signed them for exactly this request.
//
// The message types are exported because both ends use them: the adapter here, and the simulator of the HCA. Parsing
// is strict DER with caps on size, depth and count, and holds for bytes that a stranger chose.
package cmc

import "encoding/asn1"

// OIDCMCCA is the extended key usage of the certificate with which a CA signs its CMC answers (RFC 6402 section 2.10).
// The content types are in package cms.
var OIDCMCCA = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 27}

// Controls (RFC 5272 section 6).
var (
	OIDTransactionID  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 5}
	OIDSenderNonce    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 6}
	OIDRecipientNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 7}
	OIDRevokeRequest  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 17}
	OIDQueryPending   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 21}
	OIDStatusInfoV2   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 25}
)

// Body part identifiers that this profile gives to the parts of a request. A status in the answer refers to them.
const (
	BodyTransactionID = 1
	BodySenderNonce   = 2
	BodyRevoke        = 3
	BodyQuery         = 4
	BodyCSR           = 10
	BodyConsent       = 20
)

// Limits on what is parsed.
const (
	MaxRequest  = 128 << 10 // bytes of a signed request: a consent, a CSR and the dedicated certificate's chain
	MaxResponse = 256 << 10 // bytes of a signed response
	maxParts    = 32        // elements in each sequence of a message
	maxNonce    = 64        // bytes of a nonce or a pending token
)

// Media types (RFC 5273 section 3).
const (
	RequestType  = "application/pkcs7-mime; smime-type=CMC-request; name=request.p7m"
	ResponseType = "application/pkcs7-mime; smime-type=CMC-response; name=response.p7m"
	mediaType    = "application/pkcs7-mime"
)
