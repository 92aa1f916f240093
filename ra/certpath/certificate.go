package certpath

import (
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"net"
	"time"
)

// KeyUsage holds the bits of RFC 5280 section 4.2.1.3, bit 0 lowest.
type KeyUsage uint16

// Key usages.
const (
	KeyUsageDigitalSignature KeyUsage = 1 << iota
	KeyUsageContentCommitment
	KeyUsageKeyEncipherment
	KeyUsageDataEncipherment
	KeyUsageKeyAgreement
	KeyUsageCertSign
	KeyUsageCRLSign
	KeyUsageEncipherOnly
	KeyUsageDecipherOnly
)

// Certificate is a parsed X.509 certificate. It must not be changed. That it could be parsed says nothing
// about whether it may be relied on: only Validate does.
type Certificate struct {
	Raw        []byte
	RawTBS     []byte
	RawSubject []byte // Name, DER
	RawIssuer  []byte
	RawSPKI    []byte // SubjectPublicKeyInfo, DER

	Version      int // 1, 2 or 3
	SerialNumber *big.Int
	NotBefore    time.Time
	NotAfter     time.Time
	Subject      Name
	Issuer       Name

	// PublicKey is *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey; nil where the key is of a type
	// that is not supported, and then KeyUnsupported says why.
	PublicKey      crypto.PublicKey
	KeyUnsupported string

	// SignatureAlgorithm is the DER AlgorithmIdentifier, as CheckSignature takes it.
	SignatureAlgorithm []byte
	Signature          []byte

	SubjectKeyID   []byte
	AuthorityKeyID []byte
	KeyUsage       KeyUsage
	HasKeyUsage    bool
	EKUs           []OID
	HasEKU         bool
	IsCA           bool
	HasBasic       bool // has basicConstraints
	PathLen        int  // -1 where there is no pathLenConstraint
	Policies       []OID

	DNSNames       []string
	EmailAddresses []string
	URIs           []string
	IPAddresses    []net.IP
	DirectoryNames []Name // of the subjectAltName

	// SubjectDirectoryAttributes are the attributes of 2.5.29.9; Values are the DER of the SET's members.
	SubjectDirectoryAttributes []DirectoryAttribute

	CRLDistributionPoints []string // http(s) and other URIs of all distribution points
	OCSPServers           []string // authorityInfoAccess id-ad-ocsp
	CAIssuers             []string // authorityInfoAccess id-ad-caIssuers

	x parsedExtensions
}

// DirectoryAttribute is one attribute of subjectDirectoryAttributes.
type DirectoryAttribute struct {
	Type   OID
	Values [][]byte
}

// Fingerprint is the SHA-256 of the certificate.
func (c *Certificate) Fingerprint() [32]byte { return sha256.Sum256(c.Raw) }

// SubjectAttribute gives the first value of a subject attribute, or "".
func (c *Certificate) SubjectAttribute(oid asn1.ObjectIdentifier) string { return c.Subject.Get(oid) }

// HasPolicy tells whether the certificate itself asserts a policy. It is no path validation.
func (c *Certificate) HasPolicy(oid asn1.ObjectIdentifier) bool {
	want := oidOf(oid)
	for _, p := range c.Policies {
		if p == want {
			return true
		}
	}
	return false
}
