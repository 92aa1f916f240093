package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignOptions says how a message is made. The zero value makes what the card component makes (id-data,
// content attached, SHA-256, the signer's certificate alone), without a signing time.
type SignOptions struct {
	ContentType  asn1.ObjectIdentifier // nil is id-data
	SigningTime  time.Time             // zero: no signing-time attribute
	Attributes   []Attribute           // further signed attributes
	Certificates [][]byte              // DER, carried beside the signer's
	Detached     bool                  // leave the content out
	Hash         crypto.Hash           // 0 is SHA-256; SHA-384 and SHA-512
}

// Sign makes a DER SignedData with one signer, named by issuer and serial number, and signed attributes in
// DER order. The signer may be a key in an HSM: go.mozilla.org/pkcs7 takes none, so the encoding is made
// here. RSA signs with PKCS #1 v1.5 and says rsaEncryption, as the card component does; ECDSA says its hash.
//
// cert is the signer's certificate, DER; its key must be the signer's, or nothing is signed. The finished message
// is opened and verified before it is returned, so that a faulty module never puts its fault into evidence, and
// so that nothing leaves that another parser would read differently.
func Sign(content []byte, signer crypto.Signer, cert []byte, o SignOptions) ([]byte, error) {
	if o.ContentType == nil {
		o.ContentType = OIDData
	}
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	der, err := signUnchecked(content, signer, cert, o)
	if err != nil {
		return nil, err
	}
	own := OpenOptions{Max: len(der), ContentType: o.ContentType, Detached: o.Detached}
	if o.Detached {
		own.Content = append([]byte{}, content...) // an empty content is one too
	}
	if _, err := Open(der, own); err != nil {
		return nil, fmt.Errorf("cms: what was signed does not verify: %w", err)
	}
	return der, nil
}

// signUnchecked makes the message of options that are complete.
func signUnchecked(content []byte, signer crypto.Signer, cert []byte, o SignOptions) ([]byte, error) {
	if !slices.Contains([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}, o.Hash) {
		return nil, fmt.Errorf("cms: hash %v is unsupported", o.Hash)
	}
	attrs, err := signedAttributes(content, o)
	if err != nil {
		return nil, err
	}
	digest := sum(o.Hash, asSet(attrs))
	sig, err := signDigest(signer, cert, digest, o.Hash)
	if err != nil {
		return nil, err
	}
	return encode(content, cert, attrs, sig, signer.Public(), o)
}

// WrapBare makes a SignedData without signed attributes around a bare signature over content, as a component
// returns that cannot make CMS itself. It can be opened with OpenBare only. The signature is not verified.
func WrapBare(content, signature, cert []byte, hash crypto.Hash) ([]byte, error) {
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, &Error{Reason: ReasonCertificate, Err: err}
	}
	if _, err := digestOID(hash); err != nil {
		return nil, err
	}
	return encode(content, cert, nil, signature, parsed.PublicKey, SignOptions{ContentType: OIDData, Hash: hash})
}

// signedAttributes returns the attributes one after another in DER order of a SET OF (X.690 section 11.6).
func signedAttributes(content []byte, o SignOptions) ([]byte, error) {
	var contentType cryptobyte.Builder
	contentType.AddASN1ObjectIdentifier(o.ContentType)
	named, err := contentType.Bytes()
	if err != nil {
		return nil, fmt.Errorf("cms: content type %s: %w", o.ContentType, err)
	}
	all := []Attribute{
		{OIDContentType, named},
		{OIDMessageDigest, build(func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum(o.Hash, content)) })},
	}
	if !o.SigningTime.IsZero() {
		all = append(all, Attribute{OIDSigningTime, encodeTime(o.SigningTime)})
	}
	all = append(all, o.Attributes...)
	encoded := make([][]byte, 0, len(all))
	for i, a := range all {
		for _, before := range all[:i] {
			if before.OID.Equal(a.OID) {
				return nil, fmt.Errorf("cms: attribute %s is given twice", a.OID)
			}
		}
		if err := Check(a.Value, MaxMessage); err != nil {
			return nil, fmt.Errorf("cms: attribute %s: %w", a.OID, err)
		}
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(a.OID)
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(a.Value) })
		})
		der, err := b.Bytes()
		if err != nil {
			return nil, fmt.Errorf("cms: attribute %s: %w", a.OID, err)
		}
		encoded = append(encoded, der)
	}
	slices.SortFunc(encoded, bytes.Compare)
	return slices.Concat(encoded...), nil
}

// encodeTime writes a Time: UTCTime until 2049, GeneralizedTime from then on (RFC 5652 section 11.3).
func encodeTime(t time.Time) []byte {
	t = t.UTC()
	tag, text := cbasn1.UTCTime, t.Format("060102150405Z")
	if t.Year() < 1950 || t.Year() > 2049 {
		tag, text = cbasn1.GeneralizedTime, t.Format("20060102150405Z")
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
	})
}

// UTF8String returns the DER of a string, as the value of an attribute.
func UTF8String(s string) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
	})
}

// signDigest signs with a key that is of a supported size and the certificate's.
func signDigest(signer crypto.Signer, cert, digest []byte, hash crypto.Hash) ([]byte, error) {
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, &Error{Reason: ReasonCertificate, Err: err}
	}
	if err := checkKeySize(parsed.PublicKey); err != nil {
		return nil, err
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(parsed.PublicKey) {
		return nil, errors.New("cms: the key is not the certificate's")
	}
	sig, err := signer.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, fmt.Errorf("cms: sign: %w", err)
	}
	return sig, nil
}

// encode writes the ContentInfo. attrs is empty for a bare signature.
func encode(content, cert, attrs, sig []byte, pub crypto.PublicKey, o SignOptions) ([]byte, error) {
	name, err := readCertificate(cert)
	if err != nil {
		return nil, err
	}
	digest, err := digestOID(o.Hash)
	if err != nil {
		return nil, err
	}
	signature, null, err := signatureOID(pub, o.Hash)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(tagContent, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(versionFor(o.ContentType))
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, digest, false) })
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(o.ContentType)
					if !o.Detached {
						b.AddASN1(tagContent, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				b.AddASN1(tagCertificates, func(b *cryptobyte.Builder) {
					b.AddBytes(certificateSet(cert, o.Certificates))
				})
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(name.issuer)
							b.AddBytes(name.serial)
						})
						addAlgorithm(b, digest, false)
						if len(attrs) > 0 {
							b.AddASN1(tagSignedAttrs, func(b *cryptobyte.Builder) { b.AddBytes(attrs) })
						}
						addAlgorithm(b, signature, null)
						b.AddASN1OctetString(sig)
					})
				})
			})
		})
	})
	return b.Bytes()
}

// certificateSet returns the certificates once each, in DER order of a SET OF.
func certificateSet(cert []byte, more [][]byte) []byte {
	all := append([][]byte{cert}, more...)
	slices.SortFunc(all, bytes.Compare)
	return slices.Concat(slices.CompactFunc(all, bytes.Equal)...)
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, null bool) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if null {
			b.AddASN1NULL()
		}
	})
}

// build runs f on a builder; f writes octets under a tag only, which cannot fail.
func build(f func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	f(&b)
	return b.BytesOrPanic()
}

func digestOID(h crypto.Hash) (asn1.ObjectIdentifier, error) {
	switch h {
	case crypto.SHA256:
		return oidSHA256, nil
	case crypto.SHA384:
		return oidSHA384, nil
	case crypto.SHA512:
		return oidSHA512, nil
	}
	return nil, refuse(ReasonAlgorithm, "hash %v is unsupported", h)
}

// signatureOID returns the signature algorithm and whether its parameters are NULL (RFC 3370 section 3.2) or
// absent (RFC 5758 section 3.2).
func signatureOID(pub crypto.PublicKey, h crypto.Hash) (asn1.ObjectIdentifier, bool, error) {
	switch pub.(type) {
	case *rsa.PublicKey:
		return oidRSA, true, nil
	case *ecdsa.PublicKey:
		switch h {
		case crypto.SHA256:
			return oidECDSASHA256, false, nil
		case crypto.SHA384:
			return oidECDSASHA384, false, nil
		case crypto.SHA512:
			return oidECDSASHA512, false, nil
		}
	}
	return nil, false, refuse(ReasonAlgorithm, "a key of type %T is unsupported", pub)
}
