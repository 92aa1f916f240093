package cardmsg

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what stands in a text.
const (
	maxValue   = 512 // bytes of one line's value
	maxEntries = 32  // of a list; together they are bound by maxValue
)

// CheckValue says what is wrong with a value for a line of a text, or "". A value is valid UTF-8, not
// empty, of bounded length, without blanks at its ends, and without any control, format, line- or
// paragraph-separator character, so that it cannot forge a line nor hide or reorder what the holder reads.
// Names of every people pass, with their dots, hyphens, apostrophes and combining marks.
func CheckValue(v string) string {
	switch {
	case v == "":
		return "is empty"
	case len(v) > maxValue:
		return "is too long"
	case !utf8.ValidString(v):
		return "is not UTF-8"
	case strings.TrimSpace(v) != v:
		return "begins or ends with a blank"
	}
	for _, r := range v {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return "holds a control, format or separator character"
		}
	}
	return ""
}

// ValidNonce tells whether a nonce is what a text holds: base64url without padding of exactly 32 bytes, in
// its only encoding.
func ValidNonce(nonce string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	return err == nil && len(b) == 32 && base64.RawURLEncoding.EncodeToString(b) == nonce
}

// validULID tells whether an identifier is a ULID in its canonical form.
func validULID(id string) bool {
	const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	return len(id) == 26 && id[0] <= '7' && strings.Trim(id, crockford) == ""
}
