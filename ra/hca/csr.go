package hca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
)

// MaxCSR is the largest PKCS#10 request that is looked at, in bytes. An RSA-4096 one with a long subject has 2 KiB.
const MaxCSR = 16 << 10

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// CSR is a PKCS#10 request (RFC 2986) whose signature, the proof of possession of its key, has been verified.
type CSR struct {
	Key  crypto.PublicKey
	SPKI []byte // SubjectPublicKeyInfo, DER

	// Name and Serial are the subject's commonName and serialNumber, empty where the request has none: a phone's
	// secure hardware often makes requests without a subject, and the HCA takes it from the consent's card.
	Name   string
	Serial string
}

// ParseCSR reads a PKCS#10 request in DER, checks its signature, and refuses keys that the profile does not allow:
// anything but RSA of 2048 to 4096 bits and the curves P-256 and P-384. Its errors are *Error of kind BadRequest.
func ParseCSR(der []byte) (*CSR, error) {
	if len(der) > MaxCSR {
		return nil, Errorf(BadRequest, "certification request of %d bytes is too large", len(der))
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, Errorf(BadRequest, "certification request: %w", err)
	}
	if !bytes.Equal(req.Raw, der) {
		return nil, Errorf(BadRequest, "bytes after the certification request")
	}
	if err := allowedKey(req.PublicKey); err != nil {
		return nil, err
	}
	if err := req.CheckSignature(); err != nil {
		return nil, Errorf(BadRequest, "certification request, proof of possession: %w", err)
	}
	return &CSR{Key: req.PublicKey, SPKI: req.RawSubjectPublicKeyInfo, Name: req.Subject.CommonName, Serial: req.Subject.SerialNumber}, nil
}

func allowedKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 4096 {
			return Errorf(BadRequest, "RSA key of %d bits, 2048 to 4096 are allowed", n)
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return Errorf(BadRequest, "curve %s is not allowed", k.Curve.Params().Name)
		}
	default:
		return Errorf(BadRequest, "unsupported key type %T", pub)
	}
	return nil
}
