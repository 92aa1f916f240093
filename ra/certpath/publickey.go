package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Key types and curves.
const (
	oidKeyRSA     OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	oidKeyRSAPSS  OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
	oidKeyEC      OID = "\x2a\x86\x48\xce\x3d\x02\x01"
	oidKeyEd25519 OID = "\x2b\x65\x70"
	oidKeyEd448   OID = "\x2b\x65\x71"
	oidKeyDSA     OID = "\x2a\x86\x48\xce\x38\x04\x01"

	oidP256 OID = "\x2a\x86\x48\xce\x3d\x03\x01\x07"
	oidP384 OID = "\x2b\x81\x04\x00\x22"
	oidP521 OID = "\x2b\x81\x04\x00\x23"
)

// ParsePublicKey parses a DER SubjectPublicKeyInfo of a supported type: RSA, ECDSA on P-256, P-384 or P-521,
// Ed25519. The point of an elliptic curve key is on its curve.
func ParsePublicKey(der []byte) (crypto.PublicKey, error) {
	key, err := parsePublicKey(der)
	if err != nil {
		return nil, err
	}
	return key, nil
}

func parsePublicKey(der []byte) (crypto.PublicKey, *Error) {
	info, ok := readSequence(der)
	var alg, params, bits cryptobyte.String
	var id OID
	var unused uint8
	if !ok || !info.ReadASN1(&alg, casn1.SEQUENCE) || !readOID(&alg, &id) ||
		!info.ReadASN1(&bits, casn1.BIT_STRING) || !bits.ReadUint8(&unused) || unused != 0 || !info.Empty() {
		return nil, malformed("public key")
	}
	params = alg
	switch id {
	case oidKeyRSA:
		if !isNull(params) {
			return nil, malformed("RSA key parameters")
		}
		return parseRSA(bits)
	case oidKeyEC:
		return parseEC(params, bits)
	case oidKeyEd25519:
		if len(params) != 0 || len(bits) != ed25519.PublicKeySize {
			return nil, malformed("Ed25519 key")
		}
		return ed25519.PublicKey(bits), nil
	}
	return nil, refuse(ReasonUnsupported, "unsupported public key type %s", keyTypeName(id))
}

func keyTypeName(id OID) string {
	switch id {
	case oidKeyDSA:
		return "DSA"
	case oidKeyEd448:
		return "Ed448"
	case oidKeyRSAPSS:
		return "RSASSA-PSS"
	}
	return id.String()
}

func isNull(params cryptobyte.String) bool {
	return len(params) == 2 && params[0] == 5 && params[1] == 0
}

func parseRSA(bits cryptobyte.String) (crypto.PublicKey, *Error) {
	seq, ok := readSequence(bits)
	var n, e cryptobyte.String
	if !ok || !seq.ReadASN1(&n, casn1.INTEGER) || !seq.ReadASN1(&e, casn1.INTEGER) || !seq.Empty() ||
		!minimalInteger(n) || !minimalInteger(e) || n[0]&0x80 != 0 || e[0]&0x80 != 0 {
		return nil, malformed("RSA key")
	}
	if len(n) > maxRSABits/8+1 {
		return nil, refuse(ReasonUnsupported, "unsupported RSA key of %d bits", len(n)*8)
	}
	modulus := new(big.Int).SetBytes(n)
	switch size := modulus.BitLen(); {
	case size < minRSABits:
		return nil, refuse(ReasonWeakAlgorithm, "RSA key of %d bits; fewer than %d are unsupported", size, minRSABits)
	case size%8 != 0 || modulus.Bit(0) == 0:
		return nil, refuse(ReasonUnsupported, "unsupported RSA modulus")
	}
	if len(e) > 4 {
		return nil, refuse(ReasonUnsupported, "unsupported RSA exponent")
	}
	exponent := int(new(big.Int).SetBytes(e).Int64())
	if exponent < 3 || exponent&1 == 0 {
		return nil, refuse(ReasonUnsupported, "unsupported RSA exponent %d", exponent)
	}
	return &rsa.PublicKey{N: modulus, E: exponent}, nil
}

func parseEC(params, point cryptobyte.String) (crypto.PublicKey, *Error) {
	var id OID
	if !params.PeekASN1Tag(casn1.OBJECT_IDENTIFIER) {
		return nil, refuse(ReasonUnsupported, "unsupported elliptic curve given by parameters")
	}
	if !readOID(&params, &id) || !params.Empty() {
		return nil, malformed("elliptic curve parameters")
	}
	var curve elliptic.Curve
	switch id {
	case oidP256:
		curve = elliptic.P256()
	case oidP384:
		curve = elliptic.P384()
	case oidP521:
		curve = elliptic.P521()
	default:
		return nil, refuse(ReasonUnsupported, "unsupported elliptic curve %s", id)
	}
	if len(point) > 0 && (point[0] == 2 || point[0] == 3) {
		return nil, refuse(ReasonUnsupported, "unsupported compressed point")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, malformed("point is not on the curve")
	}
	return key, nil
}
