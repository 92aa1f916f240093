package certpath

import (
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// parsePolicies reads certificatePolicies, RFC 5280 section 4.2.1.4. Qualifiers are notes to people; but where
// the extension is critical, one of an unknown type makes it an extension that is not understood.
func (c *Certificate) parsePolicies(h extensionHeader, v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return false
	}
	seen := map[OID]bool{}
	for !seq.Empty() {
		var info, qualifiers cryptobyte.String
		var id OID
		var has bool
		if !seq.ReadASN1(&info, casn1.SEQUENCE) || !readOID(&info, &id) ||
			!info.ReadOptionalASN1(&qualifiers, &has, casn1.SEQUENCE) || !info.Empty() || seen[id] {
			return false
		}
		seen[id] = true
		c.Policies = append(c.Policies, id)
		if h.critical && has && !knownQualifiers(qualifiers) && c.x.unknownCritical == "" {
			c.x.unknownCritical = h.id
		}
	}
	c.x.hasPolicies = true
	return true
}

// knownQualifiers tells whether all are of the two types of RFC 5280: a pointer to a statement, and a notice.
func knownQualifiers(list cryptobyte.String) bool {
	for !list.Empty() {
		var one cryptobyte.String
		var id OID
		if !list.ReadASN1(&one, casn1.SEQUENCE) || !readOID(&one, &id) || id != oidQualifierCPS && id != oidQualifierNotice {
			return false
		}
	}
	return true
}

// parsePolicyMappings reads policyMappings, RFC 5280 section 4.2.1.5.
func (c *Certificate) parsePolicyMappings(v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return false
	}
	for !seq.Empty() {
		var pair cryptobyte.String
		var m policyMapping
		if !seq.ReadASN1(&pair, casn1.SEQUENCE) || !readOID(&pair, &m.issuer) ||
			!readOID(&pair, &m.subject) || !pair.Empty() {
			return false
		}
		c.x.mappings = append(c.x.mappings, m)
	}
	return true
}

// parsePolicyConstraints reads policyConstraints, RFC 5280 section 4.2.1.11. The extension must be critical;
// NIST's suite demands that one whose limits hold at once passes without, so that alone is let through.
func (c *Certificate) parsePolicyConstraints(h extensionHeader, v cryptobyte.String) bool {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return false
	}
	ok := true
	if seq.PeekASN1Tag(tagPrimitive(0)) {
		c.x.requirePolicy, ok = readSmallInt(&seq, tagPrimitive(0))
	}
	if ok && seq.PeekASN1Tag(tagPrimitive(1)) {
		c.x.inhibitMapping, ok = readSmallInt(&seq, tagPrimitive(1))
	}
	if !h.critical && (c.x.requirePolicy > 0 || c.x.inhibitMapping > 0) {
		c.defect("policyConstraints is not critical")
	}
	return ok && seq.Empty()
}
