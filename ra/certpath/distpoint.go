package certpath

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// allReasons is every bit of ReasonFlags that a CRL can cover: bits 1 to 8 (bit 0 is unused).
const allReasons uint16 = 0x1fe

// distributionPoint is a DistributionPoint, RFC 5280 section 4.2.1.13.
type distributionPoint struct {
	name    pointName
	reasons uint16 // allReasons where absent
	issuers []generalName
}

// pointName is a DistributionPointName: full names, or one RDN relative to the CRL issuer's name.
type pointName struct {
	full     []generalName
	relative []Attribute
}

func (p pointName) absent() bool { return p.full == nil && p.relative == nil }

// resolve turns a relative name into a full one below each possible issuer.
func (p pointName) resolve(issuers ...Name) []generalName {
	if p.relative == nil {
		return p.full
	}
	var out []generalName
	for _, n := range issuers {
		rdns := append(append([][]Attribute(nil), n.RDNs...), p.relative)
		out = append(out, generalName{kind: nameDirectory, dir: Name{RDNs: rdns}})
	}
	return out
}

// readPointName reads a DistributionPointName inside its explicit tag.
func readPointName(s cryptobyte.String) (pointName, bool) {
	var p pointName
	var body cryptobyte.String
	var tag casn1.Tag
	if !s.ReadAnyASN1(&body, &tag) || !s.Empty() {
		return p, false
	}
	var ok bool
	switch tag {
	case tagConstructed(0):
		p.full, ok = readGeneralNames(body)
	case tagConstructed(1):
		p.relative, ok = parseRDN(body)
	}
	return p, ok && len(p.full) <= maxPoints && len(p.relative) <= maxPoints
}

// parseDistributionPoints reads CRLDistributionPoints, which must not be empty.
func parseDistributionPoints(v cryptobyte.String) ([]distributionPoint, bool) {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return nil, false
	}
	var out []distributionPoint
	for !seq.Empty() {
		var dp, name, reasons, issuer cryptobyte.String
		var hasName, hasIssuer bool
		if !seq.ReadASN1(&dp, casn1.SEQUENCE) || !dp.ReadOptionalASN1(&name, &hasName, tagConstructed(0)) {
			return nil, false
		}
		p := distributionPoint{reasons: allReasons}
		ok := true
		if hasName {
			if p.name, ok = readPointName(name); !ok {
				return nil, false
			}
		}
		if dp.PeekASN1Tag(tagPrimitive(1)) {
			if !dp.ReadASN1Element(&reasons, tagPrimitive(1)) {
				return nil, false
			}
			if p.reasons, ok = readBits(&reasons, tagPrimitive(1)); !ok {
				return nil, false
			}
			p.reasons &= allReasons
		}
		if !dp.ReadOptionalASN1(&issuer, &hasIssuer, tagConstructed(2)) || !dp.Empty() || !hasName && !hasIssuer {
			return nil, false
		}
		if hasIssuer {
			if p.issuers, ok = readGeneralNames(issuer); !ok {
				return nil, false
			}
		}
		if out = append(out, p); len(out) > maxPoints || len(p.issuers) > maxPoints {
			return nil, false
		}
	}
	return out, true
}

// distributionURIs gives the http and https addresses, in order.
func distributionURIs(dps []distributionPoint) []string {
	var out []string
	for _, dp := range dps {
		for _, g := range dp.name.full {
			u := string(g.value)
			if g.kind == nameURI && (strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://")) {
				out = append(out, u)
			}
		}
	}
	return out
}

// crlIssuers gives the directory names of the cRLIssuer field.
func (p distributionPoint) crlIssuers() []Name {
	var out []Name
	for _, g := range p.issuers {
		if g.kind == nameDirectory {
			out = append(out, g.dir)
		}
	}
	return out
}
