package certpath

import (
	"net/netip"
	"strings"
)

// judge applies RFC 5280 section 6.1 to a complete path whose signatures, validity and profile are already
// known to be good, and then asks for revocation.
func (v *validation) judge(path []*Certificate) (*Result, *Error) {
	leaf := path[0]
	if err := v.checkLeaf(leaf); err != nil {
		return nil, err.about(leaf)
	}
	if err := checkPathLength(path, v.o.MaxDepth); err != nil {
		return nil, err
	}
	if err := checkEKU(path, oidOf(v.o.EKU), v.o.EKU != nil); err != nil {
		return nil, err
	}
	if err := checkNameConstraints(path, &v.comparisons); err != nil {
		return nil, err
	}
	for _, c := range path {
		v.comparisons -= len(c.Policies) + len(c.x.mappings)
	}
	if v.comparisons < 0 {
		return nil, refuse(ReasonTooMuchWork, "too many policies").about(leaf)
	}
	policies, err := checkPolicies(path, v.o)
	if err != nil {
		return nil, err
	}
	evidence, err := v.checkRevocation(path)
	if err != nil {
		return nil, err
	}
	return &Result{Path: path, Policies: policies, Revocation: evidence}, nil
}

// checkLeaf judges what the caller asked of the leaf itself.
func (v *validation) checkLeaf(leaf *Certificate) *Error {
	if want := v.o.KeyUsage; want != 0 && leaf.HasKeyUsage && leaf.KeyUsage&want != want {
		return refuse(ReasonKeyUsage, "the key may not be used for this")
	}
	if v.o.Name != "" && !leaf.matchesName(v.o.Name) {
		return refuse(ReasonName, "not for %q", printable(v.o.Name))
	}
	return nil
}

// checkPathLength applies pathLenConstraint from the anchor down, and the caller's own bound. Self-issued
// intermediates do not count (RFC 5280 section 6.1.4 (l)).
func checkPathLength(path []*Certificate, maxIntermediates int) *Error {
	left := len(path)
	switch {
	case maxIntermediates < 0:
		left = 0
	case maxIntermediates > 0:
		left = min(left, maxIntermediates)
	}
	for i := len(path) - 1; i > 0; i-- {
		c := path[i]
		if i < len(path)-1 && !c.selfIssued() {
			if left == 0 {
				return refuse(ReasonPathLength, "more intermediates than allowed").about(c)
			}
			left--
		}
		if c.PathLen != unset && c.PathLen < left {
			left = c.PathLen
		}
	}
	return nil
}

// checkEKU asks the usage of the leaf and of every issuer that limits usages. A certificate without the
// extension is not limited.
func checkEKU(path []*Certificate, want OID, asked bool) *Error {
	if !asked {
		return nil
	}
	if want == "" {
		return refuse(ReasonMisuse, "impossible extended key usage")
	}
	for _, c := range path {
		if c.HasEKU && !c.hasEKU(want) && !c.hasEKU(oidAnyEKU) {
			return refuse(ReasonEKU, "extended key usage %s is not allowed", want).about(c)
		}
	}
	return nil
}

func (c *Certificate) hasEKU(want OID) bool {
	for _, e := range c.EKUs {
		if e == want {
			return true
		}
	}
	return false
}

// checkNameConstraints applies every issuer's constraints to every certificate below it, except self-issued
// ones that are not the leaf (RFC 5280 section 6.1.3 (b) and (c)).
func checkNameConstraints(path []*Certificate, comparisons *int) *Error {
	highest := 0
	for i, c := range path {
		if c.x.constraints != nil {
			highest = i
		}
	}
	for i := range highest {
		c := path[i]
		if i > 0 && c.selfIssued() {
			continue
		}
		names := c.constrainedNames()
		if *comparisons -= len(names); *comparisons < 0 {
			return refuse(ReasonTooMuchWork, "too many names").about(c)
		}
		for _, issuer := range path[i+1:] {
			if issuer.x.constraints == nil {
				continue
			}
			for _, n := range names {
				if err := issuer.x.constraints.check(n, comparisons); err != nil {
					return err.about(c)
				}
			}
		}
	}
	return nil
}

// matchesName compares with the subjectAltName alone, never with the common name (RFC 9525).
func (c *Certificate) matchesName(name string) bool {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if addr, err := netip.ParseAddr(name); err == nil {
		for _, ip := range c.IPAddresses {
			if got, ok := netip.AddrFromSlice(ip); ok && got == addr {
				return true
			}
		}
		return false
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !validDNSName(name, false) {
		return false
	}
	_, parent, _ := strings.Cut(name, ".")
	for _, pattern := range c.DNSNames {
		pattern = strings.ToLower(pattern)
		if pattern == name {
			return true
		}
		// A wildcard stands for one whole label, and never for a name directly below a top-level domain.
		if base, ok := strings.CutPrefix(pattern, "*."); ok && base == parent && strings.Contains(base, ".") {
			return true
		}
	}
	return false
}
