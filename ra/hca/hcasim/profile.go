package hcasim

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"certwindow/ra/hca"
	"certwindow/ra/hca/cmc"
)

// Object identifiers of the government PKI's certificates. OIDMobilePolicy is the simulator's own, under the arc
// that X.660 keeps for examples: the HCA's mark of a mobile certificate is not public.
var (
	OIDCardRank     = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 2}
	OIDCardNumber   = asn1.ObjectIdentifier{2, 16, 886, 1, 100, 2, 204}
	OIDPolicy       = asn1.ObjectIdentifier{2, 16, 886, 101, 0, 3, 3}
	OIDMobilePolicy = asn1.ObjectIdentifier{2, 999, 886, 101, 1}

	oidOCSPNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidIDP         = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidSignedData  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// Marks is how the certificates of IC cards and of phones are told apart. Both assert Policy. A card's certificate
// has a card rank and a card number among its directory attributes; a mobile one has neither and asserts Mobile too.
type Marks struct {
	Policy        string `json:"policy"`         // dotted
	Mobile        string `json:"mobile"`         // dotted; asserted beside Policy by mobile certificates
	CardRank      string `json:"card_rank"`      // of IC cards: "primary" is the first card of a person or institution
	DedicatedRank string `json:"dedicated_rank"` // of an institution's attached card 附卡
}

// DefaultMarks are the simulator's choice.
func DefaultMarks() Marks {
	return Marks{Policy: OIDPolicy.String(), Mobile: OIDMobilePolicy.String(), CardRank: "primary", DedicatedRank: "secondary"}
}

// Kind is whom a card belongs to.
type Kind string

// The two kinds of card holder.
const (
	Person      Kind = "person"
	Institution Kind = "institution"
)

func (k Kind) subjectType() (asn1.ObjectIdentifier, error) {
	switch k {
	case Person:
		return hca.OIDPersonnel, nil
	case Institution:
		return hca.OIDInstitution, nil
	}
	return nil, fmt.Errorf("hcasim: kind %q is neither person nor institution", string(k))
}

// Names. The issuing CA has the HCA's own name, as every generation of it has; the root says what this is.
func rootName() pkix.Name {
	return pkix.Name{Country: []string{"TW"}, Organization: []string{"行政院"}, CommonName: "hcasim test root - a simulation, trust it nowhere"}
}

func caName() pkix.Name {
	return pkix.Name{Country: []string{"TW"}, Organization: []string{"行政院"}, OrganizationalUnit: []string{"醫事憑證管理中心"}}
}

func serviceName(cn string) pkix.Name {
	n := caName()
	n.CommonName = cn
	return n
}

func holderName(name, serial string) pkix.Name {
	return pkix.Name{Country: []string{"TW"}, CommonName: name, SerialNumber: serial}
}

// keyID is the key identifier of RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of the key.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

// directoryAttribute is one attribute of subjectDirectoryAttributes with one value.
type directoryAttribute struct {
	oid   asn1.ObjectIdentifier
	value func(*cryptobyte.Builder)
}

func oidAttribute(oid, value asn1.ObjectIdentifier) directoryAttribute {
	return directoryAttribute{oid, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(value) }}
}

func textAttribute(oid asn1.ObjectIdentifier, value string) directoryAttribute {
	return directoryAttribute{oid, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
	}}
}

// directoryAttributes encodes the extension 2.5.29.9, not critical.
func directoryAttributes(attrs []directoryAttribute) (pkix.Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, a := range attrs {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(a.oid)
				b.AddASN1(cbasn1.SET, a.value)
			})
		}
	})
	der, err := b.Bytes()
	return pkix.Extension{Id: hca.OIDSubjectDirectoryAttributes, Value: der}, err
}

// caTemplate is a CA certificate of the root (pathLen 1) or the issuing CA (pathLen 0).
func caTemplate(name pkix.Name, pathLen int, from, to time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: name, NotBefore: from, NotAfter: to,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: pathLen, MaxPathLenZero: pathLen == 0,
	}
}

// responderTemplate is the delegated OCSP responder (RFC 6960 section 4.2.2.2).
func responderTemplate(from, to time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: serviceName("hcasim OCSP responder"), NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: oidOCSPNoCheck, Value: asn1.NullBytes}},
	}
}

// cmcTemplate is the signer of CMC answers (RFC 6402 section 2.10).
func cmcTemplate(from, to time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: serviceName("hcasim CMC responder"), NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, UnknownExtKeyUsage: []asn1.ObjectIdentifier{cmc.OIDCMCCA},
	}
}

// policies turns dotted identifiers into what crypto/x509 wants.
func policies(dotted ...string) ([]x509.OID, error) {
	var out []x509.OID
	for _, s := range dotted {
		if s == "" {
			continue
		}
		o, err := x509.ParseOID(s)
		if err != nil {
			return nil, fmt.Errorf("hcasim: policy %q: %w", s, err)
		}
		out = append(out, o)
	}
	return out, nil
}

// partitionOf says which partitioned CRL a certificate's serial number belongs to.
func partitionOf(serial *big.Int, partitions int) int {
	return int(new(big.Int).Mod(serial, big.NewInt(int64(partitions))).Int64())
}
