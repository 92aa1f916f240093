package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384, crypto.SHA512

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

type signatureScheme uint8

const (
	schemePKCS1 signatureScheme = iota + 1
	schemePSS
	schemeECDSA
	schemeEd25519
)

// Signature and digest algorithms.
const (
	oidSHA256RSA   OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
	oidSHA384RSA   OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"
	oidSHA512RSA   OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"
	oidMGF1        OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
	oidSHA256ECDSA OID = "\x2a\x86\x48\xce\x3d\x04\x03\x02"
	oidSHA384ECDSA OID = "\x2a\x86\x48\xce\x3d\x04\x03\x03"
	oidSHA512ECDSA OID = "\x2a\x86\x48\xce\x3d\x04\x03\x04"
	oidMD5RSA      OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"
	oidMD2RSA      OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02"
	oidSHA1RSA     OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
	oidSHA1RSAOIW  OID = "\x2b\x0e\x03\x02\x1d"
	oidSHA1ECDSA   OID = "\x2a\x86\x48\xce\x3d\x04\x01"
	oidDSASHA1     OID = "\x2a\x86\x48\xce\x38\x04\x03"
	oidDSASHA224   OID = "\x60\x86\x48\x01\x65\x03\x04\x03\x01"
	oidDSASHA256   OID = "\x60\x86\x48\x01\x65\x03\x04\x03\x02"

	oidSHA1   OID = "\x2b\x0e\x03\x02\x1a"
	oidSHA256 OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	oidSHA384 OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x02"
	oidSHA512 OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x03"
)

// signatureAlgorithm is a supported AlgorithmIdentifier.
type signatureAlgorithm struct {
	scheme signatureScheme
	hash   crypto.Hash
	salt   int // octets, for PSS
}

// CheckSignature verifies signature over signed. algorithm is a DER AlgorithmIdentifier: RSA PKCS #1 v1.5 or
// PSS, or ECDSA, with SHA-256, SHA-384 or SHA-512, or Ed25519. Parameters must be as RFC 4055, 5758 and 8410
// say. ECDSA signatures are DER. Everything else is an *Error: ReasonWeakAlgorithm for SHA-1 and older,
// ReasonUnsupported for other algorithms and for a nil or foreign key.
func CheckSignature(pub crypto.PublicKey, algorithm, signed, signature []byte) error {
	if err := verifySignature(pub, algorithm, signed, signature); err != nil {
		return err
	}
	return nil
}

func verifySignature(pub crypto.PublicKey, algorithm, signed, signature []byte) *Error {
	alg, err := parseSignatureAlgorithm(algorithm)
	if err != nil {
		return err
	}
	return alg.verify(pub, signed, signature)
}

func parseSignatureAlgorithm(der []byte) (signatureAlgorithm, *Error) {
	alg, ok := readSequence(der)
	var id OID
	if !ok || !readOID(&alg, &id) {
		return signatureAlgorithm{}, malformed("signature algorithm")
	}
	out := signatureAlgorithm{}
	switch id {
	case oidSHA256RSA:
		out = signatureAlgorithm{scheme: schemePKCS1, hash: crypto.SHA256}
	case oidSHA384RSA:
		out = signatureAlgorithm{scheme: schemePKCS1, hash: crypto.SHA384}
	case oidSHA512RSA:
		out = signatureAlgorithm{scheme: schemePKCS1, hash: crypto.SHA512}
	case oidSHA256ECDSA:
		out = signatureAlgorithm{scheme: schemeECDSA, hash: crypto.SHA256}
	case oidSHA384ECDSA:
		out = signatureAlgorithm{scheme: schemeECDSA, hash: crypto.SHA384}
	case oidSHA512ECDSA:
		out = signatureAlgorithm{scheme: schemeECDSA, hash: crypto.SHA512}
	case oidKeyEd25519:
		out = signatureAlgorithm{scheme: schemeEd25519}
	case oidKeyRSAPSS:
		return parsePSS(alg)
	case oidSHA1RSA, oidSHA1RSAOIW, oidSHA1ECDSA:
		return out, refuse(ReasonWeakAlgorithm, "signatures with SHA-1 are unsupported")
	case oidMD5RSA, oidMD2RSA:
		return out, refuse(ReasonWeakAlgorithm, "signatures with MD2 and MD5 are unsupported")
	case oidDSASHA1, oidDSASHA224, oidDSASHA256:
		return out, refuse(ReasonUnsupported, "unsupported signature algorithm DSA")
	default:
		return out, refuse(ReasonUnsupported, "unsupported signature algorithm %s", id)
	}
	if !(alg.Empty() || out.scheme == schemePKCS1 && isNull(alg)) {
		return out, malformed("signature algorithm parameters")
	}
	return out, nil
}

// parsePSS reads RSASSA-PSS-params, RFC 4055 section 3.1. Absent fields mean SHA-1.
func parsePSS(alg cryptobyte.String) (signatureAlgorithm, *Error) {
	out := signatureAlgorithm{scheme: schemePSS}
	var seq, hash, mgf, salt, trailer cryptobyte.String
	var hasHash, hasMGF, hasSalt, hasTrailer bool
	if !alg.ReadASN1(&seq, casn1.SEQUENCE) || !alg.Empty() ||
		!seq.ReadOptionalASN1(&hash, &hasHash, tagConstructed(0)) ||
		!seq.ReadOptionalASN1(&mgf, &hasMGF, tagConstructed(1)) ||
		!seq.ReadOptionalASN1(&salt, &hasSalt, tagConstructed(2)) ||
		!seq.ReadOptionalASN1(&trailer, &hasTrailer, tagConstructed(3)) || !seq.Empty() {
		return out, malformed("PSS parameters")
	}
	if !hasHash || !hasMGF {
		return out, refuse(ReasonWeakAlgorithm, "PSS with SHA-1 is unsupported")
	}
	var mgfSeq cryptobyte.String
	var mgfID OID
	if !mgf.ReadASN1(&mgfSeq, casn1.SEQUENCE) || !mgf.Empty() || !readOID(&mgfSeq, &mgfID) {
		return out, malformed("PSS mask generation")
	}
	h, ok := readHash(hash)
	mgfHash, okMGF := readHash(mgfSeq)
	if !ok || !okMGF || mgfID != oidMGF1 || h != mgfHash || h == crypto.SHA1 {
		return out, refuse(ReasonUnsupported, "unsupported PSS parameters")
	}
	out.hash = h
	if hasSalt {
		if out.salt, ok = readSmallInt(&salt, casn1.INTEGER); !ok || !salt.Empty() {
			return out, malformed("PSS salt length")
		}
	}
	if out.salt < h.Size() {
		return out, refuse(ReasonUnsupported, "unsupported PSS salt of %d octets", out.salt)
	}
	if hasTrailer {
		if n, ok := readSmallInt(&trailer, casn1.INTEGER); !ok || !trailer.Empty() || n != 1 {
			return out, malformed("PSS trailer")
		}
	}
	return out, nil
}

// readHash reads a digest AlgorithmIdentifier that is all of s.
func readHash(s cryptobyte.String) (crypto.Hash, bool) {
	var alg cryptobyte.String
	var id OID
	if !s.ReadASN1(&alg, casn1.SEQUENCE) || !s.Empty() || !readOID(&alg, &id) || !(alg.Empty() || isNull(alg)) {
		return 0, false
	}
	switch id {
	case oidSHA1:
		return crypto.SHA1, true
	case oidSHA256:
		return crypto.SHA256, true
	case oidSHA384:
		return crypto.SHA384, true
	case oidSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}

func (a signatureAlgorithm) verify(pub crypto.PublicKey, signed, signature []byte) *Error {
	var digest []byte
	if a.hash != 0 {
		h := a.hash.New()
		h.Write(signed)
		digest = h.Sum(nil)
	}
	good, fits := false, true
	switch key := pub.(type) {
	case *rsa.PublicKey:
		switch a.scheme {
		case schemePKCS1:
			good = rsa.VerifyPKCS1v15(key, a.hash, digest, signature) == nil
		case schemePSS:
			opts := &rsa.PSSOptions{SaltLength: a.salt, Hash: a.hash}
			good = rsa.VerifyPSS(key, a.hash, digest, signature, opts) == nil
		default:
			fits = false
		}
	case *ecdsa.PublicKey:
		fits = a.scheme == schemeECDSA
		good = fits && ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		fits = a.scheme == schemeEd25519 && len(key) == ed25519.PublicKeySize
		good = fits && ed25519.Verify(key, signed, signature)
	default:
		return refuse(ReasonUnsupported, "unsupported public key")
	}
	if !fits {
		return refuse(ReasonSignature, "the signature algorithm does not fit the key")
	}
	if !good {
		return refuse(ReasonSignature, "the signature does not verify")
	}
	return nil
}

// cost is what a verification with key takes, in the units of signatureBudget.
func signatureCost(pub crypto.PublicKey) int {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		words := key.N.BitLen() / 1024
		if key.E > 1<<16+1 {
			return words * words * 4
		}
		return 1 + words*words/2
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return 6
		case 384:
			return 50
		}
		return 110
	}
	return 6
}
