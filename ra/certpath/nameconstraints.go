package certpath

import (
	"bytes"
	"net"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nameConstraints is the extension of RFC 5280 section 4.2.1.10, by kind of name.
type nameConstraints struct {
	permitted, excluded [nameKinds][]constraint
}

// constraint is one subtree. host and local are lower-case hosts and exact mailbox parts; ip is address and
// mask; dir holds one canonical encoding per RDN.
type constraint struct {
	host  string
	local string
	ip    []byte
	dir   [][]byte
}

func (c *Certificate) parseNameConstraints(v cryptobyte.String) bool {
	var seq, permitted, excluded cryptobyte.String
	var hasPermitted, hasExcluded bool
	if !v.ReadASN1(&seq, casn1.SEQUENCE) || !v.Empty() ||
		!seq.ReadOptionalASN1(&permitted, &hasPermitted, tagConstructed(0)) ||
		!seq.ReadOptionalASN1(&excluded, &hasExcluded, tagConstructed(1)) ||
		!seq.Empty() || !hasPermitted && !hasExcluded {
		return false
	}
	nc := &nameConstraints{}
	c.x.constraints = nc
	return (!hasPermitted || readSubtrees(permitted, &nc.permitted)) &&
		(!hasExcluded || readSubtrees(excluded, &nc.excluded))
}

// readSubtrees reads GeneralSubtrees. A minimum or maximum makes the extension one that nobody processes.
func readSubtrees(s cryptobyte.String, into *[nameKinds][]constraint) bool {
	if s.Empty() {
		return false
	}
	for !s.Empty() {
		var subtree cryptobyte.String
		if !s.ReadASN1(&subtree, casn1.SEQUENCE) {
			return false
		}
		g, ok := readGeneralName(&subtree)
		if !ok || !subtree.Empty() {
			return false
		}
		k, ok := newConstraint(g)
		if !ok {
			return false
		}
		into[g.kind] = append(into[g.kind], k)
	}
	return true
}

func newConstraint(g generalName) (constraint, bool) {
	s := string(g.value)
	switch g.kind {
	case nameDNS:
		// RFC 5280 has no leading period here, unlike for URIs. The empty name stands for every name.
		return constraint{host: strings.ToLower(s)}, s == "" || validDNSName(s, false)
	case nameURI:
		return constraint{host: strings.ToLower(s)}, validDNSName(strings.TrimPrefix(s, "."), false)
	case nameEmail:
		if strings.ContainsRune(s, '@') {
			local, host, ok := splitMailbox(s)
			return constraint{local: local, host: strings.ToLower(host)}, ok
		}
		return constraint{host: strings.ToLower(s)}, s == "" || validDNSName(strings.TrimPrefix(s, "."), false)
	case nameIP:
		if len(g.value) != 2*net.IPv4len && len(g.value) != 2*net.IPv6len {
			return constraint{}, false
		}
		ones, bits := net.IPMask(g.value[len(g.value)/2:]).Size()
		return constraint{ip: g.value}, ones != 0 || bits != 0
	case nameDirectory:
		k := constraint{}
		for _, rdn := range g.dir.RDNs {
			k.dir = append(k.dir, canonicalRDN(rdn))
		}
		return k, true
	}
	return constraint{}, true
}

// testedName is a name of a certificate, prepared for comparison.
type testedName struct {
	kind     uint8
	host     string
	local    string
	wildcard bool
	broken   bool // of a form that constraints cannot be applied to
	ip       []byte
	dir      [][]byte
}

// constrainedNames lists every name of the certificate that constraints apply to: the subject, the
// subjectAltName, and e-mail addresses of the subject where the subjectAltName has none.
func (c *Certificate) constrainedNames() []testedName {
	var out []testedName
	if !c.Subject.Empty() {
		out = append(out, directoryName(c.Subject))
	}
	for _, g := range c.x.altNames {
		out = append(out, newTestedName(g))
	}
	if len(c.EmailAddresses) == 0 {
		for _, rdn := range c.Subject.RDNs {
			for _, a := range rdn {
				if a.Type == oidAttrEmail {
					out = append(out, newTestedName(generalName{kind: nameEmail, value: a.Value}))
				}
			}
		}
	}
	return out
}

func directoryName(n Name) testedName {
	t := testedName{kind: nameDirectory}
	for _, rdn := range n.RDNs {
		t.dir = append(t.dir, canonicalRDN(rdn))
	}
	return t
}

func newTestedName(g generalName) testedName {
	t := testedName{kind: g.kind}
	s := string(g.value)
	ok := true
	switch g.kind {
	case nameDirectory:
		return directoryName(g.dir)
	case nameDNS:
		t.host, t.wildcard = strings.CutPrefix(strings.ToLower(s), "*.")
		ok = validDNSName(s, true)
	case nameEmail:
		t.local, t.host, ok = splitMailbox(s)
		t.host = strings.ToLower(t.host)
	case nameURI:
		t.host, ok = uriHost(s)
		t.host = strings.ToLower(t.host)
	case nameIP:
		t.ip = g.value
	}
	t.broken = !ok
	return t
}

// check applies the constraints to one name. comparisons counts down the work that is left.
func (nc *nameConstraints) check(t testedName, comparisons *int) *Error {
	permitted, excluded := nc.permitted[t.kind], nc.excluded[t.kind]
	if len(permitted)+len(excluded) == 0 {
		return nil
	}
	if *comparisons -= len(permitted) + len(excluded); *comparisons < 0 {
		return refuse(ReasonTooMuchWork, "too many names and name constraints")
	}
	if t.broken {
		return refuse(ReasonNameConstraints, "a name that constraints cannot be applied to")
	}
	for _, k := range excluded {
		if t.within(k) || t.wildcard && underWildcard(k.host, t.host) {
			return refuse(ReasonNameConstraints, "%s is excluded by an issuer", t)
		}
	}
	for _, k := range permitted {
		if t.within(k) && !unprocessable(t.kind) {
			return nil
		}
	}
	if len(permitted) > 0 {
		return refuse(ReasonNameConstraints, "%s is not permitted by an issuer", t)
	}
	return nil
}

// underWildcard tells whether "*.base" stands for the excluded host or for one in its subtree.
func underWildcard(host, base string) bool {
	label, found := strings.CutSuffix(host, "."+base)
	return found && label != "" && !strings.Contains(label, ".")
}

// unprocessable kinds (otherName, x400Address, ediPartyName, registeredID) are refused wherever a
// constraint of their kind applies, as RFC 5280 section 4.2.1.10 demands of what is not implemented.
func unprocessable(kind uint8) bool {
	switch kind {
	case nameEmail, nameDNS, nameDirectory, nameURI, nameIP:
		return false
	}
	return true
}

// within tells whether the name lies in a subtree of its kind.
func (t testedName) within(k constraint) bool {
	switch t.kind {
	case nameDNS:
		return k.host == "" || t.host == k.host || strings.HasSuffix(t.host, "."+k.host)
	case nameURI:
		if k.host[0] == '.' {
			return strings.HasSuffix(t.host, k.host)
		}
		return t.host == k.host
	case nameEmail:
		switch {
		case k.host == "":
			return true
		case k.host[0] == '.':
			return strings.HasSuffix(t.host, k.host)
		}
		return t.host == k.host && (k.local == "" || t.local == k.local)
	case nameIP:
		half := len(k.ip) / 2
		if len(t.ip) != half {
			return false
		}
		for i, b := range t.ip {
			if (b^k.ip[i])&k.ip[half+i] != 0 {
				return false
			}
		}
		return true
	case nameDirectory:
		if len(k.dir) > len(t.dir) {
			return false
		}
		for i, rdn := range k.dir {
			if !bytes.Equal(rdn, t.dir[i]) {
				return false
			}
		}
		return true
	}
	return true
}

func (t testedName) String() string {
	switch t.kind {
	case nameDNS:
		if t.wildcard {
			return "*." + t.host
		}
		return t.host
	case nameEmail:
		return t.local + "@" + t.host
	case nameURI:
		return "the URI of " + t.host
	case nameIP:
		return net.IP(t.ip).String()
	case nameDirectory:
		return "the directory name"
	}
	return "a name of another kind"
}
