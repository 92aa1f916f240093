package cms

import (
	"slices"

	"go.mozilla.org/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CertsOnly makes the degenerate SignedData that carries certificates and no signature (RFC 5272 section
// 4.1, the simple PKI response).
func CertsOnly(certificates [][]byte) ([]byte, error) {
	return pkcs7.DegenerateCertificate(slices.Concat(certificates...))
}

// OpenCertsOnly returns the certificates of a degenerate SignedData, DER, in the order of the message.
// Nothing vouches for them. max is in bytes; the error is an *Error.
func OpenCertsOnly(der []byte, max int) ([][]byte, error) {
	if err := Check(der, max); err != nil {
		return nil, err
	}
	sd, err := signedData(der)
	if err != nil {
		return nil, err
	}
	var version int64
	var digests, eci, crls, infos cryptobyte.String
	var hasCRLs bool
	m := &message{}
	if !sd.ReadASN1Integer(&version) || !sd.ReadASN1(&digests, cbasn1.SET) || !sd.ReadASN1(&eci, cbasn1.SEQUENCE) {
		return nil, refuse(ReasonNotSignedData, "malformed SignedData")
	}
	if err := m.readContent(eci); err != nil {
		return nil, err
	}
	if err := m.readCertificates(&sd); err != nil {
		return nil, err
	}
	if !sd.ReadOptionalASN1(&crls, &hasCRLs, tagCRLs) || !sd.ReadASN1(&infos, cbasn1.SET) || !sd.Empty() {
		return nil, refuse(ReasonNotSignedData, "malformed SignedData")
	}
	if !infos.Empty() || !m.detached {
		return nil, refuse(ReasonSignerCount, "a message of certificates alone has no signer and no content")
	}
	out := make([][]byte, 0, len(m.certificates))
	for _, c := range m.certificates {
		out = append(out, c.raw)
	}
	return out, nil
}
