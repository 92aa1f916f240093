package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"time"

	"go.mozilla.org/pkcs7"

	"certwindow/ra/certpath"
)

// verified returns the message only when its signature over signed is good.
func (s *SignedData) verified(m *message, signed []byte, oneReading bool) (*SignedData, error) {
	der, err := m.signerCertificate()
	if err != nil {
		return nil, err
	}
	cert, err := certpath.ParseCertificate(der)
	if err != nil {
		return nil, &Error{Reason: ReasonCertificate, Err: err}
	}
	if err := m.checkKey(cert); err != nil {
		return nil, err
	}
	if oneReading {
		err = m.readOthers(der)
	} else {
		err = m.crossCheck(s.Raw, der)
	}
	if err != nil {
		return nil, err
	}
	if err := m.checkSignature(cert, signed); err != nil {
		return nil, err
	}
	s.Signer, s.SignerCertificate = der, cert
	s.Certificates = make([][]byte, len(m.certificates))
	for i, c := range m.certificates {
		s.Certificates[i] = c.raw
	}
	return s, nil
}

// checkSignature has the library verify the signature over signed, from the parts that were read here. Its own
// parser would cost a fifth of what judging a whole message with its chain costs; and from what it parsed
// itself it would re-encode the attributes, skip those it does not know, and hold the message's own signing
// time against the certificate. Of the certificate it needs the key and the name.
func (m *message) checkSignature(cert *certpath.Certificate, signed []byte) error {
	p7 := pkcs7.PKCS7{
		Content:      signed,
		Certificates: []*x509.Certificate{{PublicKey: cert.PublicKey, RawIssuer: cert.RawIssuer, SerialNumber: cert.SerialNumber}},
	}
	p7.Signers = slices.Grow(p7.Signers, 1)[:1] // of a type that only the library can name
	signer := &p7.Signers[0]
	signer.IssuerAndSerialNumber.IssuerName.FullBytes = cert.RawIssuer
	signer.IssuerAndSerialNumber.SerialNumber = cert.SerialNumber
	signer.DigestAlgorithm.Algorithm = m.digest.oid
	signer.DigestEncryptionAlgorithm.Algorithm = m.signatureAlg.oid
	signer.EncryptedDigest = m.signature
	if err := p7.VerifyWithChainAtTime(nil, time.Time{}); err != nil {
		return &Error{Reason: ReasonSignature, Err: err}
	}
	return nil
}

// crossCheck has the library read the message too. Where two parsers differ, somebody can be fooled who reads
// the message later.
func (m *message) crossCheck(raw, signer []byte) error {
	p7, err := pkcs7.Parse(raw)
	if err != nil {
		return &Error{Reason: ReasonCertificate, Err: err}
	}
	cert := p7.GetOnlySigner()
	if cert == nil || !bytes.Equal(cert.Raw, signer) || !bytes.Equal(p7.Signers[0].EncryptedDigest, m.signature) ||
		!p7.Signers[0].DigestAlgorithm.Algorithm.Equal(m.digest.oid) ||
		!p7.Signers[0].DigestEncryptionAlgorithm.Algorithm.Equal(m.signatureAlg.oid) ||
		!m.detached && !bytes.Equal(p7.Content, m.content) {
		return refuse(ReasonParsersDisagree, "the message can be read in two ways")
	}
	return nil
}

// readOthers refuses certificates beside the signer's that cannot be read, as the library's parser does: what is
// accepted while somebody waits is not to fail later.
func (m *message) readOthers(signer []byte) error {
	for _, c := range m.certificates {
		if bytes.Equal(c.raw, signer) {
			continue
		}
		if _, err := certpath.ParseCertificate(c.raw); err != nil {
			return &Error{Reason: ReasonCertificate, Err: err}
		}
	}
	return nil
}

// checkKey sees to it that the key is of the kind the signature algorithm says, and of a size whose
// verification is neither worthless nor a way to keep the server busy.
func (m *message) checkKey(cert *certpath.Certificate) error {
	pub := cert.PublicKey
	if pub == nil {
		// Package certpath does not say more than that it takes no such key; a person is told which it is.
		var err error
		if pub, err = x509.ParsePKIXPublicKey(cert.RawSPKI); err != nil {
			return refuse(ReasonAlgorithm, "%s", cert.KeyUnsupported)
		}
	}
	_, isRSA := pub.(*rsa.PublicKey)
	_, isECDSA := pub.(*ecdsa.PublicKey)
	_, wantECDSA := ecdsaHashes[m.signatureAlg.oid.String()]
	if isRSA == wantECDSA || isECDSA != wantECDSA {
		return refuse(ReasonAlgorithms, "signature algorithm %s under a key of type %T", m.signatureAlg.oid, pub)
	}
	if err := checkKeySize(pub); err != nil {
		return err
	}
	if cert.PublicKey == nil {
		return refuse(ReasonAlgorithm, "%s", cert.KeyUnsupported)
	}
	return nil
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
