package certpath

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Kinds of GeneralName, RFC 5280 section 4.2.1.6: the numbers of their tags.
const (
	nameOther     = 0
	nameEmail     = 1
	nameDNS       = 2
	nameDirectory = 4
	nameURI       = 6
	nameIP        = 7
	nameKinds     = 9
)

// generalName is one GeneralName. For a directory name value is the DER Name, otherwise content octets.
type generalName struct {
	kind  uint8
	value []byte
	dir   Name
}

// readGeneralName reads one GeneralName and checks its encoding, not yet its meaning.
func readGeneralName(s *cryptobyte.String) (generalName, bool) {
	var value cryptobyte.String
	var tag casn1.Tag
	if !s.ReadAnyASN1(&value, &tag) {
		return generalName{}, false
	}
	kind := uint8(tag) & 0x1f
	if uint8(tag)&0xc0 != 0x80 || kind >= nameKinds {
		return generalName{}, false
	}
	constructed := uint8(tag)&0x20 != 0
	wantConstructed := kind == nameOther || kind == 3 || kind == nameDirectory || kind == 5
	if constructed != wantConstructed {
		return generalName{}, false
	}
	g := generalName{kind: kind, value: value}
	switch kind {
	case nameDirectory:
		dir, ok := parseName(value)
		if !ok {
			return generalName{}, false
		}
		g.dir = dir
	case nameEmail, nameDNS, nameURI:
		if !isASCII([]byte(value)) {
			return generalName{}, false
		}
	case 8:
		if !validOID(value) {
			return generalName{}, false
		}
	}
	return g, true
}

// readGeneralNames reads the content of GeneralNames, which must not be empty.
func readGeneralNames(s cryptobyte.String) ([]generalName, bool) {
	var out []generalName
	for !s.Empty() {
		g, ok := readGeneralName(&s)
		if !ok {
			return nil, false
		}
		out = append(out, g)
	}
	return out, len(out) > 0
}

// equalGeneralName compares names as distribution point matching needs it.
func equalGeneralName(a, b generalName) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case nameDirectory:
		return a.dir.Equal(b.dir)
	case nameDNS:
		return strings.EqualFold(string(a.value), string(b.value))
	}
	return string(a.value) == string(b.value)
}

// validDNSName tells whether s is a host name in the preferred syntax of RFC 1034 as changed by RFC 1123,
// which RFC 5280 section 4.2.1.6 demands, and no IPv4 address; wildcard allows a first label "*".
func validDNSName(s string, wildcard bool) bool {
	if wildcard {
		s = strings.TrimPrefix(s, "*.")
	}
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	start, numeric := 0, true
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			c := s[i]
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
			continue
		}
		label := s[start:i]
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		numeric = strings.Trim(label, "0123456789") == ""
		start = i + 1
	}
	return !numeric // no top-level domain is a number; so this excludes IPv4 addresses
}

// splitMailbox takes a mailbox (RFC 5321, without a comment or address literal) apart.
func splitMailbox(s string) (local, host string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at > 255 {
		return "", "", false
	}
	local, host = s[:at], s[at+1:]
	if !validDNSName(host, false) {
		return "", "", false
	}
	return local, host, validLocalPart(local)
}

// validMailbox tells whether s is a mailbox; unlike splitMailbox it takes one at an address literal, which
// RFC 5321 section 4.1.3 allows and no name constraint can be applied to.
func validMailbox(s string) bool {
	if at := strings.LastIndexByte(s, '@'); at > 0 && strings.HasSuffix(s, "]") && strings.HasPrefix(s[at+1:], "[") {
		literal, six := strings.CutPrefix(s[at+2:len(s)-1], "IPv6:")
		addr, err := netip.ParseAddr(literal)
		return err == nil && addr.Is4() != six && addr.Zone() == "" && validLocalPart(s[:at])
	}
	_, _, ok := splitMailbox(s)
	return ok
}

func validLocalPart(local string) bool {
	if local[0] == '"' {
		return validQuoted(local)
	}
	for _, atom := range strings.Split(local, ".") {
		if atom == "" || strings.ContainsAny(atom, "()<>[]:;@\\,\" ") || !printableASCII(atom) {
			return false
		}
	}
	return true
}

func validQuoted(s string) bool {
	if len(s) < 2 || s[len(s)-1] != '"' || !printableASCII(s) {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		switch s[i] {
		case '"':
			return false
		case '\\':
			if i++; i >= len(s)-1 {
				return false
			}
		}
	}
	return true
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// uriHost gives the host name of an absolute URI; ok is false where the URI is relative or has no host that
// is a name.
func uriHost(s string) (host string, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", false
	}
	host = u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || !validDNSName(host, false) {
		return "", false
	}
	return host, true
}

// absoluteURI tells whether s has a scheme and something after it (RFC 5280 section 4.2.1.6).
func absoluteURI(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	if !found || rest == "" || scheme == "" || !printableASCII(s) {
		return false
	}
	for i := range len(scheme) {
		c := scheme[i] | 0x20
		alpha := c >= 'a' && c <= 'z'
		other := i > 0 && (scheme[i] >= '0' && scheme[i] <= '9' || strings.IndexByte("+-.", scheme[i]) >= 0)
		if !alpha && !other {
			return false
		}
	}
	return true
}

// setAltNames spreads the names of a subjectAltName over the fields of c and records those that RFC 5280
// section 4.2.1.6 forbids.
func (c *Certificate) setAltNames(names []generalName) {
	for _, g := range names {
		s := string(g.value)
		switch g.kind {
		case nameEmail:
			if !validMailbox(s) {
				c.defect("subjectAltName has an impossible e-mail address %q", s)
			}
			c.EmailAddresses = append(c.EmailAddresses, s)
		case nameDNS:
			if !validDNSName(s, true) {
				c.defect("subjectAltName has an impossible DNS name %q", s)
			}
			c.DNSNames = append(c.DNSNames, s)
		case nameURI:
			if !absoluteURI(s) {
				c.defect("subjectAltName has a relative URI %q", s)
			}
			c.URIs = append(c.URIs, s)
		case nameIP:
			if len(g.value) != net.IPv4len && len(g.value) != net.IPv6len {
				c.defect("subjectAltName has an IP address of %d octets", len(g.value))
			}
			c.IPAddresses = append(c.IPAddresses, net.IP(g.value))
		case nameDirectory:
			c.DirectoryNames = append(c.DirectoryNames, g.dir)
		}
	}
}
