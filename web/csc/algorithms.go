package csc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"

	"certwindow/ra/remotesign"
)

// Algorithms by their OIDs (section 5).
const (
	oidSHA256   = "2.16.840.1.101.3.4.2.1"
	oidSHA384   = "2.16.840.1.101.3.4.2.2"
	oidSHA512   = "2.16.840.1.101.3.4.2.3"
	oidRSA      = "1.2.840.113549.1.1.1"
	oidRSA256   = "1.2.840.113549.1.1.11"
	oidRSA384   = "1.2.840.113549.1.1.12"
	oidRSA512   = "1.2.840.113549.1.1.13"
	oidECDSA256 = "1.2.840.10045.4.3.2"
	oidECDSA384 = "1.2.840.10045.4.3.3"
	oidECDSA512 = "1.2.840.10045.4.3.4"
	oidP256     = "1.2.840.10045.3.1.7"
	oidP384     = "1.3.132.0.34"
)

// hashNames are what the window calls the hash algorithms.
var hashNames = map[string]string{oidSHA256: "SHA-256", oidSHA384: "SHA-384", oidSHA512: "SHA-512"}

// hashOf are the signature algorithms that say which hash they are for.
var hashOf = map[string]string{oidRSA256: "SHA-256", oidRSA384: "SHA-384", oidRSA512: "SHA-512", oidECDSA256: "SHA-256", oidECDSA384: "SHA-384", oidECDSA512: "SHA-512"}

// hashFor is the one hash that a signature algorithm and a hash algorithm mean together. What the first says by itself is
// not taken from the second, whatever that is (section 11.10).
func hashFor(signAlgo string, hashAlgorithm *string) (string, error) {
	if name, says := hashOf[signAlgo]; says {
		return name, nil
	}
	return hashNamed(hashAlgorithm)
}

func hashNamed(oid *string) (string, error) {
	if oid == nil {
		return "", missing("string", "hashAlgorithmOID")
	}
	name, known := hashNames[*oid]
	if !known {
		return "", invalid("hashAlgorithmOID")
	}
	return name, nil
}

// keyInfo is what a credential's key is (section 11.4).
type keyInfo struct {
	Status string   `json:"status"`
	Algo   []string `json:"algo"`
	Len    int      `json:"len"`
	Curve  string   `json:"curve,omitempty"`
}

func keyOf(cert *x509.Certificate, usable bool) (keyInfo, error) {
	k := keyInfo{Status: "disabled"}
	if usable {
		k.Status = "enabled"
	}
	switch pub := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		k.Algo, k.Len = []string{oidECDSA256, oidECDSA384, oidECDSA512}, pub.Curve.Params().BitSize
		switch pub.Curve {
		case elliptic.P256():
			k.Curve = oidP256
		case elliptic.P384():
			k.Curve = oidP384
		default:
			return k, errors.New("csc: a key on another curve")
		}
	case *rsa.PublicKey:
		k.Algo, k.Len = []string{oidRSA256, oidRSA384, oidRSA512, oidRSA}, pub.N.BitLen()
	default:
		return k, errors.New("csc: a key of another kind")
	}
	return k, nil
}

// digests decodes hashes: each base64, each as long as its algorithm makes it.
func digests(list []string, algorithm string) ([][]byte, error) {
	if len(list) == 0 {
		return nil, malformed("Empty hash array")
	}
	if len(list) > remotesign.MaxHashes {
		return nil, malformed("Numbers of signatures is too high")
	}
	out := make([][]byte, len(list))
	for i, s := range list {
		raw, ok := octets(s)
		if !ok {
			return nil, malformed("Invalid Base64 hash string parameter")
		}
		if len(raw) != sizeOf(algorithm) {
			return nil, malformed("Invalid digest value length")
		}
		out[i] = raw
	}
	return out, nil
}

func sizeOf(algorithm string) int {
	if h := remotesign.Hashes[algorithm]; h != crypto.Hash(0) {
		return h.Size()
	}
	return 0
}

// takes tells whether a key signs with an algorithm.
func (k keyInfo) takes(signAlgo string) bool { return slices.Contains(k.Algo, signAlgo) }
