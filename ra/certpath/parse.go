package certpath

import (
	"bytes"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ParseCertificate parses one DER certificate. It refuses what is not DER or has malformed or repeated
// extensions; what the RFC 5280 profile forbids beyond that is remembered, and refused by Validate. The
// result keeps der, which must not be changed afterwards. Errors are *Error.
func ParseCertificate(der []byte) (*Certificate, error) {
	c, err := parseCertificate(der)
	if err != nil {
		err.Detail = "certificate: " + err.Detail
		return nil, err
	}
	return c, nil
}

func parseCertificate(der []byte) (*Certificate, *Error) {
	if len(der) == 0 {
		return nil, malformed("empty")
	}
	if len(der) > MaxCertificate {
		return nil, malformed("larger than %d bytes", MaxCertificate)
	}
	signed, err := readSigned(der)
	if err != nil {
		return nil, err
	}
	c := &Certificate{Raw: der, RawTBS: signed.tbs, SignatureAlgorithm: signed.algorithm, Signature: signed.signature}
	c.PathLen, c.x.requirePolicy, c.x.inhibitMapping, c.x.inhibitAny = unset, unset, unset, unset
	tbs, ok := readSequence(signed.tbs)
	if !ok {
		return nil, malformed("tbsCertificate")
	}
	if err := c.parseTBS(tbs); err != nil {
		return nil, err
	}
	c.checkOwnProfile()
	return c, nil
}

// signedObject is the outer form that certificates, CRLs and OCSP responses share.
type signedObject struct {
	tbs       []byte // DER of the part that is signed
	algorithm []byte // DER AlgorithmIdentifier
	signature []byte
	rest      cryptobyte.String // what follows the signature
}

// readSigned reads SEQUENCE { tbs, algorithm, signature } that is all of der.
func readSigned(der []byte) (signedObject, *Error) {
	body, ok := readSequence(der)
	if !ok {
		return signedObject{}, malformed("not one DER SEQUENCE")
	}
	s, err := readSignedBody(body)
	if err == nil && !s.rest.Empty() {
		err = malformed("bytes after the signature")
	}
	return s, err
}

func readSignedBody(body cryptobyte.String) (signedObject, *Error) {
	var tbs, alg, bits cryptobyte.String
	var unused uint8
	if !body.ReadASN1Element(&tbs, casn1.SEQUENCE) || !body.ReadASN1Element(&alg, casn1.SEQUENCE) ||
		!body.ReadASN1(&bits, casn1.BIT_STRING) || !bits.ReadUint8(&unused) || unused != 0 {
		return signedObject{}, malformed("signed structure")
	}
	return signedObject{tbs, alg, bits, body}, nil
}

// parseTBS reads the content of TBSCertificate, RFC 5280 section 4.1.2.
func (c *Certificate) parseTBS(tbs cryptobyte.String) *Error {
	if err := c.parseVersionAndSerial(&tbs); err != nil {
		return err
	}
	var alg, issuer, validity, subject, spki cryptobyte.String
	if !tbs.ReadASN1Element(&alg, casn1.SEQUENCE) {
		return malformed("signature algorithm")
	}
	if !bytes.Equal(alg, c.SignatureAlgorithm) {
		c.defect("the two signature algorithms differ")
	}
	if !tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) || !tbs.ReadASN1(&validity, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&subject, casn1.SEQUENCE) || !tbs.ReadASN1Element(&spki, casn1.SEQUENCE) {
		return malformed("names, validity or key")
	}
	var okBefore, okAfter, okIssuer, okSubject bool
	c.NotBefore, _, okBefore = readTime(&validity)
	c.NotAfter, _, okAfter = readTime(&validity)
	if !okBefore || !okAfter || !validity.Empty() {
		return malformed("validity")
	}
	c.Issuer, okIssuer = parseName(issuer)
	c.Subject, okSubject = parseName(subject)
	if !okIssuer || !okSubject {
		return malformed("name")
	}
	c.RawIssuer, c.RawSubject, c.RawSPKI = issuer, subject, spki
	key, err := parsePublicKey(spki)
	if err != nil {
		c.x.keyErr, c.KeyUnsupported = err, err.Error()
	} else {
		c.PublicKey = key
	}
	return c.parseTail(tbs)
}

func (c *Certificate) parseVersionAndSerial(tbs *cryptobyte.String) *Error {
	var version, serial cryptobyte.String
	var has bool
	if !tbs.ReadOptionalASN1(&version, &has, tagConstructed(0)) {
		return malformed("version")
	}
	c.Version = 1
	if has {
		n, ok := readSmallInt(&version, casn1.INTEGER)
		if !ok || !version.Empty() || n > 2 {
			return malformed("version")
		}
		c.Version = n + 1
		if n == 0 {
			c.defect("version 1 is written out")
		}
	}
	if !tbs.ReadASN1(&serial, casn1.INTEGER) || !minimalInteger(serial) || len(serial) > 1024 {
		return malformed("serial number")
	}
	c.SerialNumber, c.x.serial = signedInt(serial), serial
	if c.SerialNumber.Sign() < 0 {
		c.defect("the serial number is negative")
	}
	if len(serial) > 20 {
		c.defect("the serial number is longer than 20 octets")
	}
	return nil
}

// signedInt decodes INTEGER content octets.
func signedInt(content []byte) *big.Int {
	n := new(big.Int).SetBytes(content)
	if content[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(content))*8))
	}
	return n
}

// parseTail reads unique identifiers and extensions.
func (c *Certificate) parseTail(tbs cryptobyte.String) *Error {
	var uid, exts cryptobyte.String
	var hasIssuerUID, hasSubjectUID, hasExts bool
	if !tbs.ReadOptionalASN1(&uid, &hasIssuerUID, tagPrimitive(1)) ||
		!tbs.ReadOptionalASN1(&uid, &hasSubjectUID, tagPrimitive(2)) ||
		!tbs.ReadOptionalASN1(&exts, &hasExts, tagConstructed(3)) || !tbs.Empty() {
		return malformed("end of tbsCertificate")
	}
	if (hasIssuerUID || hasSubjectUID) && c.Version < 2 {
		c.defect("unique identifiers in a version 1 certificate")
	}
	if !hasExts {
		return nil
	}
	if c.Version < 3 {
		c.defect("extensions in a version %d certificate", c.Version)
	}
	var list cryptobyte.String
	if !exts.ReadASN1(&list, casn1.SEQUENCE) || !exts.Empty() {
		return malformed("extensions")
	}
	return c.parseExtensions(list)
}
