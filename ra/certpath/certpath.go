// Package certpath judges X.509 certificates: RFC 5280 path building and validation, CRLs and OCSP
// responses (RFC 6960), with input that a stranger may have chosen.
//
// It reads DER with parsers of its own, because the standard library's refuses certificates that RFC 5280
// allows and accepts some that it forbids; only the arithmetic of signatures is the standard library's.
// Nothing here reads the clock, and nothing uses the network unless Options holds a Fetcher. All
// functions are safe for concurrent use, and all parsed values may be shared between goroutines.
package certpath

import (
	"context"
	"encoding/asn1"
	"fmt"
	"time"
)

// Error is a refusal. Reason is a stable word for programs, e.g. "revoked"; Detail is for people.
type Error struct {
	Reason string
	Detail string
	Cert   string // subject of the certificate that was refused, empty where there is none
}

// Error gives reason, detail and subject in one line.
func (e *Error) Error() string {
	s := e.Reason
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Cert != "" {
		s += " (" + e.Cert + ")"
	}
	return s
}

// Reasons that Error.Reason holds.
const (
	ReasonMalformed        = "malformed"               // cannot be parsed, empty or too large
	ReasonUnsupported      = "unsupported-algorithm"   // an algorithm or key type that is not implemented
	ReasonWeakAlgorithm    = "weak-algorithm"          // SHA-1, or a key that is too short
	ReasonSignature        = "bad-signature"           // a signature does not verify
	ReasonNoPath           = "no-path"                 // no chain to an anchor
	ReasonProfile          = "profile"                 // RFC 5280 section 4 forbids the certificate
	ReasonNotYetValid      = "not-yet-valid"           // before notBefore
	ReasonExpired          = "expired"                 // after notAfter
	ReasonNotCA            = "not-a-ca"                // issuer without cA, or without keyCertSign
	ReasonPathLength       = "path-length"             // pathLenConstraint exceeded
	ReasonKeyUsage         = "key-usage"               // a required key usage is missing
	ReasonEKU              = "extended-key-usage"      // a required extended key usage is missing
	ReasonCritical         = "unknown-critical"        // a critical extension that is not implemented
	ReasonNameConstraints  = "name-constraints"        // a name outside what an issuer may certify
	ReasonPolicy           = "policy"                  // no acceptable certificate policy
	ReasonName             = "name-mismatch"           // not a certificate for Options.Name
	ReasonRevoked          = "revoked"                 // revoked or on hold
	ReasonNoRevocation     = "revocation-undetermined" // no usable CRL or OCSP response
	ReasonTooMuchWork      = "too-complex"             // the bound on work was reached
	ReasonMisuse           = "misuse"                  // Options are incomplete
	ReasonRevocationSource = "revocation-unusable"     // a CRL or OCSP response that cannot be relied on
)

func refuse(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// about names the certificate that the refusal is about, unless it already names one.
func (e *Error) about(c *Certificate) *Error {
	if e.Cert == "" && c != nil {
		e.Cert = c.Subject.String()
	}
	return e
}

// Options are the inputs of path validation (RFC 5280 section 6.1.1) and of the revocation check.
type Options struct {
	Anchors       []*Certificate // trust anchors; used in addition to AnchorPool
	AnchorPool    *Pool          // anchors indexed once, for callers that validate often
	Intermediates []*Certificate // untrusted
	CRLs          []*CRL
	OCSP          []*OCSPResponse

	At time.Time // the time of validation; required

	Policies       []asn1.ObjectIdentifier // user-initial-policy-set; empty is any policy
	ExplicitPolicy bool                    // initial-explicit-policy
	InhibitMapping bool                    // initial-policy-mapping-inhibit
	InhibitAny     bool                    // initial-any-policy-inhibit

	EKU      asn1.ObjectIdentifier // required of the leaf, and of intermediates that limit it; nil is any
	KeyUsage KeyUsage              // bits required of the leaf where it has the extension; 0 is any
	Name     string                // DNS name or IP address the leaf must be for; empty is any
	MaxDepth int                   // intermediates that are not self-issued; 0 is the built-in bound, -1 is none at all

	// RequireRevocation asks for a revocation answer for every certificate below the anchor. Without it
	// only what CRLs, OCSP and Fetcher are able to say is judged.
	RequireRevocation bool
	Fetcher           Fetcher       // nil never uses the network
	Nonce             []byte        // sent in fetched OCSP requests; then a response must hold it
	OCSPMaxAge        time.Duration // bound on the age of thisUpdate; 0 is nextUpdate alone, or 24 h where that is absent
	CRLMaxAge         time.Duration // bound on the age of a CRL's thisUpdate; 0 is nextUpdate alone
	ClockSkew         time.Duration // how far in the future thisUpdate may lie; 0 is five minutes, negative is none
}

// Fetcher gets revocation data from the addresses that certificates name.
type Fetcher interface {
	// OCSP sends a DER OCSPRequest and returns the DER OCSPResponse.
	OCSP(ctx context.Context, url string, request []byte) ([]byte, error)
	// CRL returns a DER CRL that is fresh at the time of the call.
	CRL(ctx context.Context, url string) ([]byte, error)
}

// Evidence kinds.
const (
	EvidenceOCSP = "ocsp"
	EvidenceCRL  = "crl"
)

// Evidence is what a revocation answer rests on, for keeping beside what was decided.
type Evidence struct {
	Kind       string // EvidenceOCSP or EvidenceCRL
	DER        []byte
	Cert       *Certificate // whose status it answers
	ThisUpdate time.Time
	NextUpdate time.Time // zero where the response has none
}

// Result is a valid path.
type Result struct {
	Path       []*Certificate // leaf first, anchor last
	Policies   []string       // user-constrained policy set in dotted form, sorted; "2.5.29.32.0" is any policy
	Revocation []Evidence     // leaf first; a certificate without an answer has none
}
