package certpath

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// unset stands for an absent number in policyConstraints and inhibitAnyPolicy.
const unset = -1

// parsedExtensions is what validation needs and callers do not.
type parsedExtensions struct {
	defects         []string // what RFC 5280 section 4 forbids in any certificate
	unknownCritical OID
	keyErr          *Error // why PublicKey is nil
	seen            []extensionHeader
	serial          []byte // content octets

	hasAKI, hasSKI bool
	hasSAN         bool
	altNames       []generalName
	constraints    *nameConstraints
	hasPolicies    bool
	mappings       []policyMapping
	requirePolicy  int
	inhibitMapping int
	inhibitAny     int
	crlDPs         []distributionPoint
	ocspNoCheck    bool
}

type extensionHeader struct {
	id       OID
	critical bool
}

type policyMapping struct{ issuer, subject OID }

// defect records a breach of the RFC 5280 section 4 profile that parsing can live with and Validate cannot.
func (c *Certificate) defect(format string, args ...any) {
	if len(c.x.defects) < 8 {
		c.x.defects = append(c.x.defects, fmt.Sprintf(format, args...))
	}
}

// has tells whether the certificate has an extension, critical or not.
func (c *Certificate) has(id OID) bool {
	for _, e := range c.x.seen {
		if e.id == id {
			return true
		}
	}
	return false
}

// readExtension reads one Extension.
func readExtension(s *cryptobyte.String) (h extensionHeader, value cryptobyte.String, ok bool) {
	var ext cryptobyte.String
	if !s.ReadASN1(&ext, casn1.SEQUENCE) || !readOID(&ext, &h.id) {
		return h, nil, false
	}
	if ext.PeekASN1Tag(casn1.BOOLEAN) && !ext.ReadASN1Boolean(&h.critical) {
		return h, nil, false
	}
	ok = ext.ReadASN1(&value, casn1.OCTET_STRING) && ext.Empty()
	return h, value, ok
}

// parseExtensions reads the content of Extensions.
func (c *Certificate) parseExtensions(exts cryptobyte.String) *Error {
	if exts.Empty() {
		return malformed("empty extensions")
	}
	c.x.seen = make([]extensionHeader, 0, 12)
	for !exts.Empty() {
		h, value, ok := readExtension(&exts)
		if !ok {
			return malformed("extension header")
		}
		if len(c.x.seen) >= 64 {
			return malformed("more than 64 extensions")
		}
		if c.has(h.id) {
			return malformed("extension %s occurs twice", h.id)
		}
		c.x.seen = append(c.x.seen, h)
		known, ok := c.parseExtension(h, value)
		if !ok {
			return malformed("extension %s", h.id)
		}
		if !known && h.critical && c.x.unknownCritical == "" {
			c.x.unknownCritical = h.id
		}
	}
	return nil
}

// parseExtension dispatches on the extension. known is false for what validation does not process.
func (c *Certificate) parseExtension(h extensionHeader, v cryptobyte.String) (known, ok bool) {
	switch h.id {
	case oidExtBasicConstraints:
		return true, c.parseBasicConstraints(v)
	case oidExtKeyUsage:
		return true, c.parseKeyUsage(v)
	case oidExtSubjectKeyID:
		return true, c.mustNotBeCritical(h, "subjectKeyIdentifier") && c.parseSubjectKeyID(v)
	case oidExtAuthorityKeyID:
		return true, c.mustNotBeCritical(h, "authorityKeyIdentifier") && c.parseAuthorityKeyID(v)
	case oidExtSubjectAltName:
		return true, c.parseSubjectAltName(h, v)
	case oidExtEKU:
		return true, c.parseEKU(v)
	case oidExtNameConstraints:
		return true, c.mustBeCritical(h, "nameConstraints") && c.parseNameConstraints(v)
	case oidExtPolicies:
		return true, c.parsePolicies(h, v)
	case oidExtPolicyMappings:
		return true, c.parsePolicyMappings(v)
	case oidExtPolicyConstraints:
		return true, c.parsePolicyConstraints(h, v)
	case oidExtInhibitAny:
		n, ok := readSmallInt(&v, casn1.INTEGER)
		c.x.inhibitAny = n
		return true, c.mustBeCritical(h, "inhibitAnyPolicy") && ok && v.Empty()
	case oidExtCRLDP:
		dps, ok := parseDistributionPoints(v)
		c.x.crlDPs = dps
		c.CRLDistributionPoints = distributionURIs(dps)
		return true, ok
	case oidExtFreshestCRL:
		_, ok := parseDistributionPoints(v)
		return true, c.mustNotBeCritical(h, "freshestCRL") && ok
	case oidExtAIA:
		return true, c.mustNotBeCritical(h, "authorityInfoAccess") && c.parseAIA(v)
	case oidExtSubjectDirectory:
		return true, c.mustNotBeCritical(h, "subjectDirectoryAttributes") && c.parseDirectoryAttributes(v)
	case oidExtOCSPNoCheck:
		c.x.ocspNoCheck = true
		return true, true
	case oidExtIssuerAltName:
		var names cryptobyte.String
		if !v.ReadASN1(&names, casn1.SEQUENCE) || !v.Empty() {
			return false, false
		}
		_, ok := readGeneralNames(names)
		return false, ok
	}
	return false, true
}

func (c *Certificate) mustBeCritical(h extensionHeader, name string) bool {
	if !h.critical {
		c.defect("%s is not critical", name)
	}
	return true
}

func (c *Certificate) mustNotBeCritical(h extensionHeader, name string) bool {
	if h.critical {
		c.defect("%s is critical", name)
	}
	return true
}

func (c *Certificate) parseBasicConstraints(v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() {
		return false
	}
	c.HasBasic = true
	if seq.PeekASN1Tag(casn1.BOOLEAN) && !seq.ReadASN1Boolean(&c.IsCA) {
		return false
	}
	if seq.PeekASN1Tag(casn1.INTEGER) {
		n, ok := readSmallInt(&seq, casn1.INTEGER)
		if !ok {
			return false
		}
		c.PathLen = n
	}
	return seq.Empty()
}

func (c *Certificate) parseKeyUsage(v cryptobyte.String) bool {
	bits, ok := readBits(&v, casn1.BIT_STRING)
	if !ok || !v.Empty() {
		return false
	}
	c.KeyUsage, c.HasKeyUsage = KeyUsage(bits&0x1ff), true
	if bits == 0 {
		c.defect("keyUsage has no bit")
	}
	return true
}

func (c *Certificate) parseSubjectKeyID(v cryptobyte.String) bool {
	var id cryptobyte.String
	c.x.hasSKI = v.ReadASN1(&id, casn1.OCTET_STRING) && v.Empty() && len(id) > 0
	c.SubjectKeyID = id
	return c.x.hasSKI
}

func (c *Certificate) parseAuthorityKeyID(v cryptobyte.String) bool {
	id, ok := readAuthorityKeyID(v)
	c.AuthorityKeyID, c.x.hasAKI = id, true
	return ok
}

// readAuthorityKeyID reads the extension of certificates and CRLs, and gives the key identifier.
func readAuthorityKeyID(v cryptobyte.String) ([]byte, bool) {
	var seq, id, issuer, serial cryptobyte.String
	var hasID, hasIssuer, hasSerial bool
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() ||
		!seq.ReadOptionalASN1(&id, &hasID, tagPrimitive(0)) ||
		!seq.ReadOptionalASN1(&issuer, &hasIssuer, tagConstructed(1)) ||
		!seq.ReadOptionalASN1(&serial, &hasSerial, tagPrimitive(2)) ||
		!seq.Empty() || hasIssuer != hasSerial || hasID && len(id) == 0 {
		return nil, false
	}
	if hasIssuer {
		if _, ok := readGeneralNames(issuer); !ok || !minimalInteger(serial) {
			return nil, false
		}
	}
	return id, true
}

func (c *Certificate) parseSubjectAltName(h extensionHeader, v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() {
		return false
	}
	if seq.Empty() {
		c.defect("subjectAltName is empty")
		return true
	}
	names, ok := readGeneralNames(seq)
	if !ok {
		return false
	}
	if c.Subject.Empty() && !h.critical {
		c.defect("subjectAltName is not critical although the subject is empty")
	}
	c.x.hasSAN, c.x.altNames = true, names
	c.setAltNames(names)
	return true
}

func (c *Certificate) parseEKU(v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return false
	}
	c.HasEKU = true
	for !seq.Empty() {
		var id OID
		if !readOID(&seq, &id) {
			return false
		}
		c.EKUs = append(c.EKUs, id)
	}
	return true
}

func (c *Certificate) parseAIA(v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return false
	}
	for !seq.Empty() {
		var access cryptobyte.String
		var method OID
		if !seq.ReadASN1(&access, casn1.SEQUENCE) || !readOID(&access, &method) {
			return false
		}
		location, ok := readGeneralName(&access)
		if !ok || !access.Empty() {
			return false
		}
		if location.kind != nameURI {
			continue
		}
		switch method {
		case oidAccessOCSP:
			c.OCSPServers = append(c.OCSPServers, string(location.value))
		case oidAccessCAIssuers:
			c.CAIssuers = append(c.CAIssuers, string(location.value))
		}
	}
	return true
}

func (c *Certificate) parseDirectoryAttributes(v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return false
	}
	for !seq.Empty() {
		var attr, set cryptobyte.String
		var a DirectoryAttribute
		if !seq.ReadASN1(&attr, casn1.SEQUENCE) || !readOID(&attr, &a.Type) ||
			!attr.ReadASN1(&set, casn1.SET) || !attr.Empty() || set.Empty() {
			return false
		}
		for !set.Empty() {
			var value cryptobyte.String
			var tag casn1.Tag
			if !set.ReadAnyASN1Element(&value, &tag) {
				return false
			}
			a.Values = append(a.Values, value)
		}
		c.SubjectDirectoryAttributes = append(c.SubjectDirectoryAttributes, a)
	}
	return true
}

// SubjectType is the subject type of Taiwan's government PKI in dotted form: the only value, an OBJECT
// IDENTIFIER, of the attribute 2.16.886.1.100.2.1 in subjectDirectoryAttributes. It is "" where the
// certificate has none, several, or one of another type.
func (c *Certificate) SubjectType() string {
	found := ""
	for _, a := range c.SubjectDirectoryAttributes {
		if a.Type != oidSubjectType {
			continue
		}
		var id OID
		if found != "" || len(a.Values) != 1 {
			return ""
		}
		v := cryptobyte.String(a.Values[0])
		if !readOID(&v, &id) || !v.Empty() {
			return ""
		}
		found = id.String()
	}
	return found
}
