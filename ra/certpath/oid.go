package certpath

import (
	"encoding/asn1"
	"math/big"
	"strings"
)

// OID is an object identifier as the content octets of its DER encoding, so that arcs of any size compare
// exactly and cost nothing to parse.
type OID string

// String gives the dotted form.
func (o OID) String() string {
	var b strings.Builder
	arc := new(big.Int)
	first := true
	for i := range len(o) {
		arc.Lsh(arc, 7).Or(arc, big.NewInt(int64(o[i]&0x7f)))
		if o[i]&0x80 != 0 {
			continue
		}
		if first {
			top := int64(2)
			if arc.IsInt64() && arc.Int64() < 80 {
				top = arc.Int64() / 40
			}
			b.WriteByte(byte('0' + top))
			arc.Sub(arc, big.NewInt(40*top))
			first = false
		}
		b.WriteByte('.')
		b.WriteString(arc.String())
		arc.SetInt64(0)
	}
	return b.String()
}

// Equal compares with the standard library's form.
func (o OID) Equal(id asn1.ObjectIdentifier) bool { return o == oidOf(id) }

// oidOf encodes the standard library's form; an impossible identifier gives the empty OID.
func oidOf(id asn1.ObjectIdentifier) OID {
	if len(id) < 2 || id[0] < 0 || id[0] > 2 || id[1] < 0 || (id[0] < 2 && id[1] > 39) {
		return ""
	}
	out := appendArc(make([]byte, 0, 16), uint64(id[0])*40+uint64(id[1]))
	for _, arc := range id[2:] {
		if arc < 0 {
			return ""
		}
		out = appendArc(out, uint64(arc))
	}
	return OID(out)
}

func appendArc(out []byte, v uint64) []byte {
	shift := 0
	for s := v >> 7; s != 0; s >>= 7 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		out = append(out, byte(v>>shift)&0x7f|0x80)
	}
	return append(out, byte(v)&0x7f)
}

// validOID tells whether content octets are a DER object identifier: complete and minimally encoded arcs.
func validOID(content []byte) bool {
	if len(content) == 0 || len(content) > maxOIDLength || content[len(content)-1]&0x80 != 0 {
		return false
	}
	start := true
	for _, c := range content {
		if start && c == 0x80 {
			return false
		}
		start = c&0x80 == 0
	}
	return true
}
