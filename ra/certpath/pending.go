package certpath

import (
	"context"
	"crypto"
)

type parsedExtensions struct{}

// CRL is a parsed certificate revocation list.
type CRL struct{ Raw []byte }

// OCSPResponse is a parsed OCSP response.
type OCSPResponse struct{ Raw []byte }

// Pool is a set of certificates indexed by name, safe for concurrent use.
type Pool struct{ certs []*Certificate }

// NewPool indexes certificates.
func NewPool(certs ...*Certificate) *Pool { return &Pool{certs} }

var errPending = refuse(ReasonMisuse, "validation is not built yet")

// ParseCertificate parses one DER certificate.
func ParseCertificate(der []byte) (*Certificate, error) { return nil, errPending }

// ParseCertificates parses a PEM bundle of any number of certificates, or one DER certificate. Empty input is no certificate.
func ParseCertificates(pemOrDER []byte) ([]*Certificate, error) { return nil, errPending }

// ParseCRL parses a DER or PEM CRL.
func ParseCRL(der []byte) (*CRL, error) { return nil, errPending }

// ParseOCSP parses a DER OCSP response.
func ParseOCSP(der []byte) (*OCSPResponse, error) { return nil, errPending }

// SubjectType gives the subject type, in dotted form, or "".
func (c *Certificate) SubjectType() string { return "" }

// CheckSignature verifies a signature; algorithm is a DER AlgorithmIdentifier.
func CheckSignature(pub crypto.PublicKey, algorithm, signed, signature []byte) error {
	return errPending
}

// Validate judges a certificate.
func Validate(ctx context.Context, leaf *Certificate, o Options) (*Result, error) {
	return nil, errPending
}
