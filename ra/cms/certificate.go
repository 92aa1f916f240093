package cms

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// certificate is what of a certificate names it in a SignerInfo. The rest is package certpath's to read.
type certificate struct {
	raw    []byte
	issuer []byte // DER Name
	serial []byte // DER INTEGER
}

// readCertificate finds a certificate's issuer and serial number (RFC 5280 section 4.1).
func readCertificate(raw []byte) (certificate, error) {
	in := cryptobyte.String(raw)
	var cert, tbs, alg, issuer, serial cryptobyte.String
	if !in.ReadASN1(&cert, cbasn1.SEQUENCE) || !in.Empty() || !cert.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()) ||
		!tbs.ReadASN1Element(&serial, cbasn1.INTEGER) ||
		!tbs.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
		return certificate{}, refuse(ReasonCertificate, "not an X.509 certificate")
	}
	return certificate{raw: raw, issuer: issuer, serial: serial}, nil
}

// signerCertificate finds the one certificate that the SignerInfo names. The same certificate twice does no
// harm; two that share the name do, since parsers would differ on which is meant.
func (m *message) signerCertificate() ([]byte, error) {
	var found []byte
	for _, c := range m.certificates {
		if !bytes.Equal(c.issuer, m.issuer) || !bytes.Equal(c.serial, m.serial) {
			continue
		}
		if found != nil && !bytes.Equal(found, c.raw) {
			return nil, refuse(ReasonSignerAmbiguous, "two certificates have the signer's issuer and serial number")
		}
		found = c.raw
	}
	if found == nil {
		return nil, refuse(ReasonSignerMissing, "the message does not hold its signer's certificate")
	}
	return found, nil
}
