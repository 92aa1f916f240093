package cms

import (
	"crypto"
	"encoding/asn1"
)

// RSA moduli that are verified, in bits.
const (
	minRSA = 2048
	maxRSA = 8192
)

// SHA-2 digests (RFC 5754 section 2) and the signature algorithms that go with them (section 3, RFC 8017).
var (
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}

	oidRSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256RSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidSHA384RSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	oidSHA512RSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSASHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECDSASHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}

	digestHashes = map[string]crypto.Hash{
		oidSHA256.String(): crypto.SHA256,
		oidSHA384.String(): crypto.SHA384,
		oidSHA512.String(): crypto.SHA512,
	}
	// rsaHashes holds 0 where the algorithm leaves the hash to the digest algorithm.
	rsaHashes = map[string]crypto.Hash{
		oidRSA.String():       0,
		oidSHA256RSA.String(): crypto.SHA256,
		oidSHA384RSA.String(): crypto.SHA384,
		oidSHA512RSA.String(): crypto.SHA512,
	}
	ecdsaHashes = map[string]crypto.Hash{
		oidECDSASHA256.String(): crypto.SHA256,
		oidECDSASHA384.String(): crypto.SHA384,
		oidECDSASHA512.String(): crypto.SHA512,
	}
	sha1Algorithms = map[string]bool{
		"1.3.14.3.2.26":        true, // SHA-1
		"1.2.840.113549.1.1.5": true, // with RSA
		"1.2.840.10045.4.1":    true, // with ECDSA
		"1.2.840.10040.4.3":    true, // with DSA
	}
)

// hash returns the hash of the message when its algorithms are known and say the same.
func (m *message) hash() (crypto.Hash, error) {
	digest, signature := m.digest.oid.String(), m.signatureAlg.oid.String()
	for _, oid := range []string{digest, signature} {
		if sha1Algorithms[oid] {
			return 0, refuse(ReasonSHA1, "SHA-1 is unsupported (%s)", oid)
		}
	}
	h, ok := digestHashes[digest]
	if !ok || !m.digest.simple {
		return 0, refuse(ReasonAlgorithm, "digest algorithm %s is unsupported", digest)
	}
	bound, ok := rsaHashes[signature]
	if !ok {
		bound, ok = ecdsaHashes[signature]
	}
	if !ok || !m.signatureAlg.simple {
		return 0, refuse(ReasonAlgorithm, "signature algorithm %s is unsupported", signature)
	}
	if bound != 0 && bound != h {
		return 0, refuse(ReasonAlgorithms, "digest algorithm %s and signature algorithm %s", digest, signature)
	}
	if len(m.digests) != 1 || !m.digests[0].oid.Equal(m.digest.oid) {
		return 0, refuse(ReasonAlgorithms, "the message announces another digest algorithm than its signer's")
	}
	return h, nil
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}
