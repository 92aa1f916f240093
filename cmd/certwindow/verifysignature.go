package main

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/certpath"
)

const maxSignedFile = 64 << 20

// signatureVerdict is what verify signature prints.
type signatureVerdict struct {
	Valid  bool   `json:"valid"`
	Reason string `json:"reason"`
}

// verifySignature judges one bare signature.
func verifySignature(_ context.Context, args []string, s streams) int {
	f := newVerifyFlags("verify signature", s)
	spki := f.String("spki", "", "the public key, SubjectPublicKeyInfo, `DER`")
	hash := f.String("hash", "", "SHA256, SHA384 or SHA512")
	scheme := f.String("scheme", "", "pkcs1, pss (MGF1 and salt of the hash's length) or ecdsa (DER)")
	message := f.String("message", "", "what was signed, `FILE`")
	signature := f.String("signature", "", "the signature, `FILE`")
	if code, done := f.parse(args, s, "spki", "hash", "scheme", "message", "signature"); done {
		return code
	}
	if _, err := signatureAlgorithm(*scheme, *hash); err != nil {
		f.misused(err)
	}
	key := f.read(*spki, 1<<16)
	signed := f.read(*message, maxSignedFile)
	sig := f.read(*signature, 1<<16)
	if code, done := f.usable(s); done {
		return code
	}
	err := judgeSignature(key, *scheme, *hash, signed, sig)
	return conclude(s, f.asJSON, signatureVerdict{err == nil, reasonOf(err)}, err)
}

// judgeSignature verifies with the code that also verifies certificates.
func judgeSignature(spki []byte, scheme, hash string, message, signature []byte) error {
	if len(message) > maxSignedFile {
		return fmt.Errorf("the message is larger than %d bytes", maxSignedFile)
	}
	algorithm, err := signatureAlgorithm(scheme, hash)
	if err != nil {
		return err
	}
	if scheme == "pss" {
		if spki, err = plainRSA(spki, hash); err != nil {
			return err
		}
	}
	key, err := certpath.ParsePublicKey(spki)
	if err != nil {
		return err
	}
	return certpath.CheckSignature(key, algorithm, message, signature)
}

// hashNumber is the last arc of a SHA-2 digest's identifier, and the digest's length in bytes.
var hashNumber = map[string]struct {
	arc    int
	length int64
}{"SHA256": {1, 32}, "SHA384": {2, 48}, "SHA512": {3, 64}}

var (
	oidRSAKey = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPSS    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
)

// signatureAlgorithm gives the DER AlgorithmIdentifier (RFC 8017 appendix C, RFC 5758 section 3.2).
func signatureAlgorithm(scheme, hash string) ([]byte, error) {
	h, ok := hashNumber[hash]
	if !ok {
		return nil, fmt.Errorf("unsupported hash %q: SHA256, SHA384 or SHA512 is wanted", hash)
	}
	switch scheme {
	case "pkcs1":
		return algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10 + h.arc}, addNull)
	case "ecdsa":
		return algorithm(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1 + h.arc}, nil)
	case "pss":
		return pssAlgorithm(hash, addNull)
	}
	return nil, fmt.Errorf("unsupported scheme %q: pkcs1, pss or ecdsa is wanted", scheme)
}

func addNull(b *cryptobyte.Builder) { b.AddASN1NULL() }

func algorithm(oid asn1.ObjectIdentifier, params func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	addAlgorithm(&b, oid, params)
	return b.Bytes()
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, params func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if params != nil {
			params(b)
		}
	})
}

// pssAlgorithm gives RSASSA-PSS with MGF1 and salt of the hash's own length (RFC 4055 section 3.1). The
// parameters of the hash may be written as NULL or left out.
func pssAlgorithm(hash string, hashParams func(*cryptobyte.Builder)) ([]byte, error) {
	h := hashNumber[hash]
	digest := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, h.arc}
	field := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	return algorithm(oidPSS, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(field(0), func(b *cryptobyte.Builder) { addAlgorithm(b, digest, hashParams) })
			b.AddASN1(field(1), func(b *cryptobyte.Builder) {
				addAlgorithm(b, oidMGF1, func(b *cryptobyte.Builder) { addAlgorithm(b, digest, hashParams) })
			})
			b.AddASN1(field(2), func(b *cryptobyte.Builder) { b.AddASN1Int64(h.length) })
		})
	})
}

var errPSSKey = errors.New("unsupported parameters: the key is for another hash, mask or salt")

// plainRSA turns a key that is for RSASSA-PSS alone (RFC 4055 section 1.2) into a plain RSA key. Its
// parameters, where it has them, must be those of the signature. Other keys come back as they are.
func plainRSA(spki []byte, hash string) ([]byte, error) {
	in := cryptobyte.String(spki)
	var info, alg, key cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !in.Empty() || !info.ReadASN1Element(&alg, cbasn1.SEQUENCE) ||
		!info.ReadASN1Element(&key, cbasn1.BIT_STRING) || !info.Empty() {
		return spki, nil // the parser says what is wrong with it
	}
	whole := []byte(alg)
	if !alg.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidPSS) {
		return spki, nil
	}
	if !alg.Empty() {
		withNull, err := pssAlgorithm(hash, addNull)
		if err != nil {
			return nil, err
		}
		without, err := pssAlgorithm(hash, nil)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(whole, withNull) && !bytes.Equal(whole, without) {
			return nil, errPSSKey
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidRSAKey, addNull)
		b.AddBytes(key)
	})
	return b.Bytes()
}
