package certpath

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Context-specific tags.
func tagPrimitive(n uint8) casn1.Tag   { return casn1.Tag(n).ContextSpecific() }
func tagConstructed(n uint8) casn1.Tag { return casn1.Tag(n).Constructed().ContextSpecific() }

func malformed(format string, args ...any) *Error { return refuse(ReasonMalformed, format, args...) }

// readOID reads an OBJECT IDENTIFIER.
func readOID(s *cryptobyte.String, out *OID) bool {
	var content cryptobyte.String
	if !s.ReadASN1(&content, casn1.OBJECT_IDENTIFIER) || !validOID(content) {
		return false
	}
	known, ok := commonOIDs[string(content)]
	if !ok {
		known = OID(content)
	}
	*out = known
	return true
}

// readSequence reads a SEQUENCE that is all of der, and gives its content.
func readSequence(der []byte) (cryptobyte.String, bool) {
	in := cryptobyte.String(der)
	var content cryptobyte.String
	ok := in.ReadASN1(&content, casn1.SEQUENCE) && in.Empty()
	return content, ok
}

// readTime reads a UTCTime or GeneralizedTime in the only form that RFC 5280 section 4.1.2.5 allows: with
// seconds, in UTC, without a fraction.
func readTime(s *cryptobyte.String) (t time.Time, generalized, ok bool) {
	var content cryptobyte.String
	switch {
	case s.PeekASN1Tag(casn1.UTCTime):
		if !s.ReadASN1(&content, casn1.UTCTime) || len(content) != 13 || content[12] != 'Z' {
			return t, false, false
		}
		yy, good := digits(content[:2])
		if !good {
			return t, false, false
		}
		year := 1900 + yy
		if yy < 50 {
			year += 100
		}
		t, ok = civil(year, content[2:12])
		return t, false, ok
	case s.PeekASN1Tag(casn1.GeneralizedTime):
		if !s.ReadASN1(&content, casn1.GeneralizedTime) || len(content) != 15 || content[14] != 'Z' {
			return t, true, false
		}
		year, good := digits(content[:4])
		if !good {
			return t, true, false
		}
		t, ok = civil(year, content[4:14])
		return t, true, ok
	}
	return t, false, false
}

// civil builds a UTC time of MMDDhhmmss and refuses what no calendar has.
func civil(year int, b []byte) (time.Time, bool) {
	var f [5]int
	for i := range f {
		v, ok := digits(b[2*i : 2*i+2])
		if !ok {
			return time.Time{}, false
		}
		f[i] = v
	}
	t := time.Date(year, time.Month(f[0]), f[1], f[2], f[3], f[4], 0, time.UTC)
	ok := int(t.Month()) == f[0] && t.Day() == f[1] && t.Hour() == f[2] && t.Minute() == f[3] && t.Second() == f[4]
	return t, ok
}

func digits(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// readBits reads a BIT STRING of named bits; bit 0 becomes the lowest bit. Bits beyond 16 are ignored.
func readBits(s *cryptobyte.String, tag casn1.Tag) (uint16, bool) {
	var content cryptobyte.String
	var unused uint8
	if !s.ReadASN1(&content, tag) || !content.ReadUint8(&unused) || unused > 7 {
		return 0, false
	}
	if len(content) == 0 {
		return 0, unused == 0
	}
	if content[len(content)-1]&(1<<unused-1) != 0 {
		return 0, false
	}
	var bits uint16
	for i := range min(len(content)*8, 16) {
		if content[i/8]&(0x80>>(i%8)) != 0 {
			bits |= 1 << i
		}
	}
	return bits, true
}

// readSmallInt reads a non-negative INTEGER and clamps what does not fit; callers only compare it with path
// positions.
func readSmallInt(s *cryptobyte.String, tag casn1.Tag) (int, bool) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, tag) || !minimalInteger(content) || content[0]&0x80 != 0 {
		return 0, false
	}
	if len(content) > 3 {
		return 1 << 20, true
	}
	n := 0
	for _, c := range content {
		n = n<<8 | int(c)
	}
	return n, true
}

func minimalInteger(content []byte) bool {
	if len(content) == 0 {
		return false
	}
	return len(content) == 1 || !(content[0] == 0 && content[1]&0x80 == 0 || content[0] == 0xff && content[1]&0x80 != 0)
}
