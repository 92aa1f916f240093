package certpath

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/unicode/norm"
)

// Name is a distinguished name. The zero value is the empty name.
type Name struct {
	Raw  []byte // DER
	RDNs [][]Attribute

	folded string // canonical, made once for a parsed name
}

// Attribute is one type and value of a relative distinguished name.
type Attribute struct {
	Type  OID
	Tag   uint8  // ASN.1 tag of the value
	Value []byte // content octets
}

// String decodes the value's characters; values that are not strings give their hexadecimal content.
func (a Attribute) String() string {
	if s, ok := a.text(); ok {
		return s
	}
	return fmt.Sprintf("#%x", a.Value)
}

// Get gives the first value of an attribute type, or "".
func (n Name) Get(oid asn1.ObjectIdentifier) string {
	want := oidOf(oid)
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			if a.Type == want {
				return a.String()
			}
		}
	}
	return ""
}

// All gives every value of an attribute type, in order.
func (n Name) All(oid asn1.ObjectIdentifier) []string {
	want := oidOf(oid)
	var out []string
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			if a.Type == want {
				out = append(out, a.String())
			}
		}
	}
	return out
}

// Empty tells whether the name has no attributes.
func (n Name) Empty() bool { return len(n.RDNs) == 0 }

// Equal compares as RFC 5280 section 7.1 says: attribute by attribute in order, without regard to case,
// string type and runs of white space.
func (n Name) Equal(m Name) bool {
	if len(n.Raw) > 0 && bytes.Equal(n.Raw, m.Raw) {
		return true
	}
	return len(n.RDNs) == len(m.RDNs) && n.canonical() == m.canonical()
}

// String gives the name for people, most significant attribute first, with control and format characters
// escaped so that a hostile name cannot forge log lines.
func (n Name) String() string {
	var b strings.Builder
	for i, rdn := range n.RDNs {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, a := range rdn {
			if j > 0 {
				b.WriteString("+")
			}
			b.WriteString(attributeName(a.Type))
			b.WriteString("=")
			b.WriteString(printable(a.String()))
		}
		if b.Len() > 512 {
			b.WriteString(", …")
			break
		}
	}
	return b.String()
}

func printable(s string) string {
	if len(s) > 256 {
		s = strings.ToValidUTF8(s[:256], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func attributeName(o OID) string {
	switch o {
	case oidAttrCN:
		return "CN"
	case oidAttrSerial:
		return "serialNumber"
	case oidAttrC:
		return "C"
	case oidAttrO:
		return "O"
	case oidAttrOU:
		return "OU"
	case oidAttrEmail:
		return "emailAddress"
	}
	return o.String()
}

// parseName reads a Name that is all of der.
func parseName(der []byte) (Name, bool) {
	seq, ok := readSequence(der)
	if !ok {
		return Name{}, false
	}
	n := Name{Raw: der, RDNs: make([][]Attribute, 0, 4)}
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, casn1.SET) {
			return Name{}, false
		}
		rdn, ok := parseRDN(set)
		if !ok {
			return Name{}, false
		}
		n.RDNs = append(n.RDNs, rdn)
	}
	n.folded = n.fold()
	return n, true
}

// parseRDN reads the content of a RelativeDistinguishedName.
func parseRDN(set cryptobyte.String) ([]Attribute, bool) {
	rdn := make([]Attribute, 0, 1)
	for !set.Empty() {
		var attr, value cryptobyte.String
		var tag casn1.Tag
		var a Attribute
		if !set.ReadASN1(&attr, casn1.SEQUENCE) || !readOID(&attr, &a.Type) ||
			!attr.ReadAnyASN1(&value, &tag) || !attr.Empty() {
			return nil, false
		}
		a.Tag, a.Value = uint8(tag), value
		rdn = append(rdn, a)
	}
	return rdn, len(rdn) > 0
}

// canonical encodes the name so that equal names have equal strings.
func (n Name) canonical() string {
	if n.folded == "" {
		return n.fold()
	}
	return n.folded
}

func (n Name) fold() string {
	out := make([]byte, 0, len(n.Raw)+16*len(n.RDNs))
	for _, rdn := range n.RDNs {
		out = appendRDN(out, rdn)
	}
	return string(out)
}

func canonicalRDN(rdn []Attribute) []byte { return appendRDN(nil, rdn) }

// appendRDN encodes one RDN; every part is preceded by its length, so that no two differ only in where they
// are cut, and the parts of a set are in one order.
func appendRDN(out []byte, rdn []Attribute) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(rdn)))
	if len(rdn) == 1 {
		return appendAttribute(out, rdn[0])
	}
	parts := make([][]byte, len(rdn))
	for i, a := range rdn {
		parts[i] = appendAttribute(nil, a)
	}
	slices.SortFunc(parts, bytes.Compare)
	return append(out, slices.Concat(parts...)...)
}

func appendAttribute(out []byte, a Attribute) []byte {
	start := len(out)
	out = append(out, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(a.Type)))
	out = append(out, a.Type...)
	if s, ok := a.text(); ok {
		out = appendFolded(append(out, 's'), s)
	} else {
		out = append(out, 'x', a.Tag)
		out = append(out, a.Value...)
	}
	binary.BigEndian.PutUint32(out[start:], uint32(len(out)-start-4))
	return out
}

// text decodes the DirectoryString types and IA5String.
func (a Attribute) text() (string, bool) {
	v := a.Value
	switch casn1.Tag(a.Tag) {
	case casn1.PrintableString, casn1.IA5String, casn1.Tag(18): // 18 is NumericString
		return string(v), isASCII(v)
	case casn1.UTF8String:
		return string(v), utf8.Valid(v)
	case casn1.T61String:
		runes := make([]rune, len(v))
		for i, c := range v {
			runes[i] = rune(c)
		}
		return string(runes), true
	case casn1.Tag(30): // BMPString
		if len(v)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(v)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(v[2*i:])
		}
		return string(utf16.Decode(units)), true
	case casn1.Tag(28): // UniversalString
		if len(v)%4 != 0 {
			return "", false
		}
		runes := make([]rune, len(v)/4)
		for i := range runes {
			r := binary.BigEndian.Uint32(v[4*i:])
			if r > unicode.MaxRune {
				return "", false
			}
			runes[i] = rune(r)
		}
		return string(runes), true
	}
	return "", false
}

func isASCII[T string | []byte](v T) bool {
	for i := range len(v) {
		if v[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendFolded is the string preparation of RFC 4518 as far as it decides equality: compatibility composition,
// one case, one space between words and none outside.
func appendFolded(out []byte, s string) []byte {
	if !isASCII(s) {
		s = norm.NFKC.String(strings.ToLower(strings.ToUpper(norm.NFKC.String(s))))
	}
	begin, space := len(out), false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = len(out) > begin
			continue
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		}
		if space {
			out = append(out, ' ')
			space = false
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
